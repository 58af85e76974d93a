"""A lab's own recordings of gaze or pointer: CSV files of fixations, or of raw samples."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from eclip.annotations.annotation import Annotation, Fixation
from eclip.annotations.fixation_filter import LONGEST_GAP, find_fixations
from eclip.annotations.reading import Rejection
from eclip.annotations.recording_table import read_numbers, read_table
from eclip.data.images import Shrunk
from eclip.errors import InputError

_FRACTIONS = (1.0, 1.0)  # their scale
_TOO_LONG = 60  # seconds for a fixation, not for one in milliseconds


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
        scale = _FRACTIONS
        x, y = "x_fraction", "y_fraction"
        if x not in frame:
            scale, x, y = (image.original_width, image.original_height), "x", "y"
        times = ("time",) if "time" in frame else ("start", "end")
        for column in (x, y, *times):
            if column not in frame:
                there = " ".join(", ".join(frame.columns).split())[:100] or "none"
                raise InputError(
                    f"no column {column!r}; expected x, y, start, end (fixations) or x, y, time (samples), with "
                    f"commas between them; there are: {there}"
                )
        if times == ("time",):
            frame = read_numbers(frame, times, path=self.path, reject=rejected.append)
            x_N, y_N, time_N = (_numbers(frame[name]) for name in (x, y, "time"))
            _check_pixels(x_N, y_N, scale)
            aspect = image.original_width / image.original_height
            found = find_fixations(time_N, x_N / scale[0], y_N / scale[1], aspect=aspect)
            if not found and len(time_N) > 1 and not 0 < (step := np.median(np.diff(time_N))) <= LONGEST_GAP:
                raise InputError(
                    f"no fixation among samples that are {step:g} s apart; expected times that rise, in seconds, "
                    f"by {LONGEST_GAP} s at most"
                )
            return found
        frame = read_numbers(frame, (x, y, *times), path=self.path, reject=rejected.append)
        backward = frame["end"] < frame["start"]
        rejected += [
            Rejection(str(self.path), f"line {n}", "end is before start") for n in frame.index[backward]
        ]
        frame = frame[~backward]
        if len(frame) and not (frame["end"] > frame["start"]).any():
            raise InputError("no fixation that lasts; expected an end after its start, in seconds")
        _check_pixels(frame[x].to_numpy(), frame[y].to_numpy(), scale)
        if len(frame) and (usual := float((frame["end"] - frame["start"]).median())) > _TOO_LONG:
            raise InputError(f"fixations of {usual:g} s; expected start and end in seconds")
        columns = [frame[x] / scale[0], frame[y] / scale[1], frame["start"], frame["end"]]
        sigmas = [
            _sigmas(frame, name, size) for name, size in zip(("sigma_x", "sigma_y"), scale, strict=True)
        ]
        return tuple(map(Fixation, *(column.tolist() for column in columns), *sigmas))


def _check_pixels(x_N: np.ndarray, y_N: np.ndarray, scale: tuple[float, float]) -> None:
    """Refuse fractions where pixels were expected.

    Raises:
        InputError: All of it lies in the first pixel.
    """
    told = np.concatenate([x_N, y_N])
    told = told[np.isfinite(told)]
    if scale != _FRACTIONS and len(told) and np.abs(told).max() <= 1:
        raise InputError(
            "all x and y are 1 or less; name the columns x_fraction and y_fraction, or give pixels"
        )


def _sigmas(frame: pd.DataFrame, name: str, size: float) -> list[float | None]:
    """Fractions; None where the file does not tell it."""
    values_N = _numbers(frame[name]) / size if name in frame else np.full(len(frame), np.nan)
    return [value if 0 < value < np.inf else None for value in values_N.tolist()]


def _numbers(cells: "pd.Series[Any]") -> np.ndarray:
    """NaN for all that is no number."""
    return pd.to_numeric(cells, errors="coerce").to_numpy(np.float64)
