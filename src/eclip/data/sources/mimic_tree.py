"""The folder of MIMIC-CXR-JPG: its tables, and where its images and reports lie."""

import re
from functools import cached_property
from pathlib import Path
from typing import Literal

import pandas as pd
from PIL import Image

from eclip.annotations.annotation import Annotation
from eclip.annotations.reading import Reading, Rejection
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
from eclip.data.study import Study
from eclip.errors import InputError

LABELS = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Enlarged Cardiomediastinum", "Fracture",
    "Lung Lesion", "Lung Opacity", "No Finding", "Pleural Effusion", "Pleural Other", "Pneumonia", "Pneumothorax",
    "Support Devices",
)  # fmt: skip
Labeler = Literal["chexpert", "negbio"]
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
    def labels(self) -> dict[str, tuple[str, ...]]:
        """Study id to the cells of `LABELS`: the labeler's, or the radiologists' where they labelled the study."""
        cells: dict[str, tuple[str, ...]] = {}
        radiologists = tuple("Airspace Opacity" if name == "Lung Opacity" else name for name in LABELS)
        for path, names in (
            (self.table_path(self._labeler), LABELS),
            (self._table(_RADIOLOGISTS), radiologists),
        ):
            if path is not None:
                frame = self._rows(path, ("study_id", *names))
                columns = (frame[name] for name in names)
                cells.update(zip(frame["study_id"], zip(*columns, strict=True), strict=True))
        return cells

    def _rows(self, path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
        return read_rows(path, columns=columns, reject=self.rejected.append)

    @cached_property
    def _image_files(self) -> dict[str, Path]:
        return {path.stem: path for path in sorted(self._images.rglob(f"*{self._suffix}"))}

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

    def labels_of(self, study_id: str) -> dict[str, int]:
        """The labels of a study that are mentioned.

        Raises:
            InputError: A cell that is no label.
        """
        return label_values(LABELS, self.labels.get(study_id, ("",) * len(LABELS)))

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
        annotations: tuple[Annotation, ...] = (),
        reading: Reading | None = None,
        split: str = "",
    ) -> Draft | Rejection:
        """One image, without having looked at its files.

        Args:
            image_id: DICOM id.
            patient_id: Subject id, without the "p".
            study_id: Without the "s".
            view: As the table spells it.
            file: The table that lists it, for rejections.
            annotations: What was left on it.
            reading: Tells sex and age; split, labels and text where the tables and the report do not.
            split: Instead of the table's.
        """
        try:
            for name, cell in (("dicom_id", image_id), ("subject_id", patient_id), ("study_id", study_id)):
                if not _ID.fullmatch(cell):  # it will name a file
                    raise InputError(f"{name} is {cell[:60]!r}, which is no id")
            labels = self.labels_of(study_id)
            split = split or self.splits.get(image_id) or ""
            split = split or (reading and (reading.split or split_of(patient_id))) or ""
            study = Study(
                image_id=image_id,
                study_id=study_id,
                patient_id=patient_id,
                split=split_name(split),
                view=view_code(view),
                sex=sex_name(reading.sex) if reading else "",
                age=age_years(reading.age) if reading else None,
                text=" ".join(reading.text.split()) if reading else "",
                labels=labels or (reading.labels if reading else {}),
                annotations=annotations,
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
