"""Oracles: the centre of each pixel tested one by one; matplotlib's point in polygon; masks drawn by hand."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Polygon
from PIL import Image

from eclip.annotations import Annotation, Region
from eclip.annotations.outline import inside
from eclip.errors import InputError

HEIGHT, WIDTH = 13, 17
FRACTION = st.floats(-0.3, 1.3)


def annotation(kind, *points, mask=b""):
    return Annotation(kind=kind, region=Region(points, mask))


def centres():
    return [
        (row, col, (col + 0.5) / WIDTH, (row + 0.5) / HEIGHT) for row in range(HEIGHT) for col in range(WIDTH)
    ]


def png(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


@settings(max_examples=50)
@given(*[FRACTION] * 4)
def test_boxes_and_ellipses_hold_the_pixels_whose_centres_they_hold(xa, ya, xb, yb):
    (x0, x1), (y0, y1) = sorted((xa, xb)), sorted((ya, yb))
    box = inside(annotation("box", (xa, ya), (xb, yb)), HEIGHT, WIDTH)
    ellipse = inside(annotation("ellipse", (xa, ya), (xb, yb)), HEIGHT, WIDTH)
    rx, ry = (x1 - x0) / 2, (y1 - y0) / 2
    for row, column, x, y in centres():
        assert box[row, column] == (x0 <= x <= x1 and y0 <= y <= y1)
        if rx > 1e-6 and ry > 1e-6:
            far = ((x - (x0 + x1) / 2) / rx) ** 2 + ((y - (y0 + y1) / 2) / ry) ** 2
            assert ellipse[row, column] == (far <= 1) or abs(far - 1) < 1e-9


@settings(max_examples=80)
@given(st.integers(0, 10_000), st.integers(3, 9))
def test_polygons_agree_with_matplotlib(seed, corners):
    """Star-shaped polygons, which do not cross themselves, so that both rules mean the same."""
    draw = np.random.default_rng(seed)
    angle = np.sort(draw.uniform(0, 2 * np.pi, corners))
    radius = draw.uniform(0.2, 0.7, corners)
    points = np.stack([0.5 + radius * np.cos(angle), 0.5 + radius * np.sin(angle)], axis=1)
    x, y = np.meshgrid((np.arange(WIDTH) + 0.5) / WIDTH, (np.arange(HEIGHT) + 0.5) / HEIGHT)
    expected = (
        Polygon(points).contains_points(np.stack([x.ravel(), y.ravel()], axis=1)).reshape(HEIGHT, WIDTH)
    )
    np.testing.assert_array_equal(inside(annotation("mask", *map(tuple, points)), HEIGHT, WIDTH), expected)


def test_masks_hold_their_pixels_in_every_mode_of_png():
    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
    drawn[3:7, 5:11] = 1  # nearly black is not black
    coloured = np.stack([0 * drawn, drawn, 0 * drawn], axis=-1)
    opaque = np.concatenate([coloured, np.full((HEIGHT, WIDTH, 1), 255, np.uint8)], axis=-1)
    pngs = [
        png(drawn),
        png(drawn * 255),
        png(drawn == 1),
        png(drawn.astype(np.uint16)),
        png(coloured),
        png(opaque),
    ]
    for mask in pngs:
        np.testing.assert_array_equal(inside(annotation("mask", mask=mask), HEIGHT, WIDTH), drawn == 1)


def test_masks_of_another_size_are_scaled():
    small = np.array([[0, 1], [1, 0]], np.uint8)
    large = np.kron(small, np.ones((30, 50), np.uint8))
    for mask in (small, large):
        scaled = inside(annotation("mask", mask=png(mask)), 12, 20)
        np.testing.assert_array_equal(scaled, np.kron(small, np.ones((6, 10))) == 1)
    # nothing, a quarter and three quarters
    covered = np.array([[0, 0, 1, 0, 1, 1], [0, 0, 0, 0, 0, 1]], np.uint8)
    assert inside(annotation("mask", mask=png(covered)), 1, 3).tolist() == [[False, False, True]]


@pytest.mark.parametrize(
    "broken",
    [
        annotation("mask", mask=b"no picture"),
        annotation("mask", mask=png(np.ones((40, 40), np.uint8))[:60]),
        annotation("box"),
        annotation("box", (0.1, 0.1)),
        annotation("box", (0.1, 0.1), (0.5, float("nan"))),
        Annotation(kind="box"),
    ],
    ids=["no picture", "truncated", "no point", "one point", "not a number", "no region"],
)
def test_what_outlines_nothing_is_told(broken):
    with pytest.raises(InputError, match=r"expected two finite corners|no image that can be read"):
        inside(broken, 5, 5)


@settings(max_examples=150)
@given(st.binary(min_size=1, max_size=200), st.integers(0, 90), st.binary(max_size=5))
def test_any_bytes_are_a_mask_or_one_line(junk, place, patch):
    picture = png(np.eye(9, dtype=np.uint8))
    for mask in (junk, picture[:place] + patch + picture[place + len(patch) :]):
        with contextlib.suppress(InputError):
            assert inside(annotation("mask", mask=mask), 7, 5).shape == (7, 5)
