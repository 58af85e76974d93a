"""The contact sheet as one HTML page that loads nothing: all that `inspect` tells, and more studies than a picture."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import jinja2
import numpy as np
from PIL import Image

import eclip
from eclip.data.images import decode
from eclip.data.inspection.census import Census
from eclip.data.inspection.pictures import (
    OUTLINE_COLOURS,
    described,
    findings,
    outlines,
    overlay,
    sample,
    sample_dictated,
    sentence_pictures,
    with_heatmap,
)
from eclip.data.inspection.soundness import Assessment
from eclip.data.rejections import grouped
from eclip.data.store import Store
from eclip.data.study import Study
from eclip.errors import InputError

_TEMPLATE = Path(__file__).with_name("page.html")
_STUDIES, _DICTATED, _READERS, _SENTENCES = 18, 6, 3, 40
_REJECTED_SHOWN = 1000
_READERS_NAMED = 12


@dataclass(frozen=True, slots=True)
class OutlineView:
    """An outline in pixels of its picture: an SVG path, and where its number stands; "" if it cannot be drawn."""

    caption: str
    colour: int
    path: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class StudyView:
    """A study on the page."""

    image_id: str
    study_id: str
    patient_id: str
    about: str
    findings: str
    text: str
    width: int
    height: int
    plain: str
    overlay: str
    outlines: list[OutlineView]


@dataclass(frozen=True, slots=True)
class SentenceView:
    """A sentence, when it was said, and the picture it stands under."""

    text: str
    when: str
    picture: str


@dataclass(frozen=True, slots=True)
class ReadingView:
    """A dictated reading, sentence by sentence."""

    image_id: str
    about: str
    sentences: list[SentenceView]
    more: int


def write_inspection_page(
    out: Path, store: Store, census: Census, assessments: Sequence[Assessment], facts: Mapping[str, str]
) -> None:
    """Write the page.

    Args:
        out: HTML file.
        store: Where the studies that are shown come from.
        census: Its numbers.
        assessments: Whether it is sound.
        facts: Further facts, by name.

    Raises:
        InputError: `out` cannot be written.
    """
    rejected = store.manifest["rejected"]
    content = {
        "name": store.path.name,
        "path": str(store.path),
        "count": len(store),
        "facts": facts,
        "census": census,
        "assessments": assessments,
        "groups": grouped(rejected),
        "rejected": rejected[:_REJECTED_SHOWN],
        "rejected_total": len(rejected),
        "readers_named": _READERS_NAMED,
        "studies": [_study(store[int(row)]) for row in sample(store, _STUDIES)],
        "readings": list(_readings(store, census)),
        "colours": OUTLINE_COLOURS,
        "version": eclip.__version__,
    }
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATE.parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template(_TEMPLATE.name).render(content)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror or error})") from error


def _study(study: Study) -> StudyView:
    return StudyView(
        image_id=study.image_id,
        study_id=study.study_id,
        patient_id=study.patient_id,
        about=" · ".join(described(study)),
        findings=", ".join(findings(study)) or ("No label is present" if study.labels else ""),
        text=study.text,
        width=study.width,
        height=study.height,
        plain=_picture(overlay(decode(study.image), None)),
        overlay=_picture(with_heatmap(study)) if study.annotations else "",
        outlines=list(_outlines(study)),
    )


def _outlines(study: Study) -> Iterator[OutlineView]:
    for outline in outlines(study):
        loops = [np.clip(loop, -1, 2) * (study.width, study.height) for loop in outline.loops]
        path = "".join("M" + "L".join(f"{x:.2f},{y:.2f}" for x, y in loop[:-1]) + "Z" for loop in loops)
        x, y = min(np.concatenate(loops), key=lambda point: (point[1], point[0])) if loops else (0.0, 0.0)
        colour = outline.colour % len(OUTLINE_COLOURS)
        yield OutlineView(outline.caption, colour, path, max(0.0, float(x)), max(0.0, float(y)))


def _readings(store: Store, census: Census) -> Iterator[ReadingView]:
    for row in sample_dictated(store, census.sentences_N, _DICTATED):
        study = store[int(row)]
        dictated = [annotation for annotation in study.annotations if annotation.sentences]
        for annotation in dictated[:_READERS]:
            about = [study.split, annotation.reader and f"read by {annotation.reader}"]
            yield ReadingView(
                image_id=study.image_id,
                about=", ".join(filter(None, about)),
                sentences=[
                    SentenceView(
                        text=picture.text,
                        when=f"{picture.start:.1f} … {picture.end:.1f} s, {picture.fixations} fixations",
                        picture=_picture(picture.image),
                    )
                    for picture in islice(sentence_pictures(study, annotation), _SENTENCES)
                ],
                more=max(0, len(annotation.sentences) - _SENTENCES),
            )


def _picture(image_HWC: np.ndarray) -> str:
    """An image as the address of a JPEG inside the page."""
    buffer = io.BytesIO()
    Image.fromarray(image_HWC).save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
