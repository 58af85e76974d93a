"""What marks an image of a lab's own table: boxes in a cell, mask files, files of fixations or gaze samples."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from eclip.annotations.annotation import Annotation
from eclip.annotations.reading import Rejection
from eclip.data.images import Shrunk, decode
from eclip.data.sources.lab.gaze_file import GazeFile
from eclip.data.sources.lab.image_names import file_inside
from eclip.data.sources.lab.json_values import a_list, a_name, an_object, parse_json, shown
from eclip.data.sources.lab.shapes import box_region
from eclip.data.sources.masks import mask_region
from eclip.errors import InputError

Part = Callable[[Shrunk], Iterator[Annotation | Rejection]]
"""Reads some of an image's annotations, given its size. Picklable, with the same repr in every process."""


@dataclass(frozen=True, slots=True)
class Parts:
    """All that marks one image, in order."""

    parts: tuple[Part, ...]

    def __call__(self, image: Shrunk) -> tuple[Annotation | Rejection, ...]:
        """Read it; what cannot be used becomes a rejection."""
        return tuple(item for part in self.parts for item in part(image))


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxCell:
    """A cell with boxes in pixels of the image.

    Attributes:
        cell: JSON: `[x0, y0, x1, y1]`, or a list of these or of `{"label": …, "xyxy": [x0, y0, x1, y1]}`.
        reader: Who drew them.
        file: The table, for rejections.
        row: Where in it.
    """

    cell: str
    reader: str
    file: str
    row: str

    def __call__(self, image: Shrunk) -> Iterator[Annotation | Rejection]:
        """One annotation a box."""
        try:
            boxes = a_list(parse_json(self.cell), "boxes")
        except InputError as error:
            yield Rejection(self.file, self.row, str(error))
            return
        if len(boxes) == 4 and not any(isinstance(box, list | dict) for box in boxes):
            boxes = [boxes]
        for number, box in enumerate(boxes, 1):
            try:
                label, corners = "", box
                if isinstance(box, dict):
                    if "xyxy" not in box:
                        raise InputError(f"no 'xyxy' in {shown(box)}")
                    label, corners = a_name(box.get("label"), "label"), box["xyxy"]
                region = box_region(corners, (image.original_width, image.original_height))
                yield Annotation("box", self.reader, label, region=region)
            except InputError as error:
                yield Rejection(self.file, f"{self.row}, box {number}", str(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskCell:
    """A cell with mask files.

    Attributes:
        cell: Files, separated by ";", or a JSON object of label to file.
        root: Folder that they lie in.
        reader: Who drew them.
        file: The table, for rejections.
        row: Where in it.
    """

    cell: str
    root: Path
    reader: str
    file: str
    row: str

    def __call__(self, image: Shrunk) -> Iterator[Annotation | Rejection]:
        """One annotation a mask."""
        for found in _files(self.cell, self.root, file=self.file, row=self.row):
            if isinstance(found, Rejection):
                yield found
            else:
                label, path = found
                yield from MaskFile(path=path, label=label, reader=self.reader)(image)


@dataclass(frozen=True, slots=True, kw_only=True)
class GazeCell:
    """A cell with files of fixations or samples, one a reader.

    Attributes:
        cell: Files, separated by ";", or a JSON object of reader to file.
        root: Folder that they lie in.
        kind: gaze or pointer.
        reader: Whose, where the cell does not tell it.
        file: The table, for rejections.
        row: Where in it.
    """

    cell: str
    root: Path
    kind: Literal["gaze", "pointer"]
    reader: str
    file: str
    row: str

    def __call__(self, image: Shrunk) -> Iterator[Annotation | Rejection]:
        """One annotation a file."""
        for found in _files(self.cell, self.root, file=self.file, row=self.row):
            if isinstance(found, Rejection):
                yield found
            else:
                reader, path = found
                yield from GazeFile(path=path, kind=self.kind, reader=reader or self.reader)(image)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskFile:
    """An image of which all that is not black is inside; of the shape of the image it marks, at any size.

    In a JPEG, whose black is never quite black beside white, all that is brighter than half of its brightest.
    """

    path: Path
    label: str
    reader: str

    def __call__(self, image: Shrunk) -> Iterator[Annotation | Rejection]:
        """One annotation."""
        try:
            gray_HW = decode(self.path)
            lossy = self.path.suffix.lower() in {".jpg", ".jpeg"}
            inside_HW = gray_HW > (gray_HW.max() / 2 if lossy else 0)
            if not inside_HW.any():
                raise InputError("the mask is empty")
            yield Annotation("mask", self.reader, self.label, region=mask_region(inside_HW, image))
        except InputError as error:
            yield Rejection(str(self.path), "", str(error))


def _files(cell: str, root: Path, *, file: str, row: str) -> Iterator[tuple[str, Path] | Rejection]:
    """(name, file) of the files in a cell; those separated by ";" have no name."""
    try:
        named: list[tuple[str, Any]] = [("", name) for name in cell.split(";") if name.strip()]
        if cell.startswith("{"):
            named = list(an_object(parse_json(cell), "files").items())
    except InputError as error:
        yield Rejection(file, row, str(error))
        return
    for name, path in named:
        try:
            yield a_name(name, "name"), file_inside(root, a_name(path, "file"))
        except InputError as error:
            yield Rejection(file, row, str(error))
