"""Statistics against NumPy and scikit-learn on data repeated as the weights say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import skew
from sklearn.metrics import roc_auc_score

from eclip.evaluation.statistics import auroc, average, mean, median, skewness


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


@pytest.mark.parametrize("level", [0.0, 10.1, 1e6, 1e8])
def test_skewness_is_scipys_wherever_the_values_lie_and_of_a_constant_there_is_none(level):
    values = np.random.default_rng(0).gamma(2, size=50)
    weights = np.ones((1, 50), np.float32)
    assert skewness(values + level).of(weights)[0] == pytest.approx(skew(values), rel=1e-6)
    assert np.isnan(skewness(np.full(50, level)).of(weights)).all()


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
