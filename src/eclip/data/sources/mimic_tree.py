"""The folder of MIMIC-CXR-JPG: its tables, and where its images and reports lie."""

from functools import cached_property
from pathlib import Path

import pandas as pd
from PIL import Image

from eclip.annotations.annotation import Annotation
from eclip.annotations.reading import Reading, Rejection
from eclip.data.sources.cells import label_values, read_table, split_name, split_of
from eclip.data.sources.draft import Draft
from eclip.data.study import Study
from eclip.errors import InputError

_METADATA = ["dicom_id", "subject_id", "study_id", "ViewPosition", "Rows", "Columns"]
_IDS = {"dicom_id", "subject_id", "study_id"}


class MimicTree:
    """The folder of MIMIC-CXR-JPG 2.0.0 or 2.1.0; a table may be missing as long as nobody needs it.

    Args:
        root: Holds `files/` and the `mimic-cxr-2.0.0-*.csv.gz` tables (or the same unzipped).
        reports: Holds the report files (MIMIC-CXR, or the unzipped mimic-cxr-reports); `root` if None.

    Raises:
        InputError: No such folder.
    """

    def __init__(self, root: Path, reports: Path | None = None) -> None:
        for folder in filter(None, (root, reports)):
            if not folder.is_dir():
                raise InputError(f"{folder}: no such folder")
        self.root = root
        reports = reports or root
        self._reports = reports / "files" if (reports / "files").is_dir() else reports

    def table_path(self, name: str) -> Path | None:
        """The file of a table ("metadata", "split", "chexpert"), or None."""
        paths = (self.root / f"mimic-cxr-2.0.0-{name}.csv{suffix}" for suffix in (".gz", ""))
        return next((path for path in paths if path.is_file()), None)

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
        frame = (
            pd.DataFrame(columns=_METADATA)
            if path is None
            else read_table(path, columns=_METADATA, only=True)
        )
        return frame.set_index("dicom_id", drop=False)

    @cached_property
    def splits(self) -> dict[str, str]:
        """Image id to split."""
        path = self.table_path("split")
        if path is None:
            return {}
        frame = read_table(path, columns=("dicom_id", "split"), only=True)
        return dict(zip(frame["dicom_id"], frame["split"], strict=True))

    @cached_property
    def labels(self) -> tuple[list[str], dict[str, tuple[str, ...]]]:
        """Label names, and study id to their cells."""
        path = self.table_path("chexpert")
        if path is None:
            return [], {}
        frame = read_table(path, columns=("study_id",))
        names = [str(name) for name in frame.columns if name not in _IDS]
        cells = zip(*(frame[name] for name in names), strict=True) if names else iter(())
        return names, dict(zip(frame["study_id"], cells, strict=False))

    @cached_property
    def _image_files(self) -> dict[str, Path]:
        return {path.stem: path for path in sorted((self.root / "files").rglob("*.jpg"))}

    def view(self, image_id: str) -> str:
        """AP, PA, …, or "" where the table does not tell it."""
        return self._row(image_id)["ViewPosition"]

    def image_size(self, image_id: str) -> tuple[int, int] | None:
        """(width, height) of an original image; from its header where the table does not tell it."""
        row = self._row(image_id)
        if row["Columns"].isdigit() and row["Rows"].isdigit():
            return int(row["Columns"]), int(row["Rows"])
        try:
            with Image.open(self._image_files[image_id]) as image:
                return image.size
        except (KeyError, OSError):
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
        annotations: tuple[Annotation, ...] = (),
        reading: Reading | None = None,
    ) -> Draft | Rejection:
        """One image, without having looked at its files.

        Args:
            image_id: DICOM id.
            patient_id: Subject id, without the "p".
            study_id: Without the "s".
            view: AP or PA.
            file: The table that lists it, for rejections.
            annotations: What was left on it.
            reading: Tells split, labels and text where the tables and the report do not.
        """
        names, cells = self.labels
        try:
            labels = label_values(names, cells[study_id]) if study_id in cells else {}
            split = self.splits.get(image_id) or (reading and (reading.split or split_of(patient_id))) or ""
            study = Study(
                image_id=image_id,
                study_id=study_id,
                patient_id=patient_id,
                split=split_name(split),
                view=view,
                text=" ".join(reading.text.split()) if reading else "",
                labels=labels or (reading.labels if reading else {}),
                annotations=annotations,
            )
        except InputError as error:
            return Rejection(str(file), image_id, str(error))
        patient = Path(f"p{patient_id[:2]}", f"p{patient_id}")
        return Draft(
            study=study,
            image_file=self.root / "files" / patient / f"s{study_id}" / f"{image_id}.jpg",
            report_file=self._reports / patient / f"s{study_id}.txt",
            file=str(file),
            row=image_id,
        )
