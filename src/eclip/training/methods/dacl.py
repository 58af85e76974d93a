"""`dacl`: each image mixed with another one stays the partner of its text (Verma et al. 2021, for pairs)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from eclip.data.draws import generator
from eclip.data.loading import Batch
from eclip.errors import InputError
from eclip.losses.contrastive import in_batch_accuracy
from eclip.models.dual_encoder import DualEncoder
from eclip.training.methods.method import Method, MethodConfig, StepLosses

COPIES = 2  # mixed copies of each image, as published


@dataclass(slots=True, kw_only=True)
class DaclConfig(MethodConfig):
    """The published mixing, with the image never the smaller part.

    Attributes:
        mixup_alpha: α of λ = max(λ', 1 − λ'), λ' ~ Beta(α, α).
    """

    name = "dacl"
    summary = "images mixed with other images"

    mixup_alpha: float = 0.6

    def build(self, encoder: DualEncoder, *, steps: int, seed: int) -> "Dacl":
        """The method for `encoder`."""
        return Dacl(encoder, self, seed=seed)

    def check(self) -> None:
        """Refuse an α that is no parameter of a Beta distribution."""
        if not self.mixup_alpha > 0:
            raise InputError(f"--method.mixup-alpha {self.mixup_alpha}: must be above 0")


class Dacl(Method):
    """Two mixed copies of every image, each compared with the texts once.

    An image's partner in mixing is one of its own rank's, so that no images travel between processes: several processes
    mix other pairs than one would, as likely ones.
    """

    def __init__(self, encoder: DualEncoder, config: DaclConfig, *, seed: int) -> None:
        super().__init__(encoder)
        self.config, self.seed = config, seed

    def forward(self, batch: Batch) -> StepLosses:
        """Mean over the copies of InfoNCE with the texts: no text is its own negative."""
        encoder = self.encoder
        image_BD, *others = encoder.encode_image(self._mixed(batch)).chunk(COPIES)
        text_BD = encoder.encode_text(batch.tokens)
        losses = [self.contrast(copy_BD, text_BD, encoder.scale) for copy_BD in (image_BD, *others)]
        return StepLosses(
            {"contrastive": torch.stack(losses).mean()},
            metrics={"accuracy": in_batch_accuracy(image_BD, text_BD)},
        )

    def _mixed(self, batch: Batch) -> Tensor:
        """λ x + (1 − λ) x[permuted], λ ≥ ½, for each copy its own λ and order; (copies · B, 1, H, W)."""
        image = self.encoder.preprocessing.normalise(batch.image_B1HW)
        draw, copies = generator(self.seed, batch.step, "dacl"), []
        for _ in range(COPIES):
            share = draw.beta(self.config.mixup_alpha, self.config.mixup_alpha)
            share = max(share, 1 - share)
            order = torch.from_numpy(draw.permutation(len(image))).to(image.device)
            copies.append(share * image + (1 - share) * image[order])
        return torch.cat(copies)
