"""Expert batches: annotated studies with their heatmaps, or with controls in the place of these."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from eclip.annotations.gaze_batch import GazeBatch
from eclip.annotations.heatmap import render_regions
from eclip.annotations.heatmap_controls import centre_bias, elsewhere
from eclip.data.augmentation import Augmentation
from eclip.data.draws import generator, torch_seed
from eclip.data.images import decode, fit, fit_matrix
from eclip.data.store import Store, Study
from eclip.errors import InputError

Heatmaps = Literal["recorded", "random", "shuffled", "uniform", "centre"]
"""The recorded maps, or a control in their place: the recorded map moved to a random place, the map of another study,
1 everywhere, or a Gaussian in the middle."""


@dataclass(slots=True)
class ExpertBatch:
    """Annotated studies.

    Attributes:
        image_E1HW: Images in [0, 1], augmented.
        heatmap_E1HW: Heatmaps in [0, 1], augmented alike.
        rows: Their rows of the store.
    """

    image_E1HW: Tensor
    heatmap_E1HW: Tensor
    rows: list[int]


class ExpertLoader:
    """Rows of annotated studies to an expert batch, a pure function of (seed, step).

    Args:
        store: The studies.
        size: Side of the images, in pixels.
        heatmaps: What stands in the place of the recorded heatmaps. The studies are the same under every control:
            those whose own annotation shows something.
        augmentation: How images are varied; None to leave them.
        seed: The only source of randomness.
        rank: Of this process.

    Raises:
        InputError: Heatmaps are to be shuffled, and fewer than two training studies have one.
    """

    def __init__(
        self,
        store: Store,
        *,
        size: int,
        heatmaps: Heatmaps = "recorded",
        augmentation: Augmentation | None = None,
        seed: int = 0,
        rank: int = 0,
    ) -> None:
        self.store, self.size, self.heatmaps = store, size, heatmaps
        self.augmentation, self.seed, self.rank = augmentation, seed, rank
        if heatmaps == "shuffled":
            self.annotated = store.rows(split="train", annotated=True)
            self.study_ids = np.array(store.column("study_id"))
            if len(set(self.study_ids[self.annotated])) < 2:
                raise InputError(
                    f"{store.path}: --method.heatmaps shuffled takes the annotation of another study, and there are "
                    "not two with annotations"
                )

    def __call__(self, rows: np.ndarray, step: int) -> tuple[ExpertBatch, list[str]]:
        """Augmented images and heatmaps of the studies whose annotation shows anything, and their texts."""
        studies = [self.store[int(row)] for row in rows]
        pixels_E1HW = as_pixels(studies, self.size)
        image_E1HW, heatmap_E1HW = self._with_heatmaps(pixels_E1HW, studies, step)
        usable_E = _shows_anything(heatmap_E1HW)
        if self.heatmaps == "shuffled":
            heatmap_E1HW = self._of_others(rows, pixels_E1HW, usable_E, step)
        elif self.heatmaps == "random":
            for row, heatmap_1HW in zip(rows, heatmap_E1HW, strict=True):
                draw = generator(self.seed, step, f"place of the heatmap of row {row}")
                heatmap_1HW[0] = elsewhere(heatmap_1HW[0], draw)
        elif self.heatmaps == "uniform":
            heatmap_E1HW = torch.ones_like(heatmap_E1HW)
        elif self.heatmaps == "centre":
            heatmap_E1HW = centre_bias(self.size, self.size).expand_as(heatmap_E1HW)
        kept = usable_E.nonzero()[:, 0].tolist()
        expert = ExpertBatch(image_E1HW[kept], heatmap_E1HW[kept], [int(rows[i]) for i in kept])
        return expert, [studies[i].text for i in kept]

    def _with_heatmaps(
        self, pixels_E1HW: Tensor, studies: Sequence[Study], step: int
    ) -> tuple[Tensor, Tensor]:
        """Images (E, 1, H, W), and the annotations of `studies` (E, 1, H, W), augmented together."""
        region_E1HW, matrix_E33 = self._regions(studies), torch.eye(3).expand(len(studies), 3, 3)
        if self.augmentation is not None:
            seed = augmentation_seed(self.seed, step, rank=self.rank, purpose="expert")
            pixels_E1HW, moved, matrix_E33 = self.augmentation(pixels_E1HW, region_E1HW, seed=seed)
            region_E1HW = moved if moved is not None else region_E1HW
        crops = [fit_matrix(study.height, study.width) for study in studies]
        crop_E33 = torch.from_numpy(np.array(crops).reshape(-1, 3, 3)).float()
        gaze = GazeBatch.pack(
            [[fixation for a in study.annotations for fixation in a.fixations] for study in studies],
            aspect=[study.width / study.height for study in studies],
        )
        gaze_EHW, has_gaze_E = gaze.transform(matrix_E33 @ crop_E33).render(self.size, self.size)
        return pixels_E1HW, torch.where(has_gaze_E[:, None, None, None], gaze_EHW[:, None], region_E1HW)

    def _of_others(self, rows: np.ndarray, pixels_E1HW: Tensor, usable_E: Tensor, step: int) -> Tensor:
        """For each row the heatmap (E, 1, H, W) of another study, the first in a random order that shows anything.

        It goes through the augmentation of the row's own image.
        """
        orders = []
        for row in rows:
            others = self.annotated[self.study_ids[self.annotated] != self.study_ids[row]]
            orders.append(generator(self.seed, step, f"heatmap for row {row}").permutation(others))
        tried_E = np.zeros(len(rows), int)
        while True:
            donors = [self.store[int(order[tried])] for order, tried in zip(orders, tried_E, strict=True)]
            heatmap_E1HW = self._with_heatmaps(pixels_E1HW, donors, step)[1]
            blank_E = (usable_E & ~_shows_anything(heatmap_E1HW)).numpy()
            if not blank_E.any():
                return heatmap_E1HW
            tried_E += blank_E
            if any(tried == len(order) for order, tried in zip(orders, tried_E, strict=True)):
                raise InputError(
                    f"{self.store.path}: --method.heatmaps shuffled takes the annotation of another study, and none "
                    f"shows anything at step {step}"
                )

    def _regions(self, studies: Sequence[Study]) -> Tensor:
        """Region maps (B, 1, H, W) in the crop that the encoder sees; zero where a study has fixations instead."""
        maps = np.zeros((len(studies), 1, self.size, self.size), np.float32)
        for i, study in enumerate(studies):
            if not any(annotation.fixations for annotation in study.annotations):
                region = render_regions(study.annotations, study.height, study.width)
                if region is not None:
                    maps[i, 0] = fit((region * 255).astype(np.uint8), self.size) / np.float32(255)
        return torch.from_numpy(maps)


def as_pixels(studies: Sequence[Study], size: int) -> Tensor:
    """Images (B, 1, size, size) in [0, 1], in the crop that the encoder sees."""
    images = [fit(decode(study.image), size) for study in studies]
    return torch.from_numpy(np.array(images, dtype=np.uint8).reshape(-1, 1, size, size)).float() / 255


def augmentation_seed(seed: int, step: int, *, rank: int, purpose: str) -> int:
    """Of the "plain" or the "expert" images of a rank."""
    return torch_seed(seed, step, f"augmentation of {purpose} {rank}")


def _shows_anything(heatmap_E1HW: Tensor) -> Tensor:
    """Which maps are not zero everywhere, (E,) bool."""
    return heatmap_E1HW.flatten(1).amax(1) > 0
