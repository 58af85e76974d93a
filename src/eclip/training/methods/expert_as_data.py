"""`expert-as-data`: annotated studies as ordinary pairs; tells what extra pairs alone are worth, without heatmaps."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from eclip.data.loading import Batch
from eclip.errors import InputError
from eclip.losses.contrastive import in_batch_accuracy
from eclip.models.dual_encoder import DualEncoder
from eclip.training.curriculum import Curriculum
from eclip.training.methods.method import Method, MethodConfig, StepLosses


@dataclass(slots=True, kw_only=True)
class ExpertAsDataConfig(MethodConfig):
    """The studies, steps and numbers of `eclip`.

    Attributes:
        curriculum: When annotated studies come.
        batch_share: How many come, relative to the ordinary batch.
    """

    name = "expert-as-data"
    summary = "the annotated studies as ordinary pairs: eclip's control without heatmaps"

    curriculum: Curriculum = field(default_factory=Curriculum)
    batch_share: float = 0.5

    def build(self, encoder: DualEncoder, *, steps: int, seed: int) -> "ExpertAsData":
        """The method for `encoder`."""
        return ExpertAsData(encoder, self, steps=steps)

    def check(self) -> None:
        """Refuse values out of range."""
        self.curriculum.check()
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


class ExpertAsData(Method):
    """The images of `eclip`'s expert batches beside the ordinary ones, their heatmaps unused."""

    def __init__(self, encoder: DualEncoder, config: ExpertAsDataConfig, *, steps: int) -> None:
        super().__init__(encoder)
        self.config, self.steps = config, steps

    def forward(self, batch: Batch) -> StepLosses:
        """Symmetric InfoNCE over all images and their reports."""
        image_ND = self.encoder.encode_image(self.images(batch))
        return self.contrasted(batch, image_ND, self.encoder.encode_text(batch.tokens))

    def images(self, batch: Batch) -> Tensor:
        """The ordinary images, then the annotated ones, normalised, (N, C, H, W)."""
        expert = [] if batch.expert is None else [batch.expert.image_E1HW]
        return self.encoder.preprocessing.normalise(torch.cat([batch.image_B1HW, *expert]))

    def contrasted(self, batch: Batch, image_ND: Tensor, text_ND: Tensor) -> StepLosses:
        """The contrast of unit vectors (N, D) of images and reports, and what is worth watching."""
        plain = len(batch.image_B1HW)
        return StepLosses(
            {"contrastive": self.contrast(image_ND, text_ND, self.encoder.scale)},
            metrics={
                "accuracy": in_batch_accuracy(image_ND[:plain], text_ND[:plain]),
                "expert_probability": self.config.expert_probability(batch.step, steps=self.steps),
            },
        )
