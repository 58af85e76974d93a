"""RSNA Pneumonia Detection Challenge (stage 2): one frontal image a patient, with boxes around opacities."""

import math
from collections.abc import Collection, Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from eclip.annotations.reading import Reject, Rejection
from eclip.annotations.recording_table import read_numbers, read_table
from eclip.data.sources.cells import YES_OR_NO, stripped
from eclip.data.sources.draft import Draft, Selection
from eclip.data.sources.image_files import image_files
from eclip.data.sources.pixel_boxes import Box, PixelBoxes
from eclip.data.study import Study
from eclip.errors import InputError

_FRAME = (1024, 1024)  # of the boxes: the size of every DICOM file, also where the images were made smaller
_BOX = ["x", "y", "width", "height"]
_CLASSES = {
    "Lung Opacity": {"Lung Opacity": 1, "No Finding": 0},
    "No Lung Opacity / Not Normal": {"Lung Opacity": 0, "No Finding": 0},
    "Normal": {"Lung Opacity": 0, "No Finding": 1},
}


@dataclass(frozen=True, kw_only=True)
class Rsna:
    """RSNA Pneumonia: the labelled images of the Kaggle challenge's second stage, with boxes around opacities.

    Example: eclip data build rsna --root rsna --out store

    Attributes:
        root: Folder of stage_2_train_labels.csv, with the images in stage_2_train_images/ or images/.
    """

    root: Path

    def select(self) -> Selection:
        """Select all patients of the label table; each has one image.

        Raises:
            InputError: A folder, table or column is missing, or two images have one id.
        """
        if not self.root.is_dir():
            raise InputError(f"{self.root}: no such folder")
        file = self.root / "stage_2_train_labels.csv"
        rejected: list[Rejection] = []
        rows = stripped(read_table(file, columns=("patientId", *_BOX, "Target"), reject=rejected.append))
        splits = gloria_splits(sorted(patient for patient in rows["patientId"].unique() if patient))
        targets = _targets(rows, file, rejected.append)
        boxes = _boxes(rows, targets, file, rejected.append)
        classes = self._classes(splits, rejected.append)
        folders = [self.root / name for name in ("stage_2_train_images", "images")]
        if not any(folder.is_dir() for folder in folders):
            raise InputError(f"{folders[0]}: no such folder; expected the images there or in {folders[1]}")
        images = image_files(*folders)

        def drafts() -> Iterator[Draft | Rejection]:
            yield from rejected
            for patient_id, target in targets.items():
                if patient_id not in images:
                    yield Rejection(str(file), patient_id, "no image of this name")
                    continue
                study = Study(
                    image_id=patient_id,
                    study_id=patient_id,
                    patient_id=patient_id,
                    split=splits[patient_id],
                    labels={"Pneumonia": target} | classes.get(patient_id, {}),
                )
                yield Draft(
                    study=study,
                    image_file=images[patient_id],
                    file=str(file),
                    row=patient_id,
                    annotate=PixelBoxes(file=str(file), boxes=tuple(boxes.get(patient_id, ())), frame=_FRAME),
                )

        return Selection(len(rejected) + len(targets), drafts)

    def _classes(self, known: Container[str], reject: Reject) -> dict[str, dict[str, int]]:
        """Patient to the labels of their class; none where the table is not there."""
        file = self.root / "stage_2_detailed_class_info.csv"
        if not file.is_file():
            return {}
        classes: dict[str, str] = {}
        rows = stripped(read_table(file, columns=("patientId", "class"), reject=reject))
        for line, patient_id, name in zip(rows.index, rows["patientId"], rows["class"], strict=True):
            if patient_id not in known:
                reason = f"patient {patient_id[:80]!r} has no sound row in stage_2_train_labels.csv"
            elif name not in _CLASSES:
                reason = f"class is {name[:80]!r}; expected {', '.join(map(repr, _CLASSES))}"
            elif classes.setdefault(patient_id, name) != name:
                reason = f"class is {name!r}, but {classes[patient_id]!r} in an earlier row, which counts"
            else:
                continue
            reject(Rejection(str(file), f"line {line}", reason))
        return {patient_id: _CLASSES[name] for patient_id, name in classes.items()}


def gloria_splits(patients: Sequence[str]) -> dict[str, str]:
    """Split patients as GLoRIA does: 70 % train, 15 % validate, 15 % test (18,678, 4,003 and 4,003 of 26,684).

    It calls scikit-learn's `train_test_split` twice with seed 0, first for 30 % of the patients, then for half of
    those, and tests on the first part. In which order its patients stand is not documented; `select` sorts them, as
    the grouping by patient that it begins with does in pandas, so that the order of the table does not matter.

    Args:
        patients: Without repetition.
    """
    train, held_out = _parts(np.arange(len(patients)), 0.3)
    test, validate = _parts(held_out, 0.5)
    split_of = {"train": train, "validate": validate, "test": test}
    return {patients[i]: split for split, part in split_of.items() for i in part.tolist()}


def _parts(items: np.ndarray, fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """What scikit-learn's `train_test_split(items, test_size=fraction, random_state=0)` gives, of any number."""
    order = np.random.RandomState(0).permutation(len(items))
    second = math.ceil(fraction * len(items))
    return items[order[second:]], items[order[:second]]


def _targets(rows: pd.DataFrame, file: Path, reject: Reject) -> dict[str, int]:
    """Patient to Target. Patients of whom the rows say both are left out."""
    targets: dict[str, int] = {}
    contradicted: set[str] = set()
    for line, patient_id, cell in zip(rows.index, rows["patientId"], rows["Target"], strict=True):
        if not patient_id:
            reason = "no patientId"
        elif cell not in YES_OR_NO:
            reason = f"Target is {cell[:80]!r}; expected 0 or 1"
        elif targets.setdefault(patient_id, YES_OR_NO[cell]) != YES_OR_NO[cell]:
            contradicted.add(patient_id)
            reason = f"Target is {cell!r}, unlike in an earlier row: patient {patient_id[:80]!r} is left out"
        else:
            continue
        reject(Rejection(str(file), f"line {line}", reason))
    return {patient_id: target for patient_id, target in targets.items() if patient_id not in contradicted}


def _boxes(rows: pd.DataFrame, patients: Collection[str], file: Path, reject: Reject) -> dict[str, list[Box]]:
    """Patient to boxes: one in each row whose Target is 1."""
    rows = rows[rows["patientId"].isin(patients)]
    targets = rows["Target"].map(YES_OR_NO)
    for line in rows.index[(targets == 0) & (rows[_BOX] != "").any(axis=1)]:
        reject(Rejection(str(file), f"line {line}", "a box, although Target is 0"))
    rows = read_numbers(rows[targets == 1], _BOX, path=file, reject=reject)
    boxes: dict[str, list[Box]] = {}
    numbers = (rows[name].tolist() for name in _BOX)
    for line, patient_id, x, y, width, height in zip(rows.index, rows["patientId"], *numbers, strict=True):
        box = Box(row=f"line {line}", label="Lung Opacity", corners=(x, y, x + width, y + height))
        boxes.setdefault(patient_id, []).append(box)
    return boxes
