import numpy as np
import pytest
from scipy.interpolate import CubicHermiteSpline

from eclip.data.phantom.canvas import Frame, clouds, curve, ellipse


@pytest.fixture
def frame() -> Frame:
    angle = 0.1
    linear = 100 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return Frame.place(300, 260, np.concatenate([linear, [[120.0], [40.0]]], axis=1))


def test_grid_inverts_the_map(frame):
    points = np.stack([frame.x, frame.y], axis=-1).astype(np.float64)
    columns, rows = np.meshgrid(np.arange(260) + 0.5, np.arange(300) + 0.5)
    assert np.allclose(frame.pixels(points), np.stack([columns, rows], axis=-1), atol=1e-3)
    assert np.allclose(frame.fractions(points)[..., 1] * 300, rows, atol=1e-3)
    assert frame.unit == pytest.approx(100)


def test_filled_ellipse_has_its_area_and_place(frame):
    mask = frame.fill([(ellipse(0.3, 0.9, 0.4, 0.3), 1.0)])
    assert mask.sum() == pytest.approx(np.pi * 40 * 30, rel=0.02)
    assert (mask * frame.x).sum() / mask.sum() == pytest.approx(0.3, abs=0.01)
    assert (mask * frame.y).sum() / mask.sum() == pytest.approx(0.9, abs=0.01)


def test_blur_keeps_the_mass(frame):
    shape = [(ellipse(0.2, 1.0, 0.3, 0.3), 1.0)]
    assert frame.fill(shape, blur=0.05).sum() == pytest.approx(frame.fill(shape).sum(), rel=0.03)


def test_coarser_frame_shows_the_same(frame):
    shape = [(ellipse(0.2, 1.0, 0.3, 0.4), 1.0)]
    coarse = frame.coarser().fill(shape)
    assert np.abs(frame.enlarged(coarse) - frame.fill(shape)).mean() < 0.01


def test_stroke_has_its_width(frame):
    line = frame.stroke([(np.array([[0.0, 0.5], [0.0, 1.5]]), 0.1, 1.0)])
    assert line.sum() == pytest.approx(100 * 10, rel=0.12)


def test_segments_equal_strokes(frame):
    ends = np.array([[0.0, 0.5, 0.4, 1.0]])
    drawn = frame.segments(ends, np.array([0.04]), np.array([0.5]))
    assert np.array_equal(drawn, frame.stroke([(ends.reshape(2, 2), 0.04, 0.5)]))


@pytest.mark.parametrize("closed", [False, True])
def test_curve_is_the_catmull_rom_spline(closed):
    knots = np.random.default_rng(0).normal(size=(6, 2))
    ring = np.concatenate([knots[-1:], knots, knots[:2]]) if closed else knots[[0, *range(6), 5]]
    tangents = (ring[2:] - ring[:-2]) / 2  # the definition: half the step between the neighbours
    spline = CubicHermiteSpline(np.arange(len(tangents)), ring[1:-1], tangents)
    drawn = curve(knots, closed=closed, steps=5)
    assert np.allclose(drawn, spline(np.arange(len(drawn)) / 5))


def test_clouds_are_of_unit_variance_and_smooth(frame):
    white, smooth = (clouds(frame, np.random.default_rng(1), lump=lump) for lump in (1, 16))
    assert white.std() == pytest.approx(1, abs=0.05)
    assert 0.5 < smooth.std() < 1.2
    assert np.abs(np.diff(smooth, axis=0)).mean() < 0.15 * np.abs(np.diff(white, axis=0)).mean()
    assert not np.array_equal(white, clouds(frame, np.random.default_rng(2), lump=1))
