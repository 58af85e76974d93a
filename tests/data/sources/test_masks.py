"""Oracles: codes written out by hand; covered area counted."""

import numpy as np
import pytest

from eclip.data.images import Shrunk, decode
from eclip.data.sources.masks import mask_of_runs, mask_region
from eclip.errors import InputError


def test_runs_go_down_the_columns_and_alternate():
    mask = mask_of_runs([1, 3, 2, 1], 3, 4)  # outside 0; inside 1, 2, 3; outside 4, 5; inside 6
    expected = [
        [0, 1, 1, 0],
        [1, 0, 0, 0],
        [1, 0, 0, 0],
    ]
    np.testing.assert_array_equal(mask, np.array(expected, bool))


@pytest.mark.parametrize("runs", [[], [12], [0, 0]])
def test_no_run_inside_is_an_empty_mask(runs):
    np.testing.assert_array_equal(mask_of_runs(runs, 3, 4), np.zeros((3, 4), bool))


@pytest.mark.parametrize("runs", [[13], [5, 8], [-1, 3], [10**30, 1], [3, 10**18]])
def test_runs_that_do_not_fit_are_told(runs):
    with pytest.raises(InputError, match="does not fit a mask of 4 × 3 pixels"):
        mask_of_runs(runs, 3, 4)


def test_pixels_that_are_covered_by_half_are_inside():
    mask = np.zeros((60, 80), bool)
    mask[20:40, 10:45] = True
    image = Shrunk(np.zeros((6, 8), np.uint8), original_height=600, original_width=800)
    region = mask_region(mask, image)
    covered = mask.reshape(6, 10, 8, 10).mean((1, 3)) >= 0.5
    np.testing.assert_array_equal(decode(region.mask) > 0, covered)


def test_a_single_pixel_does_not_vanish():
    mask = np.zeros((1024, 1024), bool)
    mask[1000, 100] = True
    image = Shrunk(np.zeros((32, 32), np.uint8), original_height=1024, original_width=1024)
    assert np.argwhere(decode(mask_region(mask, image).mask)).tolist() == [[1000 // 32, 100 // 32]]


def test_a_mask_of_another_shape_is_told():
    image = Shrunk(np.zeros((6, 8), np.uint8), original_height=600, original_width=800)
    with pytest.raises(InputError, match="60 × 60 pixels does not have the shape of the image, 800 × 600"):
        mask_region(np.ones((60, 60), bool), image)
