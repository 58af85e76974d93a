"""Batches for training. One item is one step's batch, and a pure function of (seed, step)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from eclip.annotations.gaze_batch import GazeBatch
from eclip.annotations.heatmap import render_regions
from eclip.data.augmentation import Augmentation
from eclip.data.draws import generator, shuffled, torch_seed
from eclip.data.images import decode, fit, fit_matrix
from eclip.data.store import Store, Study
from eclip.errors import InputError

Tokenize = Callable[[list[str]], Mapping[str, Tensor]]
Probability = Callable[[int], float]
PlainRows = Literal["unannotated", "all"]


@dataclass(slots=True)
class ExpertBatch:
    """Annotated studies: images (E, 1, H, W) in [0, 1] and heatmaps (E, 1, H, W) in [0, 1], both augmented alike."""

    image_E1HW: Tensor
    heatmap_E1HW: Tensor


@dataclass(slots=True)
class Batch:
    """One step's studies.

    Attributes:
        step: The step it belongs to.
        image_B1HW: Images in [0, 1], augmented.
        tokens: Token ids and masks (B + E, L): the texts of the images, then those of the expert images.
        expert: The annotated studies, on steps that have them.
    """

    step: int
    image_B1HW: Tensor
    tokens: Mapping[str, Tensor]
    expert: ExpertBatch | None = None


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
        plain_rows: Whether annotated studies are also among the ordinary ones.
        augmentation: How images are varied; None to leave them.
        seed: The only source of randomness.
        rank: Of this process.
        world_size: Number of processes.

    Raises:
        InputError: Too few training studies for a batch, or none with annotations where they are needed.
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
        if len(self.plain) < batch_size:
            hint = "" if plain_rows == "all" else ", or add --loading.plain-rows all to use annotated ones as well"
            raise InputError(
                f"{store.path}: {len(self.plain)} {'' if plain_rows == 'all' else 'unannotated '}training studies "
                f"are too few for batches of {batch_size}; lower --batch-size{hint}"
            )
        if expert_probability is not None and not len(self.annotated):
            raise InputError(
                f"{store.path}: no training study has an annotation, which this method needs; build the store with "
                "gaze, boxes or masks, or train a recipe without an expert"
            )

    def has_expert(self, step: int) -> bool:
        """Whether a step has an expert batch: the same answer on every rank and after every resume."""
        if self.expert_probability is None:
            return False
        return bool(generator(self.seed, step, "coin").random() < self.expert_probability(step))

    def __getitem__(self, step: int) -> Batch:
        rows = shuffled(
            self.plain, self.seed, start=step * self.batch_size, count=self.batch_size, purpose="order"
        )
        studies = [self.store[int(row)] for row in self._own(rows)]
        image_B1HW, _ = self._images(studies, step=step, purpose="plain")
        texts = [study.text for study in studies]
        expert = None
        if self.has_expert(step):
            experts = [self.store[int(row)] for row in self._own(self._expert_rows(step, avoid=rows))]
            image_E1HW, heatmap = self._images(experts, step=step, purpose="expert", annotated=True)
            heatmap_E1HW, usable_E = heatmap
            expert = ExpertBatch(image_E1HW[usable_E], heatmap_E1HW[usable_E])
            texts += [study.text for study, usable in zip(experts, usable_E.tolist(), strict=True) if usable]
        return Batch(step, image_B1HW, self.tokenize(texts), expert)

    def _expert_rows(self, step: int, *, avoid: np.ndarray) -> np.ndarray:
        """Annotated rows for a step, none of which is in its plain batch: a study is never its own negative."""
        count = min(self.expert_batch_size, len(self.annotated))
        start = step * self.expert_batch_size
        order = shuffled(self.annotated, self.seed, start=start, count=2 * len(self.annotated), purpose="expert")
        _, first = np.unique(order, return_index=True)
        order = order[np.sort(first)]
        return order[~np.isin(order, avoid)][:count]

    def _own(self, rows: np.ndarray) -> np.ndarray:
        """This rank's share of the global batch."""
        return np.array_split(rows, self.world_size)[self.rank]

    def _images(self, studies: Sequence[Study], *, step: int, purpose: str, annotated: bool = False):
        """Images (B, 1, H, W) in [0, 1] and, for annotated studies, their heatmaps and which of them are usable."""
        pixels = [decode(study.image) for study in studies]
        image_B1HW = torch.from_numpy(np.stack([fit(image, self.size) for image in pixels])[:, None]).float() / 255
        regions_B1HW = self._regions(studies) if annotated else None
        matrix_B33 = torch.eye(3).expand(len(studies), 3, 3)
        if self.augmentation is not None:
            seed = torch_seed(self.seed, step, f"{purpose} {self.rank}")
            image_B1HW, regions_B1HW, matrix_B33 = self.augmentation(image_B1HW, regions_B1HW, seed=seed)
        if not annotated:
            return image_B1HW, None
        crop_B33 = torch.from_numpy(np.stack([fit_matrix(study.height, study.width) for study in studies])).float()
        gaze = GazeBatch.pack(
            [[fixation for a in study.annotations for fixation in a.fixations] for study in studies],
            aspect=[study.width / study.height for study in studies],
        )
        gaze_BHW, has_gaze_B = gaze.transform(matrix_B33 @ crop_B33).render(self.size, self.size)
        heatmap_B1HW = torch.where(has_gaze_B[:, None, None, None], gaze_BHW[:, None], regions_B1HW)
        return image_B1HW, (heatmap_B1HW, heatmap_B1HW.amax((1, 2, 3)) > 0)

    def _regions(self, studies: Sequence[Study]) -> Tensor:
        """Region maps (B, 1, H, W) in the crop that the encoder sees; zero where a study has fixations instead."""
        maps = np.zeros((len(studies), 1, self.size, self.size), np.float32)
        for i, study in enumerate(studies):
            if not any(annotation.fixations for annotation in study.annotations):
                region = render_regions(study.annotations, study.height, study.width)
                if region is not None:
                    maps[i, 0] = fit(np.uint8(region * 255), self.size) / np.float32(255)
        return torch.from_numpy(maps)


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
        pixels = np.stack([fit(decode(study.image), self.size) for study in studies])[:, None]
        tokens = self.tokenize([study.text for study in studies])
        return Batch(index, torch.from_numpy(pixels).float() / 255, tokens)


class Steps(Sampler[int]):
    """The steps that are left to do; a resumed run starts where it was."""

    def __init__(self, *, first: int, total: int) -> None:
        self.first, self.total = first, total

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.total))

    def __len__(self) -> int:
        return self.total  # of the whole run: Lightning counts the steps of earlier sessions too
