"""`m2mix`: plain CLIP and, beside it, mixtures of images and texts as hard negatives (Oh et al. 2023)."""

from dataclasses import dataclass

from eclip.data.draws import generator
from eclip.data.loading import Batch
from eclip.errors import InputError
from eclip.losses.contrastive import in_batch_accuracy
from eclip.losses.geodesic import m2_mix
from eclip.models.dual_encoder import DualEncoder
from eclip.training.methods.method import Method, MethodConfig, StepLosses


@dataclass(slots=True, kw_only=True)
class M2mixConfig(MethodConfig):
    """The values of its authors' experiments.

    Attributes:
        weight: Of the m²-mix loss beside the contrastive one (their range: 0.001 to 0.05).
        alpha: α of λ ~ Beta(α, α), one λ a step.
        temperature: τ₂, which divides positives and negatives of the m²-mix loss alike.
    """

    name = "m2mix"
    summary = "CLIP and mixtures of image and text as hard negatives"

    weight: float = 0.01
    alpha: float = 0.5
    temperature: float = 0.01

    def build(self, encoder: DualEncoder, *, steps: int, seed: int) -> "M2mix":
        """The method for `encoder`."""
        return M2mix(encoder, self, seed=seed)

    def check(self) -> None:
        """Refuse what makes the loss nothing or infinite."""
        for name in ("weight", "alpha", "temperature"):
            if not getattr(self, name) > 0:
                raise InputError(f"--method.{name} {getattr(self, name)}: must be above 0")


class M2mix(Method):
    """InfoNCE, and InfoNCE against mixed negatives."""

    def __init__(self, encoder: DualEncoder, config: M2mixConfig, *, seed: int) -> None:
        super().__init__(encoder)
        self.config, self.seed = config, seed

    def forward(self, batch: Batch) -> StepLosses:
        """L_CLIP + weight · L_m2."""
        encoder, config = self.encoder, self.config
        image_BD = encoder.encode_image(encoder.preprocessing.normalise(batch.image_B1HW))
        text_BD = encoder.encode_text(batch.tokens)
        share = generator(self.seed, batch.step, "m2").beta(config.alpha, config.alpha)
        return StepLosses(
            {
                "contrastive": self.contrast(image_BD, text_BD, encoder.scale),
                "m2": m2_mix(image_BD, text_BD, share, 1 / config.temperature),
            },
            weights={"m2": config.weight},
            metrics={"accuracy": in_batch_accuracy(image_BD, text_BD)},
        )
