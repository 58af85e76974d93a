"""Similarity between findings against a loop over pairs of images."""

import numpy as np
import pytest

from eclip.evaluation.finding_similarity import finding_similarities
from small_evaluations import embeddings, unit_rows


def test_equals_a_loop_over_pairs():
    draw = np.random.default_rng(0)
    kind = draw.integers(0, 3, 40)
    kind[:3] = 2
    vectors = unit_rows(40, 5)
    labels = {name: (kind == c).astype(float) for c, name in enumerate("ABC")}
    labels["A"][7] = -1.0
    names, found = finding_similarities(embeddings(vectors, vectors, labels=labels))
    assert names == ["A", "B", "C"]
    kind[7] = -1
    for a in range(3):
        for b in range(3):
            pairs = [
                vectors[i] @ vectors[j]
                for i in range(40)
                for j in range(40)
                if i != j and kind[i] == a and kind[j] == b
            ]
            assert found[a, b] == pytest.approx(np.mean(pairs), abs=1e-6)


def test_rare_findings_and_no_labels_have_no_row():
    vectors = unit_rows(12, 4)
    labels = {"A": [1.0] * 8 + [0.0] * 4, "B": [0.0] * 8 + [1.0] * 4}
    assert finding_similarities(embeddings(vectors, vectors, labels=labels))[0] == ["A"]
    assert finding_similarities(embeddings(vectors, vectors))[0] == []
