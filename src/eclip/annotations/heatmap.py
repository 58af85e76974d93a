"""Heatmaps of one image: where it was looked at, or what was outlined on it. The reference for `GazeBatch`."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from eclip.annotations.annotation import Annotation, Fixation
from eclip.annotations.outline import inside

DEFAULT_SIGMA = 0.05
"""Spread of a fixation as a fraction of the image width, where the recording tells none (EGD-CXR's authors: 150 px)."""

LIKELY = 0.5
"""Regions that their reader thought less likely than this are kept, but not drawn."""

EDGE_SIGMA = 0.02
"""Softness of a region's edge as a fraction of the image width."""

NEGLIGIBLE = 1e-18
"""Of a Gaussian's height: what is below counts as nothing, some 9 sigma away. Smaller numbers make arithmetic slow."""

BESIDE = 2.0
"""Of its sigmas that a fixation may lie off the image and still say something about it."""

Heatmap = NDArray[np.float32]
Floats = NDArray[np.float64]

_RECORDED = attrgetter("x", "y", "start", "end", "sigma_x", "sigma_y")
_VISIBLE = attrgetter("visible")


def render(fixations: Sequence[Fixation], height: int, width: int) -> Heatmap | None:
    """Draw fixations as Gaussians whose mass is their duration, as the authors of REFLACX do.

    At each pixel's centre `sum_i (end_i - start_i) / (σx_i σy_i) * exp(-dx² / 2σx_i² - dy² / 2σy_i²)`, each
    fixation only on the part of the image that was visible; the sum is divided by its own maximum.

    Args:
        fixations: In any order. Those that are not `drawable` do not count.
        height: Of the map, in pixels.
        width: Of the map, in pixels.

    Returns:
        (H, W) in [0, 1]; None where no usable fixation is `near` the image.
    """
    x, y, seconds, sigma_x, sigma_y, x0, y0, x1, y1, _, _ = drawable(fixations, width / height).T
    x_NW = _profile(x, sigma_x, x0, x1, width)
    y_NH = _profile(y, sigma_y, y0, y1, height)
    map_HW = (seconds / (sigma_x * sigma_y) * y_NH.T) @ x_NW
    highest = map_HW.max(initial=0.0)
    as_in_batches = (numbers.astype(np.float32) for numbers in (x, y, sigma_x, sigma_y))
    return (map_HW / highest).astype(np.float32) if highest > 0 and near(*as_in_batches).any() else None


def drawable(fixations: Sequence[Fixation], aspect: float) -> Floats:
    """The fixations that can be drawn: numbers that float32 can hold, positive duration and sigma.

    Args:
        fixations: As recorded.
        aspect: Width of the image divided by its height, for the sigma of fixations that have none.

    Returns:
        (N, 11): x, y, seconds, sigma_x, sigma_y, what was visible as x0, y0, x1, y1, and start and end in seconds.
    """
    recorded_N6 = np.array([*map(_RECORDED, fixations)], np.float64).reshape(-1, 6)  # None becomes NaN
    x, y, start, end, sigma_x, sigma_y = recorded_N6.T
    sigma_x = np.where(np.isnan(sigma_x), DEFAULT_SIGMA, sigma_x)
    sigma_y = np.where(np.isnan(sigma_y), DEFAULT_SIGMA * aspect, sigma_y)
    visible_N4 = np.array([*map(_VISIBLE, fixations)], np.float64).reshape(-1, 4)
    with np.errstate(over="ignore", invalid="ignore"):
        numbers_N9 = np.column_stack([x, y, end - start, sigma_x, sigma_y, visible_N4])
        single_N9 = numbers_N9.astype(np.float32)
    drawn_N = np.isfinite(single_N9).all(axis=1) & (single_N9[:, 2:5] > 0).all(axis=1)
    return np.column_stack([numbers_N9, start, end])[drawn_N]


def near(x: Any, y: Any, sigma_x: Any, sigma_y: Any) -> Any:
    """Which fixations are on the image, or off it by `BESIDE` sigma at most; arrays or tensors of one shape.

    The far tail of another, divided by its maximum, would be a bright edge.
    """
    off_x, off_y = (x - x.clip(0, 1)) / sigma_x, (y - y.clip(0, 1)) / sigma_y
    return off_x * off_x + off_y * off_y <= BESIDE**2


def _profile(centre_N: Floats, sigma_N: Floats, low_N: Floats, high_N: Floats, size: int) -> Floats:
    """The Gaussians (N, size) along one side of the image, zero beside what was visible of it."""
    pixel = (np.arange(size) + 0.5) / size
    gaussian = np.exp(-0.5 * ((pixel - centre_N[:, None]) / sigma_N[:, None]) ** 2)
    return gaussian * ((gaussian > NEGLIGIBLE) & (low_N[:, None] <= pixel) & (pixel <= high_N[:, None]))


def render_regions(annotations: Sequence[Annotation], height: int, width: int) -> Heatmap | None:
    """Draw the union of all likely regions: 1 inside, and around it a Gaussian of the distance in pixels.

    Args:
        annotations: Those without a region do not count, nor those whose certainty is below `LIKELY`.
        height: Of the map, in pixels.
        width: Of the map, in pixels.

    Returns:
        (H, W) in [0, 1]; None where no pixel is inside a region.

    Raises:
        InputError: A mask that is no image, or an outline that is none.
    """
    inside_HW = np.zeros((height, width), bool)
    for annotation in annotations:
        if annotation.region is not None and (annotation.certainty is None or annotation.certainty >= LIKELY):
            inside_HW |= inside(annotation, height, width)
    if not inside_HW.any():
        return None
    distance_HW = distance_transform_edt(~inside_HW)
    return np.exp(-0.5 * (distance_HW / (EDGE_SIGMA * width)) ** 2).astype(np.float32)


def heatmap(annotations: Sequence[Annotation], height: int, width: int) -> Heatmap | None:
    """Draw all readers' fixations together or, where none can be used, the regions."""
    fixations = [fixation for annotation in annotations for fixation in annotation.fixations]
    gaze = render(fixations, height, width)
    return gaze if gaze is not None else render_regions(annotations, height, width)
