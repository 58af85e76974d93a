"""Recordings of gaze (EGD-CXR, REFLACX, GazeSearch, GazeIntent): the studies they show, on MIMIC-CXR-JPG's images."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from eclip.annotations.egd_cxr import read_egd_cxr
from eclip.annotations.reading import Reading, Rejection
from eclip.annotations.reflacx import read_reflacx
from eclip.annotations.scan_paths import read_scan_paths
from eclip.data.sources.draft import Draft, Selection
from eclip.data.sources.mimic_tree import MimicTree
from eclip.errors import InputError

KINDS = ("egd-cxr", "reflacx", "gazesearch", "gazeintent")


def read(
    kind: str, folder: Path, *, tree: MimicTree, reject: Callable[[Rejection], None]
) -> Iterator[Reading]:
    """Read the recordings of one kind; those of GazeSearch and GazeIntent may be a file.

    Raises:
        InputError: Another kind, no such folder, or a file of it that is missing.
    """
    if kind not in KINDS:
        raise InputError(f"{kind!r} is not a kind of recording; expected {', '.join(KINDS)}")
    if kind in ("gazesearch", "gazeintent"):
        return _scanned(kind, folder, tree=tree, reject=reject)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected {kind} recordings")
    if kind == "egd-cxr":
        return read_egd_cxr(folder, image_size=tree.image_size, reject=reject)
    return read_reflacx(folder, reject=reject)


@dataclass(frozen=True, kw_only=True)
class _Recordings:
    """The annotated studies of one kind of recording alone."""

    kind: ClassVar[str]
    root: Path
    images: Path
    reports: Path | None = None

    def select(self) -> Selection:
        """Select the studies that were read.

        Split, labels and report come from the MIMIC-CXR-JPG folder where it has them; else the recording's own
        split (or the patient's hash), its labels, and what was dictated. Several readings of an image become one
        study.

        Raises:
            InputError: A folder, table or column is missing.
        """
        tree = MimicTree(self.images, self.reports)
        rejected: list[Rejection] = []
        of_image: dict[str, list[Reading]] = {}
        for reading in read(self.kind, self.root, tree=tree, reject=rejected.append):
            of_image.setdefault(reading.image_id, []).append(reading)
        rejected += tree.read_all()

        def drafts() -> Iterator[Draft | Rejection]:
            yield from rejected
            for image_id, readings in of_image.items():
                yield tree.draft(
                    image_id,
                    patient_id=readings[0].patient_id,
                    study_id=readings[0].study_id,
                    view=tree.view(image_id),
                    file=self.root,
                    readings=readings,
                    stand_in=readings[0],
                )

        return Selection(len(of_image) + len(rejected), drafts)


class EgdCxr(_Recordings):
    """EGD-CXR: 1,083 frontal images of MIMIC-CXR read aloud before an eye tracker; the annotated studies alone.

    Example: eclip data build egd-cxr --root egd-cxr --images mimic-cxr-jpg --out store

    Attributes:
        root: Folder of EGD-CXR.
        images: MIMIC-CXR-JPG, or as much of it as is needed.
        reports: Folder of the report files, if they are not beside the images.
    """

    kind = "egd-cxr"


class Reflacx(_Recordings):
    """REFLACX: 3,032 readings of MIMIC-CXR by five radiologists; the annotated studies alone.

    Example: eclip data build reflacx --root reflacx --images mimic-cxr-jpg --out store

    Attributes:
        root: Folder of REFLACX.
        images: MIMIC-CXR-JPG, or as much of it as is needed.
        reports: Folder of the report files, if they are not beside the images.
    """

    kind = "reflacx"


class GazeSearch(_Recordings):
    """GazeSearch: scan paths over MIMIC-CXR while one finding was searched for; the annotated studies alone.

    Example: eclip data build gazesearch --root gazesearch.json --images mimic-cxr-jpg --out store

    Attributes:
        root: The JSON file, or a folder of such files.
        images: MIMIC-CXR-JPG with its metadata table, which tells whose the images are.
        reports: Folder of the report files, if they are not beside the images.
    """

    kind = "gazesearch"


class GazeIntent(_Recordings):
    """GazeIntent: scan paths over MIMIC-CXR with the finding each fixation was for; the annotated studies alone.

    Example: eclip data build gazeintent --root gazeintent.json --images mimic-cxr-jpg --out store

    Attributes:
        root: The JSON file of one of its sets, or a folder of such files.
        images: MIMIC-CXR-JPG with its metadata table, which tells whose the images are.
        reports: Folder of the report files, if they are not beside the images.
    """

    kind = "gazeintent"


def _scanned(
    dataset: str, path: Path, *, tree: MimicTree, reject: Callable[[Rejection], None]
) -> Iterator[Reading]:
    """Scan paths name the image alone; the metadata table tells the study and the patient."""
    tree.need("metadata")
    scan_paths = list(read_scan_paths(path, dataset=dataset, reject=reject))
    rows = tree.metadata[tree.metadata.index.isin({scan_path.image_id for scan_path in scan_paths})]
    ids = zip(rows["study_id"], rows["subject_id"], strict=True)
    ids_of = dict(zip(rows["dicom_id"], ids, strict=True))
    for scan_path in scan_paths:
        image_id = scan_path.image_id
        if image_id not in ids_of:
            reason = f"{image_id!r:.60} is not among the images of the metadata table"
            reject(Rejection(str(scan_path.file), scan_path.row, reason))
            continue
        study_id, patient_id = ids_of[image_id]
        yield Reading(
            image_id=image_id,
            study_id=study_id,
            patient_id=patient_id,
            split=scan_path.split,
            annotations=(scan_path.annotation,),
        )
