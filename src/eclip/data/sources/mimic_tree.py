"""The folder of MIMIC-CXR-JPG: its tables, and where its images and reports lie."""

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import pandas as pd
from PIL import Image

from eclip.annotations.reading import Reading, Rejection, first_told
from eclip.data.sources.cells import (
    age_years,
    label_values,
    read_rows,
    sex_name,
    split_name,
    split_of,
    view_code,
)
from eclip.data.sources.draft import Draft
from eclip.data.sources.image_files import files_below
from eclip.data.study import Study
from eclip.errors import InputError

LABELS = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Enlarged Cardiomediastinum", "Fracture",
    "Lung Lesion", "Lung Opacity", "No Finding", "Pleural Effusion", "Pleural Other", "Pneumonia", "Pneumothorax",
    "Support Devices",
)  # fmt: skip
Labeler = Literal["chexpert", "negbio", "none"]
_METADATA = ("dicom_id", "subject_id", "study_id", "ViewPosition", "Rows", "Columns")
_RADIOLOGISTS = "mimic-cxr-2.1.0-test-set-labeled"
_PIXELS = re.compile(r"[1-9]\d{0,5}", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,99}", re.ASCII)


class MimicTree:
    """The folder of MIMIC-CXR-JPG 2.0.0 or 2.1.0; a table may be missing as long as nobody needs it.

    Args:
        root: Holds `files/` and the `mimic-cxr-2.0.0-*.csv.gz` tables (or the same unzipped).
        reports: Holds the report files (MIMIC-CXR, or the unzipped mimic-cxr-reports); `root` if None.
        dicom: Holds the images as MIMIC-CXR's DICOM files; the JPEGs of `root` if None.
        labeler: Whose labels to read.

    Attributes:
        rejected: Rows of the tables read so far that cannot be used.

    Raises:
        InputError: No such folder.
    """

    def __init__(
        self,
        root: Path,
        reports: Path | None = None,
        *,
        dicom: Path | None = None,
        labeler: Labeler = "chexpert",
    ) -> None:
        for folder in filter(None, (root, reports, dicom)):
            if not folder.is_dir():
                raise InputError(f"{folder}: no such folder")
        self.root = root
        self.rejected: list[Rejection] = []
        self._reports = _files(reports or root)
        self._images, self._suffix = (root / "files", ".jpg") if dicom is None else (_files(dicom), ".dcm")
        self._labeler = labeler

    def table_path(self, name: str) -> Path | None:
        """The file of a table ("metadata", "split", "chexpert", "negbio"), or None."""
        return self._table(f"mimic-cxr-2.0.0-{name}")

    def _table(self, name: str) -> Path | None:
        paths = (self.root / f"{name}.csv{suffix}" for suffix in (".gz", ""))
        return next((path for path in paths if path.is_file()), None)

    def read_all(self) -> list[Rejection]:
        """Read all tables, and return the rows of them that cannot be used."""
        _ = self.metadata, self.splits, self.labels
        return self.rejected

    def need(self, name: str) -> Path:
        """The file of a table.

        Raises:
            InputError: It is not there.
        """
        path = self.table_path(name)
        if path is None:
            raise InputError(
                f"{self.root}: no mimic-cxr-2.0.0-{name}.csv.gz; expected a MIMIC-CXR-JPG folder"
            )
        return path

    @cached_property
    def metadata(self) -> pd.DataFrame:
        """One row an image, indexed by its id; empty where there is no table."""
        path = self.table_path("metadata")
        frame = pd.DataFrame(columns=list(_METADATA)) if path is None else self._rows(path, _METADATA)
        return frame.set_index("dicom_id", drop=False)

    @cached_property
    def splits(self) -> dict[str, str]:
        """Image id to split."""
        path = self.table_path("split")
        if path is None:
            return {}
        frame = self._rows(path, ("dicom_id", "split"))
        return dict(zip(frame["dicom_id"], frame["split"], strict=True))

    @cached_property
    def labels(self) -> dict[str, dict[str, int]]:
        """Study id to the labels that are mentioned: the labeler's, or the radiologists' where they labelled it."""
        labels: dict[str, dict[str, int]] = {}
        radiologists = tuple("Airspace Opacity" if name == "Lung Opacity" else name for name in LABELS)
        for path, names in (
            (self.table_path(self._labeler), LABELS),
            (self._table(_RADIOLOGISTS), radiologists),
        ):
            if path is not None:
                frame = self._rows(path, ("study_id", *names))
                cells = zip(*(frame[name] for name in names), strict=True)
                for number, study_id, row in zip(frame.index, frame["study_id"], cells, strict=True):
                    try:
                        labels[study_id] = label_values(LABELS, row)
                    except InputError as error:
                        self.rejected.append(Rejection(str(path), f"row {number}", str(error)))
        return labels

    def _rows(self, path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
        return read_rows(path, columns=columns, reject=self.rejected.append)

    @cached_property
    def _image_files(self) -> dict[str, Path]:
        paths = (path for path in files_below(self._images) if path.suffix == self._suffix)
        return {path.stem: path for path in sorted(paths)}

    def view(self, image_id: str) -> str:
        """AP, PA, LATERAL, LL, or "" where the table does not tell it."""
        return view_code(self._row(image_id)["ViewPosition"])

    def image_size(self, image_id: str) -> tuple[int, int] | None:
        """(width, height) of an original image; from its header where the table does not tell it."""
        row = self._row(image_id)
        if all(_PIXELS.fullmatch(row[name]) for name in ("Columns", "Rows")):
            return int(row["Columns"]), int(row["Rows"])
        try:
            with Image.open(self._image_files[image_id]) as image:
                return image.size
        except (KeyError, OSError, Image.DecompressionBombError):
            return None

    def _row(self, image_id: str) -> dict[str, str]:
        rows = self.metadata
        if image_id not in rows.index:
            return dict.fromkeys(_METADATA, "")
        return {str(name): str(cell) for name, cell in rows.loc[[image_id]].iloc[0].items()}

    def draft(
        self,
        image_id: str,
        *,
        patient_id: str,
        study_id: str,
        view: str = "",
        file: Path,
        readings: Sequence[Reading] = (),
        stand_in: Reading | None = None,
        split: str = "",
    ) -> Draft | Rejection:
        """One image, without having looked at its files.

        Args:
            image_id: DICOM id.
            patient_id: Subject id, without the "p".
            study_id: Without the "s".
            view: As the table spells it.
            file: The table that lists it, for rejections.
            readings: Of the image: their annotations, and the sex and age that the first of them tells.
            stand_in: Tells split, labels and text where the tables and the report do not.
            split: Instead of the table's.
        """
        try:
            for name, cell in (("dicom_id", image_id), ("subject_id", patient_id), ("study_id", study_id)):
                if not _ID.fullmatch(cell):  # it will name a file
                    raise InputError(f"{name} is {cell[:60]!r}, which is no id")
            split = split or self.splits.get(image_id, "")
            if stand_in is not None:
                split = split or stand_in.split or split_of(patient_id)
            if not split:
                raise InputError("the table of splits does not list it")
            study = Study(
                image_id=image_id,
                study_id=study_id,
                patient_id=patient_id,
                split=split_name(split),
                view=view_code(view),
                sex=sex_name(first_told(reading.sex for reading in readings)),
                age=age_years(first_told(reading.age for reading in readings)),
                text=" ".join(stand_in.text.split()) if stand_in else "",
                labels=self.labels.get(study_id) or (stand_in.labels if stand_in else {}),
                annotations=tuple(found for reading in readings for found in reading.annotations),
            )
        except InputError as error:
            return Rejection(str(file), image_id, str(error))
        patient = Path(f"p{patient_id[:2]}", f"p{patient_id}")
        return Draft(
            study=study,
            image_file=self._images / patient / f"s{study_id}" / f"{image_id}{self._suffix}",
            report_file=self._reports / patient / f"s{study_id}.txt",
            file=str(file),
            row=image_id,
        )


def _files(folder: Path) -> Path:
    """Where the folders p10 … p19 lie."""
    return folder / "files" if (folder / "files").is_dir() else folder
