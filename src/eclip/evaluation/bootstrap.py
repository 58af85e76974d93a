"""Intervals on every number: bootstrap over patients, and over runs where a model was trained several times.

Images of one patient are not independent, so patients are drawn, not images (Davison & Hinkley 1997, section 3.8).
The interval is the bias-corrected and accelerated one (BCa; Efron 1987), with Student's t in place of the normal for
the number of patients (Hesterberg 2015, section 5.3). `benchmarks/statistics_coverage.py` shows how often it covers.

A number must not depend on a sample being there twice: BCa moves an interval away from draws that all lie to one side
of the value, and no interval is right for those.

Array names: B replicates, N samples, P patients, G groups of patients, K numbers that are means.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from eclip.evaluation.statistics import Direction, Metric, Statistic

REPLICATES = 2000
_CELLS = 4_000_000  # weights held at a time
_GROUPS = 200  # left out in turn: enough for the skewness that BCa wants
_MOST_BIAS = 1.0  # of the draws, in their standard deviations; the tails say nothing beyond
_FEWEST_BEYOND = 10  # draws from which a p value can be counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicates:
    """A number, and what becomes of it when patients are drawn.

    Attributes:
        value: On all samples.
        draws_B: Under each draw of patients; NaN where it is not defined.
        left_out_G: With one group of patients left out at a time.
        patients: How many there are.
        n: How many samples take part.
        direction: Which way is better.
        chance: The value that guessing would get, where that is known.
        runs: (variance, degrees of freedom) of the mean over a model's training runs; one for each model that has
            several runs.
    """

    value: float
    draws_B: np.ndarray
    left_out_G: np.ndarray
    patients: int
    n: int
    direction: Direction
    chance: float | None = None
    runs: tuple[tuple[float, int], ...] = ()

    @property
    def defined(self) -> bool:
        """Whether there is a value, and a draw that has one."""
        return bool(np.isfinite(self.value) and np.isfinite(self.draws_B).any())


def summarise(
    statistics: Mapping[str, Statistic],
    patients: Sequence[str],
    *,
    seed: int,
    replicates: int = REPLICATES,
) -> dict[str, Metric]:
    """Value and 95 % interval of each statistic; those that are not defined on these samples are left out.

    Args:
        statistics: By name, all on the same samples.
        patients: (N,) whose sample each one is; drawn together.
        seed: Of the bootstrap.
        replicates: Draws.
    """
    found = replicate(statistics, patients, seed=seed, replicates=replicates)
    return {name: metric(number) for name, number in found.items() if number.defined}


def metric(number: Replicates) -> Metric:
    """Its value with the 95 % interval."""
    low, high = interval(number)
    return Metric(
        value=number.value,
        low=low,
        high=high,
        n=number.n,
        direction=number.direction,
        chance=number.chance,
    )


def replicate(
    statistics: Mapping[str, Statistic],
    patients: Sequence[str],
    *,
    seed: int,
    replicates: int = REPLICATES,
) -> dict[str, Replicates]:
    """Each statistic under draws of patients; equal seeds and patients draw the same ones, so that models pair.

    Args:
        statistics: By name, all on the same samples.
        patients: (N,) whose sample each one is; drawn together.
        seed: Of the bootstrap.
        replicates: Draws.
    """
    values_of = _together(statistics)
    once = values_of(np.ones((1, len(patients)), np.float32))
    left_out = [values_of(weights) for weights in _left_out(patients, seed=seed)]
    blocks = [values_of(weights) for weights in resamples(patients, seed=seed, replicates=replicates)]
    return {
        name: Replicates(
            value=float(once[name][0]),
            draws_B=np.concatenate([block[name] for block in blocks]),
            left_out_G=np.concatenate([block[name] for block in left_out]),
            patients=len(set(patients)),
            n=statistic.n,
            direction=statistic.direction,
            chance=statistic.chance,
        )
        for name, statistic in statistics.items()
    }


def over_runs(runs: Sequence[Replicates]) -> Replicates:
    """The mean over training runs of one model; how much they differ counts in its interval."""
    first, count = runs[0], len(runs)
    spread = ((float(np.var([run.value for run in runs], ddof=1) / count), count - 1),) if count > 1 else ()
    return Replicates(
        value=float(np.mean([run.value for run in runs])),
        draws_B=np.mean([run.draws_B for run in runs], axis=0),
        left_out_G=np.mean([run.left_out_G for run in runs], axis=0),
        patients=first.patients,
        n=first.n,
        direction=first.direction,
        chance=first.chance,
        runs=spread,
    )


def gap(first: Replicates, second: Replicates) -> Replicates:
    """Second minus first, draw by draw."""
    return Replicates(
        value=second.value - first.value,
        draws_B=second.draws_B - first.draws_B,
        left_out_G=second.left_out_G - first.left_out_G,
        patients=first.patients,
        n=min(first.n, second.n),
        direction=second.direction,
        runs=first.runs + second.runs,
    )


def interval(number: Replicates) -> tuple[float, float]:
    """The 95 % interval."""
    draws, bias, acceleration = _shape(number)
    z = bias + _student_quantile(np.array([0.025, 0.975]), number.patients)
    low, high = np.quantile(draws, ndtr(bias + z / (1 - acceleration * z)))
    return float(low), float(high)


def p_value(number: Replicates) -> float:
    """Two-sided p of the value being zero: the level of the widest interval that still leaves zero out.

    Where fewer than ten draws lie beyond zero their count says too little, and nothing once many tests are corrected
    for their number; there p is that of a t test, if it is smaller: with the standard deviation over patients and, for
    models of several runs, Welch's of the runs.
    """
    draws, bias, acceleration = _shape(number)
    count = len(draws)
    beyond = np.array([np.count_nonzero(draws <= 0), np.count_nonzero(draws >= 0)])
    share = np.minimum(
        (beyond + 1) / (count + 1), count / (count + 1)
    )  # never 0: the sample itself is one draw
    z = ndtri(np.array([share[0], 1 - share[1]])) - bias
    below, above = _student_share(z / np.maximum(1 + acceleration * z, 0.1) - bias, number.patients)
    p = 2 * min(below, 1 - above)
    if beyond.min() < _FEWEST_BEYOND and draws.std() > 0:
        p = min(p, _p_of_t_test(number))
    return float(min(1.0, p))


def _p_of_t_test(number: Replicates) -> float:
    few = max(number.patients, 2)
    of_patients = float(np.nanvar(number.draws_B)) * few / (few - 1)
    parts = np.array([(of_patients, few - 1), *number.runs])
    variance = parts[:, 0].sum()
    freedom = variance**2 / (parts[:, 0] ** 2 / parts[:, 1]).sum()  # Welch
    return float(2 * stdtr(freedom, -abs(number.value) / variance**0.5))


def resamples(patients: Sequence[str], *, seed: int, replicates: int = REPLICATES) -> Iterator[np.ndarray]:
    """How often each sample counts in each draw, (b, N) float32 at a time, `replicates` rows in all.

    As many patients as there are, drawn with replacement; each brings all its samples.
    """
    names, patient_N = np.unique(np.asarray(patients), return_inverse=True)
    draw = np.random.default_rng(seed)
    rows = max(1, _CELLS // max(1, len(patient_N)))
    for start in range(0, replicates, rows):
        count = min(rows, replicates - start)
        counts_BP = draw.multinomial(len(names), np.full(len(names), 1 / len(names)), size=count)
        yield counts_BP.astype(np.float32)[:, patient_N]


def _left_out(patients: Sequence[str], *, seed: int) -> Iterator[np.ndarray]:
    """Weights (g, N) at a time, (G, N) in all, that leave out one patient each, or one of 200 groups of patients."""
    names, patient_N = np.unique(np.asarray(patients), return_inverse=True)
    group_P = np.random.default_rng(seed).permutation(len(names)) % _GROUPS
    groups, rows = np.arange(min(len(names), _GROUPS)), max(1, _CELLS // max(1, len(patient_N)))
    for start in range(0, len(groups), rows):
        yield (groups[start : start + rows, None] != group_P[patient_N]).astype(np.float32)


def _together(statistics: Mapping[str, Statistic]) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """A function that computes all statistics, (B,) each; the means among them as one matrix product."""
    means = {name: s.values for name, s in statistics.items() if s.values is not None}
    values_NK = np.stack(list(means.values()), axis=1) if means else np.empty((0, 0))
    known_NK = ~np.isnan(values_NK)
    both_N2K = np.concatenate([np.where(known_NK, values_NK, 0), known_NK], axis=1)

    def of(weights_BN: np.ndarray) -> dict[str, np.ndarray]:
        found = {name: s.of(weights_BN) for name, s in statistics.items() if name not in means}
        if means:
            sums_BK, counts_BK = np.hsplit(weights_BN.astype(np.float64) @ both_N2K, 2)
            nowhere_BK = np.full(sums_BK.shape, np.nan)
            means_BK = np.divide(sums_BK, counts_BK, out=nowhere_BK, where=counts_BK > 0)
            found |= dict(zip(means, means_BK.T, strict=True))
        return found

    return of


def _shape(number: Replicates) -> tuple[np.ndarray, float, float]:
    """The draws that are defined, with the spread of the runs in them; their bias and acceleration."""
    draws = number.draws_B[np.isfinite(number.draws_B)]
    left_out = number.left_out_G[np.isfinite(number.left_out_G)]
    influence = left_out.mean() - left_out if len(left_out) else np.zeros(1)
    size = np.square(influence).sum()
    skewness = (influence**3).sum() / size**1.5 if size > 0 else 0.0
    if number.runs and (variance := sum(v for v, _ in number.runs)) > 0:
        freedom = variance**2 / sum(v**2 / f for v, f in number.runs)  # Welch
        of_patients = draws.std()
        # quantiles in random order: drawn, the tails would be lopsided
        shares = (np.random.default_rng(0).permutation(len(draws)) + 0.5) / len(draws)
        draws = draws + variance**0.5 * stdtrit(freedom, shares)
        skewness *= (of_patients / draws.std()) ** 3
    below = np.count_nonzero(draws < number.value) + np.count_nonzero(draws == number.value) / 2
    half = 1 / (2 * len(draws))
    bias = float(ndtri(np.clip(below / len(draws), half, 1 - half)))
    return draws, float(np.clip(bias, -_MOST_BIAS, _MOST_BIAS)), float(skewness / 6)


def _student_quantile(share: np.ndarray, patients: int) -> np.ndarray:
    """Student's t in the units of a bootstrap's standard deviation, which is too small by √((P - 1) / P)."""
    few = max(patients, 2)
    return stdtrit(few - 1, share) * (few / (few - 1)) ** 0.5


def _student_share(quantile: np.ndarray, patients: int) -> np.ndarray:
    few = max(patients, 2)
    return stdtr(few - 1, quantile * ((few - 1) / few) ** 0.5)
