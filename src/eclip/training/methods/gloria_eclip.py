"""`gloria-eclip`: expert views as in `eclip`, with both losses of `gloria`."""

from dataclasses import dataclass, field

from torch import Tensor

from eclip.data.loading import Batch
from eclip.models.dual_encoder import DualEncoder
from eclip.training.methods.eclip import Eclip, EclipConfig
from eclip.training.methods.gloria import (
    GloriaConfig,
    GloriaLosses,
    check_local_features,
    global_and_local,
)
from eclip.training.methods.method import StepLosses


@dataclass(slots=True, kw_only=True)
class GloriaEclipConfig(EclipConfig):
    """The settings of `eclip`, and the losses of `gloria`.

    Attributes:
        losses: Weights and temperatures.
    """

    name = "gloria-eclip"
    summary = "eclip with the losses of gloria"
    starting_temperature = GloriaConfig.starting_temperature
    trains_local_features = True

    losses: GloriaLosses = field(default_factory=GloriaLosses)

    def build(self, encoder: DualEncoder, *, steps: int, seed: int) -> "GloriaEclip":
        """The method for `encoder`."""
        check_local_features(encoder, method=self.name)
        return GloriaEclip(encoder, self, steps=steps, seed=seed)

    def check(self) -> None:
        """As for `eclip` and `gloria`."""
        EclipConfig.check(self)
        self.losses.check()


class GloriaEclip(Eclip):
    """Expert views join both losses; all else is as in `eclip`."""

    config: GloriaEclipConfig

    def _contrasted(self, image: Tensor, views: Tensor | None, batch: Batch) -> StepLosses:
        """Both losses of images, then expert views, and their texts."""
        passes = self._passes(image, views)
        return global_and_local(self, passes, batch.tokens, plain=len(image), losses=self.config.losses)
