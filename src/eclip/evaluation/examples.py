"""Single studies for the page: where experts looked, and what retrieval finds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from eclip.annotations.heatmap import heatmap
from eclip.data.images import decode, fit
from eclip.data.store import Store, Study
from eclip.evaluation.figures import overlay, picture
from eclip.evaluation.results import Evaluation
from eclip.models.model import Model

_SIDE = 256


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture inside the page, what stands under it, and what it shows for those who cannot see it."""

    source: str
    caption: str
    alt: str


@dataclass(frozen=True, slots=True)
class AnnotatedStudy:
    """A study with its heatmap and what the processors make of it."""

    pictures: list[Picture]
    findings: str
    text: str


@dataclass(frozen=True, slots=True)
class Found:
    """A report that retrieval found; `own` where it says the same as the image's own."""

    text: str
    similarity: float
    own: bool


@dataclass(frozen=True, slots=True)
class RetrievalExample:
    """An image, its report and where that stands, and the reports that stand first."""

    picture: Picture
    text: str
    rank: int
    candidates: int
    similarity: float
    found: list[Found]


def annotated_studies(
    store: Store, split: str, models: Mapping[str, Model | None], *, count: int = 6
) -> tuple[list[AnnotatedStudy], str]:
    """Studies with their expert heatmaps, evenly spread over the split (the first split that has any, else).

    Returns:
        The studies, and the split they are from.
    """
    for name in dict.fromkeys((split, "test", "validate", "train")):
        rows = store.rows(split=name, annotated=True)
        if len(rows):
            order = np.argsort(np.arange(len(rows)) * 0.618034 % 1, kind="stable")  # evenly spread, any count
            return list(islice(_annotated(store, rows[order], models), count)), name
    return [], split


def retrieval_examples(
    evaluation: Evaluation, store: Store, *, count: int = 3
) -> tuple[list[RetrievalExample], list[RetrievalExample]]:
    """The images whose own report is found best, and worst."""
    embeddings = evaluation.embeddings
    rank_N = evaluation.task("retrieval")["image_to_text_rank"].to_numpy()
    own_N = (embeddings.image_ND * embeddings.text_ND).sum(1)
    order = np.lexsort((-own_N, rank_N))[: np.count_nonzero(~np.isnan(rank_N))]
    row_of = {image_id: row for row, image_id in enumerate(store.column("image_id"))}
    with_text = np.flatnonzero([text != "" for text in embeddings.text])
    texts, first = np.unique(np.array(embeddings.text, dtype=object)[with_text], return_index=True)
    candidates = len({embeddings.study_id[row] for row in with_text})

    def example(row: int) -> RetrievalExample:
        similarity_T = embeddings.text_ND[with_text[first]] @ embeddings.image_ND[row]
        top = np.argsort(-similarity_T, kind="stable")[:3]
        text = embeddings.text[row]
        image = _square(store[row_of[embeddings.image_id[row]]])
        alt = f"Chest radiograph {embeddings.image_id[row]}"
        return RetrievalExample(
            picture=Picture(picture(image), "", alt),
            text=text,
            rank=round(float(rank_N[row])),
            candidates=candidates,
            similarity=float(own_N[row]),
            found=[Found(str(texts[t]), float(similarity_T[t]), texts[t] == text) for t in top],
        )

    best, worst = order[:count], order[::-1][: min(count, len(order) - count)]
    return [example(int(row)) for row in best], [example(int(row)) for row in worst]


def _annotated(
    store: Store, rows: Sequence[int] | np.ndarray, models: Mapping[str, Model | None]
) -> Iterator[AnnotatedStudy]:
    for row in rows:
        study = store[int(row)]
        heat_HW = heatmap(study.annotations, study.height, study.width)
        if heat_HW is None:
            continue
        image_HW = decode(study.image)
        square = _square(study)
        heat = fit((heat_HW * 255).astype(np.uint8), len(square)) / 255
        kinds = " and ".join(sorted({annotation.kind for annotation in study.annotations}))
        pictures = [
            Picture(picture(square), "Image", f"Chest radiograph {study.image_id}"),
            Picture(picture(overlay(square, heat)), f"Expert {kinds}", f"The same with the expert's {kinds}"),
        ]
        for name, model in models.items():
            view = model.expert_view(image_HW, heat_HW) if model is not None else None
            if view is not None:
                shown = np.rint(view * 255).astype(np.uint8)
                pictures.append(
                    Picture(picture(shown), f"Expert view, {name}", f"What {name} makes of the two")
                )
        findings = ", ".join(name for name, value in study.labels.items() if value == 1)
        yield AnnotatedStudy(pictures, findings, study.text)


def _square(study: Study) -> np.ndarray:
    """The part of the image that encoders see, at most 256 pixels a side."""
    return fit(decode(study.image), min(_SIDE, study.height, study.width))
