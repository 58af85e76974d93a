"""Do 95 % intervals cover the truth in 95 % of cases, and do the tests find what is there and nothing else?

    .venv/bin/python benchmarks/statistics_coverage.py

Studies are simulated from laws whose true value is known. Patients bring 1 + Poisson(0.5) images, correlated at 0.4.
Beside each interval stands the plain percentile one, from the same draws. One standard error of a coverage near 95 % is
0.7 points with 1,000 cases.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
from scipy.stats import norm

from eclip.evaluation.bootstrap import interval, over_runs, replicate
from eclip.evaluation.paired import difference, swapped
from eclip.evaluation.statistics import NOISE, Statistic, auroc, mean, median
from eclip.evaluation.zero_shot import statistics as zero_shot_statistics

Draw = np.random.Generator
SHARE_OF_CLASS = np.array([0.4, 0.3, 0.2, 0.1])
RIGHT = 0.6  # of the images of each class, the others spread evenly


def patients_of(draw: Draw, count: int) -> np.ndarray:
    return np.repeat(np.arange(count), 1 + draw.poisson(0.5, count))


def noise(draw: Draw, patients: np.ndarray, *, shared: float = 0.4) -> np.ndarray:
    """Standard normal, (N,), correlated within a patient."""
    of_patient = draw.normal(size=patients[-1] + 1)[patients]
    return np.sqrt(shared) * of_patient + np.sqrt(1 - shared) * draw.normal(size=len(patients))


def normal_mean(draw: Draw, patients: np.ndarray) -> tuple[Statistic, float]:
    return mean(noise(draw, patients)), 0.0


def skewed_mean(draw: Draw, patients: np.ndarray) -> tuple[Statistic, float]:
    return mean(np.exp(noise(draw, patients))), float(np.exp(0.5))


def median_rank(draw: Draw, patients: np.ndarray) -> tuple[Statistic, float]:
    return median(np.ceil(np.exp(2.5 + 1.2 * noise(draw, patients)))), float(np.ceil(np.exp(2.5)))


def share(truth: float) -> Callable[[Draw, np.ndarray], tuple[Statistic, float]]:
    def case(draw: Draw, patients: np.ndarray) -> tuple[Statistic, float]:
        return mean(np.where(noise(draw, patients) < norm.ppf(truth), 1.0, 0.0)), truth

    return case


def area(truth: float, positive_share: float) -> Callable[[Draw, np.ndarray], tuple[Statistic, float]]:
    def case(draw: Draw, patients: np.ndarray) -> tuple[Statistic, float]:
        positive = draw.random(patients[-1] + 1)[patients] < positive_share
        score = noise(draw, patients) + np.sqrt(2) * norm.ppf(truth) * positive
        return auroc(score, positive, np.ones(len(positive), bool)), truth

    return case


def macro_f1(draw: Draw, patients: np.ndarray) -> tuple[Statistic, float]:
    import pandas as pd

    target = draw.choice(4, patients[-1] + 1, p=SHARE_OF_CLASS)[patients]
    wrong = (target + draw.integers(1, 4, len(target))) % 4
    prediction = np.where(noise(draw, patients) < norm.ppf(RIGHT), target, wrong)
    names = np.array(list("abcd"), dtype=object)
    columns: dict[str, np.ndarray] = {"target": names[target], "prediction": names[prediction]}
    columns |= {f"score/{name}": (prediction == c).astype(float) for c, name in enumerate(names)}
    columns |= {f"label/{name}": (target == c).astype(float) for c, name in enumerate(names)}
    joint = SHARE_OF_CLASS[:, None] * np.where(np.eye(4), RIGHT, (1 - RIGHT) / 3)
    truth = np.mean(2 * np.diag(joint) / (joint.sum(0) + joint.sum(1)))
    return zero_shot_statistics(pd.DataFrame(columns))["macro_f1"], float(truth)


CASES: dict[str, Callable[[Draw, np.ndarray], tuple[Statistic, float]]] = {
    "mean, normal": normal_mean,
    "share of 0.5": share(0.5),
    "share of 0.95": share(0.95),
    "AUROC 0.75, 30 % positive": area(0.75, 0.3),
    "macro F1, 4 classes": macro_f1,
    "median rank": median_rank,
    "mean, log-normal": skewed_mean,
    "AUROC 0.98, 30 % positive": area(0.98, 0.3),
    "AUROC 0.9, 10 % positive": area(0.9, 0.1),
}


def coverage(name: str, patients: int, cases: int) -> tuple[float, float]:
    """Share of cases whose interval, and whose percentile interval, holds the truth."""
    hits = np.zeros(2)
    for case in range(cases):
        draw = np.random.default_rng([patients, case])
        of_image = patients_of(draw, patients)
        statistic, truth = CASES[name](draw, of_image)
        found = replicate({"x": statistic}, [f"{p:06d}" for p in of_image], seed=case)["x"]
        if found.defined:
            plain = np.nanpercentile(found.draws_B, (2.5, 97.5))
            hits += [low <= truth <= high for low, high in (interval(found), plain)]
    return float(hits[0] / cases), float(hits[1] / cases)


def rejections(patients: int, effect: float, cases: int) -> dict[str, float]:
    """How often each test says that two models differ, for a difference of so many standard deviations."""
    hits = {"mean, paired bootstrap": 0, "mean, randomisation": 0, "AUROC, paired bootstrap": 0}
    names = [f"{p:06d}" for p in range(patients)]
    everyone = np.ones(patients, bool)
    for case in range(cases):
        draw = np.random.default_rng([patients, case])
        common, positive = draw.normal(size=patients), draw.random(patients) < 0.3
        values = [common + draw.normal(size=patients) / np.sqrt(2) for _ in range(2)]
        values[1] += effect  # the difference of two has a standard deviation of one
        scores = [
            common + draw.normal(size=patients) + (1 + 2 * effect * i) * positive for i in range(2)
        ]  # one gets further apart
        first, second = (
            {"mean": mean(v), "auroc": auroc(s, positive, everyone)}
            for v, s in zip(values, scores, strict=True)
        )
        one, other = (replicate(s, names, seed=case) for s in (first, second))
        hits["mean, paired bootstrap"] += difference(one["mean"], other["mean"]).p <= 0.05
        hits["AUROC, paired bootstrap"] += difference(one["auroc"], other["auroc"]).verdict != NOISE
        hits["mean, randomisation"] += swapped(first, second, names, seed=case)["mean"] <= 0.05
    return {name: count / cases for name, count in hits.items()}


def seeds(runs: int, cases: int, *, patients: int = 200, spread: float = 0.15) -> tuple[float, float]:
    """How often two methods that are equal are told apart: as here, and with runs drawn like patients.

    A run's mean differs by `spread` from its method's; one standard error from the patients is 0.1.
    """
    hits = np.zeros(2)
    names = [f"{p:06d}" for p in range(patients)]
    for case in range(cases):
        draw = np.random.default_rng([runs, case])
        common = draw.normal(size=patients)
        methods = [
            [
                replicate(
                    {"x": mean(common + draw.normal(size=patients) + spread * draw.normal())},
                    names,
                    seed=case,
                )["x"]
                for _ in range(runs)
            ]
            for _ in range(2)
        ]
        hits[0] += difference(*(over_runs(method) for method in methods)).verdict != NOISE
        drawn = []
        for method in methods:
            counts_BR = draw.multinomial(runs, np.full(runs, 1 / runs), size=len(method[0].draws_B))
            drawn.append((counts_BR * np.stack([run.draws_B for run in method], axis=1)).sum(1) / runs)
        low, high = np.percentile(drawn[1] - drawn[0], (2.5, 97.5))
        hits[1] += not low <= 0 <= high
    return float(hits[0] / cases), float(hits[1] / cases)


def speed(images: int = 5000, numbers: int = 60) -> float:
    """Seconds for 2,000 replicates of 40 means, 16 AUROCs and 4 medians."""
    draw = np.random.default_rng(0)
    made = {f"mean {i}": mean(draw.random(images)) for i in range(numbers - 20)}
    everyone = np.ones(images, bool)
    made |= {f"auroc {i}": auroc(draw.random(images), draw.random(images) < 0.2, everyone) for i in range(16)}
    made |= {f"median {i}": median(draw.random(images)) for i in range(4)}
    start = time.perf_counter()
    replicate(made, [str(i // 2) for i in range(images)], seed=0)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--only", default="", choices=("", "speed", "coverage", "tests", "seeds"))
    arguments = parser.parse_args()

    def wanted(part: str) -> bool:
        return arguments.only in {"", part}

    if wanted("speed"):
        print(f"2,000 replicates of 60 metrics on 5,000 images: {speed():.1f} s", flush=True)
    if wanted("tests"):
        for patients, effect in ((50, 0.0), (200, 0.0), (50, 0.4), (200, 0.2)):
            power = norm.sf(norm.ppf(0.975) - effect * patients**0.5)
            found = rejections(patients, effect, arguments.cases)
            words = ", ".join(f"{name} {100 * rate:.1f} %" for name, rate in found.items())
            of_t = f"; power of a z test of the mean {100 * power:.0f} %" if effect else ""
            print(f"{patients} patients, effect {effect}: {words}{of_t}", flush=True)
    if wanted("seeds"):
        for runs in (2, 3, 5):
            here, naive = seeds(runs, arguments.cases)
            print(
                f"{runs} runs each, equal methods: told apart {here:.1%}, runs drawn {naive:.1%}", flush=True
            )
    if wanted("coverage"):
        for name in CASES:
            for patients in (50, 200, 1000):
                here, percentile = coverage(name, patients, arguments.cases)
                print(f"{name}, {patients} patients: {here:.1%}, percentile {percentile:.1%}", flush=True)


if __name__ == "__main__":
    main()
