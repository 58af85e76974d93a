"""What a draft has to beat: reports that nobody drafted."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from eclip.data.store import Store
from eclip.reporting.generators.protocol import Case
from eclip.reporting.index import ReportIndex

_ROWS = 256
NORMAL = (
    "The lungs are clear. There is no pleural effusion or pneumothorax. The cardiomediastinal silhouette is normal. "
    "No acute osseous abnormality."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedImages:
    """Images whose reports are in an index.

    Attributes:
        image_ND: Their vectors.
        patient_id: (N,).
        text: (N,) their reports.
    """

    image_ND: np.ndarray
    patient_id: list[str]
    text: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a baseline may look at.

    Attributes:
        cases: Of the images that are judged, with what was retrieved.
        patients: For each, those whose reports do not count.
        image_ND: Vectors of the images.
        index: Where reports are taken from.
        training: Images of the studies in the index, if they are at hand.
        seed: Of draws.
    """

    cases: Sequence[Case]
    patients: Sequence[Collection[str]]
    image_ND: np.ndarray
    index: ReportIndex
    training: IndexedImages | None
    seed: int


def most_frequent(judged: Judged) -> list[str]:
    """For every image the report that most studies of other patients have, word for word."""
    order = np.argsort(-judged.index.counts(), kind="stable")
    return [_first_said(judged.index, order, patients) for patients in judged.patients]


def random(judged: Judged) -> list[str]:
    """For each image the report of a study drawn at random."""
    weights = judged.index.counts() / judged.index.counts().sum()
    draws = np.random.default_rng([judged.seed, 1]).choice(len(weights), (len(judged.cases), 20), p=weights)
    return [
        _first_said(judged.index, own, patients) for own, patients in zip(draws, judged.patients, strict=True)
    ]


def always_normal(judged: Judged) -> list[str]:
    """For every image the same normal report, written by us."""
    return [NORMAL] * len(judged.cases)


def nearest_report(judged: Judged) -> list[str]:
    """The report nearest to the image, word for word."""
    return [case.retrieved[0].text if case.retrieved else "" for case in judged.cases]


def nearest_image(judged: Judged) -> list[str] | None:
    """The report of the study whose image is nearest; None where the images are not at hand."""
    if judged.training is None:
        return None
    there = judged.training
    found = []
    for start in range(0, len(judged.cases), _ROWS):
        cosine_QN = judged.image_ND[start : start + _ROWS] @ there.image_ND.T
        for cosine_N, patients in zip(cosine_QN, judged.patients[start : start + _ROWS], strict=True):
            order = np.argsort(-cosine_N, kind="stable")
            found.append(next((there.text[i] for i in order if there.patient_id[i] not in patients), ""))
    return found


def indexed_images(
    store: Store, index: ReportIndex, embed: Callable[[str], np.ndarray]
) -> IndexedImages | None:
    """The images whose reports are in the index; None unless it was made from one split of this store.

    Args:
        store: The studies.
        index: Of their reports.
        embed: Name of a split to its image vectors.
    """
    sources = index.manifest["sources"]
    if len(sources) != 1 or sources[0]["data_fingerprint"] != store.fingerprint:
        return None
    rows, studies = store.rows(split=sources[0]["split"]), index.studies()
    text, study, patient = (store.column(name) for name in ("text", "study_id", "patient_id"))
    kept = [i for i, row in enumerate(rows) if text[row].strip() and study[row] in studies]
    return IndexedImages(
        image_ND=embed(sources[0]["split"])[kept],
        patient_id=[patient[rows[i]] for i in kept],
        text=[text[rows[i]] for i in kept],
    )


def baseline_texts(name: str, judged: Judged) -> list[str] | None:
    """What a baseline says of each image; None where the index does not hold what it needs.

    Args:
        name: Out of `BASELINES`.
        judged: What it may look at.
    """
    if name in _OF_WHOLE_REPORTS and judged.index.level != "report":
        return None
    return BASELINES[name](judged)


BASELINES: dict[str, Callable[[Judged], list[str] | None]] = {
    "most-frequent": most_frequent,
    "random": random,
    "always-normal": always_normal,
    "nearest-report": nearest_report,
    "nearest-image": nearest_image,
}
_OF_WHOLE_REPORTS = ("most-frequent", "random", "nearest-report")


def _first_said(index: ReportIndex, numbers: np.ndarray, patients: Collection[str]) -> str:
    """The first text that others than these patients say, if any."""
    return next((index.text(n) for n in numbers if len(index.sayers(int(n), exclude_patients=patients))), "")
