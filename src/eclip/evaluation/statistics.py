"""Numbers made from samples, and what is reported of them.

A number is written as a function of how often each sample counts. Weights of one give its value; the weights of a
draw of patients give one replicate; two models under the same weights are compared in pairs.

Array names: B replicates, N samples.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Direction = Literal["higher", "lower"]
NOISE = "within noise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """A number made from samples.

    Attributes:
        of: Weights (B, N) to values (B,); NaN where the number is not defined.
        n: How many samples take part.
        direction: Which way is better.
        chance: The value that guessing would get, where that is known.
        values: (N,) where the number is the mean of one value a sample, those, NaN where a sample takes no part.
    """

    of: Callable[[np.ndarray], np.ndarray]
    n: int
    direction: Direction = "higher"
    chance: float | None = None
    values: np.ndarray | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A value with its 95 % interval, as it stands in `results.json`.

    Attributes:
        value: On all samples.
        low: Lower end of the interval.
        high: Upper end.
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
        low: Lower end of its 95 % interval.
        high: Upper end.
        p: Two-sided; below 0.05 where the interval leaves out zero, but for a handful of patients.
        n: How many samples take part.
        direction: Which way is better.
        verdict: "better" or "worse"; "within noise" where the interval includes zero or `p_adjusted` is above 0.05;
            "equivalent within …" where a margin was given and holds the interval.
        p_swapped: Of approximate randomisation, for means of per-sample values of one run each.
        p_adjusted: `p` corrected for the number of comparisons, for those that were counted among them.
    """

    value: float
    low: float
    high: float
    p: float
    n: int
    direction: Direction
    verdict: str
    p_swapped: float | None = None
    p_adjusted: float | None = None


def mean(values_N: np.ndarray, *, direction: Direction = "higher", chance: float | None = None) -> Statistic:
    """The mean of per-sample values (N,); samples that are NaN take no part."""
    values_N = values_N.astype(np.float64)
    known_N = ~np.isnan(values_N)
    known = values_N[known_N]

    def of(weights_BN: np.ndarray) -> np.ndarray:
        weights = weights_BN[:, known_N]
        return _divide(weights @ known, weights.sum(1))

    return Statistic(of=of, n=len(known), direction=direction, chance=chance, values=values_N)


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


def skewness(values_N: np.ndarray, *, direction: Direction = "higher") -> Statistic:
    """The third central moment over the variance to 3/2, of per-sample values (N,); NaN takes no part."""
    known_N = ~np.isnan(values_N)
    known = values_N[known_N].astype(np.float64)
    known -= known.mean() if len(known) else 0  # powers of what lies far from 0 would be rounding alone
    rounding = 1e-24 * np.square(values_N[known_N]).max(initial=0)

    def of(weights_BN: np.ndarray) -> np.ndarray:
        share_BN = weights_BN[:, known_N].astype(np.float64)
        share_BN /= np.maximum(share_BN.sum(1, keepdims=True), 1)
        mean_B, square_B, cube_B = (share_BN @ known**power for power in (1, 2, 3))
        spread_B = square_B - mean_B**2
        spread_B[spread_B <= rounding] = 0
        return _divide(cube_B - 3 * mean_B * square_B + 2 * mean_B**3, spread_B**1.5)

    return Statistic(of=of, n=len(known), direction=direction)


def auroc(score_N: np.ndarray, positive_N: np.ndarray, known_N: np.ndarray) -> Statistic:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counting half.

    Args:
        score_N: Higher means more likely positive.
        positive_N: bool (N,).
        known_N: bool (N,), the samples that take part.
    """
    positives, negatives = (
        rows[np.argsort(score_N[rows], kind="stable")]
        for rows in (np.flatnonzero(known_N & positive_N), np.flatnonzero(known_N & ~positive_N))
    )
    lower_P, upper_P = (
        np.searchsorted(score_N[negatives], score_N[positives], side) for side in ("left", "right")
    )

    def of(weights_BN: np.ndarray) -> np.ndarray:
        upto_BN = np.zeros((len(weights_BN), len(negatives) + 1))
        np.cumsum(weights_BN[:, negatives], axis=1, out=upto_BN[:, 1:])
        weights_BP = weights_BN[:, positives].astype(np.float64)
        below_BP = (upto_BN[:, lower_P] + upto_BN[:, upper_P]) / 2
        return _divide((weights_BP * below_BP).sum(1), weights_BP.sum(1) * upto_BN[:, -1])

    return Statistic(of=of, n=len(positives) + len(negatives), chance=0.5)


def average(statistics: Sequence[Statistic], *, n: int) -> Statistic:
    """The plain mean of several statistics; in a replicate where one is not defined, of the others."""

    def of(weights_BN: np.ndarray) -> np.ndarray:
        values_SB = np.stack([statistic.of(weights_BN) for statistic in statistics])
        defined_SB = ~np.isnan(values_SB)
        return _divide(np.where(defined_SB, values_SB, 0.0).sum(0), defined_SB.sum(0))

    chances = [statistic.chance for statistic in statistics if statistic.chance is not None]
    chance = sum(chances) / len(chances) if len(chances) == len(statistics) else None
    return Statistic(of=of, n=n, direction=statistics[0].direction, chance=chance)


def _divide(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Quotient, NaN where `bottom` is zero, without a warning."""
    return np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom > 0)
