"""`clip`: the plain contrastive method (Radford et al. 2021), the baseline of everything."""

from dataclasses import dataclass

from eclip.data.loading import Batch
from eclip.losses.contrastive import in_batch_accuracy
from eclip.models.dual_encoder import DualEncoder
from eclip.training.methods.method import Method, MethodConfig, StepLosses


@dataclass(slots=True, kw_only=True)
class ClipConfig(MethodConfig):
    """Plain CLIP has no settings of its own."""

    name = "clip"
    summary = "plain CLIP, without annotations"

    def build(self, encoder: DualEncoder, *, steps: int, seed: int) -> "Clip":
        """The method for `encoder`."""
        return Clip(encoder)


class Clip(Method):
    """Images and their reports, nothing else."""

    def forward(self, batch: Batch) -> StepLosses:
        """Symmetric InfoNCE over the batch."""
        encoder = self.encoder
        image_BD = encoder.encode_image(encoder.preprocessing.normalise(batch.image_B1HW))
        text_BD = encoder.encode_text(batch.tokens)
        loss = self.contrast(image_BD, text_BD, encoder.scale)
        return StepLosses({"contrastive": loss}, metrics={"accuracy": in_batch_accuracy(image_BD, text_BD)})
