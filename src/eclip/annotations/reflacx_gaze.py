"""The gaze of one recording of REFLACX: its fixations, or those found in its samples."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eclip.annotations.annotation import Fixation
from eclip.annotations.fixation_filter import find_fixations
from eclip.annotations.reading import Reject, Rejection
from eclip.annotations.recording_table import read_numbers, read_parts, read_table
from eclip.errors import InputError

_TIMES = ("timestamp_start_fixation", "timestamp_end_fixation")
_PLACE = ("x_position", "y_position")
_PIXELS_PER_DEGREE = ("angular_resolution_x_pixels_per_degree", "angular_resolution_y_pixels_per_degree")
_SHOWN = tuple(f"{side}_shown_from_image" for side in ("xmin", "ymin", "xmax", "ymax"))
_IN_PIXELS = (*_PLACE, *_PIXELS_PER_DEGREE, *_SHOWN)
_OLDER_NAMES = {"average_x_position": "x_position", "average_y_position": "y_position"}


def read_gaze(main: Path, recording: str, size: tuple[int, int], reject: Reject) -> tuple[Fixation, ...]:
    """Read where a recording's reader looked.

    Fixations come from `main_data/<id>/fixations.csv`; where that is missing, from the samples in
    `gaze_data/<id>/gaze.csv` by `find_fixations`. Each has one degree of visual angle at the zoom of the moment as
    sigma, and the part of the image that was on the screen.

    Args:
        main: The folder `main_data`.
        recording: Its id.
        size: Width and height of the image, in pixels.
        reject: Takes what cannot be used: rows, or the recording if nothing of it is left.
    """
    file, fixations_of = main / recording / "fixations.csv", _recorded
    samples = main.parent / "gaze_data" / recording / "gaze.csv"
    if samples.is_file() and not file.exists():
        file, fixations_of = samples, _filtered
    try:
        if fixations := fixations_of(file, size, reject):
            return fixations
        raise InputError("no valid fixation on the image")
    except InputError as error:
        reject(Rejection(str(file), recording, str(error)))
        return ()


def _recorded(path: Path, size: tuple[int, int], reject: Reject) -> tuple[Fixation, ...]:
    columns = (*_TIMES, *_IN_PIXELS)
    frame = read_table(path, columns=columns, optional=(), aliases=_OLDER_NAMES, reject=reject)
    numbers = _numbers(frame, columns, size, path=path, reject=reject)
    backward = int((numbers[:, 1] < numbers[:, 0]).sum())
    if backward:
        reject(Rejection(str(path), "", f"{backward} fixations end before they start"))
    start, end, x, y, sigma_x, sigma_y, *visible = numbers[numbers[:, 1] > numbers[:, 0]].T.tolist()
    return tuple(map(Fixation, x, y, start, end, sigma_x, sigma_y, zip(*visible, strict=True)))


def _filtered(path: Path, size: tuple[int, int], reject: Reject) -> tuple[Fixation, ...]:
    """A sample without a place is that of a lost eye."""
    columns = ("timestamp_sample", *_IN_PIXELS)
    parts = []
    for part in read_parts(path, columns=columns, optional=(), aliases=_OLDER_NAMES, reject=reject):
        seen = (part[list(_PLACE)] != "").all(axis=1)
        parts.append(_numbers(part[seen], columns, size, path=path, reject=reject))
    numbers = np.concatenate(parts)
    seconds, x, y = numbers[:, :3].T
    aspect = size[0] / size[1]
    return find_fixations(seconds, x, y, aspect=aspect, sigma_N2=numbers[:, 3:5], visible_N4=numbers[:, 5:])


def _numbers(
    frame: pd.DataFrame, columns: Sequence[str], size: tuple[int, int], *, path: Path, reject: Reject
) -> NDArray[np.float64]:
    """(rows, columns): seconds, and pixels of the image as fractions of it."""
    frame = read_numbers(frame, columns, path=path, reject=reject)
    positive = (frame[list(_PIXELS_PER_DEGREE)] > 0).all(axis=1)
    for line in frame.index[~positive]:
        reject(Rejection(str(path), f"line {line}", "angular resolution is not above 0"))
    numbers = frame.loc[positive, list(columns)].to_numpy(np.float64)
    numbers[:, -len(_IN_PIXELS) :] /= size * 4  # x and y in turn
    numbers[:, -len(_SHOWN) :] = numbers[:, -len(_SHOWN) :].clip(0, 1)
    return numbers
