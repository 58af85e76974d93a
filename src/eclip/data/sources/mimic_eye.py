"""MIMIC-Eye: EGD-CXR and REFLACX sorted into one folder a patient, with the images and reports they belong to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from eclip.annotations.egd_cxr import read_egd_cxr
from eclip.annotations.reading import Reading, Reject, Rejection, first_told
from eclip.annotations.reflacx import read_reflacx
from eclip.data.sources.cells import age_years, read_rows, sex_name, split_name, split_of, view_code
from eclip.data.sources.draft import Draft, Selection
from eclip.data.study import Study
from eclip.errors import InputError

Sizes = Mapping[str, tuple[int, int]]
"""Image id to (width, height) in pixels."""


@dataclass(frozen=True, kw_only=True)
class MimicEye:
    """MIMIC-Eye: EGD-CXR and REFLACX with their images of MIMIC-CXR, one folder a patient; the annotated images alone.

    Example: eclip data build mimic-eye --root mimic-eye --out store

    Attributes:
        root: Holds the folders patient_… and spreadsheets.
    """

    root: Path

    def select(self) -> Selection:
        """Select the images that someone was watched reading.

        Raises:
            InputError: No such folder, or a column of `spreadsheets/cxr_meta.csv` missing.
        """
        folders = sorted(folder for folder in self.root.glob("patient_*") if folder.is_dir())
        if not folders:
            raise InputError(f"{self.root}: no folders patient_…; expected a MIMIC-Eye folder")
        items: list[Draft | Rejection] = []
        views, sizes = _metadata(self.root / "spreadsheets" / "cxr_meta.csv", items.append)
        unread = 0
        for folder in folders:
            files = {file.stem: file for file in sorted(folder.glob("CXR-JPG/s*/*.jpg"))}
            readings = _readings(folder, files, sizes, reject=items.append)
            unread += len(files) - len(readings)
            splits = [reading.split for of_image in readings.values() for reading in of_image]
            split = first_told(splits)
            for image_id, of_image in readings.items():
                view = views.get(image_id, "")
                items.append(_draft(folder, files[image_id], of_image, split=split, view=view))
        return Selection(len(items), lambda: iter(items), {"no usable gaze on the image": unread})


def _metadata(path: Path, reject: Reject) -> tuple[dict[str, str], Sizes]:
    """The views and sizes of images; none where there is no table."""
    if not path.exists():
        return {}, {}
    frame = read_rows(path, columns=("dicom_id", "ViewPosition", "Rows", "Columns"), reject=reject)
    is_size = [frame[name].str.fullmatch(r"[1-9]\d{0,5}").astype(bool) for name in ("Rows", "Columns")]
    sized = frame[is_size[0] & is_size[1]]
    sizes = zip(sized["Columns"].astype(int), sized["Rows"].astype(int), strict=True)
    return (
        dict(zip(frame["dicom_id"], map(view_code, frame["ViewPosition"]), strict=True)),
        dict(zip(sized["dicom_id"], sizes, strict=True)),
    )


def _readings(
    folder: Path, files: Mapping[str, Path], sizes: Sizes, *, reject: Reject
) -> dict[str, list[Reading]]:
    """The readings of a patient's images, EGD-CXR's before REFLACX's; what is wrong with one leaves the others."""

    def size(image_id: str) -> tuple[int, int] | None:
        return sizes.get(image_id) or _size_of(files[image_id]) if image_id in files else None

    def read(name: str) -> Iterable[Reading]:
        path = folder / name
        if not any(path.glob("*")):
            return
        try:
            if name == "EyeGaze":
                yield from read_egd_cxr(path, image_size=size, reject=reject)
            else:
                yield from read_reflacx(path, reject=reject)
        except InputError as error:
            reject(Rejection(str(path), "", str(error)))

    patient_id = _patient_id(folder)
    readings: dict[str, list[Reading]] = {}
    for name in ("EyeGaze", "REFLACX"):
        for reading in read(name):
            try:
                if reading.patient_id != patient_id:
                    raise InputError(f"of patient {reading.patient_id[:40]!r}, in the folder of {patient_id}")
                if reading.image_id not in files:
                    raise InputError("reading of an image that is not in the patient's CXR-JPG")
                if reading.split:
                    split_name(reading.split)
                readings.setdefault(reading.image_id, []).append(reading)
            except InputError as error:
                reject(Rejection(str(folder / name), reading.image_id, str(error)))
    return readings


def _size_of(file: Path) -> tuple[int, int] | None:
    try:
        with Image.open(file) as image:
            return image.size
    except (OSError, Image.DecompressionBombError):
        return None


def _patient_id(folder: Path) -> str:
    return folder.name.removeprefix("patient_")


def _draft(folder: Path, file: Path, readings: list[Reading], *, split: str, view: str) -> Draft:
    """One image; the first reading that tells something counts.

    Args:
        folder: The patient's.
        file: The image.
        readings: One or more.
        split: Of another image of the patient, for want of one of its own.
        view: As the table of images tells it, or "".
    """
    patient_id, study_folder = _patient_id(folder), file.parent.name
    own = first_told(reading.split for reading in readings) or split
    study = Study(
        image_id=file.stem,
        study_id=study_folder.removeprefix("s"),
        patient_id=patient_id,
        split=split_name(own) if own else split_of(patient_id),
        view=view,
        sex=sex_name(first_told(reading.sex for reading in readings)),
        age=age_years(first_told(reading.age for reading in readings)),
        text=" ".join(first_told(reading.text for reading in readings).split()),
        labels=next((reading.labels for reading in readings if reading.labels), {}),
        annotations=tuple(annotation for reading in readings for annotation in reading.annotations),
    )
    return Draft(
        study=study,
        image_file=file,
        report_file=folder / "CXR-DICOM" / f"{study_folder}.txt",
        file=str(folder),
        row=file.stem,
    )
