"""Boxes that a table gives in pixels."""

from dataclasses import dataclass

from eclip.annotations.annotation import Annotation
from eclip.annotations.reading import Rejection
from eclip.annotations.recording_table import region_of
from eclip.data.images import Shrunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One box of a table.

    Attributes:
        row: Where it stands in the table, for rejections.
        label: What it marks.
        corners: x0, y0, x1, y1 in pixels, from the top left.
        reader: Who drew it, as far as the table tells.
    """

    row: str
    label: str
    corners: tuple[float, float, float, float]
    reader: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelBoxes:
    """The boxes of one image; those without area, or that reach out of the image, are rejected.

    By a pixel they may: corners are rounded.

    Attributes:
        file: The table.
        boxes: In its order.
        frame: (width, height) of the image whose pixels are meant; None if it is the image's own size.
    """

    file: str
    boxes: tuple[Box, ...]
    frame: tuple[int, int] | None = None

    def __call__(self, image: Shrunk) -> tuple[Annotation | Rejection, ...]:
        """Turn pixels into fractions of the image."""
        frame = self.frame or (image.original_width, image.original_height)
        return tuple(self._read(box, frame) for box in self.boxes)

    def _read(self, box: Box, frame: tuple[int, int]) -> Annotation | Rejection:
        (x0, y0, x1, y1), (width, height) = box.corners, frame
        wrong = ""
        if not (x0 < x1 and y0 < y1):
            wrong = "has no area"
        elif not (x0 >= -1 and y0 >= -1 and x1 <= width + 1 and y1 <= height + 1):
            wrong = f"reaches out of the image of {width} × {height} pixels"
        if wrong:
            return Rejection(self.file, box.row, f"box from ({x0:g}, {y0:g}) to ({x1:g}, {y1:g}) {wrong}")
        region = region_of(box.corners, frame)
        return Annotation(kind="box", reader=box.reader, label=box.label, region=region)
