"""`m3mix`: m²-mix and mixtures within each modality, V-, L- and VL-mix (Oh et al. 2023)."""

from dataclasses import asdict, dataclass

from eclip.data.draws import generator
from eclip.data.loading import Batch
from eclip.errors import InputError
from eclip.losses.contrastive import in_batch_accuracy
from eclip.losses.geodesic import m2_mix, unimodal_mix, vl_mix
from eclip.models.dual_encoder import DualEncoder
from eclip.training.methods.method import Method, MethodConfig, StepLosses


@dataclass(slots=True, kw_only=True)
class M3mixConfig(MethodConfig):
    """The values of its authors' experiments.

    Attributes:
        m2_weight: Of the m²-mix loss beside the contrastive one.
        m2_alpha: α of its λ ~ Beta(α, α), one λ a step.
        m2_temperature: τ₂, which divides its positives and negatives alike.
        unimodal_weight: Of V-mix and of L-mix.
        unimodal_alpha: α of their λ, one for each a step.
        vl_weight: Of VL-mix (their range: 0.05 to 0.2).
        vl_alpha: α of its λ.
    """

    name = "m3mix"
    summary = "m2mix and mixtures within each modality"

    m2_weight: float = 0.01
    m2_alpha: float = 0.2
    m2_temperature: float = 0.01
    unimodal_weight: float = 0.05
    unimodal_alpha: float = 0.5
    vl_weight: float = 0.1
    vl_alpha: float = 0.5

    def build(self, encoder: DualEncoder, *, steps: int, seed: int) -> "M3mix":
        """The method for `encoder`."""
        return M3mix(encoder, self, seed=seed)

    def check(self) -> None:
        """Refuse what makes a loss nothing or infinite."""
        for name, value in asdict(self).items():
            if not value > 0:
                raise InputError(
                    f"--method.{name.replace('_', '-')} {value}: must be above 0; m2mix has no unimodal terms"
                )


class M3mix(Method):
    """InfoNCE and four losses over mixtures."""

    def __init__(self, encoder: DualEncoder, config: M3mixConfig, *, seed: int) -> None:
        super().__init__(encoder)
        self.config, self.seed = config, seed

    def forward(self, batch: Batch) -> StepLosses:
        """L_CLIP + w_m2 · L_m2 + w_uni · (L_V + L_L) + w_VL · L_VL."""
        encoder, config = self.encoder, self.config
        image_BD = encoder.encode_image(encoder.preprocessing.normalise(batch.image_B1HW))
        text_BD = encoder.encode_text(batch.tokens)
        scale, uni, vl = encoder.scale, config.unimodal_alpha, config.vl_alpha
        m2_share = self._share(batch.step, "m2", config.m2_alpha)
        return StepLosses(
            {
                "contrastive": self.contrast(image_BD, text_BD, scale),
                "m2": m2_mix(image_BD, text_BD, m2_share, 1 / config.m2_temperature),
                "v": unimodal_mix(image_BD, text_BD, self._share(batch.step, "v", uni), scale),
                "l": unimodal_mix(text_BD, image_BD, self._share(batch.step, "l", uni), scale),
                "vl": vl_mix(image_BD, text_BD, self._share(batch.step, "vl", vl), scale),
            },
            weights={
                "m2": config.m2_weight,
                "v": config.unimodal_weight,
                "l": config.unimodal_weight,
                "vl": config.vl_weight,
            },
            metrics={"accuracy": in_batch_accuracy(image_BD, text_BD)},
        )

    def _share(self, step: int, term: str, alpha: float) -> float:
        """λ ~ Beta(α, α) of a term at a step, the same on all ranks."""
        return generator(self.seed, step, term).beta(alpha, alpha)
