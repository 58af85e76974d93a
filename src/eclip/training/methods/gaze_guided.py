"""What methods share that let gaze in on the feature side: losses of local features and of where somebody looked."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from eclip.data.expert_loading import ExpertBatch, Heatmaps
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
        weight: Of what uses the heatmaps, beside the contrastive loss.
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
        """Symmetric InfoNCE of the pairs, and what the gaze adds on steps with annotated images."""
        features = self.encoder.image_features(self.images(batch))
        image_ND = F.normalize(features.pooled.float(), dim=-1)
        text_ND = self.encode_texts(batch)
        paired = len(image_ND) if self.pairs else len(batch.image_B1HW)
        losses = self.contrasted(batch, image_ND[:paired], text_ND[:paired])
        if batch.expert is not None:
            assert features.grid is not None
            self.guide(losses, batch, batch.expert, features.grid.float(), text_ND)
        return losses

    def guide(
        self, losses: StepLosses, batch: Batch, expert: ExpertBatch, grid_NhwD: Tensor, text_ND: Tensor
    ) -> None:
        """Add what the gaze says: weight · the loss of it.

        Args:
            losses: Of the step so far.
            batch: Its studies.
            expert: The annotated ones among them.
            grid_NhwD: Local features of the ordinary images, then of the annotated ones.
            text_ND: Their reports, then the sentences if there are any; unit vectors.
        """
        plain, paired = len(batch.image_B1HW), len(grid_NhwD)
        weights_Ehw = gaze_weights(expert.heatmap_E1HW, *grid_NhwD.shape[1:3])
        losses.terms["gaze"] = self.gaze_loss(grid_NhwD[plain:], text_ND[plain:paired], weights_Ehw)
        losses.weights["gaze"] = self.weight

    def gaze_loss(self, grid_EhwD: Tensor, text_ED: Tensor, weights_Ehw: Tensor) -> Tensor:
        """Of local features (E, h, w, D), reports (E, D) as unit vectors, and shares of the gaze (E, h, w)."""
        raise AssertionError(f"{type(self).__name__} has no loss of the gaze")
