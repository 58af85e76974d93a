"""Oracles: the formula as a loop over pixels and fixations, and what must not change under crops and permutations."""

import dataclasses
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eclip.annotations import Annotation, Fixation, Region, heatmap, render, render_regions
from eclip.annotations.heatmap import EDGE_SIGMA, drawable

ANYTHING = st.floats(width=64)  # NaN and infinities among them
FIXATION = st.builds(
    Fixation,
    x=st.floats(-0.2, 1.2),
    y=st.floats(-0.2, 1.2),
    start=st.just(0.0),
    end=st.floats(0.05, 3.0),
    sigma_x=st.none() | st.floats(0.02, 0.3),
    sigma_y=st.none() | st.floats(0.02, 0.3),
    visible=st.sampled_from([(0.0, 0.0, 1.0, 1.0), (0.11, 0.23, 0.71, 0.97), (0.5, 0.0, 0.9, 0.3)]),
)


def formula(fixations, height, width):
    """DESIGN 4.3, not divided by its maximum."""
    values = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            x, y = (column + 0.5) / width, (row + 0.5) / height
            for f in fixations:
                x0, y0, x1, y1 = f.visible
                if not (x0 <= x <= x1 and y0 <= y <= y1):
                    continue
                sx = 0.05 if f.sigma_x is None else f.sigma_x
                sy = 0.05 * width / height if f.sigma_y is None else f.sigma_y
                far = (x - f.x) ** 2 / (2 * sx**2) + (y - f.y) ** 2 / (2 * sy**2)
                values[row, column] += (f.end - f.start) / (sx * sy) * math.exp(-far)
    return values


def off_the_image(fixation, aspect=1.0):
    """How many of its sigmas."""
    sx = 0.05 if fixation.sigma_x is None else fixation.sigma_x
    sy = 0.05 * aspect if fixation.sigma_y is None else fixation.sigma_y
    return math.hypot(max(-fixation.x, fixation.x - 1, 0) / sx, max(-fixation.y, fixation.y - 1, 0) / sy)


@pytest.mark.parametrize(("sigmas", "shows"), [(-3, True), (0, True), (1.9, True), (2.1, False), (8, False)])
@pytest.mark.parametrize("direction", [(-1, 0), (1, 0), (0, 1), (0.6, -0.8)])
def test_the_far_tail_of_a_fixation_beside_the_image_is_no_bright_edge(direction, sigmas, shows):
    spread = (0.04, 0.07)
    x, y = (
        (0.5 if part == 0 else float(part > 0)) + part * sigmas * sigma
        for part, sigma in zip(direction, spread, strict=True)
    )
    beside = Fixation(x, y, 0.0, 1.0, *spread)
    assert (render([beside], 64, 64) is not None) == shows
    middle = Fixation(0.5, 0.5, 0.0, 1.0, *spread)
    np.testing.assert_allclose(  # beside another, it is drawn as ever
        render([beside, middle], 20, 20), (both := formula([beside, middle], 20, 20)) / both.max(), atol=1e-6
    )


@settings(max_examples=60)
@given(st.lists(FIXATION, min_size=1, max_size=4), st.integers(1, 12), st.integers(1, 12))
def test_render_is_the_formula_divided_by_its_maximum(fixations, height, width):
    expected = formula(fixations, height, width)
    drawn = render(fixations, height, width)
    if drawn is None:  # all of it is beside the image, or nothing of it was visible
        assert expected.max() < 1e-6 or min(off_the_image(f, width / height) for f in fixations) > 1.999
    else:
        assert drawn.dtype == np.float32
        np.testing.assert_allclose(drawn, expected / expected.max(), atol=1e-6)


def test_durations_weigh_linearly():
    """Far apart, two fixations have peaks in the ratio of their durations; so have they at the same place."""
    two = [Fixation(0.25, 0.5, 0.0, 1.0), Fixation(0.75, 0.5, 5.0, 5.3)]
    drawn = render(two, 20, 20)
    assert drawn[10, 15] / drawn[10, 5] == pytest.approx(0.3, rel=1e-5)
    short = [*two, dataclasses.replace(two[1], start=9.0, end=9.2)]
    once = [two[0], dataclasses.replace(two[1], end=5.5)]
    np.testing.assert_allclose(render(short, 20, 20), render(once, 20, 20), atol=1e-6)


def test_a_fixation_has_its_duration_as_mass_whatever_its_spread():
    drawn = render([Fixation(0.3, 0.5, 0, 1, 0.02, 0.02), Fixation(0.7, 0.5, 0, 1, 0.05, 0.03)], 200, 200)
    assert drawn[:, 100:].sum() == pytest.approx(drawn[:, :100].sum(), rel=1e-3)


@settings(max_examples=40)
@given(st.lists(FIXATION, min_size=2, max_size=8), st.randoms(use_true_random=False), st.floats(0.01, 100))
def test_neither_order_nor_the_unit_of_time_matters(fixations, random, unit):
    again = [dataclasses.replace(f, start=f.start * unit, end=f.end * unit) for f in fixations]
    random.shuffle(again)
    first, second = render(fixations, 9, 7), render(again, 9, 7)
    assert (first is None) == (second is None)
    if first is not None:
        np.testing.assert_allclose(second, first, atol=1e-6)


@settings(max_examples=40)
@given(st.lists(FIXATION, min_size=1, max_size=5), st.data())
def test_a_crop_of_the_map_is_the_map_of_the_crop(fixations, data):
    """The default sigma is of the whole image's width; it is written out before cropping."""
    size = 24
    numbers = drawable(fixations, aspect=1.0)[:, :9]
    left, top = (data.draw(st.integers(0, size - 8)) for _ in range(2))
    width, height = (data.draw(st.integers(4, size - start)) for start in (left, top))
    whole = render(fixations, size, size)

    def across(value, start, extent):
        return (value * size - start) / extent

    cropped = [
        Fixation(
            x=across(x, left, width),
            y=across(y, top, height),
            start=0.0,
            end=seconds,
            sigma_x=sigma_x * size / width,
            sigma_y=sigma_y * size / height,
            visible=(
                across(x0, left, width),
                across(y0, top, height),
                across(x1, left, width),
                across(y1, top, height),
            ),
        )
        for x, y, seconds, sigma_x, sigma_y, x0, y0, x1, y1 in numbers.tolist()
    ]
    part = np.zeros(1) if whole is None else whole[top : top + height, left : left + width]
    drawn = render(cropped, height, width)
    if drawn is None:
        assert part.max() < 1e-6 or min(map(off_the_image, cropped)) > 1.999
    else:
        np.testing.assert_allclose(drawn, part / part.max(), atol=1e-4)


@settings(max_examples=200)
@given(
    st.lists(
        st.builds(
            Fixation,
            *[ANYTHING] * 4,
            sigma_x=st.none() | ANYTHING,
            sigma_y=st.none() | ANYTHING,
            visible=st.tuples(*[ANYTHING] * 4),
        )
        | FIXATION,
        max_size=4,
    )
)
def test_whatever_the_numbers_a_map_is_finite_and_touches_one_or_there_is_none(fixations):
    drawn = render(fixations, 6, 5)
    if drawn is not None:
        assert np.isfinite(drawn).all()
        assert drawn.min() >= 0
        assert drawn.max() == 1


@pytest.mark.parametrize(
    "useless",
    [
        {"end": 0.0},
        {"end": -1.0},
        {"x": math.nan},
        {"y": math.inf},
        {"sigma_x": 0.0},
        {"sigma_x": -0.1, "sigma_y": -0.1},
        {"visible": (0.5, 0.5, 0.5001, 0.9)},
        {"visible": (0.9, 0.0, 0.1, 1.0)},
        {"visible": (1.0, 0.0, 1.5, 1.0)},
        {"x": -9.0},
        {"x": 2.0, "y": 2.0},
    ],
    ids=str,
)
def test_no_usable_fixation_is_no_annotation(useless):
    good = Fixation(0.4, 0.6, 0.0, 0.5)
    bad = dataclasses.replace(good, **useless)
    assert render([], 8, 8) is None
    assert render([bad], 8, 8) is None
    np.testing.assert_array_equal(render([bad, good], 8, 8), render([good], 8, 8))


def test_without_a_sigma_a_fixation_is_round_in_pixels():
    drawn = render([Fixation(0.5, 0.5, 0.0, 1.0)], 41, 81)
    np.testing.assert_allclose(drawn[20, 40:56], drawn[20:36, 40], atol=1e-6)
    assert drawn[20, 44] == pytest.approx(math.exp(-(4**2) / (2 * (0.05 * 81) ** 2)), rel=1e-5)


def box(x0, y0, x1, y1, kind="box"):
    return Annotation(kind=kind, region=Region(((x0, y0), (x1, y1))))


def test_regions_are_one_inside_and_fall_off_as_a_gaussian_of_the_distance():
    drawn = render_regions([box(0.2, 0.3, 0.4, 0.7)], 100, 200)
    assert drawn.dtype == np.float32
    assert (drawn[30:70, 40:80] == 1).all()
    sigma = EDGE_SIGMA * 200
    np.testing.assert_allclose(drawn[50, 80:90], np.exp(-(np.arange(1, 11) ** 2) / (2 * sigma**2)), rtol=1e-5)
    assert drawn[50, 83] == pytest.approx(drawn[73, 60])  # as far below as to the right, in pixels
    assert drawn[50, 150] < 1e-6


def test_regions_are_drawn_as_their_union():
    boxes = [box(0.1, 0.1, 0.3, 0.3), box(0.6, 0.5, 0.9, 0.8)]
    together = render_regions(boxes, 50, 60)
    apart = np.maximum(*(render_regions([b], 50, 60) for b in boxes))
    np.testing.assert_allclose(together, apart, atol=1e-6)


@pytest.mark.parametrize(
    ("certainty", "drawn"), [(None, 1), (0.95, 1), (0.5, 1), (0.25, 0), (0.05, 0), (0.0, 0)]
)
def test_regions_that_their_reader_thought_unlikely_are_not_drawn(certainty, drawn):
    sure, doubted = box(0.1, 0.1, 0.3, 0.3), dataclasses.replace(box(0.6, 0.5, 0.9, 0.8), certainty=certainty)
    expected = render_regions([sure, box(0.6, 0.5, 0.9, 0.8)] if drawn else [sure], 50, 60)
    np.testing.assert_array_equal(render_regions([sure, doubted], 50, 60), expected)
    assert (render_regions([doubted], 50, 60) is not None) == bool(drawn)


def test_regions_that_are_not_on_the_image_are_no_annotation():
    assert render_regions([], 10, 10) is None
    assert render_regions([Annotation(kind="gaze"), box(1.2, 1.2, 1.5, 1.5)], 10, 10) is None


def test_a_heatmap_is_all_readers_gaze_and_only_without_it_the_regions():
    first, second = Fixation(0.2, 0.2, 0, 1), Fixation(0.8, 0.7, 0, 2)
    outlined = box(0.1, 0.1, 0.9, 0.9)
    readers = [
        Annotation(kind="gaze", fixations=(first,)),
        outlined,
        Annotation(kind="pointer", fixations=(second,)),
    ]
    np.testing.assert_array_equal(heatmap(readers, 12, 10), render([first, second], 12, 10))
    gone = Annotation(kind="gaze", fixations=(Fixation(-9, 0, 0, 1),))
    np.testing.assert_array_equal(heatmap([gone, outlined], 12, 10), render_regions([outlined], 12, 10))
    assert heatmap([gone], 12, 10) is None


def test_the_package_does_not_wait_for_torch():
    code = "import sys, eclip.annotations; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
