"""Regions to pixels: a pixel is inside when its centre is."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eclip.annotations.annotation import Annotation, Region
from eclip.errors import InputError

Inside = NDArray[np.bool_]

_ONE_CHANNEL = {"1", "L", "I", "I;16", "I;16B", "F"}


def inside(annotation: Annotation, height: int, width: int) -> Inside:
    """Pixels (H, W) inside an annotation's region.

    Raises:
        InputError: A mask that is no image, or an outline of fewer than two points.
    """
    region = annotation.region or Region()
    if region.mask:
        return _inside_mask(region.mask, height, width)
    if len(region.points) < 2 or not np.isfinite(region.points).all():
        raise InputError(
            f"{annotation.kind} {annotation.label!r}: expected two finite corners, or more, or a mask"
        )
    x_W, y_H1 = (np.arange(width) + 0.5) / width, ((np.arange(height) + 0.5) / height)[:, None]
    if len(region.points) > 2:
        return _inside_polygon(np.asarray(region.points), height, width)
    (x0, x1), (y0, y1) = (sorted(side) for side in zip(*region.points, strict=True))
    if annotation.kind == "ellipse":
        with np.errstate(
            divide="ignore", over="ignore", invalid="ignore"
        ):  # an ellipse without area holds no pixel
            return ((2 * x_W - x0 - x1) / (x1 - x0)) ** 2 + ((2 * y_H1 - y0 - y1) / (y1 - y0)) ** 2 <= 1
    return (x0 <= x_W) & (x_W <= x1) & (y0 <= y_H1) & (y_H1 <= y1)


def _inside_polygon(points_P2: NDArray[np.float64], height: int, width: int) -> Inside:
    """By the even-odd rule: each row is crossed by edges; a pixel is inside after an odd number of crossings."""
    (x0, y0), (x1, y1) = points_P2.T[:, :, None], np.roll(points_P2, -1, axis=0).T[:, :, None]  # (P, 1)
    y_H = (np.arange(height) + 0.5) / height
    edge, row = np.nonzero((y0 <= y_H) != (y1 <= y_H))
    along = (y_H[row] - y0[edge, 0]) / (y1 - y0)[edge, 0]
    x = x0[edge, 0] + along * (x1 - x0)[edge, 0]
    first = np.clip(np.ceil(x * width - 0.5), 0, width).astype(np.int64)  # pixel right of the crossing
    crossings = np.zeros((height, width + 1), np.int64)
    np.add.at(crossings, (row, first), 1)
    return crossings[:, :width].cumsum(axis=1) % 2 == 1


def _inside_mask(png: bytes, height: int, width: int) -> Inside:
    """Non-zero pixels of a picture; of a finer one, pixels that are covered by half."""
    try:
        with Image.open(io.BytesIO(png)) as picture:
            values = np.asarray(picture if picture.mode in _ONE_CHANNEL else picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise InputError(f"a mask of {len(png)} bytes is no image that can be read ({error})") from error
    drawn = values if values.ndim == 2 else values.max(axis=2)
    covered = Image.fromarray((drawn != 0).astype(np.float32)).resize((width, height), Image.Resampling.BOX)
    return np.asarray(covered) > 0.5 - 1e-5  # 8 bits would round exactly half down
