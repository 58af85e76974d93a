"""InfoNCE against a NumPy loop, closed forms, symmetry, and one process against many."""

import math
from functools import partial

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F

from eclip.losses.contrastive import alignment, in_batch_accuracy, info_nce
from eclip.losses.gather import row_counts
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


def test_no_rows_give_zero_and_stay_in_the_graph():
    image = torch.zeros(0, 4, requires_grad=True)
    loss = info_nce(image, torch.zeros(0, 4), 10.0)
    loss.backward()
    assert loss.item() == 0


def test_alignment_is_the_mean_squared_distance_of_pairs():
    image, text = torch.eye(3), torch.eye(3)[[0, 2, 1]]
    assert float(alignment(image, image)) == 0
    assert float(alignment(image, -image)) == 4
    assert float(alignment(image, text)) == pytest.approx((0 + 2 + 2) / 3)
    nothing = alignment(torch.zeros(0, 4, requires_grad=True), torch.zeros(0, 4))
    nothing.backward()
    assert nothing.item() == 0


def info_nce_without_bias(image, text, scale, bias):
    return info_nce(image, text, scale)


def alignment_alone(image, text, scale, bias):
    return alignment(image, text) + 0 * scale


@pytest.mark.parametrize("loss", [info_nce_without_bias, alignment_alone], ids=["InfoNCE", "alignment"])
@pytest.mark.parametrize("sizes", [[3, 3], [5, 2], [3, 0]], ids=["even", "uneven", "none on one"])
def test_two_processes_equal_one_in_value_and_gradient(loss, sizes):
    found, expected = on_many(loss, sizes), on_one(loss, sum(sizes))
    assert len(found) == 3
    for many, one in zip(found, expected, strict=True):
        np.testing.assert_allclose(many, one, rtol=1e-9, atol=1e-12)


def keyed_loop(image, text, scale, keys):
    """As `info_nce_loop`, but rows that share a key are in no denominator of each other's."""
    image, text, total = image.double().numpy(), text.double().numpy(), 0.0
    for i in range(len(image)):
        for own, others in ((image[i], text), (text[i], image)):
            below = 0.0
            for j in range(len(others)):
                kin = any(keys[i][k] == keys[j][k] for k in range(len(keys[i])))
                if i == j or not kin:
                    below += math.exp(scale * float(own @ others[j]))
            total -= math.log(math.exp(scale * float(own @ others[i])) / below)
    return total / (2 * len(image))


KEYS = torch.tensor(
    [[1, 7], [2, 8], [1, 9], [3, 8], [4, 5], [5, 1], [6, 7]]
)  # 5 and 1 in two columns: no kin


def test_rows_that_share_a_key_are_not_each_others_negatives():
    image, text = unit(7, 5, 0), unit(7, 5, 1)
    loss = info_nce(image, text, 6.0, key_BK=KEYS)
    assert float(loss) == pytest.approx(keyed_loop(image, text, 6.0, KEYS.tolist()), abs=1e-5)
    assert float(loss) < float(info_nce(image, text, 6.0))


def test_keys_that_all_differ_change_nothing():
    image, text = unit(7, 5, 0), unit(7, 5, 1)
    keys = torch.arange(14).reshape(7, 2)
    assert torch.equal(info_nce(image, text, 6.0, key_BK=keys), info_nce(image, text, 6.0))


def test_rows_of_one_key_alone_have_nothing_to_be_told_from():
    image, text = unit(4, 5, 0).requires_grad_(), unit(4, 5, 1)
    loss = info_nce(image, text, 6.0, key_BK=torch.ones(4, 1, dtype=torch.int64))
    loss.backward()
    assert loss.item() == 0
    assert not image.grad.any()


def test_a_row_left_out_as_a_negative_gets_no_gradient_from_it():
    image = unit(3, 5, 0).requires_grad_()
    text = unit(3, 5, 1)
    keys = torch.tensor([[1], [1], [2]])
    loss = info_nce(image, text, 6.0, key_BK=keys)
    (gradient,) = torch.autograd.grad(loss, image)
    moved = torch.cat([text[:1], unit(1, 5, 2), text[2:]])  # row 0 never looks at text 1
    (again,) = torch.autograd.grad(info_nce(image, moved, 6.0, key_BK=keys), image)
    torch.testing.assert_close(gradient[0], again[0])
    assert not torch.allclose(gradient[1], again[1])


def test_keyed_gradient_equals_finite_differences_and_order_does_not_matter():
    image, text = unit(7, 3, 0).double().requires_grad_(), unit(7, 3, 1).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda v, t: info_nce(v, t, 7.0, key_BK=KEYS), (image, text))
    order = torch.randperm(7)
    torch.testing.assert_close(
        info_nce(image, text, 7.0, key_BK=KEYS), info_nce(image[order], text[order], 7.0, key_BK=KEYS[order])
    )


def keyed_over(keys, image, text, scale, bias):
    """Of the rows that the rank holds."""
    first = 0
    if dist.is_initialized():
        counts = row_counts(image)
        first = sum(counts[: dist.get_rank()])
    return info_nce(image, text, scale, key_BK=keys[first : first + len(image)])


def test_keys_on_two_processes_equal_those_on_one():
    loss = partial(keyed_over, KEYS)
    for many, one in zip(on_many(loss, [4, 3]), on_one(loss, 7), strict=True):
        np.testing.assert_allclose(many, one, rtol=1e-9, atol=1e-12)
