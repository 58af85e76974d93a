"""What a task may look at."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from eclip.data.store import Store
from eclip.evaluation.embedding_file import EmbeddingFile
from eclip.evaluation.embeddings import Embeddings, embed_store
from eclip.evaluation.prompts import PromptSet
from eclip.evaluation.zero_shot import Ensemble
from eclip.models.model import Model


@dataclass(slots=True, kw_only=True)
class Context:
    """One evaluation: a model, a store, the split that is judged, and how.

    Attributes:
        model: What is judged; a file of embeddings raises InputError where a task asks for more than it holds.
        store: The studies.
        prompts: What stands for the classes; None where nothing fits the store.
        split: Which studies are judged.
        seed: Of every draw.
        ensemble: How the prompts of a class come together.
        cache: Folder that vectors are kept in; None to compute them.
    """

    model: Model | EmbeddingFile
    store: Store
    prompts: PromptSet | None
    split: str = "test"
    seed: int = 0
    ensemble: Ensemble = "embeddings"
    cache: Path | None = None
    _embeddings: dict[str, Embeddings] = field(default_factory=dict, init=False, repr=False)
    _vectors: dict[str, np.ndarray] = field(default_factory=dict, init=False, repr=False)
    _tables: dict[Callable[["Context"], pd.DataFrame], pd.DataFrame] = field(
        default_factory=dict, init=False, repr=False
    )

    @property
    def embeddings(self) -> Embeddings:
        """Of the studies that are judged."""
        return self.embeddings_of(self.split)

    def embeddings_of(self, split: str) -> Embeddings:
        """Of a split, embedded once however many tasks ask; of others than the judged one, images alone.

        Raises:
            InputError: No study in that split.
        """
        if split not in self._embeddings:
            self._embeddings[split] = embed_store(
                self.model, self.store, split=split, texts=split == self.split, cache=self.cache
            )
        return self._embeddings[split]

    def vectors_of(self, sentences: Sequence[str]) -> Mapping[str, np.ndarray]:
        """The unit vector (D,) of each prompt, embedded once however many tasks ask."""
        if missing := [sentence for sentence in sentences if sentence not in self._vectors]:
            self._vectors |= dict(zip(missing, self.model.embed_texts(missing), strict=True))
        return self._vectors

    def table(self, per_sample: Callable[["Context"], pd.DataFrame]) -> pd.DataFrame:
        """What a task finds for each image, found once however many tasks build on it."""
        if per_sample not in self._tables:
            self._tables[per_sample] = per_sample(self)
        return self._tables[per_sample]

    @property
    def training(self) -> Embeddings:
        """Images of the training split, never augmented."""
        return self.embeddings_of("train")

    @property
    def validation(self) -> Embeddings | None:
        """Images of the validation split, where choices are made; None where there is none, or it is what is judged."""
        if self.split == "validate" or not len(self.store.rows(split="validate")):
            return None
        return self.embeddings_of("validate")
