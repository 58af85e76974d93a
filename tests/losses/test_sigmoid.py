"""The sigmoid loss against a NumPy loop, closed forms, invariances, and one process against many."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from eclip.losses.contrastive import info_nce
from eclip.losses.geodesic import m2_mix
from eclip.losses.sigmoid import sigmoid_loss
from many_processes import on_many, on_one


def unit(rows, columns, seed):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(rows, columns, generator=generator, dtype=torch.float64), dim=1)


def sigmoid_loop(image, text, scale, bias):
    """Section 3.2 of Zhai et al. 2023 as written: one pair at a time."""
    total = 0.0
    for i in range(len(image)):
        for j in range(len(text)):
            sign = 1 if i == j else -1
            total += math.log(1 / (1 + math.exp(-sign * (scale * float(image[i] @ text[j]) + bias))))
    return -total / len(image)


def gradient_loop(image, text, scale, bias):
    """Its derivatives by hand: d(−log σ(z·x))/dx = −z · σ(−z·x), x = s·v·t + b."""
    to_image, to_text = np.zeros_like(image), np.zeros_like(text)
    to_scale = to_bias = 0.0
    for i in range(len(image)):
        for j in range(len(text)):
            sign = 1 if i == j else -1
            cosine = image[i] @ text[j]
            slope = -sign / (1 + math.exp(sign * (scale * cosine + bias))) / len(image)
            to_image[i] += slope * scale * text[j]
            to_text[j] += slope * scale * image[i]
            to_scale += slope * cosine
            to_bias += slope
    return to_image, to_text, to_scale, to_bias


CASES = [(1, 4, 1.0, 0.0), (2, 3, 10.0, -10.0), (7, 16, 5.0, 2.0), (20, 8, 30.0, -4.0)]


@pytest.mark.parametrize(("rows", "dim", "scale", "bias"), CASES)
def test_equals_the_loop_written_from_the_formula(rows, dim, scale, bias):
    image, text = unit(rows, dim, 0), unit(rows, dim, 1)
    expected = sigmoid_loop(image.numpy(), text.numpy(), scale, bias)
    assert float(sigmoid_loss(image, text, scale, bias)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("rows", "dim", "scale", "bias"), CASES)
def test_gradient_equals_the_derivatives_by_hand(rows, dim, scale, bias):
    image, text = unit(rows, dim, 0).requires_grad_(), unit(rows, dim, 1).requires_grad_()
    scalars = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (scale, bias)]
    sigmoid_loss(image, text, *scalars).backward()
    expected = gradient_loop(image.detach().numpy(), text.detach().numpy(), scale, bias)
    for found, by_hand in zip((image, text, *scalars), expected, strict=True):
        np.testing.assert_allclose(found.grad.numpy(), by_hand, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("rows", [1, 2, 9])
def test_closed_forms(rows):
    eye, scale, bias = torch.eye(rows, dtype=torch.float64), 4.0, -1.5
    nothing_known = sigmoid_loss(eye, eye, 0.0, 0.0)
    assert float(nothing_known) == pytest.approx(rows * math.log(2))
    positive, negative = math.log1p(math.exp(-scale - bias)), math.log1p(math.exp(bias))
    assert float(sigmoid_loss(eye, eye, scale, bias)) == pytest.approx(positive + (rows - 1) * negative)


def test_is_symmetric_and_blind_to_the_order_of_the_pairs():
    image, text, order = unit(9, 5, 0), unit(9, 5, 1), torch.randperm(9)
    loss = sigmoid_loss(image, text, 10.0, -3.0)
    torch.testing.assert_close(loss, sigmoid_loss(text, image, 10.0, -3.0))
    torch.testing.assert_close(loss, sigmoid_loss(image[order], text[order], 10.0, -3.0))


def test_logits_far_from_zero_stay_finite():
    image = unit(4, 5, 0).float().requires_grad_()
    loss = sigmoid_loss(image, unit(4, 5, 1).float(), 1e4, -1e4)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(image.grad).all()


@pytest.mark.parametrize("sizes", [[3, 3], [5, 2]], ids=["even", "uneven"])
def test_two_processes_equal_one_in_value_and_gradient(sizes):
    found, expected = on_many(sigmoid_loss, sizes), on_one(sigmoid_loss, sum(sizes))
    assert len(found) == 4
    for many, one in zip(found, expected, strict=True):
        np.testing.assert_allclose(many, one, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("loss", [lambda v, t, s: info_nce(v, t, s), lambda v, t, s: sigmoid_loss(v, t, s, -10.0),
                                  lambda v, t, s: m2_mix(v, t, 0.4, s)])  # fmt: skip
def test_logits_are_not_rounded_under_autocast(loss):
    """Near pairs at scale 100: in bfloat16 their logits, between 64 and 128, are half a unit apart."""
    image, text = (
        F.normalize(1 + 0.3 * unit(64, 16, seed).float(), dim=1).requires_grad_() for seed in (0, 1)
    )
    found = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            value = loss(image, text, torch.tensor(100.0))
        found.append((value.detach(), *torch.autograd.grad(value, (image, text))))
    for exact, mixed in zip(*found, strict=True):
        torch.testing.assert_close(mixed, exact, rtol=1e-4, atol=1e-6)
