"""`naive`: the expert view itself as a further positive at every step; no mixup, no curriculum, no priming."""

from dataclasses import dataclass, field

from eclip.data.expert_loading import Heatmaps
from eclip.models.dual_encoder import DualEncoder
from eclip.models.heatmap_processor import HeatmapProcessorConfig
from eclip.training.curriculum import ALWAYS
from eclip.training.methods.eclip import Eclip, EclipConfig
from eclip.training.methods.method import MethodConfig


@dataclass(slots=True, kw_only=True)
class NaiveConfig(MethodConfig):
    """What is left of the settings of `eclip`.

    Attributes:
        batch_share: Size of an expert batch relative to the ordinary one.
        heatmaps: What the processor is given: as recorded, or a control in its place.
        processor_lr: Learning rate of the heatmap processor relative to that of the encoder.
        processor: The heatmap processor.
    """

    name = "naive"
    summary = "expert views at every step, unmixed, without curriculum and priming"

    batch_share: float = 0.5
    heatmaps: Heatmaps = "recorded"
    processor_lr: float = 1.0
    processor: HeatmapProcessorConfig = field(default_factory=HeatmapProcessorConfig)

    def build(self, encoder: DualEncoder, *, steps: int, seed: int) -> Eclip:
        """`eclip` with its expert alone."""
        return Eclip(encoder, self._as_eclip(), steps=steps, seed=seed)

    def check(self) -> None:
        """As for `eclip`."""
        self._as_eclip().check()

    def expert_probability(self, step: int, *, steps: int) -> float:
        """1: every step has an expert batch."""
        return 1.0

    @property
    def expert_share(self) -> float:
        """Size of an expert batch relative to the ordinary one."""
        return self.batch_share

    @property
    def expert_heatmaps(self) -> Heatmaps:
        """What stands in the place of the recorded heatmaps."""
        return self.heatmaps

    @property
    def expert_slices(self) -> int:
        """In how many shares of time the processor is given the heatmaps."""
        return self.processor.slices

    def _as_eclip(self) -> EclipConfig:
        return EclipConfig(
            curriculum=ALWAYS,
            mixup_alpha=None,
            priming_weight=0,
            batch_share=self.batch_share,
            heatmaps=self.heatmaps,
            processor_lr=self.processor_lr,
            processor=self.processor,
        )
