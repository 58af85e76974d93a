"""The kinds of judgement, by name."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pandas as pd

from eclip.data.store import Store
from eclip.evaluation import embedding_quality, retrieval, zero_shot
from eclip.evaluation.embeddings import Embeddings
from eclip.evaluation.prompts import PromptSet
from eclip.evaluation.retrieval import ANY_EQUAL_TEXT, IMAGE_BLIND
from eclip.evaluation.statistics import Statistic
from eclip.models.model import Model


@dataclass(frozen=True, slots=True)
class Context:
    """What a task may look at."""

    model: Model
    store: Store
    embeddings: Embeddings
    prompts: PromptSet


@dataclass(frozen=True, slots=True)
class Task:
    """A kind of judgement.

    Attributes:
        per_sample: One row an image; the columns are what `statistics` needs.
        statistics: The numbers, from that table and the embeddings; so two models can be compared from their folders.
    """

    per_sample: Callable[[Context], pd.DataFrame]
    statistics: Callable[[pd.DataFrame, Embeddings], dict[str, Statistic]]


def _zero_shot(context: Context) -> pd.DataFrame:
    classes = context.prompts.classes
    zero_shot.check_labels(context.embeddings.label_names, list(classes))
    return zero_shot.per_sample(context.embeddings, context.model.embed_classes(classes), list(classes))


def _retrieval(context: Context) -> pd.DataFrame:
    texts = context.store.column("text")
    train_texts = [texts[row] for row in context.store.rows(split="train")]
    return retrieval.per_sample(context.embeddings, train_texts=train_texts)


TASKS: dict[str, Task] = {
    "zero-shot": Task(_zero_shot, lambda table, _: zero_shot.statistics(table)),
    "retrieval": Task(_retrieval, lambda table, _: retrieval.statistics(table)),
    "embedding-quality": Task(
        lambda context: embedding_quality.per_sample(context.embeddings), embedding_quality.statistics
    ),
}


def headlines(metrics: Iterable[str]) -> list[str]:
    """The metrics that a first table shows: not those of single classes, laxer variants and floors."""
    return [name for name in metrics if not any(mark in name for mark in ("/", ANY_EQUAL_TEXT, IMAGE_BLIND))]
