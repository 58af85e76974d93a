"""Expert batches: annotated studies with their heatmaps, or with controls in the place of these."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eclip.annotations.annotation import Fixation
from eclip.annotations.gaze_batch import GazeBatch
from eclip.annotations.heatmap import render_regions
from eclip.annotations.sentences import LEAD
from eclip.data.augmentation import Augmentation
from eclip.data.draws import generator, torch_seed
from eclip.data.heatmap_control import HeatmapControl, Heatmaps, show_anything
from eclip.data.images import decode, fit, fit_matrix
from eclip.data.sentence_loading import SeenSentence, SentenceBatch, drawn_sentences
from eclip.data.store import Store, Study
from eclip.errors import InputError

__all__ = ["ExpertBatch", "ExpertLoader", "Heatmaps", "as_pixels", "augmentation_seed"]


@dataclass(slots=True)
class ExpertBatch:
    """Annotated studies.

    Attributes:
        image_E1HW: Images in [0, 1], augmented.
        heatmap_E1HW: Heatmaps in [0, 1], augmented alike.
        rows: Their rows of the store.
        slices_ETHW: The heatmaps in T slices, which add up to them: where it was looked in each of T equal shares of
            a reading's time; 1/T in each where there is no time. None for T = 1.
        sentences: What was dictated on these images, where sentences are asked for.
    """

    image_E1HW: Tensor
    heatmap_E1HW: Tensor
    rows: list[int]
    slices_ETHW: Tensor | None = None
    sentences: SentenceBatch | None = None

    @property
    def in_slices(self) -> Tensor:
        """The heatmaps in T slices, (E, T, H, W), which are the heatmaps themselves for T = 1."""
        return self.heatmap_E1HW if self.slices_ETHW is None else self.slices_ETHW


class ExpertLoader:
    """Rows of annotated studies to an expert batch, a pure function of (seed, step).

    Args:
        store: The studies.
        size: Side of the images, in pixels.
        heatmaps: What stands in the place of the recorded heatmaps. The studies are the same under every control:
            those whose own annotation shows something.
        slices: T, in how many shares of time heatmaps are cut.
        sentences: How many dictated sentences of each study come along, at most.
        lead: Seconds by which the eye is ahead of the tongue.
        augmentation: How images are varied; None to leave them.
        seed: The only source of randomness.
        rank: Of this process.

    Raises:
        InputError: Heatmaps are to be shuffled, and fewer than two training studies have one; or sentences are asked
            for, and no training study has one that was dictated while looking.
    """

    def __init__(
        self,
        store: Store,
        *,
        size: int,
        heatmaps: Heatmaps = "recorded",
        slices: int = 1,
        sentences: int = 0,
        lead: float = LEAD,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        rank: int = 0,
    ) -> None:
        self.store, self.size, self.slices = store, size, slices
        self.sentences, self.lead = sentences, lead
        self.augmentation, self.seed, self.rank = augmentation, seed, rank
        self.control = HeatmapControl(store, heatmaps, seed=seed)
        annotated = store.rows(split="train", annotated=True)
        if sentences and not any(self._draw(store[int(row)], "any", 1, step=0) for row in annotated):
            raise InputError(
                f"{store.path}: no training study has sentences that were dictated while looking, which this method "
                "needs; build the store with the gaze of egd-cxr or reflacx, or train eclip"
            )

    def __call__(self, rows: np.ndarray, step: int) -> tuple[ExpertBatch, list[str], list[str]]:
        """Augmented images and heatmaps of the studies whose annotation shows anything.

        Returns:
            The studies, their texts, and those of their sentences, which have no tokens yet.
        """
        studies = [self.store[int(row)] for row in rows]
        pixels_E1HW = as_pixels(studies, self.size)
        image_E1HW, recorded_ETHW, matrix_E33 = self._with_heatmaps(pixels_E1HW, studies, step)
        heatmap_ETHW = self.control(
            recorded_ETHW,
            rows=rows.tolist(),
            names=[f"row {row}" for row in rows],
            step=step,
            of_others=lambda donors: self._with_heatmaps(pixels_E1HW, donors, step)[1],
        )
        kept = show_anything(recorded_ETHW).nonzero()[:, 0].tolist()
        heatmap_ETHW, studies = heatmap_ETHW[kept], [studies[i] for i in kept]
        expert = ExpertBatch(image_E1HW[kept], heatmap_ETHW, [int(rows[i]) for i in kept])
        if self.slices > 1:
            expert.heatmap_E1HW, expert.slices_ETHW = heatmap_ETHW.sum(1, keepdim=True), heatmap_ETHW
        dictated: list[str] = []
        if self.sentences:
            expert.sentences, dictated = self._dictated(studies, expert.rows, matrix_E33[kept], step)
        return expert, [study.text for study in studies], dictated

    def _dictated(
        self, studies: Sequence[Study], rows: Sequence[int], matrix_E33: Tensor, step: int
    ) -> tuple[SentenceBatch, list[str]]:
        """Sentences of the expert images, those whose seconds show anything, and their texts."""
        drawn = [
            (i, f"sentence {number} of row {row}", text, path)
            for i, (study, row) in enumerate(zip(studies, rows, strict=True))
            for number, (text, path) in enumerate(
                self._draw(study, f"sentences of row {row}", self.sentences, step)
            )
        ]
        index, names = [i for i, *_ in drawn], [name for _, name, *_ in drawn]
        matrix_S33 = matrix_E33[index]

        def of_others(donors: list[Study]) -> Tensor:
            """One sentence of each donor."""
            purposes = [f"sentence of another study for {name}" for name in names]
            seen = [self._draw(*donor, 1, step) for donor in zip(donors, purposes, strict=True)]
            return self._gaze([[path for _, path in one] for one in seen], donors, matrix_S33)[0]

        recorded_STHW, usable_S = self._gaze(
            [[path] for *_, path in drawn], [studies[i] for i in index], matrix_S33
        )
        heatmap_STHW = self.control(
            recorded_STHW, rows=[rows[i] for i in index], names=names, step=step, of_others=of_others
        )
        kept = usable_S.nonzero()[:, 0].tolist()
        index = [index[i] for i in kept]
        sentences = SentenceBatch(
            heatmap_STHW[kept], torch.tensor(index, dtype=torch.int64), [rows[i] for i in index]
        )
        return sentences, [drawn[i][2] for i in kept]

    def _draw(self, study: Study, purpose: str, count: int, step: int) -> list[SeenSentence]:
        return drawn_sentences(study.annotations, count, generator(self.seed, step, purpose), lead=self.lead)

    def _with_heatmaps(
        self, pixels_E1HW: Tensor, studies: Sequence[Study], step: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Images (E, 1, H, W) and the annotations of `studies` (E, T, H, W), augmented together; how (E, 3, 3)."""
        region_E1HW, matrix_E33 = self._regions(studies), torch.eye(3).expand(len(studies), 3, 3)
        if self.augmentation is not None:
            seed = augmentation_seed(self.seed, step, rank=self.rank, purpose="expert")
            pixels_E1HW, moved, matrix_E33 = self.augmentation(pixels_E1HW, region_E1HW, seed=seed)
            region_E1HW = moved if moved is not None else region_E1HW
        readings = [[annotation.fixations for annotation in study.annotations] for study in studies]
        gaze_ETHW, has_gaze_E = self._gaze(readings, studies, matrix_E33)
        region_ETHW = region_E1HW / self.slices
        return (
            pixels_E1HW,
            torch.where(has_gaze_E[:, None, None, None], gaze_ETHW, region_ETHW),
            matrix_E33,
        )

    def _gaze(
        self, readings: Sequence[Sequence[Sequence[Fixation]]], studies: Sequence[Study], matrix_N33: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Readings of studies (N, T, H, W), in the crop and through the augmentation; which show anything, (N,)."""
        crops = [fit_matrix(study.height, study.width) for study in studies]
        crop_N33 = torch.from_numpy(np.array(crops).reshape(-1, 3, 3)).float()
        aspect = [study.width / study.height for study in studies]
        gaze = GazeBatch.pack_readings(readings, aspect=aspect, slices=self.slices)
        return gaze.transform(matrix_N33 @ crop_N33).render_slices(self.size, self.size)

    def _regions(self, studies: Sequence[Study]) -> Tensor:
        """Region maps (B, 1, H, W) in the crop that the encoder sees; zero where a study has fixations that last."""
        maps = np.zeros((len(studies), 1, self.size, self.size), np.float32)
        for i, study in enumerate(studies):
            fixations = [fixation for annotation in study.annotations for fixation in annotation.fixations]
            if not any(fixation.duration for fixation in fixations):
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
