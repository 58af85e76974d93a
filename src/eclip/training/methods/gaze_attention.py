"""`gaze-attention`: on annotated images the report should attend where somebody looked."""

from dataclasses import dataclass

from torch import Tensor

from eclip.errors import InputError
from eclip.losses.gaze import gaze_divergence
from eclip.models.dual_encoder import DualEncoder
from eclip.training.methods.gaze_guided import GazeGuided, GazeGuidedConfig


@dataclass(slots=True, kw_only=True)
class GazeAttentionConfig(GazeGuidedConfig):
    """As `gaze-pooling`, and the temperature of the attention.

    Attributes:
        temperature: τ of the softmax over an image's local features.
    """

    name = "gaze-attention"
    summary = "the reports' attention over local features drawn to where the expert looked"

    temperature: float = 0.1

    def build(self, encoder: DualEncoder, *, steps: int, seed: int) -> "GazeAttention":
        """The method for `encoder`."""
        return GazeAttention(encoder, self, steps=steps)

    def check(self) -> None:
        """Refuse values out of range, and phases of the curriculum in which nothing changes."""
        GazeGuidedConfig.check(self)
        if not self.temperature > 0:
            raise InputError(f"--method.temperature {self.temperature}: must be above 0")


class GazeAttention(GazeGuided):
    """KL divergence of gaze and attention beside the contrast."""

    def __init__(self, encoder: DualEncoder, config: GazeAttentionConfig, *, steps: int) -> None:
        super().__init__(encoder, config, steps=steps)
        self.temperature = config.temperature

    def gaze_loss(self, grid_EhwD: Tensor, text_ED: Tensor, weights_Ehw: Tensor) -> Tensor:
        """KL(gaze ‖ attention)."""
        return gaze_divergence(grid_EhwD, text_ED, weights_Ehw, self.temperature)
