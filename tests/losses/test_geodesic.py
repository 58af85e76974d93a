"""Geodesic mixup against NumPy loops, closed forms, edges where sin θ = 0, and one process against many."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from eclip.losses.geodesic import geodesic_mix, m2_mix, unimodal_mix, vl_mix
from many_processes import on_many, on_one

SHARE = 0.3


def unit(rows, columns, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(rows, columns, generator=generator, dtype=dtype), dim=1)


def mix_loop(a, b, share):
    """sin(λθ)/sin θ · a + sin((1−λ)θ)/sin θ · b, one row at a time."""
    rows = []
    for one, other in zip(a, b, strict=True):
        angle = math.acos(float(one @ other))
        rows.append((math.sin(share * angle) * one + math.sin((1 - share) * angle) * other) / math.sin(angle))
    return np.array(rows)


def cross_entropy_loop(logits, target):
    """−log of the softmax at the target, written out."""
    return -math.log(math.exp(logits[target]) / sum(math.exp(logit) for logit in logits))


def info_nce_loop(image, text, scale):
    total = 0.0
    for i in range(len(image)):
        total += cross_entropy_loop([scale * image[i] @ t for t in text], i)
        total += cross_entropy_loop([scale * text[i] @ v for v in image], i)
    return total / (2 * len(image))


def m2_loop(image, text, share, scale):
    mixed, total = mix_loop(image, text, share), 0.0
    for i in range(len(image)):
        for row in (image[i], text[i]):
            logits = [scale * (image[i] @ text[i] if j == i else row @ mixed[j]) for j in range(len(image))]
            total += cross_entropy_loop(logits, i)
    return total / (2 * len(image))


def unimodal_loop(mixed, other, share, scale):
    backwards = range(len(mixed) - 1, -1, -1)
    rows = mix_loop(mixed, mixed[list(backwards)], share)
    partner = info_nce_loop(rows, other[list(backwards)], scale)
    return share * info_nce_loop(rows, other, scale) + (1 - share) * partner


def vl_loop(image, text, share, scale):
    image, text = (mix_loop(rows, rows[::-1], share) for rows in (image, text))
    return info_nce_loop(image, text, scale)


LOSSES = [(m2_mix, m2_loop), (unimodal_mix, unimodal_loop), (vl_mix, vl_loop)]
NAMES = [loss.__name__ for loss, _ in LOSSES]


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_mixture_equals_the_formula_and_lies_on_the_arc(share):
    a, b = unit(20, 6, 0), unit(20, 6, 1)
    mixed = geodesic_mix(a, b, share)
    np.testing.assert_allclose(mixed.numpy(), mix_loop(a.numpy(), b.numpy(), share), atol=1e-12)
    np.testing.assert_allclose(mixed.norm(dim=1), 1, atol=1e-12)
    whole, part = torch.acos((a * b).sum(1)), torch.acos((mixed * b).sum(1).clamp(-1, 1))
    np.testing.assert_allclose(part, share * whole, atol=1e-7)
    torch.testing.assert_close(mixed, geodesic_mix(b, a, 1 - share))


def test_gradient_of_the_mixture_equals_finite_differences():
    a, b = (unit(4, 3, seed).requires_grad_() for seed in (0, 1))
    assert torch.autograd.gradcheck(
        lambda a, b: geodesic_mix(F.normalize(a, dim=1), F.normalize(b, dim=1), SHARE), (a, b)
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("sign", [1, -1], ids=["a = b", "a = -b"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.8, 1.0])
def test_equal_and_opposite_ends_are_safe(share, sign, dtype):
    a = unit(50, 16, 0, torch.float32).to(dtype).requires_grad_()
    b = (sign * a.detach()).requires_grad_()
    mixed = geodesic_mix(a, b, share)
    assert mixed.dtype == (dtype if dtype == torch.float64 else torch.float32)
    end = a if sign == 1 or share > 0.5 else b
    torch.testing.assert_close(mixed, F.normalize(end.to(mixed.dtype), dim=1), atol=5e-3, rtol=0)
    mixed.square().sum().backward()
    for ends in (a, b):
        assert torch.isfinite(ends.grad).all()


@pytest.mark.parametrize("sign", [1, -1], ids=["near a", "near -a"])
@pytest.mark.parametrize("distance", [1e-7, 1e-5, 1e-4, 2e-4, 1e-3])
def test_ends_that_rounding_makes_equal_are_safe(sign, distance):
    """In float32 a·b may round to more than 1, where acos is NaN."""
    a = unit(2000, 8, 0, torch.float32).requires_grad_()
    b = sign * F.normalize(a.detach() + distance * unit(2000, 8, 1, torch.float32), dim=1)
    mixed = geodesic_mix(a, b, SHARE)
    mixed.sum().backward()
    assert torch.isfinite(a.grad).all()
    np.testing.assert_allclose(mixed.detach().norm(dim=1), 1, atol=1e-2)
    if sign == 1:
        torch.testing.assert_close(mixed, a, atol=2 * distance + 1e-6, rtol=0)


@pytest.mark.parametrize(("loss", "loop"), LOSSES, ids=NAMES)
@pytest.mark.parametrize(("rows", "scale"), [(1, 3.0), (2, 14.3), (7, 5.0), (12, 30.0)])
def test_losses_equal_the_loops_written_from_the_formulas(loss, loop, rows, scale):
    image, text = unit(rows, 6, 0), unit(rows, 6, 1)
    if (
        rows % 2 and loss is not m2_mix
    ):  # the row in the middle is its own partner: acos(1 + rounding) in the loop
        image, text = unit(rows + 1, 6, 0), unit(rows + 1, 6, 1)
    expected = loop(image.numpy(), text.numpy(), SHARE, scale)
    assert float(loss(image, text, SHARE, scale)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("loss", "loop"), LOSSES, ids=NAMES)
def test_gradient_of_the_losses_equals_finite_differences_of_the_loops(loss, loop):
    rows = torch.cat([unit(4, 3, 0), unit(4, 3, 1)]).requires_grad_()
    normalised = F.normalize(rows, dim=1)
    loss(normalised[:4], normalised[4:], SHARE, 7.0).backward()
    for i in range(8):
        for d in range(3):
            values = []
            for step in (1e-6, -1e-6):
                moved = rows.detach().numpy().copy()
                moved[i, d] += step
                moved /= np.linalg.norm(moved, axis=1, keepdims=True)
                values.append(loop(moved[:4], moved[4:], SHARE, 7.0))
            assert float(rows.grad[i, d]) == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-6)


def test_mixtures_of_whole_parts_are_the_plain_loss():
    """λ = 1 takes the row itself, λ = 0 its partner: both are InfoNCE of the pairs."""
    image, text = unit(8, 5, 0), unit(8, 5, 1)
    expected = pytest.approx(info_nce_loop(image.numpy(), text.numpy(), 9.0))
    for share in (0.0, 1.0):
        assert float(unimodal_mix(image, text, share, 9.0)) == expected
        assert float(vl_mix(image, text, share, 9.0)) == expected


def test_negatives_are_as_hard_as_the_positive_when_all_pairs_are_alike():
    same = unit(1, 8, 0).expand(6, -1)
    assert float(m2_mix(same, same, SHARE, 100.0)) == pytest.approx(math.log(6))


def test_temperature_divides_positives_and_negatives_alike():
    """Orthogonal pairs of equal image and text: positives s, negatives 0, whatever λ."""
    eye = torch.eye(6, dtype=torch.float64)
    for scale in (1.0, 5.0):
        expected = math.log(1 + 5 * math.exp(-scale))
        assert float(m2_mix(eye, eye, SHARE, scale)) == pytest.approx(expected)


def test_losses_are_symmetric_and_blind_to_order():
    image, text, order = unit(8, 5, 0), unit(8, 5, 1), torch.randperm(8)
    loss = m2_mix(image, text, SHARE, 9.0)
    torch.testing.assert_close(loss, m2_mix(text, image, 1 - SHARE, 9.0))
    torch.testing.assert_close(loss, m2_mix(image[order], text[order], SHARE, 9.0))
    torch.testing.assert_close(vl_mix(image, text, SHARE, 9.0), vl_mix(text, image, SHARE, 9.0))
    for mixup in (vl_mix, unimodal_mix):
        backwards = mixup(image.flip(0), text.flip(0), SHARE, 9.0)
        torch.testing.assert_close(mixup(image, text, SHARE, 9.0), backwards)


def m3_terms(image, text, scale, other_scale):
    """All terms at once, so that one pair of processes is enough."""
    m2 = m2_mix(image, text, 0.2, -10 * other_scale)
    unimodal = unimodal_mix(image, text, 0.6, scale) + unimodal_mix(text, image, 0.7, scale)
    return m2 + 2 * unimodal + 3 * vl_mix(image, text, 0.8, scale)


@pytest.mark.parametrize("sizes", [[3, 3], [5, 2]], ids=["even", "uneven"])
def test_two_processes_equal_one_in_value_and_gradient(sizes):
    found, expected = on_many(m3_terms, sizes), on_one(m3_terms, sum(sizes))
    assert len(found) == 4
    for many, one in zip(found, expected, strict=True):
        np.testing.assert_allclose(many, one, rtol=1e-9, atol=1e-12)
