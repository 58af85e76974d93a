"""`eclip`: expert views by a heatmap processor, mixed with the image, brought in by a curriculum after priming.

Kumar & Marttinen 2024, section 3.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from eclip.data.draws import generator
from eclip.data.loading import Batch, ExpertBatch
from eclip.losses.contrastive import in_batch_accuracy, info_nce
from eclip.models.dual_encoder import DualEncoder
from eclip.models.heatmap_processor import AttentionProcessor, HeatmapProcessorConfig
from eclip.training.curriculum import Curriculum
from eclip.training.methods.method import Method, MethodConfig, StepLosses


@dataclass(slots=True, kw_only=True)
class EclipConfig(MethodConfig):
    """The paper's values.

    Attributes:
        curriculum: When expert batches come.
        mixup_alpha: α of λ ~ Beta(α, α), one λ an expert batch.
        priming_weight: w of w · L_priming + (1 − w) · L_contrastive, during the cold start.
        batch_share: Size of an expert batch relative to the ordinary one.
        processor_lr: Learning rate of the heatmap processor relative to that of the encoder.
        processor: Size of the heatmap processor.
    """

    name = "eclip"

    curriculum: Curriculum = field(default_factory=Curriculum)
    mixup_alpha: float = 0.3
    priming_weight: float = 0.1
    batch_share: float = 0.5
    processor_lr: float = 1.0
    processor: HeatmapProcessorConfig = field(default_factory=HeatmapProcessorConfig)

    def build(self, encoder: DualEncoder, *, steps: int, seed: int) -> "Eclip":
        """The method for `encoder`."""
        return Eclip(encoder, self, steps=steps, seed=seed)

    def expert_probability(self, step: int, *, steps: int) -> float:
        """As the curriculum says."""
        return self.curriculum.probability(step, steps=steps)

    @property
    def expert_share(self) -> float:
        """Size of an expert batch relative to the ordinary one."""
        return self.batch_share


class Eclip(Method):
    """The paper's method around an untouched dual encoder."""

    heatmap_processor: AttentionProcessor

    def __init__(self, encoder: DualEncoder, config: EclipConfig, *, steps: int, seed: int) -> None:
        super().__init__(encoder)
        self.config, self.steps, self.seed = config, steps, seed
        self.heatmap_processor = AttentionProcessor(config.processor)

    def forward(self, batch: Batch) -> StepLosses:
        """InfoNCE over the images and the mixed expert views together; during the cold start, priming beside it."""
        encoder = self.encoder
        image = encoder.preprocessing.normalise(batch.image_B1HW)
        views = None if batch.expert is None else self._mixed_views(batch.expert, batch.step)
        image_ND, text_ND = self._encode(image, views), encoder.encode_text(batch.tokens)
        plain = len(image)
        losses = StepLosses(
            {"contrastive": info_nce(image_ND, text_ND, encoder.scale)},
            metrics={
                "accuracy": in_batch_accuracy(image_ND[:plain], text_ND[:plain]),
                "expert_probability": self.config.expert_probability(batch.step, steps=self.steps),
            },
        )
        if self.config.curriculum.is_cold(batch.step, steps=self.steps):
            weight = self.config.priming_weight
            losses.terms["priming"] = self._priming(image)
            losses.weights = {"contrastive": 1 - weight, "priming": weight}
        return losses

    def learning_rate_factors(self) -> Iterator[tuple[nn.Module, float]]:
        """The heatmap processor has a learning rate of its own."""
        yield self.heatmap_processor, self.config.processor_lr

    def _encode(self, image: Tensor, views: Tensor | None) -> Tensor:
        """Unit vectors of the images, then of the expert views; one pass, unless the encoder has batch norms.

        Their statistics must be those of images: no expert view is there at inference.
        """
        if views is None:
            return self.encoder.encode_image(image)
        norms = [module for module in self.encoder.modules() if isinstance(module, _BatchNorm)]
        if not norms:
            return self.encoder.encode_image(torch.cat([image, views]))
        image_BD = self.encoder.encode_image(image)
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 0.0
        view_ED = self.encoder.encode_image(views)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        return torch.cat([image_BD, view_ED])

    def _mixed_views(self, expert: ExpertBatch, step: int) -> Tensor:
        """λ I + (1 − λ) h(I, E): section 3.3."""
        image = self.encoder.preprocessing.normalise(expert.image_E1HW)
        view = self.heatmap_processor(image, expert.heatmap_E1HW)
        alpha = self.config.mixup_alpha
        share = generator(self.seed, step, "mixup").beta(alpha, alpha)
        return share * image + (1 - share) * view

    def _priming(self, image: Tensor) -> Tensor:
        """Mean squared error of h(I, 1) against I: without annotation the processor should change nothing."""
        return F.mse_loss(self.heatmap_processor(image, torch.ones_like(image[:, :1])).float(), image)
