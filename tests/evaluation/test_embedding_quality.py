"""Alignment, uniformity and modality gap against loops from their formulas, and in any rotation."""

import math

import numpy as np
import pytest

from eclip.evaluation import embedding_quality
from eclip.evaluation.bootstrap import summarise
from eclip.evaluation.embedding_quality import uniformity
from small_evaluations import embeddings, unit_rows


def values(case):
    """All but what is fitted, which has a test of its own."""
    numbers = embedding_quality.statistics(embedding_quality.per_sample(case), case)
    del numbers["modality_separability"]
    return {name: float(s.of(np.ones((1, len(case)), np.float32))[0]) for name, s in numbers.items()}


def uniformity_loop(points):
    """Equation 2 of Wang & Isola with t = 2, one pair at a time."""
    terms = [
        math.exp(-2 * float(np.sum((points[i] - points[j]) ** 2)))
        for i in range(len(points))
        for j in range(i + 1, len(points))
    ]
    return math.log(sum(terms) / len(terms))


@pytest.mark.parametrize("rows", [2, 3, 17])
def test_equals_the_loops(rows):
    case = embeddings(unit_rows(rows, 4), unit_rows(rows, 4, seed=1))
    image, text = case.image_ND.astype(np.float64), case.text_ND.astype(np.float64)
    found = values(case)
    assert found["alignment"] == pytest.approx(
        np.mean([np.sum((a - b) ** 2) for a, b in zip(image, text, strict=True)])
    )
    assert found["uniformity_image"] == pytest.approx(uniformity_loop(image), abs=1e-5)
    assert found["uniformity_text"] == pytest.approx(uniformity_loop(text), abs=1e-5)
    assert found["uniformity_joint"] == pytest.approx(
        uniformity_loop(np.concatenate([image, text])), abs=1e-5
    )
    assert found["modality_gap"] == pytest.approx(np.linalg.norm(image.mean(0) - text.mean(0)), abs=1e-6)


def test_chunks_give_what_the_whole_gives(monkeypatch):
    case = embeddings(unit_rows(50, 4), unit_rows(50, 4, seed=1))
    whole = values(case)
    monkeypatch.setattr(embedding_quality, "_CHUNK", 7)
    assert values(case) == pytest.approx(whole, abs=1e-6)


def test_closed_forms():
    same = np.tile(unit_rows(1, 4), (6, 1))
    assert values(embeddings(same, same)) == pytest.approx(
        dict.fromkeys(values(embeddings(same, same)), 0.0), abs=1e-6
    )
    apart = values(embeddings(same, -same))
    assert apart["alignment"] == pytest.approx(4.0, abs=1e-5)
    assert apart["modality_gap"] == pytest.approx(2.0, abs=1e-6)


def test_rotation_and_order_change_nothing():
    image_ND, text_ND = unit_rows(30, 5), unit_rows(30, 5, seed=1)
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(5, 5)))[0].astype(np.float32)
    order = np.random.default_rng(3).permutation(30)
    turned = embeddings((image_ND @ rotation)[order], (text_ND @ rotation)[order])
    assert values(turned) == pytest.approx(values(embeddings(image_ND, text_ND)), abs=1e-5)


def test_weights_are_repeated_samples_whose_copies_make_no_pairs():
    image_ND, counts = unit_rows(6, 4), np.array([2, 0, 1, 3, 1, 1])
    rows = np.repeat(np.arange(6), counts)
    terms = [
        math.exp(-2 * float(np.sum((image_ND[a] - image_ND[b]) ** 2))) for a in rows for b in rows if a != b
    ]
    found = uniformity(counts[None].astype(np.float32), image_ND)[0]
    assert found == pytest.approx(math.log(np.mean(terms)), abs=1e-5)


@pytest.mark.parametrize("spread", [0.02, 0.3, 3.0])
@pytest.mark.parametrize("gap", [0.0, 1.0])
def test_intervals_lie_around_their_values(gap, spread):
    """Copies of a sample that met themselves would push every interval to one side of its value."""
    draw = np.random.default_rng(1)
    image_ND = np.eye(1, 32) + spread * draw.normal(size=(60, 32))
    text_ND = np.eye(1, 32) + gap * np.eye(1, 32, 1) + spread * draw.normal(size=(60, 32))
    unit = [(v / np.linalg.norm(v, axis=1, keepdims=True)).astype(np.float32) for v in (image_ND, text_ND)]
    case = embeddings(*unit)
    numbers = embedding_quality.statistics(embedding_quality.per_sample(case), case)
    del numbers["modality_separability"]  # all of them are told apart
    for name, found in summarise(numbers, case.patient_id, seed=0).items():
        share = (found.value - found.low) / (found.high - found.low)
        assert 0.3 < share < 0.7, name


def test_beyond_the_limit_a_spread_of_images_stands_for_all(monkeypatch):
    case = embeddings(unit_rows(40, 4), unit_rows(40, 4, seed=1))
    monkeypatch.setattr(embedding_quality, "EXACT_UP_TO", 20)
    numbers = embedding_quality.statistics(embedding_quality.per_sample(case), case)
    assert numbers["uniformity_image"].n == 20
    assert numbers["alignment"].n == 40


def test_images_without_report_take_no_part():
    image_ND, text_ND = unit_rows(5, 4), unit_rows(5, 4, seed=1)
    keep = [0, 1, 3, 4]
    with_gap = embeddings(image_ND, text_ND, texts=["a", "b", "", "d", "e"])
    assert values(with_gap) == pytest.approx(values(embeddings(image_ND[keep], text_ND[keep])), abs=1e-6)


def test_separability_is_half_for_one_place_and_one_for_two():
    vectors = unit_rows(200, 6)
    together = embeddings(vectors, vectors[np.random.default_rng(0).permutation(200)])
    assert np.mean(embedding_quality.separability(together)) == pytest.approx(0.5, abs=0.2)
    apart = vectors + np.array([3, 0, 0, 0, 0, 0], np.float32)
    apart /= np.linalg.norm(apart, axis=1, keepdims=True)
    assert np.mean(embedding_quality.separability(embeddings(apart, -apart))) == 1
    blank = embeddings(apart, -apart, texts=["", *["x"] * 199])
    assert np.isnan(embedding_quality.separability(blank)).tolist() == [True, *[False] * 199]
    one = embeddings(apart, -apart, patients=["p"] * 200)
    assert np.isnan(embedding_quality.separability(one)).all()  # nobody else to learn from
