"""Oracle: fractions computed by hand."""

import math

import numpy as np
import pytest

from eclip.annotations.annotation import Annotation, Region
from eclip.annotations.reading import Rejection
from eclip.data.images import Shrunk
from eclip.data.sources.pixel_boxes import Box, PixelBoxes

IMAGE = Shrunk(np.zeros((30, 40), np.uint8), original_height=300, original_width=400)


def read(corners, frame=None):
    box = Box(row="line 7", label="Nodule", reader="R1", corners=corners)
    return PixelBoxes(file="t.csv", boxes=(box,), frame=frame)(IMAGE)


@pytest.mark.parametrize(
    ("frame", "points"),
    [(None, ((0.25, 0.5), (0.75, 1.0))), ((1000, 600), ((0.1, 0.25), (0.3, 0.5)))],
)
def test_pixels_are_those_of_the_image_or_of_a_frame(frame, points):
    expected = Annotation("box", reader="R1", label="Nodule", region=Region(points))
    assert read((100, 150, 300, 300), frame) == (expected,)


@pytest.mark.parametrize("corners", [(-1, -1, 401, 301), (-0.5, 0, 400.5, 300)])
def test_corners_may_be_rounded(corners):
    (annotation,) = read(corners)
    assert annotation.region.points[1] == (corners[2] / 400, corners[3] / 300)


@pytest.mark.parametrize(
    ("corners", "reason"),
    [
        ((10, 20, 10, 40), "box from (10, 20) to (10, 40) has no area"),
        ((10, 40, 30, 20), "box from (10, 40) to (30, 20) has no area"),
        ((-2, 0, 5, 5), "box from (-2, 0) to (5, 5) reaches out of the image of 400 × 300 pixels"),
        ((0, 0, 402, 5), "reaches out of the image"),
        ((0, 0, 5, 302), "reaches out of the image"),
        ((0, -1e300, 5, 5), "reaches out of the image"),
        ((0, 0, math.inf, 5), "reaches out of the image"),
        ((0, 0, math.nan, 5), "has no area"),
    ],
)
def test_others_are_rejected(corners, reason):
    (rejection,) = read(corners)
    assert isinstance(rejection, Rejection)
    assert (rejection.file, rejection.row) == ("t.csv", "line 7")
    assert reason in rejection.reason
