"""Zero-shot classification: an image gets the class whose prompts lie nearest.

A class's score for an image comes from the cosines with its prompts, as the `Ensemble` says. Deciding among the classes
is judged on images that show exactly one of them; telling one class from the rest, from its score alone, on all images
whose labels are known. Where the prompt set has sentences for the absence of each class, a score is that of its
presence minus that of its absence. A label that is not mentioned counts as absent, an uncertain one takes the image
out.

Array names: N images, C classes, K prompts of a class, B bootstrap replicates.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import expit, softmax

from eclip.errors import InputError
from eclip.evaluation.classification import (
    at_threshold,
    average_precision,
    best_threshold,
    calibration_error,
    decisions,
    targets,
)
from eclip.evaluation.embeddings import Embeddings
from eclip.evaluation.prompts import PromptSet
from eclip.evaluation.statistics import Statistic, auroc, average

SCORE, LABEL, DECISION, PROBABILITY = "score/", "label/", "decision/", "probability/"
Ensemble = Literal["embeddings", "logits", "max"]
"""A class's score: the cosine with the mean of its prompts' unit vectors, made a unit vector again; the mean of the
cosines; or the highest."""
AT_THRESHOLD = ("f1", "mcc", "sensitivity", "specificity")


def scores(
    image_ND: np.ndarray,
    vectors: Mapping[str, np.ndarray],
    prompts: PromptSet,
    *,
    ensemble: Ensemble = "embeddings",
) -> np.ndarray:
    """Each class's score for each image, (N, C) float32.

    Args:
        image_ND: Unit vectors.
        vectors: The unit vector (D,) of each sentence.
        prompts: The classes; with negatives, presence minus absence.
        ensemble: How the prompts of a class come together.
    """
    present_NC = _scores(image_ND, vectors, prompts.classes, ensemble)
    return (
        present_NC - _scores(image_ND, vectors, prompts.negatives, ensemble)
        if prompts.negatives
        else present_NC
    )


def _scores(
    image_ND: np.ndarray,
    vectors: Mapping[str, np.ndarray],
    classes: Mapping[str, list[str]],
    ensemble: Ensemble,
) -> np.ndarray:
    columns = []
    for sentences in classes.values():
        prompt_KD = np.stack([vectors[sentence] for sentence in sentences])
        if ensemble == "max":
            columns.append((image_ND @ prompt_KD.T).max(1))
            continue
        mean_D = prompt_KD.mean(0)
        columns.append(image_ND @ (mean_D / np.linalg.norm(mean_D) if ensemble == "embeddings" else mean_D))
    return np.stack(columns, axis=1)


def thresholds(embeddings: Embeddings, score_NC: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """For each class the score with the highest F1, on validation data; none where its labels are all alike."""
    label_NC, _ = targets(embeddings, classes)
    found = {}
    for c, name in enumerate(classes):
        known_N = ~np.isnan(label_NC[:, c])
        positive = label_NC[known_N, c] == 1
        if 0 < positive.sum() < len(positive):
            found[name] = best_threshold(score_NC[known_N, c], positive)
    return found


def per_sample(
    embeddings: Embeddings,
    score_NC: np.ndarray,
    classes: Sequence[str],
    *,
    threshold: Mapping[str, float] | None = None,
    scale: float | None = None,
    pairs: bool = False,
) -> pd.DataFrame:
    """Scores, labels and the decisions for each image.

    Args:
        embeddings: The images and their labels.
        score_NC: Of `scores`.
        classes: (C,) their names.
        threshold: By class, from validation data.
        scale: What the model multiplies cosines with; makes probabilities.
        pairs: Whether scores are presence minus absence.

    Returns:
        Columns `target` and `prediction` (class names; target None where the image does not show exactly one class),
        `score/CLASS`, `label/CLASS` (1 or 0; NaN where it is not known), `decision/CLASS` (whether the score reaches
        the threshold), and `probability` of the decision among classes (softmax of scaled scores; NaN without
        target), or for pairs `probability/CLASS` (softmax of presence and absence).

    Raises:
        InputError: The images have no labels, or lack one of the classes, or none shows exactly one class.
    """
    check_labels(embeddings.label_names, classes)
    label_NC, target_N = targets(embeddings, classes)
    decided_N = np.array([target is not None for target in target_N])
    if not decided_N.any() and not pairs:
        raise InputError(
            f"zero-shot: no image shows exactly one of {', '.join(classes)}; choose another --prompts"
        )
    names = np.array(classes, dtype=object)
    columns = {"target": target_N, "prediction": names[np.argmax(score_NC, axis=1)]}
    columns |= {SCORE + name: score_NC[:, c] for c, name in enumerate(classes)}
    columns |= {LABEL + name: label_NC[:, c].astype(np.float32) for c, name in enumerate(classes)}
    for c, name in enumerate(classes):
        if threshold and name in threshold:
            columns[DECISION + name] = score_NC[:, c] >= threshold[name]
    if scale is not None:
        logit_NC = scale * score_NC.astype(np.float64)
        if pairs:
            columns |= {PROBABILITY + name: expit(logit_NC[:, c]) for c, name in enumerate(classes)}
        else:
            columns["probability"] = np.where(decided_N, softmax(logit_NC, axis=1).max(1), np.nan)
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


def check_decides(classes: Sequence[str]) -> None:
    """Refuse a single class.

    Raises:
        InputError: There is one.
    """
    if len(classes) < 2:
        raise InputError(
            f"zero-shot: nothing is decided among {', '.join(classes)} alone; choose another --prompts"
        )


def statistics(per_sample: pd.DataFrame) -> dict[str, Statistic]:
    """The task's numbers, from its per-sample table.

    Of deciding among classes: `accuracy`, `balanced_accuracy` and `macro_f1`. Of one class against the rest, averaged
    over classes, and for each as `…/CLASS`: `auroc` and `auprc` from the scores; `f1`, `mcc`, `sensitivity` and
    `specificity` at the validation data's threshold. `calibration_error` of the probabilities.
    """
    classes = class_names(per_sample)
    numbers: dict[str, Statistic] = {}
    target_N = per_sample["target"].to_numpy(object, copy=True)
    target_N[pd.isna(target_N)] = None
    if len(classes) > 1 and any(target is not None for target in target_N):
        prediction_N = per_sample["prediction"].to_numpy(object)
        numbers |= decisions(target_N, prediction_N, classes)
        if "probability" in per_sample:
            right_N = (target_N == prediction_N).astype(np.float64)
            numbers["calibration_error"] = calibration_error(per_sample["probability"].to_numpy(), right_N)
    of_class: dict[str, dict[str, Statistic]] = {}
    for name in classes:
        for metric, statistic in _of_one(per_sample, name).items():
            of_class.setdefault(metric, {})[name] = statistic
    for metric, found in of_class.items():
        numbers[metric] = average(list(found.values()), n=max(s.n for s in found.values()))
        numbers |= {f"{metric}/{name}": statistic for name, statistic in found.items()}
    return numbers


def _of_one(per_sample: pd.DataFrame, name: str) -> dict[str, Statistic]:
    """Of one class against the rest; nothing where all labels that are known are alike."""
    label_N = per_sample[LABEL + name].to_numpy()
    known_N, positive_N = ~np.isnan(label_N), label_N == 1
    if not 0 < np.count_nonzero(positive_N) < np.count_nonzero(known_N):
        return {}
    score_N = per_sample[SCORE + name].to_numpy()
    found = {
        "auroc": auroc(score_N, positive_N, known_N),
        "auprc": average_precision(score_N, positive_N, known_N),
    }
    if DECISION + name in per_sample:
        found |= at_threshold(per_sample[DECISION + name].to_numpy(bool), positive_N, known_N)
    if PROBABILITY + name in per_sample:
        probability_N = np.where(known_N, per_sample[PROBABILITY + name].to_numpy(), np.nan)
        found["calibration_error"] = calibration_error(probability_N, positive_N.astype(np.float64))
    return found


def right(per_sample: pd.DataFrame) -> np.ndarray:
    """Whether the decision among classes is right, 1 or 0, (N,); NaN where an image does not show exactly one.

    Raises:
        InputError: There is one class alone, among which nothing is decided.
    """
    check_decides(class_names(per_sample))
    decided_N = per_sample["target"].notna().to_numpy()
    return np.where(decided_N, per_sample["target"].to_numpy() == per_sample["prediction"].to_numpy(), np.nan)


def class_names(per_sample: pd.DataFrame) -> list[str]:
    """The classes that a per-sample table was made with, in their order."""
    return [name.removeprefix(SCORE) for name in per_sample.columns if name.startswith(SCORE)]


def confusion(per_sample: pd.DataFrame) -> pd.DataFrame:
    """How many images of each class (rows) were taken for which (columns)."""
    classes = class_names(per_sample)
    decided = per_sample[per_sample["target"].notna()]
    counts = pd.crosstab(decided["target"], decided["prediction"])
    return counts.reindex(index=classes, columns=classes, fill_value=0)
