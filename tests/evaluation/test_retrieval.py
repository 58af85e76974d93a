"""Retrieval against loops that sort, against every order of ties, and its chunks against the whole."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from eclip.errors import InputError
from eclip.evaluation import retrieval
from eclip.evaluation.retrieval import ANY_EQUAL_TEXT, IMAGE_BLIND, precision, rank
from small_evaluations import embeddings, unit_rows


def values(table):
    numbers = retrieval.statistics(table)
    return {name: float(s.of(np.ones((1, len(table)), np.float32))[0]) for name, s in numbers.items()}


def random_case(rows=40, *, seed=0, noise=1.6):
    image_ND = unit_rows(rows, 5, seed=seed)
    text_ND = image_ND + noise * unit_rows(rows, 5, seed=seed + 1)
    return embeddings(image_ND, text_ND / np.linalg.norm(text_ND, axis=1, keepdims=True))


@pytest.mark.parametrize("seed", range(3))
def test_equals_a_loop_that_sorts(seed):
    case = random_case(seed=seed)
    assert (case.image_ND * case.text_ND).sum(1).min() < 0  # a true pair below zero is still a candidate
    similarity = case.image_ND.astype(np.float64) @ case.text_ND.T
    found = values(retrieval.per_sample(case))
    for direction, matrix in (("image_to_text", similarity), ("text_to_image", similarity.T)):
        ranks = np.array([1 + list(np.argsort(-row)).index(i) for i, row in enumerate(matrix)])
        for cutoff in (1, 5, 10):
            assert found[f"{direction}_recall@{cutoff}"] == pytest.approx(np.mean(ranks <= cutoff))
        assert found[f"{direction}_median_rank"] == np.median(ranks)
        assert found[f"{direction}_mrr"] == pytest.approx(np.mean(1 / ranks))


@given(
    st.lists(st.tuples(st.integers(-1, 1), st.booleans()), min_size=1, max_size=6).filter(
        lambda candidates: any(right for _, right in candidates)
    ),
    st.integers(1, 4),
)
def test_ties_count_as_the_mean_over_all_orders(candidates, cutoff):
    scores, right = np.array([[s for s, _ in candidates]]), np.array([[r for _, r in candidates]])
    firsts = []
    for order in permutations(range(len(candidates))):
        by_score = sorted(order, key=lambda i: -scores[0, i])  # stable: ties stay as permuted
        firsts.append(1 + next(place for place, i in enumerate(by_score) if right[0, i]))
    ranks = rank(scores, right)
    assert ranks.expected[0] == pytest.approx(np.mean(firsts))
    assert ranks.hit(cutoff)[0] == pytest.approx(np.mean(np.array(firsts) <= cutoff))
    assert ranks.reciprocal[0] == pytest.approx(np.mean(1 / np.array(firsts)))
    anyhow = [
        1 + next(place for place, i in enumerate(order) if right[0, i])
        for order in permutations(range(len(candidates)))
    ]
    assert ranks.chance(cutoff)[0] == pytest.approx(np.mean(np.array(anyhow) <= cutoff))
    assert ranks.chance_rank[0] == pytest.approx(np.mean(anyhow))
    assert ranks.chance_reciprocal[0] == pytest.approx(np.mean(1 / np.array(anyhow)))


def test_one_right_candidate_has_the_mid_rank_of_scipy():
    scores = np.random.default_rng(0).integers(-4, 4, (30, 12)).astype(np.float32)
    right = np.eye(12, dtype=bool)[np.arange(30) % 12]
    expected = [rankdata(-row)[i % 12] for i, row in enumerate(scores)]
    np.testing.assert_allclose(rank(scores, right).expected, expected)


def test_a_space_without_information_scores_chance():
    same = np.tile(unit_rows(1, 5), (30, 1))
    table = retrieval.per_sample(embeddings(same, same))
    numbers, found = retrieval.statistics(table), values(table)
    for cutoff in (1, 5, 10):
        name = f"image_to_text_recall@{cutoff}"
        assert found[name] == pytest.approx(cutoff / 30)
        assert numbers[name].chance == pytest.approx(cutoff / 30)
    for name, expected in (("median_rank", 15.5), ("mrr", np.mean(1 / np.arange(1, 31)))):
        assert found[f"text_to_image_{name}"] == pytest.approx(expected)
        assert numbers[f"text_to_image_{name}"].chance == pytest.approx(expected)


def test_equal_texts_tie_in_the_strict_score_and_count_in_the_other():
    """Three studies, two with the same words: the strict hit is a coin, the other is sure."""
    image_ND = np.eye(2, 4, dtype=np.float32)[[0, 0, 1]]
    case = embeddings(image_ND, image_ND, texts=["clear", "clear", "edema"])
    table = retrieval.per_sample(case)
    assert table["image_to_text_recall@1"].tolist() == [0.5, 0.5, 1.0]
    assert table[f"image_to_text_recall@1{ANY_EQUAL_TEXT}"].tolist() == [1.0, 1.0, 1.0]
    assert table["image_to_text_rank"].tolist() == [1.5, 1.5, 1.0]
    numbers = retrieval.statistics(table)
    assert numbers["image_to_text_recall@1"].chance == pytest.approx(1 / 3)
    assert numbers[f"image_to_text_recall@1{ANY_EQUAL_TEXT}"].chance == pytest.approx(
        (2 / 3 + 2 / 3 + 1 / 3) / 3
    )


def test_chance_stands_beside_a_median_only_where_it_is_that_of_a_median():
    case = embeddings(
        unit_rows(30, 8), unit_rows(30, 8), texts=["Normal."] * 10 + [f"Text {i}." for i in range(20)]
    )
    numbers = retrieval.statistics(retrieval.per_sample(case))
    assert numbers["image_to_text_median_rank"].chance == pytest.approx(15.5)
    assert numbers["image_to_text_median_rank_any_equal_text"].chance is None


def test_images_of_one_study_share_its_report():
    """Two views of a study: its report is one candidate, and either view is right for it."""
    image_ND = np.eye(3, 4, dtype=np.float32)[[0, 1, 2]]
    text_ND = np.eye(3, 4, dtype=np.float32)[[1, 1, 2]]
    case = embeddings(image_ND, text_ND, texts=["a", "a", "b"], studies=["s", "s", "t"])
    table = retrieval.per_sample(case)
    assert retrieval.statistics(table)["image_to_text_recall@1"].chance == pytest.approx(0.5)
    assert table["image_to_text_rank"].tolist() == [1.5, 1.0, 1.0]
    assert table["text_to_image_rank"].tolist() == [1.0, 1.0, 1.0]


def test_chunks_give_what_the_whole_gives():
    case = random_case(rows=53)
    whole = retrieval.per_sample(case, train_texts=["report 1"])
    np.testing.assert_array_equal(retrieval.per_sample(case, train_texts=["report 1"], cells=200), whole)


def test_image_blind_floor_is_the_frequency_in_training():
    texts = ["clear", "clear", "edema", "nodule"]
    image_ND = unit_rows(4, 3)
    case = embeddings(image_ND, unit_rows(4, 3, seed=1), texts=texts)
    table = retrieval.per_sample(case, train_texts=["clear"] * 5 + ["edema"])
    assert table[f"image_to_text_recall@1{IMAGE_BLIND}"].tolist() == [0.5, 0.5, 0, 0]
    assert table[f"image_to_text_recall@1{ANY_EQUAL_TEXT}{IMAGE_BLIND}"].tolist() == [1, 1, 0, 0]
    assert table[f"image_to_text_rank{IMAGE_BLIND}"].tolist() == [1.5, 1.5, 3, 4]
    numbers = values(table)
    assert numbers[f"image_to_text_median_rank{IMAGE_BLIND}"] == 2.25
    assert numbers[f"image_to_text_mrr{IMAGE_BLIND}"] == pytest.approx((0.75 + 0.75 + 1 / 3 + 1 / 4) / 4)
    assert not [name for name in retrieval.per_sample(case).columns if IMAGE_BLIND in name]


def test_rotation_and_order_change_nothing():
    case = random_case()
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(5, 5)))[0].astype(np.float32)
    order = np.random.default_rng(3).permutation(len(case))
    turned = embeddings(
        (case.image_ND @ rotation)[order],
        (case.text_ND @ rotation)[order],
        texts=[case.text[i] for i in order],
    )
    assert values(retrieval.per_sample(turned)) == pytest.approx(values(retrieval.per_sample(case)))


def test_images_without_report_take_no_part():
    case = random_case(rows=12)
    with_gap = embeddings(case.image_ND, case.text_ND, texts=["" if i == 4 else f"r{i}" for i in range(12)])
    keep = [i for i in range(12) if i != 4]
    without = embeddings(case.image_ND[keep], case.text_ND[keep])
    table = retrieval.per_sample(with_gap)
    assert table.loc[4].isna().all()
    assert values(table) == pytest.approx(values(retrieval.per_sample(without)))
    with pytest.raises(InputError, match="two or more studies"):
        retrieval.per_sample(embeddings(case.image_ND, case.text_ND, texts=["x", *[""] * 11]))


@given(
    st.lists(st.tuples(st.integers(-1, 1), st.booleans()), min_size=1, max_size=6),
    st.integers(1, 6),
)
def test_precision_counts_ties_as_the_mean_over_all_orders(candidates, cutoff):
    cutoff = min(cutoff, len(candidates))
    scores, alike = np.array([[float(s) for s, _ in candidates]]), np.array([[a for _, a in candidates]])
    shares = []
    for order in permutations(range(len(candidates))):
        by_score = sorted(order, key=lambda i: -scores[0, i])
        shares.append(np.mean([alike[0, i] for i in by_score[:cutoff]]))
    assert precision(scores, alike, [cutoff])[0][0] == pytest.approx(np.mean(shares))


def test_precision_by_label_equals_a_loop():
    rows = 60
    draw = np.random.default_rng(1)
    label_NC = draw.choice([0.0, 1.0, -1.0, np.nan], (rows, 2), p=[0.45, 0.4, 0.05, 0.1])
    image_ND = unit_rows(rows, 4)
    text_ND = (image_ND + 0.5 * unit_rows(rows, 4, seed=1)).astype(np.float32)
    case = embeddings(
        image_ND,
        text_ND,
        labels=dict(zip("AB", label_NC.T, strict=True)),
        studies=[n // 2 for n in range(rows)],
    )
    table = retrieval.per_sample(case)
    usable = [not np.isnan(row).all() and not (row == -1).any() for row in label_NC]
    for n in range(rows):
        others = [m for m in range(rows) if usable[m] and m // 2 != n // 2]
        first = sorted(others, key=lambda m: -float(text_ND[n] @ image_ND[m]))[:5]
        alike = [bool(np.array_equal(label_NC[n] == 1, label_NC[m] == 1)) for m in first]
        found = table["text_to_image_precision@5"][n]
        if usable[n]:
            assert found == pytest.approx(np.mean(alike))
            expected = np.mean([np.array_equal(label_NC[n] == 1, label_NC[m] == 1) for m in others])
            assert table["text_to_image_precision_chance"][n] == pytest.approx(expected)
        else:
            assert np.isnan(found)
    numbers = retrieval.statistics(table)
    assert numbers["text_to_image_precision@5"].n == sum(usable)


def test_with_fewer_candidates_than_the_cutoff_there_is_no_precision():
    vectors = unit_rows(30, 4)
    case = embeddings(vectors, vectors, labels={"A": np.arange(30) % 2})
    assert {n.partition("@")[2] for n in values(retrieval.per_sample(case)) if "precision" in n} == {
        "5",
        "10",
    }


def test_without_labels_there_is_no_precision_by_label():
    assert not [name for name in values(retrieval.per_sample(random_case())) if "precision" in name]
