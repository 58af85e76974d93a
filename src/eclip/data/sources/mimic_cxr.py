"""MIMIC-CXR-JPG: its frontal images with split, labels and report, and the gaze recorded for some of them."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from eclip.annotations.annotation import Annotation
from eclip.annotations.reading import Rejection
from eclip.data.sources.draft import Draft, Selection
from eclip.data.sources.mimic_tree import MimicTree
from eclip.data.sources.readings import read

FRONTAL = ("AP", "PA")


def select(root: Path, *, gaze: Mapping[str, Path] | None = None, reports: Path | None = None) -> Selection:
    """Select all frontal images, and the readings that belong to them.

    Args:
        root: MIMIC-CXR-JPG 2.0.0 or 2.1.0.
        gaze: Kind of recording ("egd-cxr", "reflacx") to its folder. Several readings of one image stay
            several annotations.
        reports: Folder of the report files, if they are not beside the images.

    Raises:
        InputError: A folder, table or column is missing.
    """
    tree = MimicTree(root, reports)
    file = tree.need("metadata")
    tree.need("split")
    frontal = tree.metadata[tree.metadata["ViewPosition"].isin(FRONTAL)]
    rejected: list[Rejection] = []
    annotations: dict[str, tuple[Annotation, ...]] = dict.fromkeys(frontal.index, ())
    for kind, folder in (gaze or {}).items():
        for reading in read(kind, folder, tree=tree, reject=rejected.append):
            if reading.image_id in annotations:
                annotations[reading.image_id] += reading.annotations
            else:
                reason = "reading of an image that is not among the frontal images of the metadata table"
                rejected.append(Rejection(str(folder), reading.image_id, reason))

    def drafts() -> Iterator[Draft | Rejection]:
        yield from rejected
        columns = (frontal[name] for name in ("dicom_id", "subject_id", "study_id", "ViewPosition"))
        for image_id, patient_id, study_id, view in zip(*columns, strict=True):
            yield tree.draft(
                image_id,
                patient_id=patient_id,
                study_id=study_id,
                view=view,
                file=file,
                annotations=annotations[image_id],
            )

    skipped = {"not a frontal view (AP, PA)": len(tree.metadata) - len(frontal)}
    return Selection(len(frontal) + len(rejected), drafts(), skipped)
