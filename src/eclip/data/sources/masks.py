"""Masks as they come: from run-length code, to the size of the stored image."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image

from eclip.annotations.annotation import Region
from eclip.data.images import Shrunk
from eclip.errors import InputError

_ASPECT_TOLERANCE = 0.02  # a mask whose shape differs by more belongs to another image, or was squeezed


def mask_of_runs(runs: Sequence[int], height: int, width: int) -> np.ndarray:
    """Decode a run-length code: pixels outside, inside, outside, …, down the columns, from left to right.

    What comes after the last run is outside.

    Returns:
        Boolean, (H, W).

    Raises:
        InputError: A negative run, or more pixels than there are.
    """
    if any(run < 0 for run in runs) or sum(runs) > height * width:
        raise InputError(f"run-length code that does not fit a mask of {width} × {height} pixels")
    inside = np.zeros(height * width, np.bool_)
    inside[: sum(runs)] = np.repeat(np.arange(len(runs)) % 2 == 1, np.asarray(runs, np.int64))
    return inside.reshape((height, width), order="F")


def mask_region(inside_HW: np.ndarray, image: Shrunk) -> Region:
    """Shrink a mask to the size of an image in the store: pixels that are covered by half are inside.

    Where no pixel is covered by half, those that are covered at all: what is thinner than a pixel does not vanish.

    Args:
        inside_HW: Boolean; of the image's shape at any size.
        image: As it is stored.

    Raises:
        InputError: A mask of another shape.
    """
    height, width = inside_HW.shape
    check_shape(width, height, image)
    size = image.pixels.shape[::-1]
    covered = Image.fromarray(inside_HW.astype(np.float32)).resize(size, Image.Resampling.BOX)
    covered_HW = np.asarray(covered)
    mask_HW = covered_HW > 0.5 - 1e-5
    if not mask_HW.any():
        mask_HW = covered_HW > 0
    buffer = BytesIO()
    Image.fromarray(mask_HW).save(buffer, "PNG")
    return Region(mask=buffer.getvalue())


def check_shape(width: float, height: float, image: Shrunk) -> None:
    """Refuse the size of a mask, or of the image that an annotation tool saw, that is no size of this image.

    Raises:
        InputError: Width / height differs by more than 2 %.
    """
    if abs(width * image.original_height / (height * image.original_width) - 1) > _ASPECT_TOLERANCE:
        raise InputError(
            f"{width:g} × {height:g} pixels does not have the shape of the image, "
            f"{image.original_width} × {image.original_height}"
        )
