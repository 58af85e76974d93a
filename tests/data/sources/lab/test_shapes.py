"""Oracles: fractions computed by hand."""

import numpy as np
import pytest

from eclip.data.images import Shrunk
from eclip.data.sources.lab.shapes import box_region, ellipse_region, frame, polygon_region
from eclip.errors import InputError

IMAGE = Shrunk(np.zeros((30, 40), np.uint8), original_height=300, original_width=400)
SIZE = (400.0, 300.0)


def test_pixels_become_fractions():
    assert box_region([40, 30, 200, 150], SIZE).points == ((0.1, 0.1), (0.5, 0.5))
    assert polygon_region([[0, 0], [400, 0], [200, 150.0]], SIZE).points == ((0, 0), (1, 0), (0.5, 0.5))
    (x0, y0), (x1, y1) = ellipse_region((200, 150), 40, SIZE).points
    np.testing.assert_allclose([x0, y0, x1, y1], [0.4, 110 / 300, 0.6, 190 / 300], atol=1e-12)


def test_what_sticks_out_stays_as_it_is_drawn():
    assert box_region([-40, 0, 440, 300], SIZE).points == ((-0.1, 0), (1.1, 1))


@pytest.mark.parametrize(
    "corners",
    [[1, 2, 3], "box", None, [1, 2, 3, "4"], [5, 5, 5, 9], [9, 5, 5, 9], [500, 0, 600, 9], [0, 0, 1e9, 9]],
)
def test_other_boxes_are_told(corners):
    with pytest.raises(InputError, match="expected"):
        box_region(corners, SIZE)


def test_fractions_are_not_taken_for_pixels():
    with pytest.raises(InputError, match="expected pixels, not fractions"):
        box_region([0.1, 0.2, 0.9, 1], SIZE)
    with pytest.raises(InputError, match="expected pixels, not fractions"):
        polygon_region([[0.1, 0.1], [0.2, 0.1], [0.2, 0.9]], SIZE)
    assert box_region([0, 0, 1, 30], SIZE).points == ((0, 0), (1 / 400, 0.1))


@pytest.mark.parametrize(
    "points",
    [[], [[1, 2], [3, 4]], [[1, 2], [3, 4], [5]], [[1, 2], [1, 3], [1, 4]], 7, [[1e300, 1], [2, 3], [4, 9]]],
)
def test_other_polygons_are_told(points):
    with pytest.raises(InputError):
        polygon_region(points, SIZE)


def test_the_frame_is_the_tools_or_the_images_own():
    assert frame(800, 600, IMAGE) == (800, 600)
    assert frame(None, 600, IMAGE) == SIZE
    with pytest.raises(InputError, match="does not have the shape of the image, 400 × 300"):
        frame(300, 400, IMAGE)
    for width, height in ((0, 0), (-4, -3), ("400", 300), (4e10, 3e10), (float("nan"), 300)):
        with pytest.raises(InputError):
            frame(width, height, IMAGE)
