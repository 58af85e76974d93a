"""What marks an image of a lab's own table: boxes in a cell, mask files, files of fixations or gaze samples."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from eclip.annotations.annotation import Annotation, Fixation
from eclip.annotations.fixation_filter import find_fixations
from eclip.annotations.reading import Rejection
from eclip.annotations.recording_table import read_numbers, read_table
from eclip.data.images import Shrunk, decode
from eclip.data.sources.cells import path_inside
from eclip.data.sources.lab.json_values import a_list, a_name, an_object, parse_json
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
                label, corners = (
                    (a_name(box.get("label"), "label"), box.get("xyxy"))
                    if isinstance(box, dict)
                    else ("", box)
                )
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
    """An image of which all that is not black is inside; of the shape of the image it marks, at any size."""

    path: Path
    label: str
    reader: str

    def __call__(self, image: Shrunk) -> Iterator[Annotation | Rejection]:
        """One annotation."""
        try:
            inside_HW = decode(self.path) > 0
            if not inside_HW.any():
                raise InputError("the mask is empty")
            yield Annotation("mask", self.reader, self.label, region=mask_region(inside_HW, image))
        except InputError as error:
            yield Rejection(str(self.path), "", str(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class GazeFile:
    """A CSV file of where one reader looked, or pointed.

    Attributes:
        path: Columns x and y in pixels of the image, or x_fraction and y_fraction; of fixations start and end, and
            perhaps sigma_x and sigma_y in the unit of x; of raw samples time. Times are seconds. A sample whose x or y
            is no number was lost.
        kind: gaze or pointer.
        reader: Whose.
    """

    path: Path
    kind: Literal["gaze", "pointer"]
    reader: str

    def __call__(self, image: Shrunk) -> Iterator[Annotation | Rejection]:
        """One annotation, and the rows that cannot be used."""
        rejected: list[Rejection] = []
        try:
            fixations = self._fixations(image, rejected)
            if not fixations:
                raise InputError("no fixation")
            yield Annotation(self.kind, self.reader, fixations=fixations)
        except InputError as error:
            rejected.append(Rejection(str(self.path), "", str(error)))
        yield from rejected

    def _fixations(self, image: Shrunk, rejected: list[Rejection]) -> tuple[Fixation, ...]:
        frame = read_table(self.path, columns=(), reject=rejected.append)
        scale: tuple[float, float] = (1, 1)
        x, y = "x_fraction", "y_fraction"
        if x not in frame:
            scale, x, y = (image.original_width, image.original_height), "x", "y"
        times = ("time",) if "time" in frame else ("start", "end")
        for column in (x, y, *times):
            if column not in frame:
                raise InputError(
                    f"no column {column!r}; expected x, y, start, end (fixations) or x, y, time (samples)"
                )
        if times == ("time",):
            frame = read_numbers(frame, times, path=self.path, reject=rejected.append)
            x_N, y_N = (_numbers(frame[name]) / size for name, size in zip((x, y), scale, strict=True))
            return find_fixations(
                frame["time"].to_numpy(np.float64),
                x_N,
                y_N,
                aspect=image.original_width / image.original_height,
            )
        frame = read_numbers(frame, (x, y, *times), path=self.path, reject=rejected.append)
        backward = frame["end"] < frame["start"]
        rejected += [
            Rejection(str(self.path), f"line {n}", "end is before start") for n in frame.index[backward]
        ]
        frame = frame[~backward]
        columns = [frame[x] / scale[0], frame[y] / scale[1], frame["start"], frame["end"]]
        sigmas = [
            _sigmas(frame, name, size) for name, size in zip(("sigma_x", "sigma_y"), scale, strict=True)
        ]
        return tuple(map(Fixation, *(column.tolist() for column in columns), *sigmas))


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
            yield a_name(name, "name"), path_inside(root, a_name(path, "file"))
        except InputError as error:
            yield Rejection(file, row, str(error))


def _sigmas(frame: pd.DataFrame, name: str, size: float) -> list[float | None]:
    """Fractions; None where the file does not tell it."""
    values_N = _numbers(frame[name]) / size if name in frame else np.full(len(frame), np.nan)
    return [value if 0 < value < np.inf else None for value in values_N.tolist()]


def _numbers(cells: "pd.Series[Any]") -> np.ndarray:
    """NaN for all that is no number."""
    return pd.to_numeric(cells, errors="coerce").to_numpy(np.float64)
