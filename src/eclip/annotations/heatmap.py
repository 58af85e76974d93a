"""Heatmaps of one image: where it was looked at, or what was outlined on it. The reference for `GazeBatch`."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from eclip.annotations.annotation import Annotation, Fixation
from eclip.annotations.outline import inside

DEFAULT_SIGMA = 0.05
"""Spread of a fixation as a fraction of the image width, where the recording tells none (EGD-CXR's authors: 150 px)."""

EDGE_SIGMA = 0.02
"""Softness of a region's edge as a fraction of the image width."""

EDGE_TOLERANCE = 1e-4
"""Pixels by which the edge of what was visible may miss a pixel's centre that it includes."""

Heatmap = NDArray[np.float32]


def render(fixations: Sequence[Fixation], height: int, width: int) -> Heatmap | None:
    """Draw fixations as Gaussians whose mass is their duration, as the authors of REFLACX do.

    At each pixel's centre `sum_i (end_i - start_i) / (σx_i σy_i) * exp(-dx² / 2σx_i² - dy² / 2σy_i²)`, each
    fixation on what was visible alone; divided by the map's maximum.

    Args:
        fixations: In any order. Those with a number that is not finite, without duration or with nothing visible
            are passed over.
        height: Of the map.
        width: Of the map. A sigma of None is 0.05 of it in both directions.

    Returns:
        (H, W) in [0, 1], or None where no fixation reaches the image.
    """
    default = (DEFAULT_SIGMA, DEFAULT_SIGMA * width / height)
    numbers_N9 = np.array([_numbers(fixation, default) for fixation in fixations], np.float64).reshape(-1, 9)
    x, y, seconds, sigma_x, sigma_y, x0, y0, x1, y1 = numbers_N9[usable(numbers_N9)].T
    x_NW = _profile(x, sigma_x, x0, x1, width)
    y_NH = _profile(y, sigma_y, y0, y1, height)
    map_HW = (seconds / (sigma_x * sigma_y) * y_NH.T) @ x_NW
    highest = map_HW.max(initial=0.0)
    return (map_HW / highest).astype(np.float32) if 0 < highest < np.inf else None
