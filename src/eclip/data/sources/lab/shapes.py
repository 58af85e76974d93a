"""Corners in pixels, as annotation tools write them, to regions in fractions of the image."""

from collections.abc import Iterable
from typing import Any

from eclip.annotations.annotation import Region
from eclip.data.images import Shrunk
from eclip.data.sources.lab.json_values import a_list, a_number
from eclip.data.sources.masks import check_shape
from eclip.errors import InputError

Size = tuple[float, float]
"""(width, height) in pixels of the image that the tool showed."""

_FAR = 100  # image sizes


def frame(width: Any, height: Any, image: Shrunk) -> Size:
    """The image that pixels refer to: the one that the tool says it showed, or the original where it does not say.

    Raises:
        InputError: No size, or one of another image.
    """
    if width is None or height is None:
        return image.original_width, image.original_height
    size = a_number(width, "image width"), a_number(height, "image height")
    if min(size) < 1 or max(size) > 1e9:
        raise InputError(f"image of {size[0]:g} × {size[1]:g} pixels; expected a size")
    check_shape(*size, image)
    return size


def box_region(corners: Any, size: Size) -> Region:
    """The region of [x0, y0, x1, y1], top left to bottom right.

    Raises:
        InputError: Not four numbers, no area, or none of it on the image.
    """
    if not isinstance(corners, list) or len(corners) != 4:
        raise InputError("expected [x0, y0, x1, y1] in pixels")
    x0, y0, x1, y1 = (a_number(corner, "expected [x0, y0, x1, y1] in pixels") for corner in corners)
    return Region(_on_image([(x0, y0), (x1, y1)], size))


def polygon_region(points: Any, size: Size) -> Region:
    """The region of [[x, y], …], three corners or more.

    Raises:
        InputError: Too few, no numbers, no area, or none of it on the image.
    """
    corners = points_of(points)
    if len(corners) < 3:
        raise InputError(f"polygon of {len(corners)} corners; expected three or more")
    _on_image(_extent(corners), size)
    return Region(tuple((x / size[0], y / size[1]) for x, y in corners))


def ellipse_region(centre: tuple[float, float], radius: float, size: Size) -> Region:
    """The region of a circle, which is an ellipse in fractions.

    Raises:
        InputError: No area, or none of it on the image.
    """
    x, y = centre
    return Region(_on_image([(x - radius, y - radius), (x + radius, y + radius)], size))


def points_of(value: Any) -> list[tuple[float, float]]:
    """Points of [[x, y], …].

    Raises:
        InputError: Something else.
    """
    points = [a_list(point, "point") for point in a_list(value, "points")]
    if any(len(point) != 2 for point in points):
        raise InputError("expected points as [x, y]")
    return [(a_number(x, "x"), a_number(y, "y")) for x, y in points]


def _extent(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Top left and bottom right."""
    x, y = zip(*points, strict=True)
    return [(min(x), min(y)), (max(x), max(y))]


def _on_image(corners: list[tuple[float, float]], size: Size) -> tuple[tuple[float, float], ...]:
    """Top left and bottom right as fractions.

    Raises:
        InputError: No area between them, or none of it on the image.
    """
    (x0, y0), (x1, y1) = fractions = tuple((x / size[0], y / size[1]) for x, y in corners)
    if not (x0 < x1 and y0 < y1 and -_FAR < x0 < 1 and -_FAR < y0 < 1 and 0 < x1 < _FAR and 0 < y1 < _FAR):
        pixels = ", ".join(f"{value:g}" for corner in corners for value in corner)
        raise InputError(
            f"[{pixels}]: expected x0 < x1 and y0 < y1 on an image of {size[0]:g} × {size[1]:g} pixels"
        )
    if x1 * size[0] <= 1 and y1 * size[1] <= 1:
        raise InputError("nothing beyond the first pixel; expected pixels, not fractions of the image")
    return fractions
