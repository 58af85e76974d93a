"""NIH ChestX-ray14: its images with the official test list, text-mined labels and some boxes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from eclip.annotations.reading import Reject, Rejection
from eclip.annotations.recording_table import read_numbers
from eclip.data.sources.cells import age_years, read_rows, sex_name, split_of, stripped
from eclip.data.sources.draft import Draft, Selection
from eclip.data.sources.image_files import image_files
from eclip.data.sources.pixel_boxes import Box, PixelBoxes
from eclip.data.sources.subset import draw
from eclip.data.study import Study
from eclip.errors import InputError

LABELS = {
    "No Finding": "No Finding",
    "Atelectasis": "Atelectasis",
    "Cardiomegaly": "Cardiomegaly",
    "Consolidation": "Consolidation",
    "Edema": "Edema",
    "Effusion": "Pleural Effusion",
    "Emphysema": "Emphysema",
    "Fibrosis": "Fibrosis",
    "Hernia": "Hernia",
    "Infiltration": "Infiltration",
    "Mass": "Mass",
    "Nodule": "Nodule",
    "Pleural_Thickening": "Pleural Thickening",
    "Pneumonia": "Pneumonia",
    "Pneumothorax": "Pneumothorax",
}
"""Labels of the tables, and what they are called here: as CheXpert calls the same finding."""
CLASSES = tuple(name for name in LABELS.values() if name != "Hernia")
"""The classes of 14×100."""
# Pixels of the PNG files; OriginalImage[Width,Height] is the size of the radiographs that they were made from.
_FRAME = (1024, 1024)
_TABLES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
_COLUMNS = (
    "Image Index",
    "Finding Labels",
    "Patient ID",
    "Patient Age",
    "Patient Gender",
    "View Position",
)
_BOX_LABELS = {name: label for name, label in LABELS.items() if name != "No Finding"}
_BOX_LABELS["Infiltrate"] = _BOX_LABELS["Infiltration"]
_BOX = ("Bbox [x", "y", "w", "h]")  # commas of the header that are in no quotes split one name into four


@dataclass(frozen=True, kw_only=True)
class NihCxr14:
    """NIH ChestX-ray14: all images with the official test split, text-mined labels and boxes, or 14×100 of them.

    Example: eclip data build nih-cxr14 --root nih-cxr14 --subset 14x100 --out store

    Attributes:
        root: Folder with Data_Entry_2017_v2020.csv (or Data_Entry_2017.csv), train_val_list.txt, test_list.txt and the
            images, in whatever folders; boxes are read where BBox_List_2017.csv is there.
        subset: 14x100 draws images with a single label from the official test list: 13 findings (not Hernia) and No
            Finding.
        per_class: How many images of each class 14x100 draws.
        seed: Another seed, another draw.
    """

    root: Path
    subset: Literal["", "14x100"] = ""
    per_class: int = 100
    seed: int = 0

    def select(self) -> Selection:
        """Select the images of the two lists, or those drawn.

        Raises:
            InputError: A folder, table, list, column or all images are missing, a class has too few images, or an
                option has no effect.
        """
        if not self.subset and (self.per_class != 100 or self.seed != 0):
            raise InputError(
                "--per-class and --seed have an effect with --subset 14x100 only; leave them out"
            )
        if not self.root.is_dir():
            raise InputError(f"{self.root}: no such folder")
        table = next((path for name in _TABLES if (path := self.root / name).is_file()), None)
        if table is None:
            raise InputError(f"{self.root}: no {_TABLES[0]}; expected the folder of ChestX-ray14")
        rejected: list[Rejection] = []
        train_val, test = (_names(self.root / f"{name}_list.txt") for name in ("train_val", "test"))
        rows = _rows(table, train_val, test, rejected.append)
        boxes = _boxes(self.root / "BBox_List_2017.csv", {*rows["image_id"]}, rejected.append)
        without_row = (train_val | test).difference(rows["Image Index"])
        skipped = {"name in a list without a row in the table": len(without_row)}
        groups: dict[str, list[str]] = {}
        if self.subset:
            groups = draw(_pools(rows), per_class=self.per_class, seed=self.seed, where=str(table))
            drawn = {image_id for ids in groups.values() for image_id in ids}
            kept = rows["image_id"].isin(drawn) | rows["reason"].ne("")  # what is broken is listed
            skipped["not drawn for 14x100"] = int((~kept).sum())
            rows = rows[kept]
        files = image_files(self.root)
        if not files:
            raise InputError(f"{self.root}: no images; unpack them there, in whatever folders")

        def drafts() -> Iterator[Draft | Rejection]:
            yield from rejected
            yield from _drafts(rows, str(table), files=files, boxes=boxes)

        return Selection(len(rejected) + len(rows), drafts, skipped, groups)


def _names(file: Path) -> set[str]:
    """The names in a list, one a line."""
    try:
        text = file.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(f"{file}: cannot be read; expected the official list of images") from error
    return {name for line in text.splitlines() if (name := line.strip())}


def _rows(table: Path, train_val: set[str], test: set[str], reject: Reject) -> pd.DataFrame:
    """The table's columns, stripped, with image_id, test (whether in the test list) and reason (why it is broken)."""
    rows = stripped(read_rows(table, columns=_COLUMNS, reject=reject, short=True))
    names, findings = rows["Image Index"], rows["Finding Labels"]
    in_train_val, in_test = names.isin(train_val), names.isin(test)
    reason = findings.map({cell: _complaint(cell) for cell in findings.unique()})
    reason = reason.mask(rows["Patient ID"].eq(""), "no patient id")
    reason = reason.mask(~(in_train_val | in_test), "in neither train_val_list.txt nor test_list.txt")
    reason = reason.mask(in_train_val & in_test, "in both train_val_list.txt and test_list.txt")
    return rows.assign(image_id=names.str.removesuffix(".png"), test=in_test, reason=reason)


def _complaint(cell: str) -> str:
    """What is wrong with a cell of labels; "" if nothing is."""
    names = cell.split("|")
    if "No Finding" in names and len(names) > 1:
        return f"Finding Labels is {cell[:80]!r}; expected No Finding alone"
    if any(name not in LABELS for name in names):
        return f"Finding Labels is {cell[:80]!r}; expected labels of ChestX-ray14, such as Effusion|Mass"
    return ""


def _pools(rows: pd.DataFrame) -> dict[str, list[str]]:
    """Class to the images of the test list that have it as their only label."""
    usable = rows["test"] & rows["reason"].eq("") & ~rows["image_id"].duplicated()
    only = rows["Finding Labels"].map(LABELS).where(usable)
    return {name: rows["image_id"][only.eq(name)].tolist() for name in CLASSES}


def _boxes(table: Path, known: set[str], reject: Reject) -> dict[str, PixelBoxes]:
    """Image id to its boxes; none where there is no table."""
    if not table.is_file():
        return {}
    rows = read_rows(table, columns=("Image Index", "Finding Label", *_BOX), reject=reject, short=True)
    rows = read_numbers(rows, _BOX, path=table, reject=reject)
    boxes: dict[str, list[Box]] = {}
    cells = zip(*(rows[name] for name in ("Image Index", "Finding Label", *_BOX)), strict=True)
    for number, (name, finding, x, y, width, height) in zip(rows.index, cells, strict=True):
        row, image_id = f"row {number}", name.strip().removesuffix(".png")
        label = _BOX_LABELS.get(finding.strip())
        if label is None:
            reject(
                Rejection(
                    str(table),
                    row,
                    f"Finding Label is {finding[:60]!r}; expected one of {', '.join(_BOX_LABELS)}",
                )
            )
        elif image_id not in known:
            reject(Rejection(str(table), row, f"no row for image {image_id[:60]!r} in the table of images"))
        else:
            box = Box(row=row, label=label, corners=(x, y, x + width, y + height))
            boxes.setdefault(image_id, []).append(box)
    return {
        image_id: PixelBoxes(file=str(table), boxes=tuple(found), frame=_FRAME)
        for image_id, found in boxes.items()
    }


def _drafts(
    rows: pd.DataFrame, table: str, *, files: dict[str, Path], boxes: dict[str, PixelBoxes]
) -> Iterator[Draft | Rejection]:
    columns = (rows[name] for name in (*_COLUMNS[1:], "image_id", "test", "reason"))
    for number, cells in zip(rows.index, zip(*columns, strict=True), strict=True):
        findings, patient_id, age, sex, view, image_id, test, reason = cells
        row = f"row {number}"
        if reason or image_id not in files:
            yield Rejection(table, row, reason or f"no image called {image_id[:60]}.png below the root")
            continue
        listed = findings.split("|")
        study = Study(
            image_id=image_id,
            study_id=image_id,
            patient_id=patient_id,
            split="test" if test else split_of(patient_id, test=False),
            view=view if view in ("PA", "AP") else "",
            sex=sex_name(sex),
            age=age_years(age),
            labels={label: int(name in listed) for name, label in LABELS.items()},
        )
        yield Draft(
            study=study, image_file=files[image_id], file=table, row=row, annotate=boxes.get(image_id)
        )
