"""The phantom's gaze as a REFLACX 1.0.0 tree, without the raw 1000 Hz samples (`gaze_data`)."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eclip.data.phantom.findings import Finding
from eclip.data.phantom.image import Chest
from eclip.data.phantom.plan import READING, REPORT, TABLES, PlannedStudy, ReflacxReading, stream
from eclip.data.phantom.reading import DEGREE, READERS, Floats, PhantomReading, areas, read_aloud
from eclip.data.phantom.report import Report, write_report

_SCREEN = (660, 0, 3180, 2160)  # where images are shown on the 3840 × 2160 screen
_LABELS_1 = (
    "Airway wall thickening", "Atelectasis", "Consolidation", "Emphysema", "Enlarged cardiac silhouette",
    "Fibrosis", "Fracture", "Groundglass opacity", "Mass", "Nodule", "Pleural effusion",
    "Pleural thickening", "Pneumothorax", "Pulmonary edema", "Quality issue", "Support devices",
    "Wide mediastinum",
)  # fmt: skip
_LABELS_23 = (
    "Abnormal mediastinal contour", "Acute fracture", "Atelectasis", "Consolidation",
    "Enlarged cardiac silhouette", "Enlarged hilum", "Groundglass opacity", "Hiatal hernia",
    "High lung volume / emphysema", "Interstitial lung disease", "Lung nodule or mass",
    "Pleural abnormality", "Pneumothorax", "Pulmonary edema", "Support devices",
)  # fmt: skip
LABELS = {1: _LABELS_1, 2: _LABELS_23, 3: _LABELS_23}
_YES_OR_NO = ("Support devices", "Quality issue")
_SAME = {"Cardiomegaly": "Enlarged cardiac silhouette", "Edema": "Pulmonary edema"}
_NAMES = {
    1: _SAME | {"Pleural Effusion": "Pleural effusion", "Lung Lesion": "Nodule"},
    2: _SAME | {"Pleural Effusion": "Pleural abnormality", "Lung Lesion": "Lung nodule or mass"},
}
_NAMES[3] = _NAMES[2]


def write_recordings(
    root: Path, study: PlannedStudy, chest: Chest, *, seed: int
) -> list[tuple[int, dict[str, Any]]]:
    """Write all recordings of one study; return their rows of the metadata as (phase, row)."""
    return [
        (recording.phase, _write_recording(root, study, recording, chest, seed=seed))
        for recording in study.reflacx
    ]


def write_tables(root: Path, rows: Iterable[tuple[int, dict[str, Any]]]) -> None:
    """Write the metadata of the three phases, sorted by id."""
    every = sorted(rows, key=lambda item: item[1]["id"])
    for phase in (1, 2, 3):
        columns = [
            "id", "split", "eye_tracking_data_discarded", "image", "dicom_id", "subject_id",
            "image_size_x", "image_size_y", *LABELS[phase], "Other",
        ]  # fmt: skip
        table = pd.DataFrame([row for number, row in every if number == phase], columns=columns)
        _write_csv(root / "main_data" / f"metadata_phase_{phase}.csv", table)


def _write_recording(
    root: Path, study: PlannedStudy, recording: ReflacxReading, chest: Chest, *, seed: int
) -> dict[str, Any]:
    """Write one recording's files. Every reader dictates in their own words."""
    folder = root / "main_data" / recording.id
    folder.mkdir(parents=True)
    reader = READERS[recording.reader]
    part = 1 + recording.reader
    report = write_report(
        study.findings, stream(seed, REPORT, study.number, part), view=chest.view, sex=study.sex
    )
    rng = stream(seed, TABLES, study.number, 2 + part)
    height, width = chest.image_HW.shape
    certainty = [_certainty(finding, report, rng) for finding in study.findings]
    names = [_NAMES[recording.phase].get(finding.name, finding.name) for finding in study.findings]
    _write_csv(
        folder / "anomaly_location_ellipses.csv",
        _ellipses(study.findings, chest, names, certainty, LABELS[recording.phase], rng),
    )
    _write_csv(folder / "chest_bounding_box.csv", _chest_box(chest, rng))
    if not recording.discarded:
        reading = read_aloud(
            chest, study.findings, report, stream(seed, READING, study.number, part), reader=reader, zoom=True
        )
        _write_csv(folder / "fixations.csv", _fixations(reading, width, height, rng))
        words = _words(reading, rng)
        _write_csv(folder / "timestamps_transcription.csv", words)
        text = re.sub(r" (?=[.,/])", "", " ".join(words["word"]))
        (folder / "transcription.txt").write_text(text, encoding="utf-8", newline="")
    row: dict[str, Any] = {
        "id": recording.id,
        "split": study.split,
        "eye_tracking_data_discarded": recording.discarded,
        "image": f"physionet.org/files/mimic-cxr/2.0.0/{study.folder}/{study.dicom_id}.dcm",
        "dicom_id": study.dicom_id,
        "subject_id": study.subject_id,
        "image_size_x": width,
        "image_size_y": height,
    }
    row |= {label: False if label in _YES_OR_NO else 0 for label in LABELS[recording.phase]}
    return row | dict(zip(names, certainty, strict=True)) | {"Other": ""}


def _certainty(finding: Finding, report: Report, rng: np.random.Generator) -> int:
    """From 1 (unlikely) to 5 (certain), as hedged as what the reader dictated."""
    if report.labels[finding.name] == -1:
        return int(rng.choice([2, 3, 3]))
    return 4 if rng.random() < 0.2 + 0.5 * finding.subtlety else 5


def _ellipses(
    findings: Sequence[Finding],
    chest: Chest,
    names: Sequence[str],
    certainty: Sequence[int],
    labels: Sequence[str],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """An ellipse around each finding's region, drawn by hand: a little too large. One a side where it is on both."""
    height, width = chest.image_HW.shape
    rows = []
    for finding, region, name, sure in zip(findings, chest.regions, names, certainty, strict=True):
        for area in areas(finding, region):
            slack = 0.015 + np.clip(rng.normal(0, 0.006, 4), -0.01, 0.01)
            corners = (np.array(area) + slack * (-1, -1, 1, 1)) * (width, height, width, height)
            numbers = np.round(corners).astype(int).tolist()
            rows += [
                dict(zip(("xmin", "ymin", "xmax", "ymax"), numbers, strict=True))
                | {"certainty": sure}
                | {n: n == name for n in labels}
            ]
    return pd.DataFrame(rows, columns=["xmin", "ymin", "xmax", "ymax", "certainty", *labels])


def _chest_box(chest: Chest, rng: np.random.Generator) -> pd.DataFrame:
    """The box around both lungs, one row."""
    height, width = chest.image_HW.shape
    edges = ("right apex", "right costophrenic", "left apex", "left costophrenic")
    x, y = np.array([chest.landmarks[edge] for edge in edges]).T
    corners = np.array([x.min() - 0.01, y.min() - 0.05, x.max() + 0.01, y.max() + 0.02])
    corners += rng.normal(0, 0.005, 4)
    numbers = np.round(np.clip(corners, 0, 1) * (width, height, width, height)).astype(int)
    return pd.DataFrame([numbers], columns=["xmin", "ymin", "xmax", "ymax"])


def _fixations(reading: PhantomReading, width: int, height: int, rng: np.random.Generator) -> pd.DataFrame:
    """Gaze in pixels of the image, with what was on the screen and how finely it was resolved."""
    count = len(reading.x)
    shown = np.round(reading.visible * (width, height, width, height))
    extent = shown[:, 2:] - shown[:, :2]
    scale = np.minimum(
        (_SCREEN[2] - _SCREEN[0]) / extent[:, 0], (_SCREEN[3] - _SCREEN[1]) / extent[:, 1]
    )  # screen pixels an image pixel
    middle = np.array([_SCREEN[0] + _SCREEN[2], _SCREEN[1] + _SCREEN[3]]) / 2
    on_screen = np.concatenate(
        [middle - extent * scale[:, None] / 2, middle + extent * scale[:, None] / 2], axis=1
    )
    per_degree = DEGREE * (_SCREEN[3] - _SCREEN[1]) / scale * (1 + rng.normal(0, 0.01, count))
    changed = (np.arange(count) > count // 2) & (rng.random() < 0.2)  # the reader turned the contrast up
    columns = {
        "timestamp_start_fixation": reading.start,
        "timestamp_end_fixation": reading.end,
        "x_position": reading.x * width,
        "y_position": reading.y * height,
        "pupil_area_normalized": rng.normal(1.0, 0.08, count),
        "angular_resolution_x_pixels_per_degree": per_degree,
        "angular_resolution_y_pixels_per_degree": per_degree * 1.01,
        "window_width": np.where(changed, 0.7, 1.0),
        "window_level": np.where(changed, 0.45, 0.5),
    }
    edges = ("xmin", "ymin", "xmax", "ymax")
    columns |= {
        f"{edge}_shown_from_image": _whole(values) for edge, values in zip(edges, shown.T, strict=True)
    }
    columns |= {
        f"{edge}_in_screen_coordinates": _whole(values)
        for edge, values in zip(edges, on_screen.T, strict=True)
    }
    return pd.DataFrame(columns).round(4)


def _words(reading: PhantomReading, rng: np.random.Generator) -> pd.DataFrame:
    """Words and punctuation one by one; a few without length, as manual correction left them."""
    rows = []
    inserted = rng.random(len(reading.words)) < 0.03
    spoken = zip(
        reading.words, reading.word_start.tolist(), reading.word_end.tolist(), inserted.tolist(), strict=True
    )
    for word, start, end, no_length in spoken:
        stop = start if no_length else end
        for token in re.findall(r"[^\s.,;:/]+|[.,;:/]", word):
            is_word = token[0] not in ".,;:/"
            rows += [(token, start, stop) if is_word else (token.translate(_SPOKEN), stop, stop + 0.02)]
    columns = ["word", "timestamp_start_word", "timestamp_end_word"]
    return pd.DataFrame(rows, columns=columns).round(3)


_SPOKEN = str.maketrans(";:", ",,")


def _whole(values: Floats) -> Any:
    return np.round(values).astype(np.int64)


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    table.to_csv(path, index=False, lineterminator="\r\n")
