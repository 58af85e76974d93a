"""The kinds of judgement, by name."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import pandas as pd
from markupsafe import Markup

from eclip.evaluation import embedding_quality, retrieval, zero_shot
from eclip.evaluation.context import Context
from eclip.evaluation.embeddings import Embeddings
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
    classes = context.prompts.classes
    zero_shot.check_labels(context.embeddings.label_names, list(classes))
    return zero_shot.per_sample(context.embeddings, context.model.embed_classes(classes), list(classes))


def _retrieval(context: Context) -> pd.DataFrame:
    texts = context.store.column("text")
    train_texts = [texts[row] for row in context.store.rows(split="train")]
    return retrieval.per_sample(context.embeddings, train_texts=train_texts)


TASKS: dict[str, Task] = {
    "zero-shot": Task(
        _zero_shot, lambda table, _: zero_shot.statistics(table), figures={"ROC curves": roc_curves}
    ),
    "retrieval": Task(_retrieval, lambda table, _: retrieval.statistics(table)),
    "embedding-quality": Task(
        lambda context: embedding_quality.per_sample(context.embeddings), embedding_quality.statistics
    ),
}


def headlines(metrics: Iterable[str]) -> list[str]:
    """The metrics that a first table shows: not those of single classes, laxer variants and floors."""
    return [name for name in metrics if not any(mark in name for mark in ("/", ANY_EQUAL_TEXT, IMAGE_BLIND))]
