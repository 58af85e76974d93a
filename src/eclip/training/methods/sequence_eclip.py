"""`sequence-eclip`: `eclip` with a heatmap processor that sees when and in what order something was looked at."""

from dataclasses import dataclass, field

from eclip.errors import InputError
from eclip.models.heatmap_processor import HeatmapProcessorConfig
from eclip.training.methods.eclip import EclipConfig

SLICES = 8


@dataclass(slots=True, kw_only=True)
class SequenceEclipConfig(EclipConfig):
    """The settings of `eclip`; the processor is given each heatmap in slices, equal shares of the reading's time.

    Attributes:
        processor: The heatmap processor; with one slice this would be `eclip`.
    """

    name = "sequence-eclip"
    summary = "eclip with heatmaps in slices of time"

    processor: HeatmapProcessorConfig = field(default_factory=lambda: HeatmapProcessorConfig(slices=SLICES))

    def check(self) -> None:
        """As for `eclip`, and refuse a single slice."""
        EclipConfig.check(self)
        if self.processor.slices == 1:
            raise InputError("--method.processor.slices 1: this is eclip; train that, or give 2 or more")
