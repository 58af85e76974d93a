"""SIIM-ACR Pneumothorax Segmentation: frontal images with a mask of the pneumothorax in run-length code."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eclip.annotations.annotation import Annotation
from eclip.annotations.reading import Reject, Rejection
from eclip.annotations.recording_table import read_table
from eclip.data.images import Shrunk
from eclip.data.sources.cells import split_of
from eclip.data.sources.draft import Draft, Selection
from eclip.data.sources.image_files import image_files
from eclip.data.sources.masks import mask_of_runs, mask_region
from eclip.data.study import Study
from eclip.errors import InputError

_SIDE = 1024  # of every DICOM file, and so of the masks
_TABLES = ("stage_2_train.csv", "train-rle.csv")
_NEGATIVE = "-1"
_RUNS = re.compile(r"[0-9]{1,7}(\s+[0-9]{1,7})*")  # seven digits: there are 1,048,576 pixels


@dataclass(frozen=True, kw_only=True)
class SiimAcr:
    """SIIM-ACR Pneumothorax: the labelled images of the Kaggle challenge, with a mask of each pneumothorax.

    Example: eclip data build siim-acr --root siim-acr --out store

    Attributes:
        root: Folder of stage_2_train.csv (which counts if both are there) or train-rle.csv; the images lie
            anywhere below it.
    """

    root: Path

    def select(self) -> Selection:
        """Select all images of the table; a hash splits them, each as a patient of its own.

        Raises:
            InputError: A folder, table or column is missing, or two images have one id.
        """
        if not self.root.is_dir():
            raise InputError(f"{self.root}: no such folder")
        file = next((self.root / name for name in _TABLES if (self.root / name).is_file()), None)
        if file is None:
            raise InputError(f"{self.root}: no {' or '.join(_TABLES)}; expected a SIIM-ACR folder")
        rejected: list[Rejection] = []
        codes = _codes(file, rejected.append)
        images = image_files(self.root)

        def drafts() -> Iterator[Draft | Rejection]:
            yield from rejected
            for image_id, runs in codes.items():
                if image_id not in images:
                    yield Rejection(str(file), image_id, "no image of this name")
                    continue
                study = Study(
                    image_id=image_id,
                    study_id=image_id,
                    patient_id=image_id,
                    split=split_of(image_id),
                    labels={"Pneumothorax": int(bool(runs))},
                )
                yield Draft(
                    study=study,
                    image_file=images[image_id],
                    file=str(file),
                    row=image_id,
                    annotate=Pneumothorax(file=str(file), runs=tuple(runs)),
                )

        skipped = {f"image without a sound row in {file.name}": len(images.keys() - codes.keys())}
        return Selection(len(rejected) + len(codes), drafts, skipped)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pneumothorax:
    """The mask of one image: all its rows together.

    Attributes:
        file: The table.
        runs: Row and run-length code: pixels to leave out, pixels to mark, and so on, of 1024 × 1024, down the
            columns, from left to right.
    """

    file: str
    runs: tuple[tuple[str, str], ...]

    def __call__(self, image: Shrunk) -> tuple[Annotation | Rejection, ...]:
        """Decode it, and shrink it to the size of the stored image."""
        found: list[Annotation | Rejection] = []
        inside_HW = np.zeros((_SIDE, _SIDE), np.bool_)
        for row, code in self.runs:
            try:
                inside_HW |= _decoded(code)
            except InputError as error:
                found.append(Rejection(self.file, row, str(error)))
        if inside_HW.any():
            try:
                region = mask_region(inside_HW, image)
                found.append(Annotation(kind="mask", label="Pneumothorax", region=region))
            except InputError as error:
                found.append(Rejection(self.file, self.runs[0][0], str(error)))
        return tuple(found)


def _decoded(code: str) -> np.ndarray:
    runs = [int(run) for run in code.split()]
    if len(runs) % 2:
        raise InputError(f"run-length code of {len(runs)} numbers; expected pairs")
    if not all(runs[1::2]):
        raise InputError("run-length code with a run of 0 pixels")
    return mask_of_runs(runs, _SIDE, _SIDE)


def _codes(file: Path, reject: Reject) -> dict[str, list[tuple[str, str]]]:
    """Image to its rows with run-length codes; none where there is no pneumothorax."""
    rows = read_table(file, columns=("ImageId", "EncodedPixels"), reject=reject)
    codes: dict[str, list[tuple[str, str]]] = {}
    contradicted: set[str] = set()
    for line, image_id, code in zip(
        rows.index, rows["ImageId"].str.strip(), rows["EncodedPixels"].str.strip(), strict=True
    ):
        row = f"line {line}"
        if not image_id:
            reason = "no ImageId"
        elif code != _NEGATIVE and not _RUNS.fullmatch(code):
            reason = f"EncodedPixels is {code[:40]!r}; expected -1 or pairs of numbers"
        elif image_id in codes and bool(codes[image_id]) == (code == _NEGATIVE):
            contradicted.add(image_id)
            reason = f"-1 and a mask in the rows of one image: {image_id[:80]!r} is left out"
        else:
            codes.setdefault(image_id, []).extend([] if code == _NEGATIVE else [(row, code)])
            continue
        reject(Rejection(str(file), row, reason))
    return {image_id: runs for image_id, runs in codes.items() if image_id not in contradicted}
