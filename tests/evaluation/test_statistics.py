"""Statistics against NumPy, SciPy and scikit-learn on resampled data, and the interval against theory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from eclip.evaluation import statistics
from eclip.evaluation.statistics import Statistic, auroc, average, mean, median, paired, resamples, summarise


def value(statistic, samples=None, *, weights=None):
    weights = np.ones(samples) if weights is None else np.asarray(weights)
    return float(statistic.of(weights[None].astype(np.float32))[0])


small_floats = st.floats(-100, 100, width=32)


@given(st.lists(st.tuples(small_floats, st.integers(0, 4)), min_size=1, max_size=30))
def test_mean_and_median_of_weights_are_those_of_the_repeated_values(rows):
    values, counts = np.array([v for v, _ in rows]), np.array([c for _, c in rows])
    repeated = np.repeat(values, counts)
    if not len(repeated):
        assert np.isnan(value(mean(values), weights=counts))
        assert np.isnan(value(median(values), weights=counts))
        return
    assert value(mean(values), weights=counts) == pytest.approx(repeated.mean(), abs=1e-4)
    assert value(median(values), weights=counts) == pytest.approx(np.median(repeated), abs=1e-9)


def test_samples_that_are_nan_take_no_part():
    values = np.array([1.0, np.nan, 3.0, 8.0])
    assert value(mean(values), 4) == 4.0
    assert value(median(values), 4) == 3.0
    assert mean(values).n == median(values).n == 3
    assert np.isnan(value(median(np.array([np.nan])), 1))


@pytest.mark.parametrize("levels", [2, 5, 10_000])
def test_auroc_is_that_of_scikit_learn_with_ties_weights_and_unknown_labels(levels):
    draw = np.random.default_rng(levels)
    score, positive = draw.integers(0, levels, 80) / levels, draw.random(80) < 0.3
    known, counts = draw.random(80) < 0.8, draw.integers(0, 4, 80)
    kept = np.repeat(np.flatnonzero(known), counts[known])
    expected = roc_auc_score(positive[kept], score[kept])
    assert value(auroc(score, positive, known), weights=counts) == pytest.approx(expected, abs=1e-12)


def test_auroc_of_one_class_or_of_nothing_is_not_defined():
    score, all_true = np.arange(4.0), np.ones(4, bool)
    assert np.isnan(value(auroc(score, all_true, all_true), 4))
    assert np.isnan(value(auroc(score, ~all_true, all_true), 4))
    assert np.isnan(value(auroc(score, all_true, ~all_true), 4))
    both = average([auroc(score, all_true, all_true), auroc(score, score > 1, all_true)], n=4)
    assert value(both, 4) == 1.0
    assert summarise({"x": auroc(score, all_true, all_true)}, list("abcd"), seed=0) == {}


def test_patients_are_drawn_and_bring_all_their_samples():
    patients = ["a", "b", "a", "c", "b", "a", "d"]
    weights = np.concatenate(list(resamples(patients, seed=3, replicates=500)))
    assert weights.shape == (500, 7)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    np.testing.assert_array_equal(weights[:, 0], weights[:, 5])
    np.testing.assert_array_equal(weights[:, 1], weights[:, 4])
    one_each = weights[:, [0, 1, 3, 6]]
    np.testing.assert_array_equal(one_each.sum(1), 4)
    np.testing.assert_allclose(one_each.mean(0), 1, atol=0.15)


def test_a_seed_decides_the_draws_however_they_are_cut(monkeypatch):
    patients = [str(i // 2) for i in range(20)]
    whole = np.concatenate(list(resamples(patients, seed=1, replicates=50)))
    monkeypatch.setattr(statistics, "_CELLS", 140)
    blocks = list(resamples(patients, seed=1, replicates=50))
    assert len(blocks) > 5
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    assert (np.concatenate(list(resamples(patients, seed=2, replicates=50))) != whole).any()


def test_interval_of_a_mean_is_the_normal_approximation():
    values = np.random.default_rng(0).gamma(2.0, 1.0, 400)
    metric = summarise({"m": mean(values)}, [str(i) for i in range(400)], seed=0, replicates=8000)["m"]
    half = 1.96 * values.std() / np.sqrt(400)
    assert metric.value == pytest.approx(values.mean())
    assert metric.low == pytest.approx(values.mean() - half, abs=0.05 * half)
    assert metric.high == pytest.approx(values.mean() + half, abs=0.05 * half)
    assert (metric.n, metric.direction) == (400, "higher")


def test_images_of_one_patient_do_not_narrow_the_interval():
    values = np.random.default_rng(0).normal(size=100)
    alone = summarise({"m": mean(values)}, [str(i) for i in range(100)], seed=0)["m"]
    copied = summarise({"m": mean(np.repeat(values, 9))}, [str(i // 9) for i in range(900)], seed=0)["m"]
    assert copied.high - copied.low == pytest.approx(alone.high - alone.low, rel=0.1)


def test_intervals_cover_the_truth_as_often_as_they_say():
    """300 simulated studies: 95 % covers within the binomial's reach, 3 standard errors."""
    draw, hits, patients = np.random.default_rng(5), 0, [str(i) for i in range(80)]
    for seed in range(300):
        metric = summarise({"m": mean(draw.normal(2.0, 1.0, 80))}, patients, seed=seed, replicates=400)["m"]
        hits += metric.low <= 2.0 <= metric.high
    assert abs(hits / 300 - 0.94) < 0.04


def test_paired_differences_see_what_unpaired_intervals_cannot():
    draw = np.random.default_rng(1)
    first = draw.normal(0, 1, 200)
    second = first + 0.05 + draw.normal(0, 0.05, 200)
    patients = [str(i) for i in range(200)]
    found = paired({"m": mean(first)}, {"m": mean(second)}, patients, seed=0)["m"]
    low, high = stats.ttest_rel(second, first).confidence_interval()
    assert found.value == pytest.approx((second - first).mean())
    assert (found.low, found.high) == (pytest.approx(low, abs=0.002), pytest.approx(high, abs=0.002))
    assert (found.verdict, found.n) == ("better", 200)
    assert found.p < 0.01
    worse = {"m": mean(second, direction="lower")}
    assert paired({"m": mean(first)}, worse, patients, seed=0)["m"].verdict == "worse"


def test_p_is_that_of_a_t_test_and_noise_is_called_noise():
    draw, patients = np.random.default_rng(3), [str(i) for i in range(150)]
    first, second = draw.normal(0, 1, 150), draw.normal(0.1, 1, 150)
    found = paired({"m": mean(first)}, {"m": mean(second)}, patients, seed=0, replicates=8000)["m"]
    assert found.p == pytest.approx(stats.ttest_rel(second, first).pvalue, abs=0.03)
    assert (found.verdict == "within noise") == (found.low <= 0 <= found.high) == (found.p > 0.05)


def test_a_model_against_itself_is_within_noise():
    same = {"m": mean(np.arange(5.0)), "only here": mean(np.arange(5.0))}
    found = paired(same, {"m": mean(np.arange(5.0))}, list("abcde"), seed=0)
    assert list(found) == ["m"]
    assert (found["m"].value, found["m"].p, found["m"].verdict) == (0.0, 1.0, "within noise")


def test_equal_seeds_give_equal_metrics():
    numbers = {"m": mean(np.random.default_rng(0).normal(size=30))}
    patients = [str(i // 2) for i in range(30)]
    assert summarise(numbers, patients, seed=4) == summarise(numbers, patients, seed=4)
    assert summarise(numbers, patients, seed=4) != summarise(numbers, patients, seed=5)


def test_what_is_not_defined_is_left_out():
    nowhere = Statistic(of=lambda weights_BN: np.full(len(weights_BN), np.nan), n=0)
    assert summarise({"x": nowhere}, ["a", "b"], seed=0) == {}
    assert paired({"x": nowhere}, {"x": nowhere}, ["a", "b"], seed=0) == {}
