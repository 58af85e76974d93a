"""REFLACX 1.0.0: 3,032 readings of chest X-rays of MIMIC-CXR by five radiologists, with gaze and dictation.

Bigolin Lanfredi et al., "REFLACX, a dataset of reports and eye-tracking data for localization of abnormalities in
chest x-rays", Scientific Data 2022.
"""

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

from eclip.annotations.annotation import Annotation, Sentence
from eclip.annotations.reading import Reading, Reject, Rejection, first_told
from eclip.annotations.recording_table import read_extents, read_numbers, read_table, region_of
from eclip.annotations.reflacx_gaze import read_gaze
from eclip.annotations.sentences import Word, group_sentences, joined
from eclip.errors import InputError

CHEXPERT_NAMES = {
    "Acute fracture": "Fracture",
    "Enlarged cardiac silhouette": "Cardiomegaly",
    "Lung nodule or mass": "Lung Lesion",
    "Mass": "Lung Lesion",
    "Nodule": "Lung Lesion",
    "Pleural effusion": "Pleural Effusion",
    "Pleural thickening": "Pleural Other",
    "Pulmonary edema": "Edema",
    "Support devices": "Support Devices",
    "Wide mediastinum": "Enlarged Cardiomediastinum",
}
"""Labels that CheXpert has by another name; the others keep theirs (Pleural abnormality: effusion or thickening)."""

PRESENT = 3  # "possibly" and above, as the authors count it

PROBABILITIES = {1: 0.05, 2: 0.25, 3: 0.5, 4: 0.75, 5: 0.95}
"""Certainties of ellipses as the authors explain them: < 10 %, about 25, 50 and 75 %, > 90 %; of a range its middle."""

_META = (
    "id", "split", "eye_tracking_data_discarded", "image", "dicom_id", "subject_id", "image_size_x", "image_size_y",
)  # fmt: skip
_NOT_LABELS = {*_META, "Other"}
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_ID = re.compile(r"P[123]\d{2}R\d{6}")
_SPOKEN = ("word", "timestamp_start_word", "timestamp_end_word")
_TRUE = {"true", "1", "1.0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recording:
    """A row of the metadata: one reader before one image."""

    id: str
    split: str
    image_id: str
    study_id: str
    patient_id: str
    size: tuple[int, int]
    certainty: dict[str, float]


def read_reflacx(root: Path, *, reject: Reject) -> Iterator[Reading]:
    """Read all images of the three phases that have a recording; several readers of one are one `Reading`.

    Fixations bring their own sigma (one degree of visual angle at the zoom of the moment) and the part of the
    image that was on the screen; where `fixations.csv` is missing, they are found in the samples of `gaze.csv`.
    Ellipses with their certainty and the box around the chest become regions. A label is present at a certainty
    of 3 ("possibly") or more, uncertain at 1 or 2, absent at 0; of several readers' certainties the median counts.

    Args:
        root: Folder of the dataset, or its `main_data`; or of one patient in MIMIC-Eye, where one `metadata.csv`
            beside `main_data` lists the recordings of all phases.
        reject: Takes what cannot be used, recordings that the authors discarded among them.

    Raises:
        InputError: No metadata, or a column of it missing.
    """
    main = root / "main_data" if (root / "main_data").is_dir() else root
    recordings: dict[str, list[_Recording]] = {}
    for recording in _recordings(root, main, reject):
        recordings.setdefault(recording.image_id, []).append(recording)
    for image_id, of_image in recordings.items():
        read = [(recording, *_read(main, recording, reject)) for recording in of_image]
        read = [(recording, text, annotations) for recording, text, annotations in read if annotations]
        if read:
            first = read[0][0]
            yield Reading(
                image_id=image_id,
                study_id=first.study_id,
                patient_id=first.patient_id,
                split=first.split,
                annotations=tuple(annotation for *_, annotations in read for annotation in annotations),
                text=first_told(text for _, text, _ in read),
                labels=_labels([recording.certainty for recording, *_ in read]),
            )


def _recordings(root: Path, main: Path, reject: Reject) -> Iterator[_Recording]:
    """The usable rows of the metadata of all phases that are there."""
    of_phases = (main / f"metadata_phase_{phase}.csv" for phase in (1, 2, 3))
    files = [file for file in (*of_phases, root / "metadata.csv") if file.exists()]
    if not files:
        raise InputError(f"{main}: no metadata_phase_1.csv, …_2.csv or …_3.csv; expected a REFLACX folder")
    seen: set[str] = set()
    for file in files:
        for row in read_table(file, columns=_META, reject=reject).to_dict("records"):
            try:
                if not _ID.fullmatch(row["id"]):  # it names a folder, which must be one of the dataset's
                    raise InputError("not an id of a recording, as P300R123456")
                if row["id"] in seen:
                    raise InputError("the recording is listed twice")
                seen.add(row["id"])
                if row["eye_tracking_data_discarded"].strip().lower() in _TRUE:
                    raise InputError("the eye-tracking data were discarded by the dataset's authors")
                yield _recording(row)
            except InputError as error:
                reject(Rejection(str(file), row["id"], str(error)))


def _recording(row: Mapping[Hashable, str]) -> _Recording:
    try:
        width, height = (int(float(row[name])) for name in ("image_size_x", "image_size_y"))
    except (ValueError, OverflowError) as error:
        raise InputError(f"image_size_x, image_size_y: expected whole numbers ({error})") from error
    if width < 1 or height < 1:
        raise InputError(f"image_size_x, image_size_y: expected a size, not {width} × {height}")
    certainty: dict[str, float] = {}
    for column, cell in row.items():
        if column not in _NOT_LABELS and cell.strip():
            name = CHEXPERT_NAMES.get(str(column), str(column))
            certainty[name] = max(certainty.get(name, 0), _certainty(str(column), cell))
    return _Recording(
        id=row["id"],
        split=row["split"],
        image_id=row["dicom_id"],
        study_id=Path(row["image"]).parent.name.removeprefix("s"),  # files/p10/p10000032/s50414267/x.dcm
        patient_id=row["subject_id"].removeprefix("p"),
        size=(width, height),
        certainty=certainty,
    )


def _certainty(column: str, cell: str) -> int:
    """0 to 5; labels that are true or false count as 5 or 0."""
    value = {"true": "5", "false": "0"}.get(cell.strip().lower(), cell.strip()).removesuffix(".0")
    if value not in {"0", "1", "2", "3", "4", "5"}:
        raise InputError(f"{column} is {cell[:40]!r}, expected a certainty from 0 to 5, True or False")
    return int(value)


def _labels(certainties: Sequence[Mapping[str, float]]) -> dict[str, int]:
    """One value a label from all readers' certainties."""
    names = dict.fromkeys(name for certainty in certainties for name in certainty)
    medians = {name: median(c[name] for c in certainties if name in c) for name in names}
    return {name: 1 if value >= PRESENT else -1 if value > 0 else 0 for name, value in medians.items()}


def _read(main: Path, recording: _Recording, reject: Reject) -> tuple[str, tuple[Annotation, ...]]:
    """What was dictated in a recording, and its annotations; none if it has no fixation."""
    folder, reader = main / recording.id, recording.id
    fixations = read_gaze(main, recording.id, recording.size, reject)
    if not fixations:
        return "", ()
    text, sentences = _transcription(folder, reject)
    gaze = Annotation("gaze", reader, fixations=fixations, sentences=sentences)
    return text, (gaze, *_ellipses(folder, recording, reject), *_chest_box(folder, recording, reject))


def _transcription(folder: Path, reject: Reject) -> tuple[str, tuple[Sentence, ...]]:
    """What was dictated, and its sentences; nothing where there is no transcription."""
    spellings = (folder / f"timestamps_transcription{ending}.csv" for ending in ("", "s"))
    file = next((path for path in spellings if path.exists()), None)
    words: list[Word] = []
    if file is not None:
        frame = _optional_table(file, columns=_SPOKEN, reject=reject)
        frame = read_numbers(frame, _SPOKEN[1:], path=file, reject=reject)
        words = list(frame[list(_SPOKEN)].itertuples(index=False, name=None))
    text_file = folder / "transcription.txt"
    text = text_file.read_text("utf-8-sig", errors="replace").strip() if text_file.is_file() else ""
    return text or joined(word for word, _, _ in words), group_sentences(words)


def _ellipses(folder: Path, recording: _Recording, reject: Reject) -> Iterator[Annotation]:
    """One annotation for each label of each ellipse, with its certainty."""
    file = folder / "anomaly_location_ellipses.csv"
    frame = _optional_table(file, columns=(*_SIDES, "certainty"), reject=reject)
    frame = read_extents(frame, _SIDES, path=file, reject=reject)
    frame = read_numbers(frame, ("certainty",), path=file, reject=reject)
    known = frame["certainty"].isin(PROBABILITIES)
    for line in frame.index[~known]:
        reason = f"certainty is {frame['certainty'][line]:g}, expected 1 to 5"
        reject(Rejection(str(file), f"line {line}", reason))
    for line, row in zip(frame.index[known], frame[known].to_dict("records"), strict=True):
        region = region_of([row[side] for side in _SIDES], recording.size)
        certainty = PROBABILITIES[row["certainty"]]
        names = [CHEXPERT_NAMES.get(str(name), str(name)) for name, cell in row.items() if _is_true(cell)]
        if not names:
            reject(Rejection(str(file), f"line {line}", "no label is True"))
        for name in dict.fromkeys(names):
            yield Annotation("ellipse", recording.id, name, region=region, certainty=certainty)


def _is_true(cell: object) -> bool:
    return isinstance(cell, str) and cell.strip().lower() in _TRUE


def _chest_box(folder: Path, recording: _Recording, reject: Reject) -> Iterator[Annotation]:
    file = folder / "chest_bounding_box.csv"
    frame = _optional_table(file, columns=_SIDES, reject=reject)
    frame = read_extents(frame, _SIDES, path=file, reject=reject)
    for extent in frame[list(_SIDES)].to_numpy(np.float64).tolist():
        yield Annotation("box", recording.id, "chest", region=region_of(extent, recording.size))


def _optional_table(path: Path, *, columns: Sequence[str], reject: Reject) -> pd.DataFrame:
    """A table of a recording; without rows where it is not there, or broken and rejected."""
    if path.exists():
        try:
            return read_table(path, columns=columns, reject=reject)
        except InputError as error:
            reject(Rejection(str(path), "", str(error)))
    return pd.DataFrame(columns=list(columns), dtype=object)
