"""What `gaze-pooling` and `gaze-attention` share: a loss of the annotated images' local features and their heatmaps."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from eclip.data.expert_loading import Heatmaps
from eclip.data.loading import Batch
from eclip.errors import InputError
from eclip.losses.gaze import gaze_weights
from eclip.models.dual_encoder import DualEncoder
from eclip.models.local_features import has_grid
from eclip.training.curriculum import ALWAYS, Curriculum
from eclip.training.methods.expert_as_data import ExpertAsData, ExpertAsDataConfig
from eclip.training.methods.method import StepLosses


@dataclass(slots=True, kw_only=True)
class GazeGuidedConfig(ExpertAsDataConfig):
    """Annotated studies at every step.

    Attributes:
        weight: Of the loss that uses the heatmaps, beside the contrastive one.
        pairs: Whether the annotated images are ordinary pairs as well, as in `expert-as-data`.
        heatmaps: What guides: as recorded, or a control in its place.
    """

    curriculum: Curriculum = ALWAYS
    weight: float = 0.5
    pairs: bool = True
    heatmaps: Heatmaps = "recorded"

    def check(self) -> None:
        """Refuse values out of range, and phases of the curriculum in which nothing changes."""
        ExpertAsDataConfig.check(self)
        self.curriculum.check_phases()
        if not self.weight > 0:
            raise InputError(
                f"--method.weight {self.weight}: must be above 0; train `expert-as-data` without heatmaps"
            )

    @property
    def expert_heatmaps(self) -> Heatmaps:
        """What stands in the place of the recorded heatmaps."""
        return self.heatmaps


class GazeGuided(ExpertAsData):
    """The contrast of all pairs, and beside it a loss of where somebody looked; nothing of it stays at inference.

    Annotated images are ordinary images here, so one pass encodes all of them, batch norms or not.

    Raises:
        InputError: The encoder has no local features.
    """

    def __init__(self, encoder: DualEncoder, config: GazeGuidedConfig, *, steps: int) -> None:
        super().__init__(encoder, config, steps=steps)
        self.weight, self.pairs = config.weight, config.pairs
        if not has_grid(encoder):
            raise InputError(
                f"method {config.name}: needs local features, and this image model has none that lie in a grid; "
                "take another one (docs/any-clip.md lists them), or a method with a heatmap processor, such as eclip"
            )

    def forward(self, batch: Batch) -> StepLosses:
        """Symmetric InfoNCE of the pairs + weight · the loss of the gaze."""
        features = self.encoder.image_features(self.images(batch))
        image_ND = F.normalize(features.pooled.float(), dim=-1)
        text_ND = self.encoder.encode_text(batch.tokens)
        plain = len(batch.image_B1HW)
        paired = len(image_ND) if self.pairs else plain
        losses = self.contrasted(batch, image_ND[:paired], text_ND[:paired])
        if batch.expert is not None:
            assert features.grid is not None
            grid_EhwD = features.grid[plain:].float()
            weights_Ehw = gaze_weights(batch.expert.heatmap_E1HW, *grid_EhwD.shape[1:3])
            losses.terms["gaze"] = self.gaze_loss(grid_EhwD, text_ND[plain:], weights_Ehw)
            losses.weights["gaze"] = self.weight
        return losses

    def gaze_loss(self, grid_EhwD: Tensor, text_ED: Tensor, weights_Ehw: Tensor) -> Tensor:
        """Of local features (E, h, w, D), reports (E, D) as unit vectors, and shares of the gaze (E, h, w)."""
        raise AssertionError(f"{type(self).__name__} has no loss of the gaze")
