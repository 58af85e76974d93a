"""The bootstrap against SciPy, NumPy loops and closed forms."""

import numpy as np
import pytest
from scipy import stats

from eclip.evaluation import bootstrap
from eclip.evaluation.bootstrap import (
    Replicates,
    gap,
    interval,
    over_runs,
    p_value,
    replicate,
    resamples,
    summarise,
)
from eclip.evaluation.statistics import Statistic, auroc, mean, median


def names(count):
    return [f"{i:05d}" for i in range(count)]


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
    monkeypatch.setattr(bootstrap, "_CELLS", 140)
    blocks = list(resamples(patients, seed=1, replicates=50))
    assert len(blocks) > 5
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
    assert (np.concatenate(list(resamples(patients, seed=2, replicates=50))) != whole).any()


def test_means_together_are_means_alone():
    draw = np.random.default_rng(0)
    values = draw.normal(size=(3, 40)) + 5
    values[1, 3:9], values[2] = np.nan, np.nan
    found = replicate({str(i): mean(v) for i, v in enumerate(values)}, names(40), seed=2, replicates=50)
    weights = np.concatenate(list(resamples(names(40), seed=2, replicates=50)))
    for i in range(2):
        known = ~np.isnan(values[i])
        loop = [np.average(values[i][known], weights=row[known]) for row in weights]
        np.testing.assert_allclose(found[str(i)].draws_B, loop, rtol=1e-12)
    assert np.isnan(found["2"].value)
    assert not found["2"].defined


@pytest.mark.parametrize("kind", ["mean", "median", "auroc"])
def test_interval_is_scipys_bca_but_for_students_t(kind):
    """Where there are many patients Student's t is the normal."""
    draw, count = np.random.default_rng(4), 150
    values, positive = draw.gamma(1.0, size=count), draw.random(count) < 0.3
    score = draw.normal(size=count) + positive
    everyone = np.ones(count, bool)
    made, plain = {
        "mean": (mean(values), lambda rows: values[rows].mean()),
        "median": (median(values), lambda rows: np.median(values[rows])),
        "auroc": (
            auroc(score, positive, everyone),
            lambda rows: (
                stats.mannwhitneyu(score[rows][positive[rows]], score[rows][~positive[rows]]).statistic
                / positive[rows].sum()
                / (~positive[rows]).sum()
            ),
        ),
    }[kind]
    found = summarise({"x": made}, names(count), seed=0, replicates=6000)["x"]
    theirs = stats.bootstrap(
        (np.arange(count),), plain, n_resamples=2000, vectorized=False, rng=np.random.default_rng(1)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert found.low == pytest.approx(theirs.low, abs=0.07 * width)
    assert found.high == pytest.approx(theirs.high, abs=0.07 * width)


def test_interval_of_a_normal_mean_is_that_of_a_t_test_even_for_few():
    values = stats.norm.ppf((np.arange(12) + 0.5) / 12)
    found = summarise({"m": mean(values)}, names(12), seed=0, replicates=40_000)["m"]
    low, high = stats.ttest_1samp(values, 0).confidence_interval()
    assert (found.low, found.high) == (pytest.approx(low, rel=0.05), pytest.approx(high, rel=0.05))


def test_images_of_one_patient_do_not_narrow_the_interval():
    values = np.random.default_rng(0).normal(size=100)
    alone = summarise({"m": mean(values)}, names(100), seed=0)["m"]
    copied = summarise({"m": mean(np.repeat(values, 9))}, np.repeat(names(100), 9).tolist(), seed=0)["m"]
    assert copied.high - copied.low == pytest.approx(alone.high - alone.low, rel=0.02)


@pytest.mark.parametrize("case", ["normal", "share near 1", "auroc"])
def test_intervals_cover_the_truth_as_often_as_they_say(case):
    """300 simulated studies of 60 patients: within the binomial's reach, 3 standard errors."""
    draw, hits = np.random.default_rng(5), 0
    for seed in range(300):
        noise, positive = draw.normal(size=60), draw.random(60) < 0.4
        number, truth = {
            "normal": (mean(noise), 0.0),
            "share near 1": (mean((noise < stats.norm.ppf(0.93)) * 1.0), 0.93),
            "auroc": (
                auroc(noise + np.sqrt(2) * stats.norm.ppf(0.8) * positive, positive, np.ones(60, bool)),
                0.8,
            ),
        }[case]
        metric = summarise({"m": number}, names(60), seed=seed, replicates=400)["m"]
        hits += metric.low <= truth <= metric.high
    assert abs(hits / 300 - 0.95) < 0.038


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.3])
def test_p_is_below_5_percent_where_the_interval_leaves_out_zero(shift):
    draw = np.random.default_rng(7)
    for seed in range(40):
        number = replicate({"m": mean(draw.gamma(2.0, size=50) - 2 + shift)}, names(50), seed=seed)["m"]
        low, high = interval(number)
        p = p_value(number)
        assert (p < 0.05) == (not low <= 0 <= high) or abs(p - 0.05) < 0.004


def test_p_is_that_of_a_t_test_also_far_from_zero():
    values = np.random.default_rng(3).normal(0.2, 1, 100)
    for shift in (-0.1, 0.0, 0.3, 0.8):
        number = replicate({"m": mean(values + shift)}, names(100), seed=0, replicates=8000)["m"]
        expected = stats.ttest_1samp(values + shift, 0).pvalue
        assert np.log10(p_value(number)) == pytest.approx(np.log10(expected), rel=0.15, abs=0.03)


def test_mean_over_runs_has_the_interval_of_both_spreads():
    """Only the runs differ: the interval is Student's t of their means."""
    values = np.zeros(500)
    runs = [replicate({"m": mean(values + v)}, names(500), seed=0)["m"] for v in (1, 2, 4)]
    low, high = interval(over_runs(runs))
    theirs = stats.ttest_1samp([1, 2, 4], 0).confidence_interval()
    assert (low, high) == (pytest.approx(theirs.low, abs=0.05), pytest.approx(theirs.high, abs=0.05))
    assert over_runs(runs[:1]).runs == ()
    once = over_runs(runs[:1])
    assert interval(once) == interval(runs[0])


def test_gap_of_runs_is_welchs_t_test():
    def of(values):
        return over_runs(
            [
                replicate({"m": mean(np.full(500, v))}, names(500), seed=0, replicates=20_000)["m"]
                for v in values
            ]
        )

    first, second = [0.1, 0.3, 0.2, 0.4], [0.5, 0.35, 0.6]
    both = gap(of(first), of(second))
    assert p_value(both) == pytest.approx(stats.ttest_ind(first, second, equal_var=False).pvalue, abs=0.01)


@pytest.mark.parametrize("runs", [2, 3, 5])
def test_p_of_a_gap_of_runs_is_welchs_also_far_from_zero(runs):
    """Where many tests are corrected for their number, small p values decide."""
    draw = np.random.default_rng(runs)
    first, second = np.array([[0.0], [0.4]]) + draw.normal(0, 0.01, (2, runs))
    both = gap(
        *(
            over_runs([replicate({"m": mean(np.full(50, v))}, names(50), seed=0)["m"] for v in values])
            for values in (first, second)
        )
    )
    theirs = stats.ttest_ind(first, second, equal_var=False).pvalue
    assert theirs < 0.01
    assert p_value(both) == pytest.approx(theirs, rel=1e-6)


def test_equal_seeds_give_equal_metrics():
    numbers = {"m": mean(np.random.default_rng(0).normal(size=30))}
    patients = [str(i // 2) for i in range(30)]
    assert summarise(numbers, patients, seed=4) == summarise(numbers, patients, seed=4)
    assert summarise(numbers, patients, seed=4) != summarise(numbers, patients, seed=5)


def test_what_is_not_defined_is_left_out():
    nowhere = Statistic(of=lambda weights_BN: np.full(len(weights_BN), np.nan), n=0)
    assert summarise({"x": nowhere}, ["a", "b"], seed=0) == {}
    score, same = np.arange(4.0), np.ones(4, bool)
    assert summarise({"x": auroc(score, same, same)}, list("abcd"), seed=0) == {}


def test_one_patient_has_an_interval_without_width():
    found = summarise({"m": mean(np.array([1.0, 3.0]))}, ["a", "a"], seed=0)["m"]
    assert (found.low, found.value, found.high) == (2, 2, 2)


def test_draws_to_one_side_do_not_push_the_interval_out_of_them():
    draws = np.linspace(0, 1, 101)
    number = Replicates(
        value=5.0, draws_B=draws, left_out_G=np.ones(3), patients=50, n=50, direction="higher"
    )
    low, high = interval(number)
    assert 0 < low < high <= 1
