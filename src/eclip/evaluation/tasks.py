"""The kinds of judgement, by name."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from markupsafe import Markup

from eclip.errors import InputError
from eclip.evaluation import (
    embedding_quality,
    grounding,
    linear_probe,
    report_scores,
    retrieval,
    robustness,
    subgroups,
    zero_shot,
)
from eclip.evaluation.classification import targets
from eclip.evaluation.context import Context
from eclip.evaluation.embedding_file import EmbeddingFile
from eclip.evaluation.embeddings import Embeddings
from eclip.evaluation.finding_similarity import similarity_table
from eclip.evaluation.label_efficiency import label_efficiency
from eclip.evaluation.reliability import reliability_curve
from eclip.evaluation.results import Evaluation
from eclip.evaluation.retrieval import ANY_EQUAL_TEXT, IMAGE_BLIND
from eclip.evaluation.roc import roc_curves
from eclip.evaluation.statistics import Statistic


@dataclass(frozen=True, slots=True)
class Task:
    """A kind of judgement.

    Attributes:
        per_sample: One row an image; the columns are what `statistics` needs.
        statistics: The numbers, from that table and the embeddings; so two models can be compared from their folders.
        figures: Title to what draws it from an evaluation folder alone, for the page; None where there is nothing to
            draw.
        default: Whether it is done where no task is named; not what takes long.
    """

    per_sample: Callable[[Context], pd.DataFrame]
    statistics: Callable[[pd.DataFrame, Embeddings], dict[str, Statistic]]
    figures: Mapping[str, Callable[[Evaluation], Markup | None]] = field(default_factory=dict)
    default: bool = True


def _zero_shot(context: Context) -> pd.DataFrame:
    prompts, labels = context.prompts, context.embeddings.label_names
    if prompts is None and labels:
        raise InputError(
            f"zero-shot: no prompt set that comes along has all its classes among the labels {', '.join(labels)}; "
            "give one with --prompts"
        )
    classes = [] if prompts is None else list(prompts.classes)
    zero_shot.check_labels(labels, classes)
    assert prompts is not None
    vectors = context.vectors_of(prompts.sentences)

    def scores(embeddings: Embeddings) -> np.ndarray:
        return zero_shot.scores(embeddings.image_ND, vectors, prompts, ensemble=context.ensemble)

    validation = context.validation
    known = validation is not None and set(classes) <= set(validation.label_names)
    return zero_shot.per_sample(
        context.embeddings,
        scores(context.embeddings),
        classes,
        threshold=zero_shot.thresholds(validation, scores(validation), classes)
        if validation is not None and known
        else None,
        scale=context.model.scale,
        pairs=bool(prompts.negatives),
    )


def _linear_probe(context: Context) -> pd.DataFrame:
    if context.split in ("train", "validate"):
        raise InputError(
            "linear-probe: learns from the training split and chooses on the validation split, so it cannot judge "
            f"{context.split!r}"
        )
    validation, labels = context.validation, context.embeddings.label_names
    if validation is None or not len(context.store.rows(split="train")):
        raise InputError("linear-probe: needs a training and a validation split; the store has not both")
    wanted = labels if context.prompts is None else tuple(context.prompts.classes)
    classes = [
        name
        for name in wanted
        if name in labels
        and not any(np.isnan(e.label(name)).all() for e in (context.embeddings, validation, context.training))
    ]
    if not classes:
        raise InputError("linear-probe: no label occurs in all splits; build the store with labels")
    return linear_probe.per_sample(
        context.embeddings, context.training, validation, classes, seed=context.seed
    )


def _retrieval(context: Context) -> pd.DataFrame:
    texts = context.store.column("text")
    train_texts = [texts[row] for row in context.store.rows(split="train")]
    return retrieval.per_sample(context.embeddings, train_texts=train_texts)


def _grounding(context: Context) -> pd.DataFrame:
    if isinstance(context.model, EmbeddingFile):
        raise InputError(f"{context.model.path}: a file has no local features; grounding needs the model")
    return grounding.per_sample(context.model, context.store, context.store.rows(split=context.split))


def _robustness(context: Context) -> pd.DataFrame:
    if isinstance(context.model, EmbeddingFile):
        raise InputError(
            f"{context.model.path}: a file cannot embed other images; robustness needs the model"
        )
    prompts, right = context.prompts, None
    known = prompts is not None and set(prompts.classes) <= set(context.embeddings.label_names)
    if prompts is not None and known and len(prompts.classes) > 1:
        classes, vectors = prompts.classes, context.vectors_of(prompts.sentences)
        _, target_N = targets(context.embeddings, list(classes))
        decided_N = np.array([target is not None for target in target_N])

        def right(image_ND: np.ndarray) -> np.ndarray:
            score_NC = zero_shot.scores(image_ND, vectors, prompts, ensemble=context.ensemble)
            guess_N = np.array(list(classes), dtype=object)[score_NC.argmax(1)]
            return np.where(decided_N, guess_N == target_N, np.nan)

    rows = context.store.rows(split=context.split)
    return robustness.per_sample(
        context.model, context.store, rows, context.embeddings, right, seed=context.seed
    )


def _reports(context: Context) -> pd.DataFrame:
    raise InputError("reports: drafts are made, and judged, by `eclip report --data STORE`")


def _subgroups(context: Context) -> pd.DataFrame:
    qualities: dict[str, np.ndarray] = {}
    reasons = []
    for name, task, values in (
        ("accuracy", _zero_shot, zero_shot.right),
        ("image_to_text_recall@10", _retrieval, lambda table: table["image_to_text_recall@10"].to_numpy()),
    ):
        try:
            qualities[name] = values(context.table(task))
        except InputError as error:
            reasons.append(str(error))
    if not qualities:
        raise InputError(f"subgroups: nothing to compare ({'; '.join(reasons)})")
    rows = context.store.rows(split=context.split)
    sex, age, view = (
        [column[row] for row in rows] for column in map(context.store.column, ("sex", "age", "view"))
    )
    return subgroups.per_sample(qualities, sex=sex, age=age, view=view)


TASKS: dict[str, Task] = {
    "zero-shot": Task(
        _zero_shot,
        lambda table, _: zero_shot.statistics(table),
        figures={"ROC curves": roc_curves, "Reliability": reliability_curve},
    ),
    "linear-probe": Task(
        _linear_probe,
        lambda table, _: linear_probe.statistics(table),
        figures={"Accuracy by labelled training data": label_efficiency},
    ),
    "retrieval": Task(_retrieval, lambda table, _: retrieval.statistics(table)),
    "embedding-quality": Task(
        lambda context: embedding_quality.per_sample(context.embeddings),
        embedding_quality.statistics,
        figures={"Mean cosine between images, by finding": similarity_table},
    ),
    "grounding": Task(
        _grounding,
        lambda table, _: grounding.statistics(table),
        figures={"Where it looks for a phrase": grounding.where_it_looks},
    ),
    "robustness": Task(
        _robustness,
        lambda table, _: robustness.statistics(table),
        figures={"Under changed images": robustness.what_changes},
        default=False,
    ),
    "reports": Task(_reports, lambda table, _: report_scores.statistics(table), default=False),
    "subgroups": Task(
        _subgroups,
        subgroups.statistics,
        figures={
            "Accuracy by group": subgroups.groups_drawn("accuracy"),
            "Retrieval by group": subgroups.groups_drawn("image_to_text_recall@10"),
        },
    ),
}


def headlines(metrics: Iterable[str]) -> list[str]:
    """The metrics that a first table shows.

    Not those of single classes, laxer variants, floors and readers; and of what a probe learned from fewer labels,
    accuracy and AUROC alone.
    """
    further = ("/", ANY_EQUAL_TEXT, IMAGE_BLIND)
    return [
        name
        for name in metrics
        if not any(mark in name for mark in further)
        and not name.startswith(grounding.OF_READERS)
        and (name.startswith(("accuracy", "auroc")) or not name.endswith(linear_probe.FEWER))
    ]
