"""Zero-shot classification: an image gets the class whose prompts lie nearest.

A class is the mean of its prompts' unit vectors, normalised again; its score for an image is their cosine. Deciding
among the classes is judged on images that show exactly one of them; telling one class from the rest (AUROC, from the
cosine alone) on all images whose labels are known. A label that is not mentioned counts as absent, an uncertain one
takes the image out.

Array names: N images, C classes, B bootstrap replicates.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from eclip.errors import InputError
from eclip.evaluation.embeddings import Embeddings
from eclip.evaluation.statistics import Statistic, auroc, average, mean

SCORE, LABEL = "score/", "label/"


def per_sample(embeddings: Embeddings, class_CD: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """Scores, labels and the decision for each image.

    Args:
        embeddings: The images and their labels.
        class_CD: One unit vector a class.
        classes: (C,) their names.

    Returns:
        Columns `target` and `prediction` (class names; target None where the image does not show exactly one class),
        `score/CLASS` (cosine) and `label/CLASS` (1 or 0; NaN where it is not known).

    Raises:
        InputError: The images have no labels, or lack one of the classes, or none shows exactly one class.
    """
    check_labels(embeddings.label_names, classes)
    label_NC = np.stack([embeddings.label(name) for name in classes], axis=1)
    unlabelled_N1 = np.isnan(embeddings.label_NC).all(1, keepdims=True)
    label_NC = np.where(np.isnan(label_NC) & ~unlabelled_N1, 0.0, label_NC)
    label_NC = np.where(label_NC < 0, np.nan, label_NC)
    single_N = label_NC.sum(1) == 1  # NaN, an uncertain or unknown label, is not 1
    if not single_N.any():
        raise InputError(
            f"zero-shot: no image shows exactly one of {', '.join(classes)}; choose another --prompts"
        )
    score_NC = embeddings.image_ND @ class_CD.T
    names = np.array(classes, dtype=object)
    columns = {
        "target": np.where(single_N, names[np.argmax(np.nan_to_num(label_NC), axis=1)], None),
        "prediction": names[np.argmax(score_NC, axis=1)],
    }
    columns |= {SCORE + name: score_NC[:, c] for c, name in enumerate(classes)}
    columns |= {LABEL + name: label_NC[:, c].astype(np.float32) for c, name in enumerate(classes)}
    return pd.DataFrame(columns)


def check_labels(label_names: Sequence[str], classes: Sequence[str]) -> None:
    """Say what is missing.

    Raises:
        InputError: There are no labels, or not those of the classes.
    """
    if not label_names:
        raise InputError(
            "zero-shot: the studies have no labels; build the store with labels or leave out this task"
        )
    if missing := [name for name in classes if name not in label_names]:
        raise InputError(
            f"zero-shot: no study has a label {', '.join(map(repr, missing))} of the prompt set; choose another with "
            f"--prompts, or write one with classes among {', '.join(label_names)}"
        )


def statistics(per_sample: pd.DataFrame) -> dict[str, Statistic]:
    """The task's numbers, from its per-sample table.

    `accuracy`, `balanced_accuracy` (mean recall) and `macro_f1` of deciding among the classes; `auroc` of one class
    against the rest, averaged over classes, and of each class as `auroc/CLASS`. Means over classes are over those
    that occur.
    """
    classes = class_names(per_sample)
    target, prediction = per_sample["target"].to_numpy(object), per_sample["prediction"].to_numpy(object)
    decided_N = pd.notna(target)
    right_N = np.where(decided_N, target == prediction, np.nan).astype(np.float64)
    is_target_NC = target[:, None] == np.array(classes, dtype=object)
    is_prediction_NC = (prediction[:, None] == np.array(classes, dtype=object)) & decided_N[:, None]
    chance = 1 / len(classes)
    numbers = {
        "accuracy": mean(right_N, chance=chance),
        "balanced_accuracy": _balanced_accuracy(is_target_NC, is_prediction_NC, chance=chance),
        "macro_f1": _macro_f1(is_target_NC, is_prediction_NC),
    }
    areas = {}
    for name in classes:
        label_N = per_sample[LABEL + name].to_numpy()
        known_N = ~np.isnan(label_N)
        if 0 < np.count_nonzero(label_N[known_N]) < np.count_nonzero(known_N):
            areas[name] = auroc(per_sample[SCORE + name].to_numpy(), label_N == 1, known_N)
    if areas:
        numbers["auroc"] = average(list(areas.values()), n=max(area.n for area in areas.values()))
    return numbers | {f"auroc/{name}": area for name, area in areas.items()}


def class_names(per_sample: pd.DataFrame) -> list[str]:
    """The classes that a per-sample table was made with, in their order."""
    return [name.removeprefix(SCORE) for name in per_sample.columns if name.startswith(SCORE)]


def confusion(per_sample: pd.DataFrame) -> pd.DataFrame:
    """How many images of each class (rows) were taken for which (columns)."""
    classes = class_names(per_sample)
    decided = per_sample[per_sample["target"].notna()]
    counts = pd.crosstab(decided["target"], decided["prediction"])
    return counts.reindex(index=classes, columns=classes, fill_value=0)


def _balanced_accuracy(target_NC: np.ndarray, prediction_NC: np.ndarray, *, chance: float) -> Statistic:
    def of(weights_BN: np.ndarray) -> np.ndarray:
        support_BC = weights_BN @ target_NC.astype(np.float32)
        hits_BC = weights_BN @ (target_NC & prediction_NC).astype(np.float32)
        return _mean_over_supported(hits_BC, support_BC, support_BC)

    return Statistic(of=of, n=int(target_NC.sum()), chance=chance)


def _macro_f1(target_NC: np.ndarray, prediction_NC: np.ndarray) -> Statistic:
    def of(weights_BN: np.ndarray) -> np.ndarray:
        support_BC = weights_BN @ target_NC.astype(np.float32)
        hits_BC = weights_BN @ (target_NC & prediction_NC).astype(np.float32)
        taken_BC = weights_BN @ prediction_NC.astype(np.float32)
        return _mean_over_supported(2 * hits_BC, support_BC + taken_BC, support_BC)

    return Statistic(of=of, n=int(target_NC.sum()))


def _mean_over_supported(top_BC: np.ndarray, bottom_BC: np.ndarray, support_BC: np.ndarray) -> np.ndarray:
    """Mean of top / bottom over the classes that occur, (B,) float64; NaN where none does."""
    occurs_BC = support_BC > 0
    ratio_BC = np.divide(top_BC, bottom_BC, out=np.zeros(top_BC.shape), where=occurs_BC)
    count_B = occurs_BC.sum(1)
    return np.divide(ratio_BC.sum(1), count_B, out=np.full(len(count_B), np.nan), where=count_B > 0)
