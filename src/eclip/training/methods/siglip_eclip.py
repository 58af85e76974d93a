"""`siglip-eclip`: expert views as in `eclip`, with the sigmoid loss of `siglip`."""

from dataclasses import dataclass

from eclip.models.dual_encoder import DualEncoder
from eclip.training.methods.eclip import Eclip, EclipConfig
from eclip.training.methods.siglip import SiglipConfig, SigmoidContrast


@dataclass(slots=True, kw_only=True)
class SiglipEclipConfig(EclipConfig):
    """The settings of `eclip`, and the bias of `siglip`.

    Attributes:
        bias: Start of the learnable bias; if not given, that of the model where it has one, else −10.
    """

    name = "siglip-eclip"
    summary = "eclip with the sigmoid loss"
    starting_temperature = SiglipConfig.starting_temperature

    bias: float | None = None

    def build(self, encoder: DualEncoder, *, steps: int, seed: int) -> Eclip:
        """The method for `encoder`."""
        return Eclip(encoder, self, steps=steps, seed=seed, contrast=SigmoidContrast(encoder, self.bias))
