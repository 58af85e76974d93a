"""EGD-CXR and REFLACX: the studies that a radiologist was watched reading, on images of MIMIC-CXR-JPG."""

from collections.abc import Callable, Iterator
from pathlib import Path

from eclip.annotations.egd_cxr import read_egd_cxr
from eclip.annotations.reading import Reading, Rejection
from eclip.annotations.reflacx import read_reflacx
from eclip.data.sources.draft import Draft, Selection
from eclip.data.sources.mimic_tree import MimicTree
from eclip.errors import InputError

KINDS = ("egd-cxr", "reflacx")


def read(
    kind: str, folder: Path, *, tree: MimicTree, reject: Callable[[Rejection], None]
) -> Iterator[Reading]:
    """Read the recordings of one kind.

    Raises:
        InputError: Another kind, no such folder, or a file of it that is missing.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected {kind} recordings")
    if kind == "egd-cxr":
        return read_egd_cxr(folder, image_size=tree.image_size, reject=reject)
    if kind == "reflacx":
        return read_reflacx(folder, reject=reject)
    raise InputError(f"{kind!r} is not a kind of recording; expected {' or '.join(KINDS)}")


def select(kind: str, root: Path, *, images: Path, reports: Path | None = None) -> Selection:
    """Select the annotated studies alone.

    Split, labels and report come from the MIMIC-CXR-JPG folder where it has them; else the recording's own
    split (or the patient's hash), its labels, and what was dictated. Several readings of an image become one
    study.

    Args:
        kind: "egd-cxr" or "reflacx".
        root: The recordings.
        images: MIMIC-CXR-JPG, or as much of it as is needed.
        reports: Folder of the report files, if they are not beside the images.

    Raises:
        InputError: A folder, table or column is missing.
    """
    tree = MimicTree(images, reports)
    rejected: list[Rejection] = []
    of_image: dict[str, list[Reading]] = {}
    for reading in read(kind, root, tree=tree, reject=rejected.append):
        of_image.setdefault(reading.image_id, []).append(reading)

    def drafts() -> Iterator[Draft | Rejection]:
        yield from rejected
        for image_id, readings in of_image.items():
            yield tree.draft(
                image_id,
                patient_id=readings[0].patient_id,
                study_id=readings[0].study_id,
                view=tree.view(image_id),
                file=root,
                annotations=tuple(annotation for reading in readings for annotation in reading.annotations),
                reading=readings[0],
            )

    return Selection(len(of_image) + len(rejected), drafts())
