"""Grounding: does what a model finds like a phrase lie where experts looked, or what they outlined?

A phrase's map is the cosine of its text with each local image feature, in the shared space, spread bilinearly over the
square that the encoder sees. Phrases are a study's report with all its gaze, each dictated sentence with the gaze of
its own seconds, and each label with all that is outlined under it. Beside each number stands what a Gaussian in the
middle of the image gets; and where several readers looked at an image, what the gaze of the others gets for each, which
no model needs to beat.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from markupsafe import Markup

from eclip.annotations.annotation import Annotation, Fixation
from eclip.annotations.heatmap import render
from eclip.annotations.heatmap_controls import centre_bias
from eclip.annotations.outline import inside
from eclip.annotations.sentences import sentence_fixations
from eclip.data.images import decode, fit, fit_matrix
from eclip.data.store import Store, Study
from eclip.errors import InputError
from eclip.evaluation import saliency
from eclip.evaluation.figures import interval_chart
from eclip.evaluation.results import Evaluation
from eclip.evaluation.statistics import Statistic, mean
from eclip.models.local_features import has_grid
from eclip.models.model import Model

OF_READERS = "reader"
KINDS = ("report", "sentence", "region", OF_READERS)
CENTRE = "_centre"
LOOKED = 0.5
"""From this height on, of a heatmap, a pixel counts as looked at in the pointing game."""
_BATCH = 32


@dataclass(frozen=True, slots=True)
class Phrase:
    """A text, and where it belongs in the square that the encoder sees.

    Attributes:
        kind: Out of `KINDS`.
        text: The phrase.
        map_HW: In [0, 1]; of a region 1 inside and 0 outside.
        fixated_F2: Row and column of each fixation in the square; None for a region.
        others_HW: For a reader's gaze, the map of the other readers, judged in place of the model's.
    """

    kind: str
    text: str
    map_HW: np.ndarray
    fixated_F2: np.ndarray | None
    others_HW: np.ndarray | None = None


@torch.inference_mode()
def per_sample(model: Model, store: Store, rows: np.ndarray) -> pd.DataFrame:
    """The means over an image's phrases of each kind, `KIND_METRIC` and `KIND_METRIC_centre`.

    Args:
        model: With local features.
        store: The studies.
        rows: (N,) those that are judged; most are not annotated, and have NaN.

    Raises:
        InputError: The model has no local features that lie in a grid, or no study has a phrase.
    """
    annotated = set(store.rows(split=None, annotated=True).tolist())
    wanted = [i for i, row in enumerate(rows) if int(row) in annotated]
    if wanted and not has_grid(model.encoder):
        raise InputError("grounding: this image model has no local features that lie in a grid")
    found: list[dict[str, float]] = [{} for _ in rows]
    for first in range(0, len(wanted), _BATCH):
        some = wanted[first : first + _BATCH]
        studies = [store[int(rows[i])] for i in some]
        size = model.encoder.preprocessing.size
        phrases = [list(phrases_of(study, size)) for study in studies]
        texts = sorted({phrase.text for own in phrases for phrase in own if phrase.others_HW is None})
        if not texts:
            continue
        text_of = dict(zip(texts, model.embed_texts(texts), strict=True))
        pixels = model.encoder.preprocessing([decode(study.image) for study in studies])
        grid_BhwD = model.encoder.image_features(pixels.to(model.device)).grid
        assert grid_BhwD is not None
        unit_BhwD = F.normalize(grid_BhwD.float(), dim=-1).cpu()
        for i, own, unit_hwD in zip(some, phrases, unit_BhwD, strict=True):
            scores = [
                _scored(
                    phrase,
                    _spread(unit_hwD, text_of[phrase.text], size)
                    if phrase.others_HW is None
                    else phrase.others_HW,
                )
                for phrase in own
            ]
            if scores:
                found[i] = {str(name): float(value) for name, value in pd.DataFrame(scores).mean().items()}
    names = {name for scores in found for name in scores}
    if not names:
        raise InputError("grounding: no study of the split has gaze or regions; judge another split or store")
    return pd.DataFrame(
        found, columns=sorted(names, key=lambda name: (KINDS.index(name.partition("_")[0]), name))
    )


def statistics(per_sample: pd.DataFrame) -> dict[str, Statistic]:
    """The mean over images of each; what a map of the centre gets stands as chance."""
    return {
        name: mean(
            per_sample[name].to_numpy(float),
            direction="lower" if "divergence" in name else "higher",
            chance=float(per_sample[name + CENTRE].mean()),
        )
        for name in per_sample.columns
        if not name.endswith(CENTRE)
    }


def where_it_looks(evaluation: Evaluation) -> Markup | None:
    """AUC (Judd) of each kind with what the centre gets, for the page; None without gaze."""
    found = evaluation.metrics["grounding"]
    names = {"report": "report", "sentence": "sentences", "reader": "other readers"}
    rows = [(name, found[f"{kind}_auc_judd"]) for kind, name in names.items() if f"{kind}_auc_judd" in found]
    return interval_chart(rows, title="AUC (Judd); dotted: the centre") if rows else None


def phrases_of(study: Study, size: int) -> Iterator[Phrase]:
    """What can be asked of a study; nothing for gaze or regions that do not show in the square."""
    yield from _readers(study, size)
    fixations = [fixation for annotation in study.annotations for fixation in annotation.fixations]
    if study.text.strip():
        yield from _looked_at("report", study.text, fixations, study, size)
    for annotation in study.annotations:
        for sentence in annotation.sentences:
            if any(map(str.isalpha, sentence.text)):
                own = sentence_fixations(annotation, sentence)
                yield from _looked_at("sentence", sentence.text.strip(), own, study, size)
    outlined: dict[str, list[Annotation]] = {}
    for annotation in study.annotations:
        if annotation.region is not None and annotation.label:
            outlined.setdefault(annotation.label, []).append(annotation)
    for label, regions in outlined.items():
        within_HW = np.logical_or.reduce([inside(one, study.height, study.width) for one in regions])
        covered_HW = fit(within_HW.astype(np.uint8) * 255, size)
        if covered_HW.any():  # what is smaller than a pixel has the one that holds most of it
            shown_HW = covered_HW >= min(128, covered_HW.max())
            yield Phrase("region", label, shown_HW.astype(np.float64), None)


def _readers(study: Study, size: int) -> Iterator[Phrase]:
    """Each reader's gaze, with that of the others."""
    gaze: dict[str, list[Fixation]] = {}
    for annotation in study.annotations:
        if annotation.fixations:
            gaze.setdefault(annotation.reader, []).extend(annotation.fixations)
    for reader, own in gaze.items():
        others = [fixation for other, found in gaze.items() if other != reader for fixation in found]
        others_HW = _square(render(others, study.height, study.width), size)
        if others_HW is not None:
            for phrase in _looked_at(OF_READERS, "", own, study, size):
                yield replace(phrase, others_HW=others_HW)


def _looked_at(
    kind: str, text: str, fixations: Sequence[Fixation], study: Study, size: int
) -> Iterator[Phrase]:
    map_HW = _square(render(fixations, study.height, study.width), size)
    at_F3 = np.array([[f.x, f.y, 1.0] for f in fixations if f.duration > 0]).reshape(-1, 3)
    at_F2 = np.floor((at_F3 @ fit_matrix(study.height, study.width).T)[:, 1::-1] * size)
    at_F2 = at_F2[((at_F2 >= 0) & (at_F2 < size)).all(1)].astype(int)
    if map_HW is not None and len(at_F2):
        yield Phrase(kind, text, map_HW, at_F2)


def _square(map_HW: np.ndarray | None, size: int) -> np.ndarray | None:
    """A map in the square that the encoder sees, its highest value 1; None where nothing shows."""
    if map_HW is None:
        return None
    square_HW = fit((map_HW * 255).astype(np.uint8), size).astype(np.float64)
    return square_HW / square_HW.max() if square_HW.any() else None


def _spread(unit_hwD: torch.Tensor, text_D: np.ndarray, size: int) -> np.ndarray:
    cosine_hw = unit_hwD @ torch.from_numpy(text_D)
    spread = F.interpolate(cosine_hw[None, None], (size, size), mode="bilinear", align_corners=False)
    return spread[0, 0].double().numpy()


@cache
def _centre(size: int) -> np.ndarray:
    return centre_bias(size, size).double().numpy()


def _scored(phrase: Phrase, map_HW: np.ndarray) -> dict[str, float]:
    scores: dict[str, float] = {}
    inside_HW = phrase.map_HW >= LOOKED
    for suffix, candidate_HW in (("", map_HW), (CENTRE, _centre(len(map_HW)))):
        own = {"pointing_game": saliency.pointing_game(candidate_HW, inside_HW)}
        if phrase.fixated_F2 is None:
            own["contrast_to_noise"] = saliency.contrast_to_noise(candidate_HW, inside_HW)
        else:
            own["nss"] = saliency.nss(candidate_HW, phrase.fixated_F2)
            own["auc_judd"] = saliency.auc_judd(candidate_HW, phrase.fixated_F2)
            own["kl_divergence"] = saliency.kl_divergence(candidate_HW, phrase.map_HW)
            own["correlation"] = saliency.correlation(candidate_HW, phrase.map_HW)
        scores |= {f"{phrase.kind}_{name}{suffix}": value for name, value in own.items()}
    return scores
