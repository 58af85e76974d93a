"""EGD-CXR 1.0.0: 1,083 chest X-rays of MIMIC-CXR, read aloud by one radiologist before an eye tracker.

Karargyris et al., "Creation and validation of a chest X-ray dataset with eye-tracking and report dictation for
AI development", Scientific Data 2021.
"""

import json
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eclip.annotations.annotation import Annotation, Fixation, Sentence
from eclip.annotations.fixation_filter import find_fixations
from eclip.annotations.reading import ImageSize, Reading, Reject, Rejection
from eclip.annotations.recording_table import (
    label_value,
    read_extents,
    read_numbers,
    read_parts,
    read_table,
    region_of,
    table_file,
)
from eclip.annotations.sentences import Word, encodable, group_sentences, joined
from eclip.errors import InputError

READER = "egd-cxr"

_SCREEN_WIDTH, _SCREEN_HEIGHT = 1920, 1080
_PADS = ("image_left_pad", "image_right_pad", "image_top_pad", "image_bottom_pad")
_OLDER_NAMES = {pad.removesuffix("_pad"): pad for pad in _PADS}
_CALIBRATION_CUT = 5  # a calibration slide carries the id of an image without its last characters
_SECONDS = "Time (in secs)"  # since the image was shown
_PLACE = ("X_ORIGINAL", "Y_ORIGINAL", "FPOGX", "FPOGY")

_Sizes = dict[str, tuple[int, int]]
_Scanpaths = dict[str, tuple[Fixation, ...]]


def read_egd_cxr(root: Path, *, image_size: ImageSize, reject: Reject) -> Iterator[Reading]:
    """Read the studies of `master_sheet.csv` that have fixations on an image whose size is known.

    Fixations come from `fixations.csv`, without the invalid ones, those beside the image and those on
    calibration slides; where that table is missing, from the samples in `eye_gaze.csv` by `find_fixations`.
    Boxes of the anatomy come from `bounding_boxes.csv` and sentences from the transcripts, where there are any.
    The dataset does not tell the visual angle, so fixations have no sigma.

    Args:
        root: Folder of the dataset.
        image_size: Tells the size of the original images, which the dataset does not.
        reject: Takes what cannot be used.

    Raises:
        InputError: A table or a column is missing.
    """
    sheet = table_file(root, "master_sheet")
    master = read_table(
        sheet, columns=("dicom_id", "study_id", "patient_id"), aliases=_OLDER_NAMES, reject=reject
    )
    master = master.set_index("dicom_id", drop=False)
    for image_id in master.index[master.index.duplicated()]:
        reject(Rejection(str(sheet), image_id, "listed twice; the first row is used"))
    master = master[~master.index.duplicated()]
    sizes = {image_id: size for image_id in master.index if (size := image_size(image_id)) is not None}
    fixations = _gaze(root, master, sizes, reject)
    boxes = _boxes(table_file(root, "bounding_boxes"), master, sizes, reject)
    for row in master.to_dict("records"):
        image_id = row["dicom_id"]
        try:
            if image_id not in sizes:
                raise InputError("gaze for an unknown image: it is not among the images")
            if not fixations.get(image_id):
                raise InputError("no valid fixation on the image")
            if Path(image_id).name != image_id:  # it names a folder, which must be one of the dataset's
                raise InputError("not an id of an image")
            labels = _labels(row)
        except InputError as error:
            reject(Rejection(str(sheet), image_id, str(error)))
            continue
        folder = root / "audio_segmentation_transcripts" / image_id
        text, sentences = _transcript(folder / "transcript.json", reject)
        gaze = Annotation("gaze", READER, fixations=fixations[image_id], sentences=sentences)
        yield Reading(
            image_id=image_id,
            study_id=row["study_id"].removeprefix("s"),
            patient_id=row["patient_id"].removeprefix("p"),
            split="",
            annotations=(gaze, *boxes.get(image_id, ())),
            text=text,
            labels=labels,
            sex=row.get("gender", ""),
            age=row.get("anchor_age", ""),
        )


def _gaze(root: Path, master: pd.DataFrame, sizes: _Sizes, reject: Reject) -> _Scanpaths:
    """The fixations on each image whose size is known: as recorded, else from the samples."""
    fixations, samples = table_file(root, "fixations"), table_file(root, "eye_gaze")
    if samples.is_file() and not fixations.exists():
        return _fixations_of_samples(samples, master, sizes, reject)
    return _fixations(fixations, master, sizes, reject)


def _fixations(path: Path, master: pd.DataFrame, sizes: _Sizes, reject: Reject) -> _Scanpaths:
    columns = ("FPOGS", "FPOGD", "FPOGV")
    frame = read_table(path, columns=("DICOM_ID", *columns), optional=_PLACE, reject=reject)
    _reject_unlisted(frame["DICOM_ID"].unique(), master, path=path, reject=reject)
    frame = read_numbers(frame[frame["DICOM_ID"].isin(sizes)], columns, path=path, reject=reject)
    frame = _on_image(frame, master, sizes, path=path, reject=reject)
    frame = frame[(frame["FPOGV"] != 0) & (frame["FPOGD"] > 0)]
    frame = frame.assign(end=frame["FPOGS"] + frame["FPOGD"])
    return {
        str(image_id): tuple(map(Fixation, *(rows[name].tolist() for name in ("x", "y", "FPOGS", "end"))))
        for image_id, rows in frame.groupby("DICOM_ID", sort=False)
    }


def _fixations_of_samples(path: Path, master: pd.DataFrame, sizes: _Sizes, reject: Reject) -> _Scanpaths:
    """A sample that is invalid or beside the image counts as lost: X_ORIGINAL does not tell where it was."""
    columns, known = (_SECONDS, "FPOGV"), pd.CategoricalDtype(list(sizes))
    image_ids: dict[str, None] = {}
    parts = []
    for part in read_parts(path, columns=("DICOM_ID", *columns), optional=_PLACE, reject=reject):
        image_ids |= dict.fromkeys(part["DICOM_ID"].unique())
        part = read_numbers(part[part["DICOM_ID"].isin(sizes)], columns, path=path, reject=reject)
        part = _on_image(part[part["FPOGV"] != 0], master, sizes, path=path, reject=reject)
        parts.append(part[[_SECONDS, "x", "y"]].assign(image=part["DICOM_ID"].astype(known)))
    _reject_unlisted(image_ids, master, path=path, reject=reject)
    fixations = {}
    for image_id, rows in pd.concat(parts).groupby("image", sort=False, observed=True):
        seconds, x, y = rows[[_SECONDS, "x", "y"]].to_numpy(np.float64).T
        width, height = sizes[str(image_id)]
        fixations[str(image_id)] = find_fixations(seconds, x, y, aspect=width / height)
    return fixations


def _reject_unlisted(image_ids: Iterable[str], master: pd.DataFrame, *, path: Path, reject: Reject) -> None:
    """Reject images that the master sheet does not list, unless they are calibration slides."""
    calibration = {len(image_id) - _CALIBRATION_CUT for image_id in master.index}
    for image_id in image_ids:
        if image_id not in master.index and len(image_id) not in calibration:
            reject(Rejection(str(path), image_id, "rows of an image that master_sheet.csv does not list"))


def _on_image(
    frame: pd.DataFrame, master: pd.DataFrame, sizes: _Sizes, *, path: Path, reject: Reject
) -> pd.DataFrame:
    """The rows whose gaze lies on the image, with x and y, fractions of the image."""
    frame = _in_fractions(frame, master, sizes, path=path, reject=reject)
    return frame[frame["x"].between(0, 1, inclusive="left") & frame["y"].between(0, 1, inclusive="left")]


def _in_fractions(
    frame: pd.DataFrame, master: pd.DataFrame, sizes: _Sizes, *, path: Path, reject: Reject
) -> pd.DataFrame:
    """Add x and y, fractions of the image: from its pixels, else from the place on the screen and the pads."""
    if {"X_ORIGINAL", "Y_ORIGINAL"} <= set(frame):
        frame = read_numbers(frame, ("X_ORIGINAL", "Y_ORIGINAL"), path=path, reject=reject)
        image = frame["DICOM_ID"]
        return frame.assign(
            x=frame["X_ORIGINAL"] / image.map({name: width for name, (width, _) in sizes.items()}),
            y=frame["Y_ORIGINAL"] / image.map({name: height for name, (_, height) in sizes.items()}),
        )
    for column in ("FPOGX", "FPOGY", *_PADS):
        if column not in frame and column not in master:
            raise InputError(f"{path}: no column 'X_ORIGINAL', nor {column!r} to compute it from")
    frame = read_numbers(frame, ("FPOGX", "FPOGY"), path=path, reject=reject)
    sheet = path.with_name("master_sheet.csv")
    pads = read_numbers(master[master.index.isin(frame["DICOM_ID"])], _PADS, path=sheet, reject=reject)
    left, right, top, bottom = (frame["DICOM_ID"].map(pads[pad]) for pad in _PADS)
    return frame.assign(
        x=(frame["FPOGX"] * _SCREEN_WIDTH - left) / (_SCREEN_WIDTH - left - right),
        y=(frame["FPOGY"] * _SCREEN_HEIGHT - top) / (_SCREEN_HEIGHT - top - bottom),
    )


def _boxes(path: Path, master: pd.DataFrame, sizes: _Sizes, reject: Reject) -> dict[str, list[Annotation]]:
    """The boxes of the anatomy on each image; mind the order of the columns: x1, x2, y1, y2."""
    if not path.exists():
        return {}
    columns = ("dicom_id", "bbox_name", "x1", "y1", "x2", "y2")
    frame = read_table(path, columns=columns, optional=(), reject=reject)
    _reject_unlisted(frame["dicom_id"].unique(), master, path=path, reject=reject)
    frame = read_extents(frame[frame["dicom_id"].isin(sizes)], columns[2:], path=path, reject=reject)
    boxes: dict[str, list[Annotation]] = {}
    for image_id, name, *extent in frame[list(columns)].itertuples(index=False):
        box = Annotation("box", READER, name, region=region_of(extent, sizes[image_id]))
        boxes.setdefault(image_id, []).append(box)
    return boxes


def _labels(row: Mapping[Hashable, str]) -> dict[str, int]:
    """CheXpert's labels in a row of the master sheet, by CheXpert's names."""
    labels = {}
    for column, cell in row.items():
        name, ending, _ = str(column).partition("__chx")
        if ending and (value := label_value(cell, name=str(column))) is not None:
            labels[name.replace("_", " ").title()] = value
    return labels


def _transcript(path: Path, reject: Reject) -> tuple[str, tuple[Sentence, ...]]:
    """What was dictated, and its sentences; nothing where there is no transcript."""
    try:
        transcript = json.loads(path.read_bytes())
        phrases = transcript["time_stamped_text"]
        if not isinstance(phrases, list):
            raise TypeError("time_stamped_text is no list")
    except FileNotFoundError:
        return "", ()
    except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
        reject(Rejection(str(path), "", f"not a transcript, gaze kept ({error!r:.80})"))
        return "", ()
    words = []
    for number, phrase in enumerate(phrases, start=1):
        try:
            words.append(_word(phrase))
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError):
            reason = f"expected phrase, begin_time and end_time in {phrase!r:.80}"
            reject(Rejection(str(path), f"phrase {number}", reason))
    full_text = transcript.get("full_text")
    text = encodable(full_text) if isinstance(full_text, str) else joined(word for word, _, _ in words)
    return text, group_sentences(words)


def _word(phrase: Any) -> Word:
    start, end = float(phrase["begin_time"]), float(phrase["end_time"])
    if not (math.isfinite(start) and math.isfinite(end)):
        raise ValueError("times are finite")
    return encodable(phrase["phrase"]), start, end
