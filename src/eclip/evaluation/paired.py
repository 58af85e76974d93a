"""Is one model better than another, or only luckier? Tests on the same samples.

Two tests. The *paired bootstrap* draws patients and looks how often the difference changes its sign; it works for
every number and allows for several training runs. *Approximate randomisation* exchanges the two models' outputs for
each patient with probability one half: if the models are equally good, the difference seen is one of those that this
makes (Noreen 1989; Riezler & Maxwell 2005). It is exact for any number of patients, but only means of per-sample
values can be exchanged: cosines and embeddings of two models are not on one scale.

Many tests find something by luck; Holm (1979) corrects their p values so that the chance of a single false finding
among all stays below 5 %, however they depend on each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from eclip.evaluation.bootstrap import REPLICATES, Replicates, gap, interval, p_value
from eclip.evaluation.statistics import NOISE, Difference, Statistic

LEVEL = 0.05
_CELLS = 4_000_000  # signs held at a time


def difference(first: Replicates, second: Replicates) -> Difference:
    """Second minus first, from the paired bootstrap; both under the same draws of patients."""
    both = gap(first, second)
    low, high = interval(both)
    found = Difference(
        value=both.value,
        low=low,
        high=high,
        p=max(p_value(both), 0.5 ** (both.patients - 1)),  # no exchange of so few patients says more
        n=both.n,
        direction=both.direction,
        verdict=NOISE,
    )
    return replace(found, verdict=_verdict(found))


def corrected(found: Sequence[Difference], *, margin: float | None = None) -> list[Difference]:
    """With `p_adjusted` for as many comparisons as there are, and the verdict that follows.

    Args:
        found: All comparisons that are made.
        margin: A difference as small as this does not matter.
    """
    adjusted = [
        replace(d, p_adjusted=float(p)) for d, p in zip(found, holm([d.p for d in found]), strict=True)
    ]
    return [replace(d, verdict=_verdict(d, margin)) for d in adjusted]


def holm(p_M: Sequence[float]) -> np.ndarray:
    """Holm's adjusted p values (M,): in ascending order, the running maximum of (M - i) times the i-th (from 0)."""
    p = np.asarray(p_M, np.float64)
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(raised, 1)
    return adjusted


def swapped(
    first: Mapping[str, Statistic],
    second: Mapping[str, Statistic],
    patients: Sequence[str],
    *,
    seed: int,
    exchanges: int = REPLICATES,
) -> dict[str, float]:
    """Two-sided p by approximate randomisation, for each mean of per-sample values that both models have.

    Args:
        first: By name.
        second: By name, on the same samples in the same order.
        patients: (N,) whose sample each one is; exchanged together.
        seed: Of the exchanges.
        exchanges: How many.
    """
    names = [name for name, s in first.items() if s.values is not None and name in second]
    sums = [_sums([s[name].values for name in names], patients) for s in (first, second)]
    (sum_PK, count_PK), (other_sum_PK, other_count_PK) = sums
    draw = np.random.default_rng([seed, 1])
    seen_K = _gap_of(np.ones((1, len(sum_PK))), sum_PK, count_PK, other_sum_PK, other_count_PK)[0]
    least_K = np.abs(seen_K) * (1 - 1e-9)  # equal sums differ in their last digit
    as_far_K = np.zeros(len(names))
    rows = max(1, _CELLS // len(sum_PK))
    for start in range(0, exchanges, rows):
        keep_BP = draw.integers(0, 2, (min(rows, exchanges - start), len(sum_PK))).astype(np.float64)
        gaps_BK = _gap_of(keep_BP, sum_PK, count_PK, other_sum_PK, other_count_PK)
        as_far_K += (np.abs(gaps_BK) >= least_K).sum(0)
    p_K = (as_far_K + 1) / (exchanges + 1)
    return {n: float(p) for n, p, seen in zip(names, p_K, seen_K, strict=True) if np.isfinite(seen)}


def _sums(values: Sequence[np.ndarray | None], patients: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the known values of each patient (P, K), and how many they are."""
    names, patient_N = np.unique(np.asarray(patients), return_inverse=True)
    sums, counts = np.zeros((len(names), len(values))), np.zeros((len(names), len(values)))
    for k, values_N in enumerate(values):
        assert values_N is not None
        known_N = ~np.isnan(values_N)
        sums[:, k] = np.bincount(patient_N[known_N], values_N[known_N], len(names))
        counts[:, k] = np.bincount(patient_N[known_N], minlength=len(names))
    return sums, counts


def _gap_of(
    keep_BP: np.ndarray,
    sum_PK: np.ndarray,
    count_PK: np.ndarray,
    other_sum_PK: np.ndarray,
    other_count_PK: np.ndarray,
) -> np.ndarray:
    """Second mean minus first (B, K), where the patients that are not kept have changed sides."""
    top_BK = keep_BP @ (sum_PK - other_sum_PK) + other_sum_PK.sum(0)
    bottom_BK = keep_BP @ (count_PK - other_count_PK) + other_count_PK.sum(0)
    rest_BK, others_BK = (
        (sum_PK + other_sum_PK).sum(0) - top_BK,
        (count_PK + other_count_PK).sum(0) - bottom_BK,
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        return rest_BK / others_BK - top_BK / bottom_BK


def _verdict(found: Difference, margin: float | None = None) -> str:
    if margin is not None and -margin < found.low and found.high < margin:
        return f"equivalent within {margin:g}"
    p = found.p if found.p_adjusted is None else found.p_adjusted
    if found.low <= 0 <= found.high or p > LEVEL:
        return NOISE
    return "better" if (found.value > 0) == (found.direction == "higher") else "worse"
