"""Snippets: one a cluster, nearest its centre; and the others."""

import numpy as np
import pytest

from eclip.errors import InputError
from eclip.reporting.generators.protocol import Source
from eclip.reporting.snippets import select


def sources(similarities):
    return [
        Source(study_id=f"s{i}", text=f"No edema. Text {i}.", similarity=s, number=i)
        for i, s in enumerate(similarities)
    ]


def test_k_means_takes_the_text_nearest_each_centre_in_the_order_of_similarity():
    corners = np.eye(3, 6)
    draw = np.random.default_rng(0)
    points = np.repeat(corners, 5, axis=0) + 0.05 * draw.normal(size=(15, 6))
    points = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    all_of = sources(draw.permutation(15) / 15)
    expected = []
    for cluster in range(3):
        rows = np.arange(5 * cluster, 5 * cluster + 5)
        centre = points[rows].mean(0)
        expected.append(int(rows[np.argmax(points[rows] @ centre)]))
    expected.sort(key=lambda i: -all_of[i].similarity)
    for seed in range(3):
        assert [s.number for s in select("k-means", all_of, points, count=3, seed=seed)] == expected


def test_equal_vectors_and_few_texts_are_no_trouble():
    same = np.tile(np.eye(1, 4, dtype=np.float32), (8, 1))
    assert len(select("k-means", sources(np.arange(8) / 8), same, count=3)) >= 1
    assert len(select("k-means", sources([0.1, 0.2]), same[:2], count=3)) == 2
    assert select("k-means", [], np.empty((0, 4), np.float32), count=3) == []


def test_top_takes_the_nearest():
    found = select("top", sources([0.1, 0.9, 0.5]), np.eye(3, dtype=np.float32), count=2)
    assert [s.number for s in found] == [1, 2]


def test_consensus_takes_sentences():
    found = select("consensus", sources([0.3, 0.2, 0.1]), np.eye(3, dtype=np.float32), count=2)
    assert [s.text for s in found] == ["No edema."]


def test_where_the_texts_agree_on_nothing_the_nearest_stand_for_a_consensus():
    texts = ["Cardiomegaly.", "Pneumothorax.", "Rib fracture."]
    apart = [
        Source(study_id="s", text=t, similarity=s, number=0)
        for t, s in zip(texts, (0.1, 0.3, 0.2), strict=True)
    ]
    found = select("consensus", apart, np.eye(3, dtype=np.float32), count=2)
    assert [s.text for s in found] == ["Pneumothorax.", "Rib fracture."]


def test_no_snippet_is_refused():
    with pytest.raises(InputError, match="1 or more snippets"):
        select("top", sources([0.1]), np.eye(1), count=0)
