"""MIMIC-CXR-JPG: its images with split, labels and report, and the gaze recorded for some of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from eclip.annotations.reading import Reading, Rejection
from eclip.data.sources.draft import Draft, Selection
from eclip.data.sources.mimic_tree import LABELS, Labeler, MimicTree
from eclip.data.sources.readings import read
from eclip.data.sources.subset import COMPETITION, draw, only_present
from eclip.data.study import FRONTAL
from eclip.errors import InputError

_FINDINGS = tuple(name for name in LABELS if name != "No Finding")


@dataclass(frozen=True, kw_only=True)
class MimicCxr:
    """MIMIC-CXR-JPG: its images with split, labels and report; recordings of gaze join the images they show.

    Example: eclip data build mimic-cxr --root mimic-cxr-jpg --gaze egd-cxr=egd-cxr --gaze reflacx=reflacx --out store

    Attributes:
        root: Folder of MIMIC-CXR-JPG 2.0.0 or 2.1.0.
        gaze: Recordings to join, as egd-cxr=DIR, reflacx=DIR, gazesearch=FILE or gazeintent=FILE; may be
            repeated. Several readings of one image stay several annotations; EGD-CXR tells sex and age, too.
        reports: Folder of the report files, if they are not beside the images.
        dicom: Folder of MIMIC-CXR, whose DICOM files are read instead of the JPEGs; the tables stay those of the root.
        views: frontal, or all: lateral and other images too.
        labeler: Whose labels to read, or none; those of radiologists (2.1.0) replace them where there are any.
        subset: 5x200 draws frontal images with a single finding as a test set; empty for all images.
        per_class: How many images of each class 5x200 draws.
        seed: Another seed, another draw.
    """

    root: Path
    gaze: tuple[str, ...] = ()
    reports: Path | None = None
    dicom: Path | None = None
    views: Literal["frontal", "all"] = "frontal"
    labeler: Labeler = "chexpert"
    subset: Literal["", "5x200"] = ""
    per_class: int = 200
    seed: int = 0

    def select(self) -> Selection:
        """Select images, and the readings that belong to them.

        Raises:
            InputError: A folder, table or column is missing, a class has too few images, or an option has no
                effect beside another.
        """
        if not self.subset and (self.per_class != 200 or self.seed != 0):
            raise InputError("--per-class and --seed have an effect with --subset 5x200 only; leave them out")
        if self.subset and self.views != "frontal":
            raise InputError("--views has no effect with --subset 5x200; leave it out")
        tree = MimicTree(self.root, self.reports, dicom=self.dicom, labeler=self.labeler)
        file = tree.need("metadata")
        tree.need("split")
        if self.labeler != "none":
            tree.need(self.labeler)
        elif self.subset:
            raise InputError("--subset 5x200 needs labels; leave out --labeler none")
        rejected = [*tree.read_all()]
        images, skipped, subset = self._images(tree)
        readings: dict[str, tuple[Reading, ...]] = dict.fromkeys(images.index, ())
        for kind, folder in map(_recording, self.gaze):
            for reading in read(kind, folder, tree=tree, reject=rejected.append):
                if reading.image_id in readings:
                    readings[reading.image_id] += (reading,)
                elif subset and reading.image_id in tree.metadata.index:
                    reason = "reading of an image that was not drawn"
                    skipped[reason] = skipped.get(reason, 0) + 1
                else:
                    reason = f"reading of an image that is not among the {self._asked} of the metadata table"
                    rejected.append(Rejection(str(folder), reading.image_id, reason))

        def drafts() -> Iterator[Draft | Rejection]:
            yield from rejected
            columns = (images[name] for name in ("dicom_id", "subject_id", "study_id", "ViewPosition"))
            for image_id, patient_id, study_id, view in zip(*columns, strict=True):
                yield tree.draft(
                    image_id,
                    patient_id=patient_id,
                    study_id=study_id,
                    view=view,
                    file=file,
                    readings=readings[image_id],
                    split="test" if subset else "",
                )

        return Selection(len(images) + len(rejected), drafts, skipped, subset)

    @property
    def _asked(self) -> str:
        return "images" if self.views == "all" else "frontal images"

    def _images(self, tree: MimicTree) -> tuple[pd.DataFrame, dict[str, int], dict[str, list[str]]]:
        """Rows of the metadata table, how many others there are, and what was drawn."""
        every = tree.metadata
        if self.views == "all":
            return every, {}, {}
        frontal = every[every["ViewPosition"].isin(FRONTAL)]
        skipped = {"not a frontal view (AP, PA)": len(every) - len(frontal)}
        if not self.subset:
            return frontal, skipped, {}
        subset = draw(
            _pools(frontal, tree),
            per_class=self.per_class,
            seed=self.seed,
            where=str(tree.need("metadata")),
        )
        drawn = frontal[frontal.index.isin([image_id for ids in subset.values() for image_id in ids])]
        drawn = drawn[~drawn.index.duplicated()]
        return drawn, skipped | {"not drawn for 5x200": len(frontal) - len(drawn)}, subset


def _pools(frontal: pd.DataFrame, tree: MimicTree) -> dict[str, list[str]]:
    """Class to images whose only finding it is, one a study: the one with the smallest id."""
    pools: dict[str, list[str]] = {name: [] for name in COMPETITION}
    one_a_study = frontal.sort_index().drop_duplicates("study_id")
    for image_id, study_id in zip(one_a_study["dicom_id"], one_a_study["study_id"], strict=True):
        finding = only_present(tree.labels.get(study_id, {}), _FINDINGS)
        if finding in pools:
            pools[finding].append(image_id)
    return pools


def _recording(option: str) -> tuple[str, Path]:
    kind, _, path = option.partition("=")
    if not path:
        raise InputError(
            f"--gaze {option}: expected egd-cxr=DIR, reflacx=DIR, gazesearch=FILE or gazeintent=FILE"
        )
    return kind, Path(path)
