"""Which of the retrieved texts the prompt shows."""

import warnings
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import ThreadpoolController

from eclip.errors import InputError
from eclip.reporting.consensus import consensus
from eclip.reporting.generators.protocol import Source
from eclip.reporting.settings import Selection


def select(
    method: Selection, sources: Sequence[Source], vectors_KD: np.ndarray, *, count: int, seed: int = 0
) -> list[Source]:
    """Choose snippets, in the order of their similarity to the image; of a consensus, the most important first.

    "k-means" takes of `count` clusters of the vectors the text nearest each centre, by cosine (paper, section 4.4);
    "top" the nearest texts; "consensus" the sentences that most of the texts agree on, or "top" where there is none.

    Args:
        method: How.
        sources: Retrieved texts.
        vectors_KD: Their unit vectors, as they are stored.
        count: How many snippets; fewer if there are not so many texts.
        seed: Of the clustering.

    Raises:
        InputError: A count below 1.
    """
    if count < 1:
        raise InputError(f"expected 1 or more snippets, got {count}")
    return _METHODS[method](sources, vectors_KD, count, seed)


def _k_means(sources: Sequence[Source], vectors_KD: np.ndarray, count: int, seed: int) -> list[Source]:
    if len(sources) <= count:
        return list(sources)
    fewer = warnings.catch_warnings(action="ignore", category=ConvergenceWarning)  # fewer clusters will do
    with fewer, _threads().limit(limits=1):  # more cost more than they bring, and change the sums
        centre_CD = KMeans(count, n_init=1, random_state=seed).fit(vectors_KD).cluster_centers_
    nearest = (vectors_KD @ centre_CD.T / np.maximum(np.linalg.norm(centre_CD, axis=1), 1e-12)).argmax(0)
    return [sources[i] for i in sorted(set(nearest.tolist()), key=lambda i: (-sources[i].similarity, i))]


def _top(sources: Sequence[Source], vectors_KD: np.ndarray, count: int, seed: int) -> list[Source]:
    return sorted(sources, key=lambda source: -source.similarity)[:count]


def _consensus(sources: Sequence[Source], vectors_KD: np.ndarray, count: int, seed: int) -> list[Source]:
    return consensus(sources)[:count] or _top(sources, vectors_KD, count, seed)


@cache
def _threads() -> ThreadpoolController:
    return ThreadpoolController()  # looks through all libraries: once, not for every query


_METHODS: dict[Selection, Callable[[Sequence[Source], np.ndarray, int, int], list[Source]]] = {
    "k-means": _k_means,
    "top": _top,
    "consensus": _consensus,
}
