"""Small study stores written by the real writer."""

import dataclasses
import io

import numpy as np
from PIL import Image

from eclip.annotations import Annotation, Fixation, Region, Sentence
from eclip.data.store import Store, Study, write_store

FINDINGS = ("Atelectasis", "Cardiomegaly", "Edema")


def png(pixels):
    """Uint8 or bool (H, W) as the bytes of a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def small_study(number, *, split="train", annotation=None, shape=(40, 48)):
    """A noisy image with a bright spot whose place follows its finding, a sentence that says so, and its label."""
    draw = np.random.default_rng(number)
    finding = number % len(FINDINGS)
    image = draw.integers(0, 90, shape, dtype=np.uint8)
    image[10:20, 8 + 12 * finding : 18 + 12 * finding] += 150
    gaze = Fixation(x=(13 + 12 * finding) / shape[1], y=15 / shape[0], start=0.0, end=0.4)
    looked = [
        dataclasses.replace(gaze, x=gaze.x + 0.04 * i, y=gaze.y + 0.03 * i, start=float(i), end=i + 1.0)
        for i in range(8)
    ]
    spoken = (
        Sentence(f"Looked at first, in study {number}.", 2.6, 4.0),
        Sentence(f"Seen after that, in study {number}.", 5.1, 6.8),
    )
    annotations = {
        None: (),
        "gaze": (Annotation(kind="gaze", reader="r1", fixations=(gaze,)),),
        "dictation": (Annotation(kind="gaze", reader="r1", fixations=tuple(looked), sentences=spoken),),
        "box": (Annotation(kind="box", label="spot", region=Region(points=((0.2, 0.2), (0.6, 0.5)))),),
        "off-image": (Annotation(kind="gaze", fixations=(Fixation(x=-9.0, y=-9.0, start=0, end=1),)),),
    }[annotation]
    text = f"There is {FINDINGS[finding].lower()}, study {number}."
    return Study(
        image_id=f"image-{number}",
        study_id=f"study-{number}",
        patient_id=f"patient-{number}",
        split=split,
        view="PA",
        image=png(image),
        height=shape[0],
        width=shape[1],
        original_height=shape[0],
        original_width=shape[1],
        report=text,
        findings=text,
        impression="",
        text=text,
        labels={name: int(i == finding) for i, name in enumerate(FINDINGS)},
        annotations=annotations,
    )


def small_store(folder, *, plain=24, annotated=8, validate=6, test=12, annotation="gaze"):
    kinds = [("train", None)] * plain + [("train", annotation)] * annotated
    kinds += [("validate", None)] * validate + [("test", None)] * test
    studies = [small_study(i, split=split, annotation=kind) for i, (split, kind) in enumerate(kinds)]
    write_store(folder, studies, source="test", rejected=[])
    return Store.open(folder)
