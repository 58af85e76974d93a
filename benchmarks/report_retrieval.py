"""Retrieval for a draft: milliseconds a query, beside encoding the retrieved texts anew; and a large index.

    python benchmarks/report_retrieval.py [--reports 100000 --many 1000000]

Synthetic unit vectors of 512 dimensions: texts lie around 2,000 topics (a quarter as far from each
other as single texts are), and images around the same topics, but all moved to one side, as the modality gap of a CLIP
moves them. "Encoding anew" is what the published code does for every
query: the 100 retrieved texts through a BERT-base (random weights, texts of 80 tokens). The large index is built in a
process of its own, so that its peak memory is its own.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from transformers import BertConfig, BertModel

from eclip.reporting.approximate import exact_neighbours, recall_of, write_approximate
from eclip.reporting.index import ReportIndex
from eclip.reporting.index_writer import write_index
from eclip.reporting.retriever import retrieve
from eclip.reporting.snippets import select

DIMENSIONS, TOPICS, NOISE = 512, 2000, 2.0


def vectors(count, *, seed, gap=0.0):
    topic_TD = np.random.default_rng(0).standard_normal((TOPICS, DIMENSIONS), dtype=np.float32)
    draw = np.random.default_rng(seed)
    rows = topic_TD[draw.integers(TOPICS, size=count)]
    for start in range(0, count, 10_000):
        some = rows[start : start + 10_000]
        some += NOISE * draw.standard_normal(some.shape, dtype=np.float32)
        some[:, 0] += gap * np.sqrt(DIMENSIONS)
        some /= np.linalg.norm(some, axis=1, keepdims=True)
    return rows


def milliseconds(do, repeats):
    do(0)
    start = time.perf_counter()
    for i in range(repeats):
        do(i)
    return (time.perf_counter() - start) / repeats * 1e3


def queries_of_a_draft(reports):
    texts = [f"Report {i}." for i in range(reports)]
    rows = [
        {"text": i, "study_id": f"s{i}", "patient_id": f"p{i // 2}", "labels": []} for i in range(reports)
    ]
    manifest = {
        "format": 1,
        "level": "report",
        "kind": "exact",
        "model_fingerprint": "",
        "texts": reports,
        "entries": reports,
        "sources": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        write_index(Path(folder) / "index", manifest, vectors(reports, seed=1), texts, rows, None)
        index = ReportIndex.open(Path(folder) / "index")
        images = vectors(200, seed=2, gap=1.0)

        def one(i):
            (found,) = retrieve(index, images[i : i + 1], count=100, exclude_patients=[[f"p{i}"]])
            select("k-means", found, index.vectors[[s.number for s in found]], count=5)

        alone = milliseconds(one, 100)
        found = retrieve(index, images, count=100)
        start = time.perf_counter()
        retrieve(index, images, count=100)
        together = (time.perf_counter() - start) / len(images) * 1e3
        picking = milliseconds(
            lambda i: select("k-means", found[i], index.vectors[[s.number for s in found[i]]], count=5), 100
        )
    bert = BertModel(BertConfig()).eval()
    ids = torch.randint(1000, 30000, (100, 80))

    @torch.inference_mode()
    def encode(_):
        bert(ids)

    anew = milliseconds(encode, 3)
    print(f"{reports:,} reports: retrieval of 100 and k-means of 5: {alone:.1f} ms a query (k-means {picking:.1f}); "
          f"200 queries together {together:.1f} ms each without k-means", flush=True)  # fmt: skip
    print(f"encoding 100 texts with a BERT-base: {anew:.0f} ms; {anew / alone:.0f} times as long", flush=True)


def many(reports, kind):
    texts = vectors(reports, seed=1)
    images = vectors(1000, seed=2, gap=1.0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.faiss"
        start = time.perf_counter()
        told = write_approximate(path, texts, kind, images[:500])
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        import faiss

        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        fresh = images[500:]
        recall = recall_of(index.search(fresh, 10)[1], exact_neighbours(texts, fresh, 10))
        query = milliseconds(lambda i: index.search(fresh[i : i + 1], 100), 100)
        exact = milliseconds(lambda i: exact_neighbours(texts, fresh[i : i + 1], 100), 3)
        size = path.stat().st_size / 2**30
    print(
        f"{kind}, {reports:,} vectors: built in {seconds:.0f} s, {size:.2f} GiB on disk, at most "
        f"{peak:.1f} GiB in the process ({before:.1f} before); effort {told['effort']}, recall@10 {recall:.4f} for "
        f"fresh images; {query:.1f} ms a query, exact {exact:.0f} ms",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--reports", type=int, default=100_000)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--kinds", nargs="*", default=["ivf"])
    arguments = parser.parse_args()
    parts = [(queries_of_a_draft, (arguments.reports,))] + [
        (many, (arguments.many, kind)) for kind in arguments.kinds
    ]
    for part, values in parts:
        process = multiprocessing.get_context("spawn").Process(target=part, args=values)
        process.start()
        process.join()


if __name__ == "__main__":
    main()
