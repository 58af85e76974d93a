"""Linear probe and few-shot: what a logistic regression on frozen image embeddings can tell.

Fitted on the training split (all of it, a tenth, a hundredth of its patients; or k images of each class), judged on
another. The regularisation is chosen on the validation split, by balanced accuracy for the decision among classes and
by AUROC for each class against the rest. Embeddings are centred and divided by one number, what is learned from giving
both, so that the optimiser converges and yet nothing depends on a rotation of the space.

Array names: N images of the judged split, T of the training split, C classes.
"""

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from eclip.errors import InputError
from eclip.evaluation.classification import decisions, targets
from eclip.evaluation.embeddings import Embeddings
from eclip.evaluation.statistics import Statistic, auroc, average

FRACTIONS = (0.01, 0.1, 1.0)
SHOTS = (1, 4, 16)
DRAWS = 5
STRENGTHS = 10.0 ** np.arange(-4, 3)
"""Values of C, the inverse of the regularisation, that are tried."""
FEWER = (*(f"@{fraction:.0%}" for fraction in FRACTIONS[:-1]), *(f"@{shots}-shot" for shots in SHOTS))
"""Endings of the metrics of probes that learned from part of the labels."""
_SHOWN = 3
_TARGET, _LABEL = "target", "label/"


def per_sample(
    judged: Embeddings,
    training: Embeddings,
    validation: Embeddings,
    classes: Sequence[str],
    *,
    seed: int,
) -> pd.DataFrame:
    """Decisions and scores of every probe for each judged image.

    Args:
        judged: Images that are judged.
        training: Images that are learned from.
        validation: Images by which the regularisation is chosen.
        classes: (C,) labels of the store.
        seed: Of the draws of patients and shots.

    Returns:
        Columns `target`, `label/CLASS`; for each share of the training patients `prediction@10%` and
        `score@10%/CLASS`; for each number of shots and draw `prediction@4-shot/0`. NaN or None where too few classes
        were there to learn from.

    Raises:
        InputError: A patient is in two of the three, or no training image has a label of the classes.
    """
    _check_apart(judged, training, "the training split")
    _check_apart(judged, validation, "the validation split, where the regularisation is chosen")
    label_NC, target_N = targets(judged, classes)
    label_TC, target_T = targets(training, classes)
    if np.isnan(label_TC).all():
        raise InputError("linear-probe: no training image has labels; build the store with them")
    columns: dict[str, np.ndarray] = {_TARGET: target_N}
    columns |= {_LABEL + name: label_NC[:, c].astype(np.float32) for c, name in enumerate(classes)}
    chosen_by = (validation.image_ND, *targets(validation, classes))
    order = patients_in_order(training.patient_id, target_T, seed=seed)
    for fraction in FRACTIONS:
        first = set(order[: max(1, round(fraction * len(order)))])
        rows = np.flatnonzero([patient in first for patient in training.patient_id])
        at = f"@{fraction:.0%}"
        columns[f"prediction{at}"] = _decide(training.image_ND, target_T, rows, judged.image_ND, chosen_by)
        for c, name in enumerate(classes):
            known = rows[~np.isnan(label_TC[rows, c])]
            labels = label_TC[known, c]
            columns[f"score{at}/{name}"] = _score(
                training.image_ND[known], labels, judged.image_ND, chosen_by[0], chosen_by[1][:, c]
            )
    for shots in SHOTS:
        for draw in range(DRAWS):
            rows = shots_of(target_T, classes, shots, seed=seed, draw=draw)
            columns[f"prediction@{shots}-shot/{draw}"] = _decide(
                training.image_ND, target_T, rows, judged.image_ND, chosen_by
            )
    return pd.DataFrame(columns)


def statistics(per_sample: pd.DataFrame) -> dict[str, Statistic]:
    """`accuracy@S`, `balanced_accuracy@S`, `macro_f1@S`, `auroc@S` and `auroc@S/CLASS` for shares S of the patients.

    A class that a share has no example of counts 0.5 there, so that the means are over the same classes.
    And `accuracy@K-shot` and so on, the means over draws.
    """
    classes = [name.removeprefix(_LABEL) for name in per_sample.columns if name.startswith(_LABEL)]
    target_N = _names(per_sample[_TARGET])
    numbers: dict[str, Statistic] = {}
    for fraction in FRACTIONS:
        at = f"@{fraction:.0%}"
        prediction_N = _names(per_sample[f"prediction{at}"])
        if _any(prediction_N) and _any(target_N):
            numbers |= decisions(target_N, prediction_N, classes, suffix=at)
        areas = {}
        for name in classes:
            label_N, score_N = (
                per_sample[_LABEL + name].to_numpy(),
                per_sample[f"score{at}/{name}"].to_numpy(),
            )
            known_N = ~np.isnan(label_N)
            learned = not per_sample[f"score@{FRACTIONS[-1]:.0%}/{name}"].isna().any()
            if learned and 0 < np.count_nonzero(label_N == 1) < np.count_nonzero(known_N):
                areas[name] = auroc(np.nan_to_num(score_N), label_N == 1, known_N)
        if areas:
            numbers[f"auroc{at}"] = average(list(areas.values()), n=max(area.n for area in areas.values()))
            numbers |= {f"auroc{at}/{name}": area for name, area in areas.items()}
    for shots in SHOTS:
        draws = [
            decisions(target_N, prediction_N, classes, suffix=f"@{shots}-shot")
            for draw in range(DRAWS)
            if _any(prediction_N := _names(per_sample[f"prediction@{shots}-shot/{draw}"])) and _any(target_N)
        ]
        if len(draws) == DRAWS:
            numbers |= {name: average([own[name] for own in draws], n=draws[0][name].n) for name in draws[0]}
    return numbers


def patients_in_order(patients: Sequence[str], target_T: np.ndarray, *, seed: int) -> list[str]:
    """Patients in a random order of which every beginning has about the shares of classes that the whole has.

    Each is put at (rank within its class + ½) / size of the class; its class is that of its first image with one.

    Args:
        patients: (T,) of each image.
        target_T: Class of each image, or None.
        seed: Of the ranks.
    """
    own: dict[str, str] = dict.fromkeys(patients, "")
    for patient, target in zip(patients, target_T, strict=True):
        own[patient] = own[patient] or target or ""
    names = np.array(sorted(own), dtype=object)
    class_P = np.array([own[name] for name in names], dtype=object)
    draw = np.random.default_rng([seed, 0])
    place_P = np.zeros(len(names))
    for kind in sorted(set(class_P)):
        rows = draw.permutation(np.flatnonzero(class_P == kind))
        place_P[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    return [str(name) for name in names[np.argsort(place_P, kind="stable")]]


def shots_of(target_T: np.ndarray, classes: Sequence[str], shots: int, *, seed: int, draw: int) -> np.ndarray:
    """Rows of so many images of each class, fewer where there are not so many; fewer shots are among more."""
    generator = np.random.default_rng([seed, 1, draw])
    kept = [generator.permutation(np.flatnonzero(target_T == name))[:shots] for name in classes]
    return np.sort(np.concatenate(kept))


def _decide(
    image_TD: np.ndarray,
    target_T: np.ndarray,
    rows: np.ndarray,
    judged_ND: np.ndarray,
    chosen_by: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> np.ndarray:
    """Class (N,) of each judged image; None everywhere with fewer than two classes to learn."""
    rows = rows[[target is not None for target in target_T[rows]]]
    nothing = np.full(len(judged_ND), None, dtype=object)
    if len(set(target_T[rows])) < 2:
        return nothing
    image_VD, _, target_V = chosen_by
    decided_V = np.array([target is not None for target in target_V])
    best, found = -1.0, nothing
    for probe in _probes(image_TD[rows], target_T[rows].astype(str)):
        if not decided_V.any():  # nothing to choose by: the weakest regularisation is the last
            found = probe.predict(judged_ND)
            continue
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # of classes that do not occur
            score = balanced_accuracy_score(
                target_V[decided_V].astype(str), probe.predict(image_VD[decided_V])
            )
        if score > best:
            best, found = score, probe.predict(judged_ND)
    return found.astype(object)


def _score(
    image_TD: np.ndarray,
    label_T: np.ndarray,
    judged_ND: np.ndarray,
    image_VD: np.ndarray,
    label_V: np.ndarray,
) -> np.ndarray:
    """Logit (N,) float32 of a class for each judged image; NaN where its labels are all alike."""
    if not 0 < label_T.sum() < len(label_T):
        return np.full(len(judged_ND), np.nan, np.float32)
    known_V = ~np.isnan(label_V)
    can_choose = 0 < np.count_nonzero(label_V[known_V] == 1) < np.count_nonzero(known_V)
    best, found = -1.0, np.empty(0)
    for probe in _probes(image_TD, label_T):
        area = (
            roc_auc_score(label_V[known_V], probe.decision_function(image_VD[known_V])) if can_choose else 1.0
        )
        if area > best or not can_choose:
            best, found = area, probe.decision_function(judged_ND)
    return found.astype(np.float32)


def _probes(image_TD: np.ndarray, target_T: np.ndarray) -> Iterator[Pipeline]:
    """One logistic regression, fitted with weaker and weaker regularisation, each time from where it was."""
    probe = LogisticRegression(max_iter=2000, tol=1e-5, warm_start=True)
    scaled = Pipeline([("scale", _Scale().fit(image_TD)), ("probe", probe)])
    scaled_TD = scaled["scale"].transform(image_TD)
    for strength in STRENGTHS:
        probe.C = float(strength)
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning), threadpool_limits(1):
            probe.fit(scaled_TD, target_T)  # one thread: sums come out the same on every machine
        yield scaled


class _Scale(TransformerMixin, BaseEstimator):
    """Centre, and divide by one number, so that the mean variance of a dimension is 1."""

    def fit(self, image_TD: np.ndarray) -> "_Scale":
        self.mean_D_ = image_TD.mean(0, dtype=np.float64)
        self.scale_ = float(np.sqrt(image_TD.var(0, dtype=np.float64).mean())) or 1.0
        return self

    def transform(self, image_ND: np.ndarray) -> np.ndarray:
        return (image_ND - self.mean_D_) / self.scale_


def _check_apart(judged: Embeddings, other: Embeddings, what: str) -> None:
    shared = sorted(set(judged.patient_id) & set(other.patient_id))
    if shared:
        shown = ", ".join(shared[:_SHOWN]) + (", …" if len(shared) > _SHOWN else "")
        raise InputError(
            f"linear-probe: {len(shared)} patients of the judged split are in {what} as well ({shown}); "
            "judge another split, or build the store with patients apart"
        )


def _names(column: pd.Series) -> np.ndarray:
    names = column.to_numpy(object, copy=True)
    names[pd.isna(names)] = None
    return names


def _any(names_N: np.ndarray) -> bool:
    return any(name is not None for name in names_N)
