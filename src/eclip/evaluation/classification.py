"""Numbers of classification, as functions of how often each sample counts.

Array names: N samples, C classes, B bootstrap replicates, K bins.
"""

from collections.abc import Sequence

import numpy as np

from eclip.evaluation.embeddings import Embeddings
from eclip.evaluation.statistics import Statistic, mean

BINS = 15


def targets(embeddings: Embeddings, classes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """What each image shows.

    A label that is not mentioned counts as absent where the image has any label at all; an uncertain one is unknown.

    Args:
        embeddings: With the labels of all classes.
        classes: (C,) their names.

    Returns:
        Labels (N, C), 1, 0 or NaN; and the class (N,) that is the image's only one, None where there is not just one.
    """
    label_NC = np.stack([embeddings.label(name) for name in classes], axis=1)
    unlabelled_N1 = np.isnan(embeddings.label_NC).all(1, keepdims=True)
    label_NC = np.where(np.isnan(label_NC) & ~unlabelled_N1, 0.0, label_NC)
    label_NC = np.where(label_NC < 0, np.nan, label_NC)
    single_N = label_NC.sum(1) == 1  # NaN, an uncertain or unknown label, is not 1
    target_N = np.array(classes, dtype=object)[np.argmax(np.nan_to_num(label_NC), axis=1)]
    target_N[~single_N] = None
    return label_NC, target_N


def decisions(
    target_N: np.ndarray, prediction_N: np.ndarray, classes: Sequence[str], *, suffix: str = ""
) -> dict[str, Statistic]:
    """`accuracy`, `balanced_accuracy` (mean recall) and `macro_f1` of deciding among classes.

    Means over classes are over those that occur.

    Args:
        target_N: Class names; None where a sample takes no part.
        prediction_N: Class names.
        classes: (C,).
        suffix: Of the names.
    """
    names = np.array(classes, dtype=object)
    decided_N = np.array([target is not None for target in target_N])
    right_N = np.where(decided_N, target_N == prediction_N, np.nan).astype(np.float64)
    is_target_NC = target_N[:, None] == names
    is_prediction_NC = (prediction_N[:, None] == names) & decided_N[:, None]
    chance = 1 / len(classes)

    def over_classes(weights_BN: np.ndarray, *, f1: bool) -> np.ndarray:
        support_BC = weights_BN @ is_target_NC.astype(np.float32)
        hits_BC = weights_BN @ (is_target_NC & is_prediction_NC).astype(np.float32)
        if not f1:
            return _mean_over_supported(hits_BC, support_BC, support_BC)
        taken_BC = weights_BN @ is_prediction_NC.astype(np.float32)
        return _mean_over_supported(2 * hits_BC, support_BC + taken_BC, support_BC)

    n = int(is_target_NC.sum())
    return {
        f"accuracy{suffix}": mean(right_N, chance=chance),
        f"balanced_accuracy{suffix}": Statistic(
            of=lambda weights_BN: over_classes(weights_BN, f1=False), n=n, chance=chance
        ),
        f"macro_f1{suffix}": Statistic(of=lambda weights_BN: over_classes(weights_BN, f1=True), n=n),
    }


def average_precision(score_N: np.ndarray, positive_N: np.ndarray, known_N: np.ndarray) -> Statistic:
    """Area under the precision-recall curve as steps: Σ (R_t − R_{t−1}) P_t over falling thresholds t; ties share one.

    Chance is the share of positives.

    Args:
        score_N: Higher means more likely positive.
        positive_N: bool (N,).
        known_N: bool (N,), the samples that take part.
    """
    rows = np.flatnonzero(known_N)
    order = rows[np.argsort(-score_N[rows], kind="stable")]
    positive, ordered = positive_N[order], score_N[order]
    last_of_tie = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True][: len(order)])

    def of(weights_BN: np.ndarray) -> np.ndarray:
        if not len(order):
            return np.full(len(weights_BN), np.nan)
        weights = weights_BN[:, order].astype(np.float64)
        found_BG = np.cumsum(weights * positive, axis=1)[:, last_of_tie]
        taken_BG = np.cumsum(weights, axis=1)[:, last_of_tie]
        precision_BG = _ratio(found_BG, taken_BG, 0.0)
        gained_BG = np.diff(found_BG, axis=1, prepend=0.0)
        return _ratio((gained_BG * precision_BG).sum(1), found_BG[:, -1], np.nan)

    share = float(positive.mean()) if len(order) else None
    return Statistic(of=of, n=len(order), chance=share)


def at_threshold(decision_N: np.ndarray, positive_N: np.ndarray, known_N: np.ndarray) -> dict[str, Statistic]:
    """`f1`, `mcc` (Matthews' correlation), `sensitivity` and `specificity` of yes-or-no decisions.

    Matthews' correlation is 0 where one of its margins is empty, F1 where nothing is positive and nothing called so
    is not defined; as in scikit-learn but for that.

    Args:
        decision_N: bool (N,).
        positive_N: bool (N,).
        known_N: bool (N,), the samples that take part.
    """
    cells = np.stack(
        [
            known_N & decision_N & positive_N,
            known_N & decision_N & ~positive_N,
            known_N & ~decision_N & positive_N,
            known_N & ~decision_N & ~positive_N,
        ],
        axis=1,
    ).astype(np.float32)

    def counts(weights_BN: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        tp, fp, fn, tn = (weights_BN @ cells).astype(np.float64).T
        return tp, fp, fn, tn

    def f1(weights_BN: np.ndarray) -> np.ndarray:
        tp, fp, fn, _ = counts(weights_BN)
        return _ratio(2 * tp, 2 * tp + fp + fn, np.nan)

    def mcc(weights_BN: np.ndarray) -> np.ndarray:
        tp, fp, fn, tn = counts(weights_BN)
        bottom = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
        return _ratio(tp * tn - fp * fn, bottom, 0.0)

    def sensitivity(weights_BN: np.ndarray) -> np.ndarray:
        tp, _, fn, _ = counts(weights_BN)
        return _ratio(tp, tp + fn, np.nan)

    def specificity(weights_BN: np.ndarray) -> np.ndarray:
        _, fp, _, tn = counts(weights_BN)
        return _ratio(tn, tn + fp, np.nan)

    n = int(known_N.sum())
    return {
        "f1": Statistic(of=f1, n=n),
        "mcc": Statistic(of=mcc, n=n, chance=0.0),
        "sensitivity": Statistic(of=sensitivity, n=n),
        "specificity": Statistic(of=specificity, n=n),
    }


def best_threshold(score_N: np.ndarray, positive_N: np.ndarray) -> float:
    """The score from which on "yes" gives the highest F1; the lowest of several. For validation data.

    Args:
        score_N: Of samples whose label is known.
        positive_N: bool (N,).
    """
    order = np.argsort(-score_N, kind="stable")
    ordered = score_N[order]
    last_of_tie = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])
    found = np.cumsum(positive_N[order])[last_of_tie]
    f1 = 2 * found / (last_of_tie + 1 + positive_N.sum())
    return float(ordered[last_of_tie[len(f1) - 1 - int(np.argmax(f1[::-1]))]])


def calibration_bins(confidence_N: np.ndarray) -> np.ndarray:
    """The bin (N,) of each confidence: at most `BINS` of about equal numbers; −1 where it is NaN."""
    known = confidence_N[~np.isnan(confidence_N)]
    if not len(known):
        return np.full(len(confidence_N), -1)
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1]))
    return np.where(np.isnan(confidence_N), -1, np.searchsorted(edges, confidence_N, side="right"))


def calibration_error(confidence_N: np.ndarray, right_N: np.ndarray) -> Statistic:
    """Expected calibration error: Σ_k n_k/n · |share right in bin k − mean confidence in bin k| (Naeini et al. 2015).

    Bins hold about equal numbers of samples and are those of the samples themselves, whatever a draw weighs.

    Args:
        confidence_N: Probability of what was decided; NaN where a sample takes no part.
        right_N: Whether that was right, 1 or 0.
    """
    bin_N = calibration_bins(confidence_N)
    in_bin_NK = (bin_N[:, None] == np.arange(bin_N.max() + 1)).astype(np.float64)
    gap_NK = in_bin_NK * np.nan_to_num(right_N - confidence_N)[:, None]

    def of(weights_BN: np.ndarray) -> np.ndarray:
        used_B = weights_BN @ (bin_N >= 0).astype(np.float64)
        return _ratio(np.abs(weights_BN @ gap_NK).sum(1), used_B, np.nan)

    return Statistic(of=of, n=int((bin_N >= 0).sum()), direction="lower")


def _mean_over_supported(top_BC: np.ndarray, bottom_BC: np.ndarray, support_BC: np.ndarray) -> np.ndarray:
    """Mean of top / bottom over the classes that occur, (B,) float64; NaN where none does."""
    occurs_BC = support_BC > 0
    ratio_BC = np.divide(top_BC, bottom_BC, out=np.zeros(top_BC.shape), where=occurs_BC)
    return _ratio(ratio_BC.sum(1), occurs_BC.sum(1), np.nan)


def _ratio(top: np.ndarray, bottom: np.ndarray, otherwise: float) -> np.ndarray:
    """Quotient, `otherwise` where `bottom` is zero, without a warning."""
    return np.divide(top, bottom, out=np.full(np.shape(top), otherwise, np.float64), where=bottom > 0)
