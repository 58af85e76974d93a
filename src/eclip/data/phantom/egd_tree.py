"""The phantom's gaze as an EGD-CXR 1.0.0 tree.

The raw 60 Hz samples (`eye_gaze.csv`, 400 MB for the real 1,083 studies) and the sound are left out:
whoever has the fixations and the transcripts needs neither.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eclip.data.phantom.image import Chest
from eclip.data.phantom.mimic_tree import LABELS
from eclip.data.phantom.plan import TABLES, PlannedStudy, stream
from eclip.data.phantom.reading import Floats, PhantomReading
from eclip.data.phantom.report import Report

SCREEN = (1920, 1080)
_CASES_A_SESSION = 30
_CALIBRATED_EVERY = 5  # images; then three fixations on a slide
_START_TICK = 600_000_000_000  # of a clock with 10⁷ ticks a second

# The emergency department's diagnosis: a class of the patient, not of what the image shows.
_CHF = {"Cardiomegaly", "Edema", "Pleural Effusion"}
_DIAGNOSES = {
    "Normal": (("Cough", "R05"), ("Chest pain, unspecified", "R07.9")),
    "CHF": (("Heart failure, unspecified", "I50.9"), ("Essential (primary) hypertension", "I10")),
    "pneumonia": (("Pneumonia, unspecified organism", "J18.9"), ("Fever, unspecified", "R50.9")),
}
_RADIOLOGIST_LABELS = {
    "consolidation": "Consolidation",
    "enlarged_cardiac_silhouette": "Cardiomegaly",
    "linear__patchy_atelectasis": "Atelectasis",
    "lobar__segmental_collapse": "",
    "not_otherwise_specified_opacity___pleural__parenchymal_opacity__": "Lung Lesion",
    "pleural_effusion_or_thickening": "Pleural Effusion",
    "pulmonary_edema__hazy_opacity": "Edema",
}
_REST = ("elevated_hemidiaphragm", "hyperaeration", "vascular_redistribution")


@dataclass(frozen=True, slots=True)
class EgdParts:
    """What one study adds to the tables."""

    master: dict[str, Any]
    fixations: pd.DataFrame
    boxes: list[dict[str, Any]]


def write_recording(
    root: Path, study: PlannedStudy, chest: Chest, report: Report, reading: PhantomReading, *, seed: int
) -> EgdParts:
    """Write the transcript of one study; return its rows of the tables."""
    folder = root / "audio_segmentation_transcripts" / study.dicom_id
    folder.mkdir(parents=True)
    words = [
        {"phrase": word, "begin_time": round(start, 2), "end_time": round(end, 2)}
        for word, start, end in zip(
            reading.words, reading.word_start.tolist(), reading.word_end.tolist(), strict=True
        )
    ]
    transcript = {"full_text": " ".join(reading.words), "time_stamped_text": words}
    (folder / "transcript.json").write_text(json.dumps(transcript), encoding="utf-8")
    rng = stream(seed, TABLES, study.number, 2)
    return EgdParts(
        _master_row(study, chest, report, rng), _fixations(study, chest, reading, rng), _boxes(study, chest)
    )


def write_tables(root: Path, recordings: Iterable[EgdParts]) -> None:
    """Write the tables, in the order in which the studies were read."""
    parts = sorted(recordings, key=lambda part: part.master["_order"])
    master = pd.DataFrame([part.master for part in parts]).drop(columns="_order")
    master.to_csv(root / "master_sheet.csv", index=False)
    pd.concat([part.fixations for part in parts]).to_csv(root / "fixations.csv", index=False)
    pd.DataFrame([row for part in parts for row in part.boxes]).to_csv(
        root / "bounding_boxes.csv", index=False
    )


def pads(width: int, height: int) -> tuple[int, int, int, int]:
    """Screen pixels around an image shown as large as it goes: top, bottom, left, right."""
    scale = min(SCREEN[0] / width, SCREEN[1] / height)
    beside, above = SCREEN[0] - round(width * scale), SCREEN[1] - round(height * scale)
    return above // 2, above - above // 2, beside // 2, beside - beside // 2


def _master_row(
    study: PlannedStudy, chest: Chest, report: Report, rng: np.random.Generator
) -> dict[str, Any]:
    present = {finding.name for finding in study.findings}
    condition = "CHF" if present & _CHF else "pneumonia" if present else "Normal"
    height, width = chest.image_HW.shape
    diagnoses = _DIAGNOSES[condition][: 1 + int(rng.integers(2))]
    indication = report.header[1][1]
    if rng.random() < 0.3:
        indication = indication.replace(" ", "\n", 1)  # multi-line cells, as in the original
    top, bottom, left, right = pads(width, height)
    row: dict[str, Any] = {
        "_order": study.egd,
        "dicom_id": study.dicom_id,
        "path": f"{study.folder}/{study.dicom_id}.dcm",
        "study_id": study.study_id,
        "patient_id": study.subject_id,
        "stay_id": 30_000_000 + int(rng.integers(10_000_000)),
        "gender": study.sex,
        "anchor_age": f"{study.age} - {study.age + 10}",
        "image_top_pad": top,
        "image_bottom_pad": bottom,
        "image_left_pad": left,
        "image_right_pad": right,
    }
    for place in range(9):
        row[f"dx{place + 1}"], row[f"dx{place + 1}_icd"] = (
            diagnoses[place] if place < len(diagnoses) else (None, None)
        )
    row["normal_reports"] = int(condition == "Normal")
    row |= {name: int(name == condition) for name in ("Normal", "CHF", "pneumonia")}
    row |= {column: int(name in present) for column, name in _RADIOLOGIST_LABELS.items()}
    row["normal_anatomically"] = int(not present)
    row |= dict.fromkeys(_REST, 0)
    row |= {f"{name.lower().replace(' ', '_')}__chx": report.labels.get(name) for name in sorted(LABELS)}
    return row | {"cxr_exam_indication": indication}


def _fixations(
    study: PlannedStudy, chest: Chest, reading: PhantomReading, rng: np.random.Generator
) -> pd.DataFrame:
    """The study's rows of fixations.csv; before every fifth image those of a calibration slide."""
    height, width = chest.image_HW.shape
    top, bottom, left, right = pads(width, height)
    x = (left + reading.x * (SCREEN[0] - left - right)) / SCREEN[0]
    y = (top + reading.y * (SCREEN[1] - top - bottom)) / SCREEN[1]
    table = _recorded(study, width, height, np.stack([x, y, reading.start, reading.end], axis=1), rng)
    assert study.egd is not None
    if study.egd % _CALIBRATED_EVERY:
        return table
    slide_start = np.array([0.2, 0.9, 1.6])
    centre = 0.5 + rng.normal(0, 0.01, (3, 2))
    slide = _recorded(study, width, height, np.column_stack([centre, slide_start, slide_start + 0.6]), rng)
    slide["DICOM_ID"] = study.dicom_id[:-5]
    return pd.concat([slide, table])


def _recorded(
    study: PlannedStudy, width: int, height: int, gaze: Floats, rng: np.random.Generator
) -> pd.DataFrame:
    """What the tracker writes for fixations (screen x, y, start, end): the last sample of each."""
    count = len(gaze)
    x, y, start, end = gaze.round(5).T
    duration = (end - start).round(5)
    time = (start + duration).round(5)
    x_original, y_original = to_image(x, y, width, height)
    step = np.diff(
        np.stack([x * SCREEN[0], y * SCREEN[1]], axis=1),
        axis=0,
        prepend=[[x[0] * SCREEN[0], y[0] * SCREEN[1]]],
    )
    valid = (rng.random(count) > 0.01).astype(int)
    best = np.stack([x, y], axis=1) + rng.normal(0, 0.003, (count, 2))
    pupil = {
        eye: rng.normal((centre, 0.5, 18, 1.0, 3.4), (0.01, 0.01, 1.0, 0.02, 0.2), (count, 5)).round(5)
        for eye, centre in (("L", 0.4), ("R", 0.6))
    }
    blink = np.cumsum(rng.random(count) < 0.05)
    assert study.egd is not None
    columns: dict[str, Any] = {
        "SESSION_ID": study.egd // _CASES_A_SESSION + 1,
        "MEDIA_ID": study.egd % _CASES_A_SESSION,
        "DICOM_ID": study.dicom_id,
        "CNT": (time * 60).astype(int),
        "Time (in secs)": time,
        "TIMETICK(f=10000000)": _START_TICK + study.egd * 10**9 + (time * 10**7).astype(np.int64),
        "FPOGX": x, "FPOGY": y, "FPOGS": start, "FPOGD": duration,
        "FPOGID": np.arange(1, count + 1), "FPOGV": valid,
        "BPOGX": best[:, 0].round(5), "BPOGY": best[:, 1].round(5), "BPOGV": valid,
    }  # fmt: skip
    for eye, values in pupil.items():
        columns |= {
            f"{eye}PCX": values[:, 0],
            f"{eye}PCY": values[:, 1],
            f"{eye}PD": values[:, 2],
            f"{eye}PS": values[:, 3],
            f"{eye}PV": valid,
        }
    columns |= {"BKID": blink, "BKDUR": 0.0, "BKPMIN": 12}
    for eye, values in pupil.items():
        columns |= {f"{eye}PMM": values[:, 4], f"{eye}PMMV": valid}
    columns |= {
        "SACCADE_MAG": np.hypot(*step.T).round(3),
        "SACCADE_DIR": (np.degrees(np.arctan2(-step[:, 1], step[:, 0])) % 360).round(3),
        "VID_FRAME": 0,
        "X_ORIGINAL": x_original,
        "Y_ORIGINAL": y_original,
    }
    return pd.DataFrame(columns)


def to_image(x: Floats, y: Floats, width: int, height: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels of the image from fractions of the screen, as EGD-CXR maps them: -1, scaled, beside the image.

    Images as small as the phantom's would scale -1 to 0, a place on the image: it stays at least -1.
    """
    top, bottom, left, right = pads(width, height)
    scale_x, scale_y = width / (SCREEN[0] - left - right), height / (SCREEN[1] - top - bottom)
    screen_x, screen_y = x * SCREEN[0], y * SCREEN[1]
    on_image = (
        (left < screen_x)
        & (screen_x < SCREEN[0] - right)
        & (top < screen_y)
        & (screen_y < SCREEN[1] - bottom)
    )
    x_image = np.where(on_image, scale_x * (screen_x - left), min(-1, -scale_x))
    y_image = np.where(on_image, scale_y * (screen_y - top), min(-1, -scale_y))
    return x_image.astype(np.int64), y_image.astype(np.int64)


def _boxes(study: PlannedStudy, chest: Chest) -> list[dict[str, Any]]:
    """Boxes of the anatomy around the chest's landmarks, in pixels."""
    height, width = chest.image_HW.shape
    at = chest.landmarks
    middle = at["mediastinum"][0]
    boxes = {
        "cardiac silhouette": _around(at["heart"], 0.16, 0.12),
        "mediastinum": (middle - 0.09, at["trachea"][1] - 0.05, middle + 0.09, at["heart"][1] + 0.12),
        "trachea": _around(at["trachea"], 0.03, 0.08),
    }
    for side in ("left", "right"):
        top, bottom = at[f"{side} apex"][1] - 0.03, at[f"{side} costophrenic"][1] + 0.01
        upper, lower = (
            (at[f"{side} upper"][1] + at[f"{side} mid"][1]) / 2,
            (at[f"{side} mid"][1] + at[f"{side} lower"][1]) / 2,
        )
        inner, outer = middle + 0.1 * (at[f"{side} mid"][0] - middle), at[f"{side} costophrenic"][0]
        x0, x1 = min(inner, outer), max(inner, outer)
        boxes[f"{side} lung"] = (x0, top, x1, bottom)
        boxes[f"{side} upper lung zone"] = (x0, top, x1, upper)
        boxes[f"{side} mid lung zone"] = (x0, upper, x1, lower)
        boxes[f"{side} lower lung zone"] = (x0, lower, x1, bottom)
        boxes[f"{side} hilar structures"] = _around(
            ((inner + at[f"{side} mid"][0]) / 2, at[f"{side} mid"][1]), 0.06, 0.08
        )
        boxes[f"{side} costophrenic angle"] = _around(at[f"{side} costophrenic"], 0.05, 0.05)
        boxes[f"{side} clavicle"] = _around((at[f"{side} apex"][0], at[f"{side} apex"][1] + 0.03), 0.12, 0.03)
    rows = []
    for name, (x0, y0, x1, y1) in boxes.items():
        x_pair = (np.clip([x0, x1], 0, 1) * width).round(2).tolist()
        y_pair = (np.clip([y0, y1], 0, 1) * height).round(2).tolist()
        rows += [{
            "dicom_id": study.dicom_id, "bbox_name": name,
            "x1": x_pair[0], "x2": x_pair[1], "y1": y_pair[0], "y2": y_pair[1],
        }]  # fmt: skip
    return rows


def _around(
    point: tuple[float, float], half_width: float, half_height: float
) -> tuple[float, float, float, float]:
    return point[0] - half_width, point[1] - half_height, point[0] + half_width, point[1] + half_height
