"""Intervals on every number: bootstrap over patients, for one model and for the difference of two.

A number is written as a function of how often each sample counts. Weights of one give its value; the weights of a
bootstrap draw give one replicate; two models under the same weights are compared in pairs. Images of one patient are
not independent, so patients are drawn, not images (Davison & Hinkley 1997, section 3.8).

Array names: B replicates, N samples, P patients.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

REPLICATES = 2000
Direction = Literal["higher", "lower"]
_CELLS = 4_000_000  # weights held at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """A number made from samples.

    Attributes:
        of: Weights (B, N) to values (B,); NaN where the number is not defined.
        n: How many samples take part.
        direction: Which way is better.
        chance: The value that guessing would get, where that is known.
    """

    of: Callable[[np.ndarray], np.ndarray]
    n: int
    direction: Direction = "higher"
    chance: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A value with its 95 % interval, as it stands in `results.json`.

    Attributes:
        value: On all samples.
        low: 2.5th percentile of the bootstrap.
        high: 97.5th percentile of the bootstrap.
        n: How many samples take part.
        direction: Which way is better.
        chance: The value that guessing would get, where that is known.
    """

    value: float
    low: float
    high: float
    n: int
    direction: Direction
    chance: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Second model minus first, on the same samples.

    Attributes:
        value: The difference.
        low: 2.5th percentile of the paired bootstrap.
        high: 97.5th percentile of the paired bootstrap.
        p: Two-sided: twice the share of replicates on the other side of zero.
        n: How many samples take part.
        verdict: "within noise" where the interval includes zero, else "better" or "worse".
    """

    value: float
    low: float
    high: float
    p: float
    n: int
    verdict: Literal["better", "worse", "within noise"]


def mean(values_N: np.ndarray, *, direction: Direction = "higher", chance: float | None = None) -> Statistic:
    """The mean of per-sample values (N,); samples that are NaN take no part."""
    known_N = ~np.isnan(values_N)
    known = values_N[known_N].astype(np.float64)

    def of(weights_BN: np.ndarray) -> np.ndarray:
        weights = weights_BN[:, known_N]
        return _divide(weights @ known, weights.sum(1))

    return Statistic(of=of, n=len(known), direction=direction, chance=chance)


def median(
    values_N: np.ndarray, *, direction: Direction = "higher", chance: float | None = None
) -> Statistic:
    """The median of per-sample values (N,), the middle two averaged; samples that are NaN take no part."""
    order = np.argsort(values_N, kind="stable")[: np.count_nonzero(~np.isnan(values_N))]
    ordered = values_N[order].astype(np.float64)

    def of(weights_BN: np.ndarray) -> np.ndarray:
        if not len(ordered):
            return np.full(len(weights_BN), np.nan)
        upto_BN = np.cumsum(weights_BN[:, order], axis=1)
        total_B1 = upto_BN[:, -1:]
        lower_B = (upto_BN <= (total_B1 - 1) // 2).sum(1)
        upper_B = (upto_BN <= total_B1 // 2).sum(1)
        last = len(ordered) - 1
        middle_B = (ordered[np.minimum(lower_B, last)] + ordered[np.minimum(upper_B, last)]) / 2
        return np.where(total_B1[:, 0] > 0, middle_B, np.nan)

    return Statistic(of=of, n=len(ordered), direction=direction, chance=chance)


def auroc(score_N: np.ndarray, positive_N: np.ndarray, known_N: np.ndarray) -> Statistic:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting half.

    Args:
        score_N: Higher means more likely positive.
        positive_N: bool (N,).
        known_N: bool (N,), the samples that take part.
    """
    order = np.flatnonzero(known_N)[np.argsort(score_N[known_N], kind="stable")]
    positive, ordered = positive_N[order], score_N[order]
    first_of_tie = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]][: len(order)])

    def of(weights_BN: np.ndarray) -> np.ndarray:
        if not len(order):
            return np.full(len(weights_BN), np.nan)
        weights = weights_BN[:, order].astype(np.float64)
        positives_BG = np.add.reduceat(weights * positive, first_of_tie, axis=1)
        negatives_BG = np.add.reduceat(weights * ~positive, first_of_tie, axis=1)
        below_BG = np.cumsum(negatives_BG, axis=1) - negatives_BG / 2
        return _divide((positives_BG * below_BG).sum(1), positives_BG.sum(1) * negatives_BG.sum(1))

    return Statistic(of=of, n=len(order), chance=0.5)


def average(statistics: Sequence[Statistic], *, n: int) -> Statistic:
    """The plain mean of several statistics; in a replicate where one is not defined, of the others."""

    def of(weights_BN: np.ndarray) -> np.ndarray:
        values_SB = np.stack([statistic.of(weights_BN) for statistic in statistics])
        defined_SB = ~np.isnan(values_SB)
        return _divide(np.where(defined_SB, values_SB, 0.0).sum(0), defined_SB.sum(0))

    return Statistic(of=of, n=n, direction=statistics[0].direction, chance=statistics[0].chance)


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
    values, draws = _bootstrap(statistics, patients, seed=seed, replicates=replicates)
    metrics = {}
    for name, statistic in statistics.items():
        low, high = _interval(draws[name])
        if np.isfinite((values[name], low)).all():
            metrics[name] = Metric(
                value=values[name],
                low=low,
                high=high,
                n=statistic.n,
                direction=statistic.direction,
                chance=statistic.chance,
            )
    return metrics


def paired(
    first: Mapping[str, Statistic],
    second: Mapping[str, Statistic],
    patients: Sequence[str],
    *,
    seed: int,
    replicates: int = REPLICATES,
) -> dict[str, Difference]:
    """Second minus first for each statistic both have, under the same draws of patients.

    Args:
        first: By name.
        second: By name; on the same samples in the same order.
        patients: (N,) whose sample each one is; drawn together.
        seed: Of the bootstrap.
        replicates: Draws.
    """
    gaps = {name: _gap(first[name], second[name]) for name in first if name in second}
    values, draws = _bootstrap(gaps, patients, seed=seed, replicates=replicates)
    return {
        name: _difference(values[name], draws[name], gap)
        for name, gap in gaps.items()
        if np.isfinite((values[name], *_interval(draws[name]))).all()
    }


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


def _bootstrap(
    statistics: Mapping[str, Statistic], patients: Sequence[str], *, seed: int, replicates: int
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Each statistic's value and its replicates."""
    once_1N = np.ones((1, len(patients)), np.float32)
    values = {name: float(statistic.of(once_1N)[0]) for name, statistic in statistics.items()}
    blocks: dict[str, list[np.ndarray]] = {name: [] for name in statistics}
    for weights_BN in resamples(patients, seed=seed, replicates=replicates):
        for name, statistic in statistics.items():
            blocks[name].append(statistic.of(weights_BN))
    return values, {name: np.concatenate(block) for name, block in blocks.items()}


def _interval(draws_B: np.ndarray) -> tuple[float, float]:
    defined = draws_B[np.isfinite(draws_B)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.percentile(defined, (2.5, 97.5))
    return float(low), float(high)


def _gap(first: Statistic, second: Statistic) -> Statistic:
    return Statistic(
        of=lambda weights_BN: second.of(weights_BN) - first.of(weights_BN),
        n=min(first.n, second.n),
        direction=second.direction,
    )


def _difference(value: float, draws_B: np.ndarray, gap: Statistic) -> Difference:
    low, high = _interval(draws_B)
    defined = draws_B[np.isfinite(draws_B)]
    beyond = min(np.count_nonzero(defined <= 0), np.count_nonzero(defined >= 0))
    p = min(1.0, 2 * (beyond + 1) / (len(defined) + 1))  # never 0: the sample itself is one draw
    if low <= 0 <= high:
        verdict: Literal["better", "worse", "within noise"] = "within noise"
    else:
        verdict = "better" if (low > 0) == (gap.direction == "higher") else "worse"
    return Difference(value=value, low=low, high=high, p=p, n=gap.n, verdict=verdict)


def _divide(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Quotient, NaN where `bottom` is zero, without a warning."""
    return np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom > 0)
