"""Tests between two models, against SciPy, loops over every exchange, and simulated nothing."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from eclip.evaluation.bootstrap import replicate
from eclip.evaluation.paired import corrected, difference, holm, swapped
from eclip.evaluation.statistics import Difference, mean, median


def names(count):
    return [f"{i:05d}" for i in range(count)]


def compared(first, second, *, seed=0, replicates=2000, **options):
    one, other = (
        replicate({"m": mean(v, **options)}, names(len(v)), seed=seed, replicates=replicates)["m"]
        for v in (first, second)
    )
    return difference(one, other)


def test_paired_differences_see_what_unpaired_intervals_cannot():
    draw = np.random.default_rng(1)
    first = draw.normal(0, 1, 200)
    second = first + 0.05 + draw.normal(0, 0.05, 200)
    found = compared(first, second)
    low, high = stats.ttest_rel(second, first).confidence_interval()
    assert found.value == pytest.approx((second - first).mean())
    assert (found.low, found.high) == (pytest.approx(low, abs=0.002), pytest.approx(high, abs=0.002))
    assert (found.verdict, found.n) == ("better", 200)
    assert found.p < 0.001
    assert compared(first, second, direction="lower").verdict == "worse"


def test_a_model_against_itself_is_within_noise():
    found = compared(np.arange(5.0), np.arange(5.0))
    assert (found.value, found.p, found.verdict) == (0.0, 1.0, "within noise")
    same = {"m": mean(np.arange(5.0))}
    assert swapped(same, same, names(5), seed=0) == {"m": 1.0}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_a_loop_over_the_smallest(p):
    order, expected, largest = sorted(range(len(p)), key=lambda i: p[i]), [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, (len(p) - rank) * p[i])
        expected[i] = min(1.0, largest)
    np.testing.assert_allclose(holm(p), expected, rtol=1e-12)


def test_holm_of_a_textbook():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])


@pytest.mark.parametrize("seed", range(5))
def test_randomisation_is_that_of_every_exchange(seed):
    """Nine patients with one to three images, some without a value for one of the models: all 512 exchanges."""
    draw = np.random.default_rng(seed)
    patient = np.repeat(np.arange(9), draw.integers(1, 4, 9))
    first, second = draw.normal(size=len(patient)), draw.normal(0.4, 1, len(patient))
    first[0] = np.nan
    gaps = []
    for exchange in product([False, True], repeat=9):
        out = np.array(exchange)[patient]
        one, other = np.where(out, second, first), np.where(out, first, second)
        gaps.append(np.nanmean(other) - np.nanmean(one))
    exact = np.mean(np.abs(gaps) >= abs(np.nanmean(second) - np.nanmean(first)) - 1e-12)
    patients = [str(p) for p in patient]
    found = swapped({"m": mean(first)}, {"m": mean(second)}, patients, seed=seed, exchanges=20_000)
    assert found["m"] == pytest.approx(exact, abs=0.015)


def test_randomisation_is_scipys_permutation_test():
    draw = np.random.default_rng(2)
    first, second = draw.normal(size=40), draw.normal(0.3, 1, 40)
    theirs = stats.permutation_test(
        (first, second),
        lambda a, b, axis: (b - a).mean(axis),
        permutation_type="samples",
        n_resamples=9999,
        rng=np.random.default_rng(0),
    )
    found = swapped({"m": mean(first)}, {"m": mean(second)}, names(40), seed=0, exchanges=9999)
    assert found["m"] == pytest.approx(theirs.pvalue, abs=0.02)


def test_only_means_of_samples_are_exchanged():
    values = {"mean": mean(np.arange(4.0)), "median": median(np.arange(4.0))}
    assert list(swapped(values, values, names(4), seed=0)) == ["mean"]
    nowhere = {"mean": mean(np.full(4, np.nan))}
    assert swapped(nowhere, nowhere, names(4), seed=0) == {}
    assert swapped({}, {}, names(4), seed=0) == {}


def test_tests_hold_their_5_percent_and_see_what_is_there():
    """200 pairs of models; 3 standard errors. More in benchmarks/statistics_coverage.py."""
    draw, patients = np.random.default_rng(0), names(60)
    false, found = np.zeros(2), np.zeros(2)
    for seed in range(200):
        first, second = draw.normal(size=60), draw.normal(size=60)
        for hits, shift in ((false, 0.0), (found, 0.5)):
            hits[0] += compared(first, second + shift, seed=seed, replicates=400).p <= 0.05
            one, other = {"m": mean(first)}, {"m": mean(second + shift)}
            hits[1] += swapped(one, other, patients, seed=seed, exchanges=400)["m"] <= 0.05
    power = stats.norm.sf(stats.norm.ppf(0.975) - 0.5 * np.sqrt(60 / 2))
    np.testing.assert_allclose(false / 200, 0.05, atol=0.047)
    np.testing.assert_allclose(found / 200, power, atol=0.1)


def made(low, high, p, direction="higher"):
    value = (low + high) / 2
    return Difference(value=value, low=low, high=high, p=p, n=9, direction=direction, verdict="")


def test_verdicts():
    clear, doubtful, none = made(0.1, 0.3, 0.001), made(0.001, 0.3, 0.049), made(-0.1, 0.3, 0.4)
    found = corrected([clear, doubtful, none, made(0.1, 0.3, 0.001, "lower")])
    assert [d.verdict for d in found] == ["better", "within noise", "within noise", "worse"]
    assert [d.p_adjusted for d in found] == pytest.approx([0.004, 0.098, 0.4, 0.004])
    assert corrected([doubtful])[0].verdict == "better"
    small, edge = made(-0.005, 0.009, 0.4), made(-0.005, 0.01, 0.4)
    assert [d.verdict for d in corrected([small, edge, clear], margin=0.01)] == [
        "equivalent within 0.01",
        "within noise",
        "better",
    ]
    assert corrected([]) == []


@pytest.mark.parametrize("patients", [2, 3, 5, 6, 9])
def test_few_patients_cannot_say_more_than_all_their_exchanges(patients):
    """Of 2^n ways to exchange the outputs of n patients two are as far apart as what was seen."""
    first = np.random.default_rng(0).normal(0, 0.01, patients)
    found = compared(first, first + 1 + np.random.default_rng(1).normal(0, 0.001, patients))
    assert found.p == pytest.approx(2 / 2**patients)
    assert (found.verdict == "within noise") == (patients < 6)
