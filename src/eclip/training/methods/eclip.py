"""`eclip`: expert views by a heatmap processor, mixed with the image, brought in by a curriculum after priming.

Kumar & Marttinen 2024, section 3.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from eclip.data.draws import generator
from eclip.data.expert_loading import ExpertBatch, Heatmaps
from eclip.data.loading import Batch
from eclip.errors import InputError
from eclip.losses.contrastive import in_batch_accuracy, info_nce
from eclip.losses.gather import mean_of_rows
from eclip.models.dual_encoder import DualEncoder
from eclip.models.heatmap_processor import HeatmapProcessor, HeatmapProcessorConfig, build_processor
from eclip.training.curriculum import Curriculum
from eclip.training.methods.method import Contrast, Method, MethodConfig, StepLosses


@dataclass(slots=True, kw_only=True)
class EclipConfig(MethodConfig):
    """The paper's values.

    Attributes:
        curriculum: When expert batches come. Without it: start, peak and final 1, an expert batch at every step after
            the cold start.
        mixup_alpha: α of λ ~ Beta(α, α); None to mix nothing, λ = 0.
        mixup_per: Whether each expert batch or each sample in it has a λ of its own.
        priming_weight: w of w · L_priming + (1 − w) · L_contrastive, during the cold start; 0 for no priming.
        batch_share: Size of an expert batch relative to the ordinary one.
        heatmaps: What the processor is given: as recorded, or a control in its place.
        processor_lr: Learning rate of the heatmap processor relative to that of the encoder.
        processor: The heatmap processor.
    """

    name = "eclip"
    summary = "mixed expert views by a curriculum, after priming"

    curriculum: Curriculum = field(default_factory=Curriculum)
    mixup_alpha: float | None = 0.3
    mixup_per: Literal["batch", "sample"] = "batch"
    priming_weight: float = 0.1
    batch_share: float = 0.5
    heatmaps: Heatmaps = "recorded"
    processor_lr: float = 1.0
    processor: HeatmapProcessorConfig = field(default_factory=HeatmapProcessorConfig)

    def build(self, encoder: DualEncoder, *, steps: int, seed: int) -> "Eclip":
        """The method for `encoder`."""
        return Eclip(encoder, self, steps=steps, seed=seed)

    def check(self) -> None:
        """Refuse values out of range, and those that would do nothing."""
        self.curriculum.check()
        if not 0 <= self.priming_weight < 1:
            raise InputError(f"--method.priming-weight {self.priming_weight}: must be at least 0 and below 1")
        if self.priming_weight and not self.curriculum.cold:
            raise InputError(
                f"--method.priming-weight {self.priming_weight}: has no effect without a cold start; give "
                "--method.priming-weight 0, or a --method.curriculum.cold above 0"
            )
        self.processor.check()
        if self.priming_weight and self.processor.starts_as_identity:
            raise InputError(
                f"--method.priming-weight {self.priming_weight}: has no effect, for this processor gives back an "
                "image without annotation from the start; give --method.priming-weight 0"
            )
        if self.processor_lr != 1 and not self.processor.has_parameters:
            raise InputError(
                f"--method.processor-lr {self.processor_lr}: has no effect, for this processor has no parameters; "
                "give --method.processor-lr 1"
            )
        if not 0 < self.processor_lr < math.inf:
            raise InputError(f"--method.processor-lr {self.processor_lr}: must be a number above 0")
        if self.mixup_alpha is not None and not 0 < self.mixup_alpha < math.inf:
            raise InputError(
                f"--method.mixup-alpha {self.mixup_alpha}: must be above 0, or None for no mixup"
            )
        if self.mixup_alpha is None and self.mixup_per != "batch":
            raise InputError(
                f"--method.mixup-per {self.mixup_per}: has no effect without mixup; leave it out, or give a "
                "--method.mixup-alpha"
            )
        if not self.batch_share > 0:
            raise InputError(
                f"--method.batch-share {self.batch_share}: must be above 0; train `clip` without expert"
            )

    def expert_probability(self, step: int, *, steps: int) -> float:
        """As the curriculum says."""
        return self.curriculum.probability(step, steps=steps)

    @property
    def expert_share(self) -> float:
        """Size of an expert batch relative to the ordinary one."""
        return self.batch_share

    @property
    def expert_heatmaps(self) -> Heatmaps:
        """What stands in the place of the recorded heatmaps."""
        return self.heatmaps

    @property
    def expert_slices(self) -> int:
        """In how many shares of time the processor is given the heatmaps."""
        return self.processor.slices


class Eclip(Method):
    """The paper's method around an untouched dual encoder."""

    heatmap_processor: HeatmapProcessor

    def __init__(
        self,
        encoder: DualEncoder,
        config: EclipConfig,
        *,
        steps: int,
        seed: int,
        contrast: Contrast = info_nce,
    ) -> None:
        super().__init__(encoder, contrast=contrast)
        self.config, self.steps, self.seed = config, steps, seed
        self.heatmap_processor = build_processor(config.processor, channels=encoder.preprocessing.channels)

    def forward(self, batch: Batch) -> StepLosses:
        """The contrast of images and mixed expert views together; during the cold start, priming beside it."""
        image = self.encoder.preprocessing.normalise(batch.image_B1HW)
        views = None if batch.expert is None else self._mixed_views(batch.expert, batch.step)
        losses = self._contrasted(image, views, batch)
        losses.metrics["expert_probability"] = self.config.expert_probability(batch.step, steps=self.steps)
        weight = self.config.priming_weight
        if weight and self.config.curriculum.is_cold(batch.step, steps=self.steps):
            losses.weights = {name: (1 - weight) * losses.weights.get(name, 1.0) for name in losses.terms}
            losses.terms["priming"], losses.weights["priming"] = self._priming(image), weight
        return losses

    def learning_rate_factors(self) -> Iterator[tuple[nn.Module, float]]:
        """The heatmap processor has a learning rate of its own."""
        yield self.heatmap_processor, self.config.processor_lr

    def _contrasted(self, image: Tensor, views: Tensor | None, batch: Batch) -> StepLosses:
        """The contrast of images, then expert views, with their texts."""
        encoder = self.encoder
        image_ND = torch.cat([encoder.encode_image(pixels) for pixels in self._passes(image, views)])
        text_ND = self.encode_texts(batch)
        plain = len(image)
        return StepLosses(
            {"contrastive": self._contrast(image_ND, text_ND, batch)},
            metrics={"accuracy": in_batch_accuracy(image_ND[:plain], text_ND[:plain])},
        )

    def _contrast(self, image_ND: Tensor, text_ND: Tensor, batch: Batch) -> Tensor:
        """The loss of unit vectors (N, D) of images and expert views, and of their texts."""
        return self.contrast(image_ND, text_ND, self.encoder.scale)

    def _passes(self, image: Tensor, views: Tensor | None) -> Iterator[Tensor]:
        """The images, then the expert views, as they are to be encoded: at once, unless the encoder has batch norms.

        Their statistics must be those of images: no expert view is there at inference.
        """
        if views is None:
            yield image
            return
        norms = [module for module in self.encoder.modules() if isinstance(module, _BatchNorm)]
        if not norms:
            yield torch.cat([image, views])
            return
        yield image
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 0.0
        yield views
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum

    def _mixed_views(self, expert: ExpertBatch, step: int) -> Tensor:
        """λ I + (1 − λ) h(I, E): section 3.3."""
        image = self.encoder.preprocessing.normalise(expert.image_E1HW)
        view = self.heatmap_processor(image, expert.in_slices)
        alpha = self.config.mixup_alpha
        if alpha is None:
            return view
        if self.config.mixup_per == "batch":
            share = generator(self.seed, step, "mixup").beta(alpha, alpha)
            return share * image + (1 - share) * view
        shares = [generator(self.seed, step, f"mixup of row {row}").beta(alpha, alpha) for row in expert.rows]
        share_E111 = image.new_tensor(shares)[:, None, None, None]
        return share_E111 * image + (1 - share_E111) * view

    def _priming(self, image: Tensor) -> Tensor:
        """Mean squared error of h(I, 1) against I: without annotation the processor should change nothing."""
        processor = self.heatmap_processor
        given_back = processor(image, processor.no_annotation(image)).float()
        return mean_of_rows((given_back - image).square().flatten(1).mean(1))
