"""Studies that have every field that a study can have, by number."""

from dataclasses import dataclass, replace

import numpy as np

from eclip.annotations.annotation import Annotation, Fixation, Region, Sentence
from eclip.data.images import encode
from eclip.data.store import Study

GAZE = Annotation(
    kind="gaze",
    reader="R1",
    fixations=(
        Fixation(0.1, -0.2, 0.0, 0.25),
        Fixation(0.5, 1.5, 0.3, 0.9, 0.04, 0.05, (0.1, 0.2, 0.9, 0.8)),
    ),
    sentences=(Sentence("Small left effusion.", 0.1, 0.8),),
)
REGIONS = (
    Annotation(kind="box", label="Edema", region=Region(((0.1, 0.2), (0.3, 0.4)))),
    Annotation(kind="mask", reader="R2", region=Region(mask=b"\x89PNG\0")),
)


@dataclass(frozen=True)
class Left:  # what eclip.annotations.reading.Rejection looks like
    file: str
    row: str
    reason: str


def study(i, **changes):
    made = Study(
        image_id=f"image-{i}",
        study_id=f"s{i // 2}",
        patient_id=f"p{i // 4}",
        split=("train", "train", "validate", "test")[i // 4 % 4],
        view="PA",
        sex="F",
        age=i or None,
        image_hash=f"{i:064x}",
        image=encode(np.full((8, 9), i % 256, np.uint8)),
        height=8,
        width=9,
        original_height=2000,
        original_width=2250,
        report=f"FINDINGS: number {i}\n é ≥",
        findings=f"number {i}",
        text=f"number {i}",
        labels={"Edema": 1, "Fracture": -1, "Pneumonia": 0} if i % 2 else {},
        annotations=(GAZE, *REGIONS) if i % 3 == 0 else (),
    )
    return replace(made, **changes)


STUDIES = [study(i) for i in range(23)]
