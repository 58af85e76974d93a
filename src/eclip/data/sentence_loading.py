"""Dictated sentences of annotated studies: which ones a step takes, and which studies' rows are no negatives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from eclip.annotations.annotation import Annotation, Fixation
from eclip.annotations.sentences import sentence_fixations


@dataclass(slots=True)
class SentenceBatch:
    """Sentences, each with where its reader looked in the seconds in which it was dictated.

    Attributes:
        heatmap_STHW: Heatmaps in the T slices of `ExpertBatch`, augmented like the images.
        index_S: Which of the expert images each sentence was dictated on, int64.
        rows: The same as rows of the store.
        tokens: Their token ids and masks, (S, l): a report's padding would be most of a sentence. Empty for S = 0.
    """

    heatmap_STHW: Tensor
    index_S: Tensor
    rows: list[int]
    tokens: Mapping[str, Tensor] = field(default_factory=dict)


SeenSentence = tuple[str, tuple[Fixation, ...]]
"""A sentence, and the fixations of its seconds."""


def drawn_sentences(
    annotations: Sequence[Annotation], count: int, draw: np.random.Generator, *, lead: float
) -> list[SeenSentence]:
    """As many as `count` of what all readers of an image dictated, in random order.

    Sentences without a letter or without a fixation in their seconds do not count.

    Args:
        annotations: Of one image.
        count: How many at most.
        draw: Decides which.
        lead: Seconds by which the eye is ahead, as for `sentence_fixations`.
    """
    spoken = [(annotation, sentence) for annotation in annotations for sentence in annotation.sentences]
    order = (spoken[i] for i in draw.permutation(len(spoken)))
    seen = (
        (sentence.text.strip(), sentence_fixations(annotation, sentence, lead=lead))
        for annotation, sentence in order
        if any(map(str.isalpha, sentence.text))
    )
    return list(islice((found for found in seen if found[1]), count))


def row_keys(study_ids: Sequence[str], texts: Sequence[str]) -> Tensor:
    """Numbers by which rows of one study, and rows of one text, are known: (N, 2) int64.

    Texts are the same where they differ in case and white space only. The numbers are hashes, the same in every
    process.
    """
    same_texts = (" ".join(text.casefold().split()) for text in texts)
    keys = [[_key(study), _key(text)] for study, text in zip(study_ids, same_texts, strict=True)]
    return torch.tensor(keys, dtype=torch.int64).reshape(-1, 2)


def _key(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)
