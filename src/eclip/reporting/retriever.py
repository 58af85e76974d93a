"""From an image's vector to the reports that a draft is made from."""

from collections.abc import Collection, Sequence

import numpy as np

from eclip.errors import InputError
from eclip.reporting.generators.protocol import Source
from eclip.reporting.index import ReportIndex

_POOL = 4  # candidates a place, for diversity to choose among


def retrieve(
    index: ReportIndex,
    image_QD: np.ndarray,
    *,
    count: int = 20,
    exclude_patients: Sequence[Collection[str]] = (),
    labels: Collection[str] = (),
    diversity: float = 0.0,
) -> list[list[Source]]:
    """The texts nearest to each image, by cosine, each once however many studies say it.

    Args:
        index: Where to look.
        image_QD: Unit vectors (Q, D) of images, by the model that made the index.
        count: How many; fewer if there are not so many.
        exclude_patients: For each image, patients whose studies do not count; a text that others say as well stays.
        labels: Findings that have to be present in a study.
        diversity: 0 takes the nearest; towards 1 what is unlike those already taken counts more (maximal marginal
            relevance, Carbonell & Goldstein 1998: the highest (1 - d) cos(image, t) - d max cos(t, taken)).

    Raises:
        InputError: A count below 1, a diversity outside [0, 1), or a finding that no study has.
    """
    if count < 1 or not 0 <= diversity < 1:
        raise InputError(f"expected 1 or more texts and a diversity in [0, 1); got {count} and {diversity}")
    excluded = exclude_patients or [()] * len(image_QD)
    wanted = count if diversity == 0 else _POOL * count
    # only texts of excluded patients can be in the way
    depth = wanted + max((sum(map(index.texts_of, patients)) for patients in excluded), default=0)
    among = index.texts_with(labels) if labels else None

    def look(rows_Q: Sequence[int], exact: bool) -> dict[int, list[Source]]:
        cosine_QK, number_QK = index.search(image_QD[rows_Q], depth, among=among, exact=exact)
        return {
            q: _eligible(index, cosine_K, number_K, wanted, excluded[q], labels)
            for q, cosine_K, number_K in zip(rows_Q, cosine_QK, number_QK, strict=True)
        }

    found = look(range(len(image_QD)), exact=False)
    short = [q for q, sources in found.items() if len(sources) < wanted]
    if short and among is None and index.manifest["kind"] != "exact":  # it does not look so deep
        found |= look(short, exact=True)
    return [_diverse(index, sources, count, diversity) for sources in found.values()]


def _eligible(
    index: ReportIndex,
    cosine_K: np.ndarray,
    number_K: np.ndarray,
    wanted: int,
    exclude_patients: Collection[str],
    labels: Collection[str],
) -> list[Source]:
    sources: list[Source] = []
    for cosine, number in zip(cosine_K.tolist(), number_K.tolist(), strict=True):
        if len(sources) == wanted or number < 0:
            break
        studies = index.sayers(number, exclude_patients=exclude_patients, labels=labels)
        if len(studies):
            sources.append(
                Source(
                    study_id=index.study_id(studies[0]),
                    text=index.text(number),
                    similarity=cosine,
                    studies=len(studies),
                    number=number,
                )
            )
    return sources


def _diverse(index: ReportIndex, sources: list[Source], count: int, diversity: float) -> list[Source]:
    if diversity == 0 or len(sources) <= 1:
        return sources[:count]
    vectors_KD = index.vectors[[source.number for source in sources]]
    relevance_K = np.array([source.similarity for source in sources])
    nearest_K = np.full(len(sources), -np.inf)
    taken: list[int] = []
    for _ in range(min(count, len(sources))):
        score_K = (1 - diversity) * relevance_K - (diversity * nearest_K if taken else 0)
        score_K[taken] = -np.inf
        best = int(score_K.argmax())
        taken.append(best)
        nearest_K = np.maximum(nearest_K, vectors_KD @ vectors_KD[best])
    return [sources[i] for i in taken]
