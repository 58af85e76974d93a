"""Batches for training. One item is one step's batch, and a pure function of (seed, step)."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from eclip.annotations.sentences import LEAD
from eclip.data.augmentation import Augmentation
from eclip.data.draws import generator, shuffled
from eclip.data.expert_loading import ExpertBatch, ExpertLoader, Heatmaps, as_pixels, augmentation_seed
from eclip.data.sentence_loading import row_keys
from eclip.data.store import Store, Study
from eclip.errors import InputError

Tokenize = Callable[[list[str]], Mapping[str, Tensor]]
Probability = Callable[[int], float]
PlainRows = Literal["unannotated", "all"]


@dataclass(slots=True)
class Batch:
    """One step's studies.

    Attributes:
        step: The step it belongs to.
        image_B1HW: Images in [0, 1], augmented.
        tokens: Token ids and masks (B + E, L): the texts of the images, then those of the expert images. Sentences
            have their own.
        expert: The annotated studies, on steps that have them.
        key_N2: Numbers of the study and of the text of each of these rows, then of the sentences, (B + E + S, 2)
            int64, where sentences are asked for: rows with one in common are no negatives of each other.
    """

    step: int
    image_B1HW: Tensor
    tokens: Mapping[str, Tensor]
    expert: ExpertBatch | None = None
    key_N2: Tensor | None = None


class TrainingBatches(Dataset[Batch]):
    """The batches of a training run; item t is the batch of step t.

    Each rank holds its slice of the same global batch; all ranks draw the same coin for the expert batch. Expert
    studies are loaded only on the steps that use them.

    Args:
        store: The studies; only its training split is read.
        tokenize: Texts to token ids and masks.
        size: Side of the images, in pixels.
        batch_size: Studies a step, over all ranks.
        expert_batch_size: Annotated studies on a step that has them, over all ranks.
        expert_probability: Step to the probability of an expert batch; None for methods without one.
        heatmaps: What stands in the place of the recorded heatmaps. The studies are the same under every control:
            those whose own annotation shows something.
        slices: In how many shares of time heatmaps are cut.
        sentences: How many dictated sentences come with each annotated study, at most.
        lead: Seconds by which the eye is ahead of the tongue.
        plain_rows: Whether annotated studies are also among the ordinary ones.
        augmentation: How images are varied; None to leave them.
        seed: The only source of randomness.
        rank: Of this process.
        world_size: Number of processes.

    Raises:
        InputError: Too few training studies for a batch, or too few with annotations where they are needed.
    """

    def __init__(
        self,
        store: Store,
        *,
        tokenize: Tokenize,
        size: int,
        batch_size: int,
        expert_batch_size: int = 0,
        expert_probability: Probability | None = None,
        heatmaps: Heatmaps = "recorded",
        slices: int = 1,
        sentences: int = 0,
        lead: float = LEAD,
        plain_rows: PlainRows = "unannotated",
        augmentation: Augmentation | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.store, self.tokenize, self.size, self.seed = store, tokenize, size, seed
        self.batch_size, self.expert_batch_size = batch_size, expert_batch_size
        self.expert_probability, self.augmentation = expert_probability, augmentation
        self.rank, self.world_size = rank, world_size
        self.plain = store.rows(split="train", annotated=False if plain_rows == "unannotated" else None)
        self.annotated = store.rows(split="train", annotated=True)
        self.study_ids, self.has_sentences = store.column("study_id"), sentences > 0
        self.study_N = np.unique(self.study_ids, return_inverse=True)[1]
        plain_studies = len(np.unique(self.study_N[self.plain]))
        if plain_studies < batch_size:
            more = plain_rows == "unannotated" and len(self.annotated) > 0
            hint = ", or add --loading.plain-rows all to use annotated ones as well" if more else ""
            raise InputError(
                f"{store.path}: {plain_studies} {'' if plain_rows == 'all' else 'unannotated '}training studies "
                f"are too few for batches of {batch_size}; --batch-size {plain_studies} is the most{hint}"
            )
        if expert_probability is not None and not len(self.annotated):
            raise InputError(
                f"{store.path}: no training study has an annotation, which this method needs; build the store with "
                "gaze, boxes or masks, or train a recipe without an expert"
            )
        self.expert = ExpertLoader(
            store,
            size=size,
            heatmaps=heatmaps,
            slices=slices,
            sentences=sentences,
            lead=lead,
            augmentation=augmentation,
            seed=seed,
            rank=rank,
        )

    def has_expert(self, step: int) -> bool:
        """Whether a step has an expert batch: the same answer on every rank and after every resume."""
        if self.expert_probability is None:
            return False
        return bool(generator(self.seed, step, "coin").random() < self.expert_probability(step))

    def __getitem__(self, step: int) -> Batch:
        plain = self._plain_rows(step)
        rows = self._own(plain).tolist()
        studies = [self.store[row] for row in rows]
        texts, expert = [study.text for study in studies], None
        dictated: list[str] = []
        if self.has_expert(step):
            own = self._own(self._expert_rows(step, avoid=plain))
            expert, expert_texts, dictated = self.expert(own, step)
            texts += expert_texts
            rows += expert.rows + (expert.sentences.rows if expert.sentences else [])
            if expert.sentences and dictated:
                expert.sentences.tokens = self.tokenize(dictated)
        keys = None
        if self.has_sentences:
            keys = row_keys([self.study_ids[row] for row in rows], texts + dictated)
        return Batch(step, self._plain(studies, step), self.tokenize(texts), expert, keys)

    def _plain_rows(self, step: int) -> np.ndarray:
        """Rows of a step's plain batch."""
        stream = shuffled(self.plain, self.seed, start=step * self.batch_size, purpose="order")
        return self._of_different_studies(stream, self.batch_size, avoid=())

    def _expert_rows(self, step: int, *, avoid: np.ndarray) -> np.ndarray:
        """Annotated rows for a step, of studies that are not in its plain batch."""
        left = np.setdiff1d(self.study_N[self.annotated], self.study_N[avoid])
        stream = shuffled(self.annotated, self.seed, start=step * self.expert_batch_size, purpose="expert")
        return self._of_different_studies(stream, min(self.expert_batch_size, len(left)), avoid=avoid)

    def _of_different_studies(
        self, stream: Iterator[int], count: int, *, avoid: Collection[int]
    ) -> np.ndarray:
        """The next rows of a stream whose study is not there yet: a study is never its own negative."""
        seen, rows = {self.study_N[row] for row in avoid}, list[int]()
        while len(rows) < count:
            row = next(stream)
            if self.study_N[row] not in seen:
                seen.add(self.study_N[row])
                rows.append(row)
        return np.array(rows, np.int64)

    def _own(self, rows: np.ndarray) -> np.ndarray:
        """This rank's share of the global batch."""
        return np.array_split(rows, self.world_size)[self.rank]

    def _plain(self, studies: Sequence[Study], step: int) -> Tensor:
        """Augmented images (B, 1, H, W) in [0, 1]."""
        image_B1HW = as_pixels(studies, self.size)
        if self.augmentation is not None:
            seed = augmentation_seed(self.seed, step, rank=self.rank, purpose="plain")
            image_B1HW, _, _ = self.augmentation(image_B1HW, seed=seed)
        return image_B1HW


class ValidationBatches(Dataset[Batch]):
    """The studies of one split in fixed batches, never augmented."""

    def __init__(
        self, store: Store, *, tokenize: Tokenize, size: int, batch_size: int, split: str = "validate"
    ) -> None:
        self.store, self.tokenize, self.size = store, tokenize, size
        rows = store.rows(split=split)
        self.batches = [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Batch:
        if index >= len(self):
            raise IndexError(index)
        studies = [self.store[int(row)] for row in self.batches[index]]
        return Batch(index, as_pixels(studies, self.size), self.tokenize([study.text for study in studies]))


class Steps(Sampler[int]):
    """The steps that are left to do; a resumed run starts where it was."""

    def __init__(self, *, first: int, total: int) -> None:
        self.first, self.total = first, total

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.total))

    def __len__(self) -> int:
        return self.total  # of the whole run: Lightning counts the steps of earlier sessions too
