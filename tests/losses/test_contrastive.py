"""InfoNCE against a NumPy loop, closed forms, symmetry, and one process against many."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from eclip.losses.contrastive import in_batch_accuracy, info_nce
from many_processes import on_many, on_one


def unit(rows, columns, seed):
    return F.normalize(torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)), dim=1)


def info_nce_loop(image, text, scale):
    """Equation 1 as written: one row at a time."""
    image, text, total = image.double().numpy(), text.double().numpy(), 0.0
    for i in range(len(image)):
        to_texts = [math.exp(scale * float(image[i] @ other)) for other in text]
        to_images = [math.exp(scale * float(text[i] @ other)) for other in image]
        total -= math.log(to_texts[i] / sum(to_texts)) + math.log(to_images[i] / sum(to_images))
    return total / (2 * len(image))


@pytest.mark.parametrize(("rows", "dim", "scale"), [(1, 4, 1.0), (2, 3, 14.3), (7, 16, 5.0), (33, 8, 100.0)])
def test_equals_the_loop_written_from_the_formula(rows, dim, scale):
    image, text = unit(rows, dim, 0), unit(rows, dim, 1)
    assert float(info_nce(image, text, scale)) == pytest.approx(info_nce_loop(image, text, scale), abs=1e-4)


@pytest.mark.parametrize("rows", [2, 5, 48])
def test_identical_embeddings_give_log_n(rows):
    same = unit(1, 8, 0).expand(rows, -1)
    assert float(info_nce(same, same, 14.3)) == pytest.approx(math.log(rows), abs=1e-5)


def test_orthogonal_pairs_give_the_closed_form():
    eye, scale = torch.eye(6), 3.0
    assert float(info_nce(eye, eye, scale)) == pytest.approx(math.log(1 + 5 * math.exp(-scale)), abs=1e-6)


def test_is_symmetric_and_blind_to_the_order_of_the_pairs():
    image, text, order = unit(9, 5, 0), unit(9, 5, 1), torch.randperm(9)
    loss = info_nce(image, text, 10.0)
    torch.testing.assert_close(loss, info_nce(text, image, 10.0))
    torch.testing.assert_close(loss, info_nce(image[order], text[order], 10.0))


def test_gradient_equals_finite_differences():
    image, text = unit(4, 3, 0).double().requires_grad_(), unit(4, 3, 1).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda v, t: info_nce(v, t, 7.0), (image, text))


def test_accuracy_counts_both_directions():
    image = torch.eye(3)
    text = torch.eye(3)[[0, 2, 1]]
    assert float(in_batch_accuracy(image, text)) == pytest.approx(1 / 3)


def info_nce_without_bias(image, text, scale, bias):
    return info_nce(image, text, scale)


@pytest.mark.parametrize("sizes", [[3, 3], [5, 2]], ids=["even", "uneven"])
def test_two_processes_equal_one_in_value_and_gradient(sizes, free_port):
    found, expected = (
        on_many(info_nce_without_bias, sizes, free_port),
        on_one(info_nce_without_bias, sum(sizes)),
    )
    assert len(found) == 3
    for many, one in zip(found, expected, strict=True):
        np.testing.assert_allclose(many, one, rtol=1e-9, atol=1e-12)
