"""Alignment, uniformity and modality gap against loops from their formulas, and in any rotation."""

import math
from itertools import permutations

import numpy as np
import pytest
from scipy.stats import skew

from eclip.evaluation import embedding_quality
from eclip.evaluation.bootstrap import summarise
from eclip.evaluation.embedding_quality import effective_rank, found_by, uniformity
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
    collapsed = values(embeddings(same, same))
    assert np.isnan([collapsed.pop("effective_rank_image"), collapsed.pop("effective_rank_text")]).all()
    assert collapsed == pytest.approx(dict.fromkeys(collapsed, 0.0), abs=1e-6)
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
        skewed = name.startswith(("effective_rank", "hubness"))  # ratios: their draws have a long upper end
        assert (0 if skewed else 0.3) < share < (1 if skewed else 0.7), name


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


def test_separability_is_learned_from_other_patients():
    """Four alike images a patient: who had seen one of them would know the others by heart."""
    image_ND, text_ND = (np.repeat(unit_rows(50, 400, seed=seed), 4, axis=0) for seed in (0, 1))
    case = embeddings(image_ND, text_ND, patients=[f"p{i // 4}" for i in range(200)])
    assert np.mean(embedding_quality.separability(case)) == pytest.approx(0.5, abs=0.15)
    strangers = embeddings(image_ND, text_ND)
    assert np.mean(embedding_quality.separability(strangers)) > 0.95


def mean_over_distinct(weights, size, term):
    """Weighted mean of term(i, j, …) over samples that are all different."""
    tuples = list(permutations(range(len(weights)), size))
    mass = [math.prod(weights[i] for i in own) for own in tuples]
    return sum(m * term(*own) for m, own in zip(mass, tuples, strict=True)) / sum(mass)


@pytest.mark.parametrize("weights", [[1] * 7, [2, 0, 1, 3, 1, 1, 2]])
def test_effective_rank_equals_the_loop_over_distinct_samples(weights):
    points = unit_rows(7, 3).astype(np.float64)
    k = points @ points.T
    length = mean_over_distinct(weights, 4, lambda i, j, m, n: k[i, j] * k[m, n])
    trace_square = 1 - 2 * mean_over_distinct(weights, 2, lambda i, j: k[i, j]) + length
    square_trace = mean_over_distinct(weights, 2, lambda i, j: k[i, j] ** 2) + length
    square_trace -= 2 * mean_over_distinct(weights, 3, lambda i, j, m: k[i, j] * k[i, m])
    found = effective_rank(np.array([weights], np.float32), points.astype(np.float32))[0]
    assert found == pytest.approx(trace_square / square_trace, rel=1e-4)


@pytest.mark.parametrize("dimensions", [3, 24])
@pytest.mark.parametrize("rows", [40, 2000])
def test_effective_rank_of_a_round_cloud_is_its_dimension_however_many_there_are(rows, dimensions):
    cloud = np.pad(unit_rows(rows, dimensions), ((0, 0), (0, 8)))
    found = effective_rank(np.ones((1, rows), np.float32), cloud)[0]
    assert found == pytest.approx(dimensions, rel=0.25 if rows == 40 else 0.02)


@pytest.mark.parametrize("levels", [2, 1000])
def test_found_by_equals_a_loop_that_shares_ties(levels):
    draw = np.random.default_rng(levels)
    query, candidate = draw.integers(0, levels, (2, 30, 3)).astype(np.float32)
    patients = np.array([f"p{i // 2}" for i in range(30)], dtype=object)
    expected = np.zeros(30)
    for i in range(30):
        others = [j for j in range(30) if patients[j] != patients[i]]
        scores = {j: float(query[i] @ candidate[j]) for j in others}
        last = sorted(scores.values(), reverse=True)[9]
        above = [j for j in others if scores[j] > last]
        tied = [j for j in others if scores[j] == last]
        expected[above] += 1
        expected[tied] += (10 - len(above)) / len(tied)
    np.testing.assert_allclose(found_by(query, candidate, patients), expected)
    assert expected.sum() == pytest.approx(300)


def test_copies_of_a_text_are_found_equally_often():
    """Products of many columns round otherwise in the last ones; a copy must not win by that."""
    image_ND, text_ND = unit_rows(403, 128), unit_rows(403, 128, seed=1)
    same = np.arange(403) % 5 < 2
    image_ND[:, 0] += 1
    image_ND /= np.linalg.norm(image_ND, axis=1, keepdims=True)
    text_ND[same] = image_ND.mean(0) / np.linalg.norm(image_ND.mean(0))
    found_N = found_by(image_ND, text_ND, np.arange(403))
    assert found_N[same].min() > 10
    assert np.ptp(found_N[same]) < 0.1  # each is not found by its own image
    assert found_N.sum() == pytest.approx(4030)


def test_hubness_is_the_skewness_of_how_often_each_is_found():
    image_ND, text_ND = unit_rows(60, 8), unit_rows(60, 8, seed=1)
    text_ND[0] = image_ND.mean(0) / np.linalg.norm(image_ND.mean(0))  # near to all
    case = embeddings(image_ND, text_ND)
    table = embedding_quality.per_sample(case)
    for name in ("text", "image"):
        assert values(case)[f"hubness_{name}"] == pytest.approx(skew(table[f"found_{name}"]))
    assert table["found_text"].to_numpy().argmax() == 0
    few = embeddings(image_ND[:10], text_ND[:10])
    assert "hubness_text" not in values(few)  # nobody has 10 others
