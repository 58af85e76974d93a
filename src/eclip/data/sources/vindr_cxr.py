"""VinDr-CXR: frontal images with findings and boxes by several radiologists."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from eclip.annotations.reading import Reject, Rejection
from eclip.annotations.recording_table import read_numbers, read_table
from eclip.data.sources.cells import YES_OR_NO, split_of, stripped
from eclip.data.sources.draft import Draft, Selection
from eclip.data.sources.image_files import image_files
from eclip.data.sources.pixel_boxes import Box, PixelBoxes
from eclip.data.study import Study
from eclip.errors import InputError

# As CheXpert and ChestX-ray14 spell them; the others are the same.
_NAMES = {
    name.lower().capitalize(): name for name in ("No Finding", "Pleural Effusion", "Pleural Thickening")
}
_READER = {"rad_ID": "rad_id"}  # spelled either way
_CORNERS = ["x_min", "y_min", "x_max", "y_max"]


@dataclass(frozen=True, kw_only=True)
class VinDrCxr:
    """VinDr-CXR: its images with what several radiologists found, and the boxes that each of them drew.

    Example: eclip data build vindr-cxr --root vindr-cxr --out store

    Attributes:
        root: Folder of annotations/, train/ and test/; one of the latter may be missing.
    """

    root: Path

    def select(self) -> Selection:
        """Select the images of both label tables, each as a patient of its own; a tenth of train validates.

        Raises:
            InputError: A folder, table or column is missing, or two images have one id.
        """
        if not self.root.is_dir():
            raise InputError(f"{self.root}: no such folder")
        folders = {name: self.root / name for name in ("train", "test")}
        if not any(folder.is_dir() for folder in folders.values()):
            raise InputError(f"{self.root}: no train/ and no test/; expected a VinDr-CXR folder")
        rejected: list[Rejection] = []
        skipped: dict[str, int] = {}
        parts: list[tuple[_Part, dict[str, Path]]] = []
        for name, folder in folders.items():
            part = _read(self.root / "annotations", name, rejected.append)
            if folder.is_dir():
                parts.append((part, image_files(folder)))
            else:
                skipped[f"image of {name}/, which is not there"] = len(part.labels)
            reason = "row of a reader who found nothing (no box)"
            skipped[reason] = skipped.get(reason, 0) + part.without_box

        def drafts() -> Iterator[Draft | Rejection]:
            yield from rejected
            for part, images in parts:
                yield from _drafts(part, images)

        return Selection(len(rejected) + sum(len(part.labels) for part, _ in parts), drafts, skipped)


@dataclass(frozen=True, slots=True)
class _Part:
    """The tables of train or test.

    Attributes:
        name: train or test.
        label_file: Path.
        labels: Image to its labels.
        box_file: Path.
        boxes: Image to the boxes of all readers.
        without_box: How many rows of the table of boxes say that a reader found nothing.
    """

    name: str
    label_file: Path
    labels: dict[str, dict[str, int]]
    box_file: Path
    boxes: dict[str, list[Box]]
    without_box: int


def _read(folder: Path, name: str, reject: Reject) -> _Part:
    label_file, box_file = (folder / f"{kind}_{name}.csv" for kind in ("image_labels", "annotations"))
    labels = _labels(label_file, reject)
    rows = read_table(
        box_file,
        columns=("image_id", "class_name", *_CORNERS),
        optional=("rad_id",),
        aliases=_READER,
        reject=reject,
    )
    rows = stripped(rows)
    rows["class_name"] = rows["class_name"].replace(_NAMES)
    known = rows["image_id"].isin(labels)
    for line, image_id in rows["image_id"][~known].items():
        reason = f"image {image_id[:80]!r} has no sound row in {label_file.name}"
        reject(Rejection(str(box_file), f"line {line}", reason))
    nothing = (rows["class_name"] == "No Finding") & (rows[_CORNERS] == "").all(axis=1)
    drawn = read_numbers(rows[known & ~nothing], _CORNERS, path=box_file, reject=reject)
    readers = drawn["rad_id"] if "rad_id" in drawn else [""] * len(drawn)
    corners = zip(*(drawn[corner].tolist() for corner in _CORNERS), strict=True)
    boxes: dict[str, list[Box]] = {}
    for line, image_id, label, reader, box in zip(
        drawn.index, drawn["image_id"], drawn["class_name"], readers, corners, strict=True
    ):
        boxes.setdefault(image_id, []).append(
            Box(row=f"line {line}", label=label, reader=reader, corners=box)
        )
    return _Part(name, label_file, labels, box_file, boxes, int((known & nothing).sum()))


def _labels(file: Path, reject: Reject) -> dict[str, dict[str, int]]:
    """Image to what its readers say together: 1 if more than half of them say so, -1 if fewer, 0 if none."""
    rows = read_table(file, columns=("image_id",), aliases=_READER | _NAMES, reject=reject)
    names = [name for name in rows.columns if name and name not in ("image_id", "rad_id")]
    if not names:
        raise InputError(f"{file}: no column of labels; expected one for each finding")
    readers = rows["rad_id"].str.strip() if "rad_id" in rows else rows.index
    votes: dict[str, dict[object, list[int]]] = {}
    cells = rows[names].to_numpy().tolist()
    for line, image_id, reader, row in zip(
        rows.index, rows["image_id"].str.strip(), readers, cells, strict=True
    ):
        wrong = [at for at, cell in enumerate(row) if cell.strip() not in YES_OR_NO]
        if not image_id:
            reason = "no image_id"
        elif wrong:
            reason = f"label {names[wrong[0]]!r} is {row[wrong[0]][:40]!r}; expected 0 or 1"
        elif reader in votes.setdefault(image_id, {}):
            reason = f"second row of reader {reader!r} for image {image_id[:80]!r}"
        else:
            votes[image_id][reader] = [YES_OR_NO[cell.strip()] for cell in row]
            continue
        reject(Rejection(str(file), f"line {line}", reason))
    return {
        image_id: {name: _verdict([vote[at] for vote in by_reader.values()]) for at, name in enumerate(names)}
        for image_id, by_reader in votes.items()
    }


def _verdict(votes: list[int]) -> int:
    if 2 * sum(votes) > len(votes):
        return 1
    return -1 if any(votes) else 0


def _drafts(part: _Part, images: Mapping[str, Path]) -> Iterator[Draft | Rejection]:
    for image_id, labels in part.labels.items():
        if image_id not in images:
            yield Rejection(str(part.label_file), image_id, "no image of this name")
            continue
        study = Study(
            image_id=image_id,
            study_id=image_id,
            patient_id=image_id,
            split="test" if part.name == "test" else split_of(image_id, test=False),
            labels=labels,
        )
        yield Draft(
            study=study,
            image_file=images[image_id],
            file=str(part.label_file),
            row=image_id,
            annotate=PixelBoxes(file=str(part.box_file), boxes=tuple(part.boxes.get(image_id, ()))),
        )
