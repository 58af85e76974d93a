"""Approximate search with FAISS: as little effort as finds 99 of 100 neighbours of the images that will ask.

ivf     inverted lists, about 4 √M; effort: how many lists are looked through
hnsw    a graph of 32 neighbours; effort: how many candidates are kept on the way

Image vectors do not lie among text vectors (the modality gap), so recall for texts would promise too much: the effort
is chosen, and recall is told, for images.

Array names: Q queries, M texts, D dimensions, K neighbours.
"""

from pathlib import Path
from typing import Any

import numpy as np

RECALL = 0.99
NEIGHBOURS = 10
_ROWS = 100_000  # vectors read at a time
_GRAPH_NEIGHBOURS = 32


def write_approximate(
    path: Path, vectors_MD: np.ndarray, kind: str, query_QD: np.ndarray
) -> dict[str, float]:
    """Build an index, choose its effort, and write it.

    Args:
        path: File.
        vectors_MD: Unit vectors of the texts; may be mapped into memory.
        kind: "ivf" or "hnsw".
        query_QD: Unit vectors of images to choose the effort for.

    Returns:
        `effort`, and `recall`: the share of the 10 nearest texts of these images that it finds.
    """
    import faiss

    count, dimensions = vectors_MD.shape
    index: Any
    if kind == "hnsw":
        index = faiss.IndexHNSWFlat(dimensions, _GRAPH_NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = 200
        most = count
    else:
        most = max(1, min(count, int(4 * np.sqrt(count))))
        centres = faiss.IndexFlatIP(dimensions)
        index = faiss.IndexIVFFlat(centres, dimensions, most, faiss.METRIC_INNER_PRODUCT)
        index.cp.min_points_per_centroid = 1  # no warning where there are few texts
        index.cp.niter = 10
        draw = np.random.default_rng(0)
        index.train(vectors_MD[np.sort(draw.choice(count, min(count, 64 * most), replace=False))])
    for start in range(0, count, _ROWS):
        index.add(np.ascontiguousarray(vectors_MD[start : start + _ROWS]))
    nearest_QK = exact_neighbours(vectors_MD, query_QD, NEIGHBOURS)
    effort, recall = 8, 0.0
    while True:
        effort = min(effort, most)
        if kind == "hnsw":
            index.hnsw.efSearch = effort
        else:
            index.nprobe = effort
        recall = recall_of(index.search(query_QD, nearest_QK.shape[1])[1], nearest_QK)
        if recall >= RECALL or effort == most:
            break
        effort *= 2
    faiss.write_index(index, str(path))
    return {"effort": effort, "recall": round(recall, 4)}


def exact_neighbours(vectors_MD: np.ndarray, query_QD: np.ndarray, count: int) -> np.ndarray:
    """Numbers (Q, K) of the texts nearest to each query, in no order, by comparing with every one."""
    cosines, numbers = [], []
    for start in range(0, len(vectors_MD), _ROWS):
        cosine_QM = query_QD @ vectors_MD[start : start + _ROWS].T
        kept = min(count, cosine_QM.shape[1])
        best_QK = np.argpartition(-cosine_QM, kept - 1, axis=1)[:, :kept]
        cosines.append(np.take_along_axis(cosine_QM, best_QK, 1))
        numbers.append(best_QK + start)
    cosine_QX, number_QX = np.concatenate(cosines, 1), np.concatenate(numbers, 1)
    kept = min(count, cosine_QX.shape[1])
    return np.take_along_axis(number_QX, np.argpartition(-cosine_QX, kept - 1, axis=1)[:, :kept], 1)


def recall_of(found_QK: np.ndarray, nearest_QK: np.ndarray) -> float:
    """Share of the nearest that was found."""
    return float((found_QK[:, :, None] == nearest_QK[:, None, :]).any(1).mean())
