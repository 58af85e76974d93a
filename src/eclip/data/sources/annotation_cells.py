"""Cells of a lab's own table that mark an image: boxes, masks, fixations."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from eclip.annotations.annotation import Annotation, Fixation, Region
from eclip.data.images import Shrunk, decode
from eclip.data.sources.cells import read_table
from eclip.errors import InputError

_ASPECT_TOLERANCE = 0.02  # a mask whose shape differs by more belongs to another image, or was squeezed


@dataclass(frozen=True, slots=True)
class AnnotationCells:
    """The cells of one row that need the image's size to be read; blank ones are "".

    Attributes:
        root: Folder that files are relative to.
        boxes: JSON list of `{"label": …, "xyxy": [x0, y0, x1, y1]}` or of `[x0, y0, x1, y1]`, in pixels of
            the image.
        masks: Columns and their cells: mask files, separated by ";", or a JSON object of label to file. What
            is not black is inside. The column's name becomes the reader.
        fixations: A CSV file with columns start, end (seconds) and x, y (pixels of the image) or x_fraction,
            y_fraction; optional sigma_x, sigma_y in the same unit as the coordinates.
    """

    root: Path
    boxes: str
    masks: tuple[tuple[str, str], ...]
    fixations: str

    def __call__(self, image: Shrunk) -> tuple[Annotation, ...]:
        """Read them.

        Raises:
            InputError: A cell or a file that is not what it should be.
        """
        gaze = (_gaze(self.root / self.fixations, image),) if self.fixations else ()
        masks = [
            _mask(self.root, *mask, image)
            for column, cell in self.masks
            for mask in _mask_files(column, cell)
        ]
        return (*gaze, *_boxes(self.boxes, image), *masks)


def _boxes(cell: str, image: Shrunk) -> Iterator[Annotation]:
    for box in _json(cell) if cell.strip() else ():
        label, corners = (box.get("label", ""), box.get("xyxy")) if isinstance(box, dict) else ("", box)
        if not (isinstance(corners, list) and len(corners) == 4 and all(_is_number(c) for c in corners)):
            raise InputError(f"box {json.dumps(box)[:80]}: expected [x0, y0, x1, y1] in pixels")
        x0, x1 = (float(corners[i]) / image.original_width for i in (0, 2))
        y0, y1 = (float(corners[i]) / image.original_height for i in (1, 3))
        if not (x0 < x1 and y0 < y1 and x0 < 1 and y0 < 1 and x1 > 0 and y1 > 0):
            raise InputError(
                f"box {corners}: expected x0 < x1 and y0 < y1 on an image of "
                f"{image.original_width} × {image.original_height} pixels"
            )
        yield Annotation(kind="box", label=str(label), region=Region(((x0, y0), (x1, y1))))


def _mask_files(column: str, cell: str) -> Iterator[tuple[str, str, str]]:
    """(reader, label, file) of the masks in a cell; the column stands for who drew them."""
    if cell.strip().startswith("{"):
        for label, file in _json(cell).items():
            yield column, str(label), str(file)
    else:
        for file in filter(None, map(str.strip, cell.split(";"))):
            yield column, "", file


def _mask(root: Path, reader: str, label: str, file: str, image: Shrunk) -> Annotation:
    inside_HW = decode(root / file) > 0
    height, width = inside_HW.shape
    if abs(width * image.original_height / (height * image.original_width) - 1) > _ASPECT_TOLERANCE:
        raise InputError(
            f"{root / file}: mask of {width} × {height} pixels does not have the shape of the image, "
            f"{image.original_width} × {image.original_height}"
        )
    size = image.pixels.shape[::-1]
    covered = Image.fromarray(np.uint8(inside_HW) * 255).resize(size, Image.Resampling.BOX)
    covered_HW = np.asarray(covered)
    mask_HW = (
        covered_HW >= 128 if (covered_HW >= 128).any() else covered_HW > 0
    )  # keep what is thinner than a pixel
    buffer = BytesIO()
    Image.fromarray(mask_HW).save(buffer, "PNG")
    return Annotation(kind="mask", reader=reader, label=label, region=Region(mask=buffer.getvalue()))


def _gaze(file: Path, image: Shrunk) -> Annotation:
    frame = read_table(file, columns=("start", "end"))
    fractions = "x_fraction" in frame
    x_name, y_name = ("x_fraction", "y_fraction") if fractions else ("x", "y")
    sigmas = [name for name in ("sigma_x", "sigma_y") if name in frame]
    columns = [x_name, y_name, "start", "end", *sigmas]
    for column in columns:
        if column not in frame:
            raise InputError(f"{file}: no column {column!r}; expected x, y, start, end")
    numbers = frame[columns].apply(pd.to_numeric, errors="coerce")
    required = numbers[[x_name, y_name, "start", "end"]].to_numpy(np.float64)
    wrong_N = ~np.isfinite(required).all(1) | (required[:, 3] < required[:, 2])
    if wrong_N.any():
        raise InputError(f"{file}: row {int(wrong_N.argmax()) + 2}: expected numbers, end not before start")
    width, height = (1, 1) if fractions else (image.original_width, image.original_height)
    x_N, y_N, start_N, end_N = (required / (width, height, 1, 1)).T.tolist()
    spreads = [
        (numbers[name] / scale)
        .where(numbers[name] > 0)
        .astype(object)
        .where(numbers[name] > 0, None)
        .tolist()
        if name in sigmas
        else [None] * len(frame)
        for name, scale in (("sigma_x", width), ("sigma_y", height))
    ]
    return Annotation(kind="gaze", fixations=tuple(map(Fixation, x_N, y_N, start_N, end_N, *spreads)))


def _json(cell: str) -> Any:
    """A JSON list or object.

    Raises:
        InputError: Something else.
    """
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{cell[:60]!r} is not JSON ({error})") from error
    if not isinstance(value, list | dict):
        raise InputError(f"{cell[:60]!r}: expected a JSON list or object")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
