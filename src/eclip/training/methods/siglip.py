"""`siglip`: the sigmoid loss of SigLIP (Zhai et al. 2023) in the place of InfoNCE."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from eclip.losses.sigmoid import sigmoid_loss
from eclip.models.dual_encoder import DualEncoder
from eclip.training.methods.clip import Clip
from eclip.training.methods.method import MethodConfig

BIAS = -10.0  # start of the bias, section 3.2 of Zhai et al.


@dataclass(slots=True, kw_only=True)
class SiglipConfig(MethodConfig):
    """The sigmoid loss.

    Attributes:
        bias: Start of the learnable bias; if not given, that of the model where it has one, else −10.
    """

    name = "siglip"
    summary = "the sigmoid loss in the place of InfoNCE"
    starting_temperature = 0.1  # section 3.2 of Zhai et al.: s starts at 10

    bias: float | None = None

    def build(self, encoder: DualEncoder, *, steps: int, seed: int) -> Clip:
        """The method for `encoder`."""
        return Clip(encoder, contrast=SigmoidContrast(encoder, self.bias))


class SigmoidContrast(nn.Module):
    """The sigmoid loss with its learnable bias: the encoder's own (a SigLIP model has one), else one beside it."""

    def __init__(self, encoder: DualEncoder, start: float | None) -> None:
        super().__init__()
        bias = getattr(encoder, "logit_bias", None)
        self.bias = nn.Parameter(torch.tensor(BIAS)) if bias is None else bias
        if start is not None:
            nn.init.constant_(self.bias, start)

    def forward(self, image_BD: Tensor, text_BD: Tensor, scale: Tensor) -> Tensor:
        """The loss of unit vectors (B, D)."""
        return sigmoid_loss(image_BD, text_BD, scale, self.bias)
