"""`gaze-pooling`: local features of annotated images, pooled where somebody looked, belong to the report as well."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from eclip.losses.gaze import gaze_pooled
from eclip.models.dual_encoder import DualEncoder
from eclip.training.methods.gaze_guided import GazeGuided, GazeGuidedConfig


@dataclass(slots=True, kw_only=True)
class GazePoolingConfig(GazeGuidedConfig):
    """The values of the first trial on the phantom."""

    name = "gaze-pooling"
    summary = "local features pooled where the expert looked, contrasted with the reports"

    def build(self, encoder: DualEncoder, *, steps: int, seed: int) -> "GazePooling":
        """The method for `encoder`."""
        return GazePooling(encoder, self, steps=steps)


class GazePooling(GazeGuided):
    """A second contrast, of the annotated images alone: gaze-weighted means of their local features."""

    def gaze_loss(self, grid_EhwD: Tensor, text_ED: Tensor, weights_Ehw: Tensor) -> Tensor:
        """Symmetric InfoNCE of the pooled features and the reports."""
        pooled_ED = F.normalize(gaze_pooled(grid_EhwD, weights_Ehw), dim=-1)
        return self.contrast(pooled_ED, text_ED, self.encoder.scale)
