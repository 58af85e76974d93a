"""Weighted numbers of classification against scikit-learn and loops; ties, empty margins, weights."""

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    matthews_corrcoef,
    precision_recall_curve,
    recall_score,
)

from eclip.evaluation.classification import (
    at_threshold,
    average_precision,
    best_threshold,
    calibration_bins,
    calibration_error,
)


def case(seed, rows=90, *, levels=12):
    """Scores with ties, labels, which are known, and two draws of weights."""
    draw = np.random.default_rng(seed)
    score_N = draw.integers(0, levels, rows) / levels
    positive_N = draw.random(rows) < 0.2 + 0.5 * score_N
    known_N = draw.random(rows) < 0.8
    weights_BN = np.stack([np.ones(rows), draw.integers(0, 3, rows)]).astype(np.float32)
    return score_N, positive_N & known_N, known_N, weights_BN


@pytest.mark.parametrize("seed", range(6))
def test_average_precision_is_scikit_learns(seed):
    score, positive, known, weights_BN = case(seed)
    found = average_precision(score, positive, known)
    for weights, value in zip(weights_BN, found.of(weights_BN), strict=True):
        expected = average_precision_score(positive[known], score[known], sample_weight=weights[known])
        assert value == pytest.approx(expected)
    assert found.chance == pytest.approx(positive[known].mean())


def test_average_precision_of_a_draw_without_positives_is_not_defined():
    score, positive, known, weights_BN = case(0)
    assert np.isnan(average_precision(score, positive, known).of(weights_BN[:1] * ~positive)).all()
    assert np.isnan(average_precision(score, positive, np.zeros(90, bool)).of(weights_BN)).all()


@pytest.mark.parametrize("seed", range(6))
def test_numbers_at_a_threshold_are_scikit_learns(seed):
    score, positive, known, weights_BN = case(seed)
    said = score > 0.4
    found = at_threshold(said, positive, known)
    for b, weights in enumerate(weights_BN):
        arguments = {"sample_weight": weights[known]}
        true, guess = positive[known], said[known]
        expected = {
            "f1": f1_score(true, guess, **arguments),
            "mcc": matthews_corrcoef(true, guess, **arguments),
            "sensitivity": recall_score(true, guess, **arguments),
            "specificity": recall_score(~true, ~guess, **arguments),
        }
        for name, value in expected.items():
            assert found[name].of(weights_BN)[b] == pytest.approx(value, abs=1e-6), name


def test_empty_margins_at_a_threshold():
    everyone, ones = np.ones(4, bool), np.ones((1, 4), np.float32)
    found = at_threshold(everyone, everyone, everyone)
    assert found["mcc"].of(ones) == 0
    assert found["f1"].of(ones) == found["sensitivity"].of(ones) == 1
    assert np.isnan(found["specificity"].of(ones))
    assert np.isnan(at_threshold(~everyone, ~everyone, everyone)["f1"].of(ones))


@pytest.mark.parametrize("seed", range(6))
def test_the_best_threshold_has_the_highest_f1_of_all(seed):
    score, positive, _, _ = case(seed)
    found = best_threshold(score, positive)
    of = {t: f1_score(positive, score >= t) for t in np.unique(score)}
    assert of[found] == pytest.approx(max(of.values()))
    assert found == min(t for t, value in of.items() if value == pytest.approx(max(of.values())))
    precision, recall, _ = precision_recall_curve(positive, score)
    assert of[found] == pytest.approx(np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12)))


def test_calibration_error_is_that_of_a_loop_over_bins():
    draw = np.random.default_rng(0)
    confidence = draw.random(200)
    confidence[:10] = np.nan
    right = (draw.random(200) < 0.7).astype(float)
    weights_BN = np.stack([np.ones(200), draw.integers(0, 3, 200)])
    bins = calibration_bins(confidence)
    counts = np.bincount(bins[10:])
    assert len(counts) == 15
    assert counts.max() - counts.min() <= 1
    for weights, value in zip(weights_BN, calibration_error(confidence, right).of(weights_BN), strict=True):
        error = 0.0
        for k in range(15):
            own = (bins == k) & (weights > 0)
            gap = np.average(right[own], weights=weights[own]) - np.average(
                confidence[own], weights=weights[own]
            )
            error += weights[own].sum() / weights[10:].sum() * abs(gap)
        assert value == pytest.approx(error)


def test_what_is_calibrated_has_no_error_and_equal_confidences_share_a_bin():
    confidence = np.repeat([0.25, 0.5, 0.75], 40)
    right = np.concatenate([np.arange(40) < 40 * p for p in (0.25, 0.5, 0.75)]).astype(float)
    assert calibration_error(confidence, right).of(np.ones((1, 120))) == pytest.approx(0)
    assert len(set(calibration_bins(np.full(50, 0.5)))) == 1
    assert np.isnan(calibration_error(np.full(3, np.nan), np.ones(3)).of(np.ones((1, 3)))).all()
