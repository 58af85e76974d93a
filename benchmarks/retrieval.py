"""Retrieval of many: peak memory and time, beside one dense float32 product and a full sort.

    python benchmarks/retrieval.py [--studies 50000 --dense 10000]

Random unit vectors of 512 dimensions, both ways, all variants, with labels. Each part runs in a process of its own, so
that its peak memory is its own.
"""

import argparse
import multiprocessing
import resource
import time

import numpy as np

from eclip.evaluation.embeddings import Embeddings
from eclip.evaluation.retrieval import per_sample

DIMENSIONS = 512


def case(studies: int) -> Embeddings:
    draw = np.random.default_rng(0)
    image_ND, text_ND = (draw.standard_normal((studies, DIMENSIONS), dtype=np.float32) for _ in range(2))
    for vectors in (image_ND, text_ND):
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Embeddings(
        image_id=[f"i{n}" for n in range(studies)],
        study_id=[f"s{n}" for n in range(studies)],
        patient_id=[f"p{n // 2}" for n in range(studies)],
        text=[f"report {n}" for n in range(studies)],
        label_names=("A", "B"),
        label_NC=draw.integers(0, 2, (studies, 2)).astype(np.float32),
        image_ND=image_ND,
        text_ND=text_ND,
    )


def chunked(studies: int) -> None:
    embeddings = case(studies)
    start = time.perf_counter()
    per_sample(embeddings)
    _report(f"per_sample, {studies:,} x {studies:,}, both ways", time.perf_counter() - start)


def dense(studies: int) -> None:
    embeddings = case(studies)
    start = time.perf_counter()
    np.argsort(embeddings.image_ND @ embeddings.text_ND.T, axis=1)
    np.argsort(embeddings.text_ND @ embeddings.image_ND.T, axis=1)
    _report(f"dense product and sort, {studies:,} x {studies:,}, both ways", time.perf_counter() - start)


def _report(what: str, seconds: float) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{what}: {seconds:.1f} s, at most {peak:.2f} GiB in the process", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=50_000)
    parser.add_argument("--dense", type=int, default=10_000)
    arguments = parser.parse_args()
    for part, studies in ((dense, arguments.dense), (chunked, arguments.dense), (chunked, arguments.studies)):
        process = multiprocessing.get_context("spawn").Process(target=part, args=(studies,))
        process.start()
        process.join()


if __name__ == "__main__":
    main()
