"""`gloria`: beside the contrast of images and reports, one of image regions and words (Huang et al. 2021)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from eclip.data.loading import Batch
from eclip.errors import InputError
from eclip.losses.contrastive import in_batch_accuracy
from eclip.losses.word_attention import word_attention_loss
from eclip.models.dual_encoder import DualEncoder
from eclip.models.local_features import has_grid, has_words
from eclip.training.methods.method import Method, MethodConfig, StepLosses


@dataclass(slots=True, kw_only=True)
class GloriaLosses:
    """Settings of both losses, with the published values.

    The temperature of the global loss is the encoder's.

    Attributes:
        global_weight: Of the contrast of images and reports; 0 for regions and words alone.
        local_weight: Of the contrast of regions and words.
        attention_temperature: τ₁, of a word's attention over regions; published as a factor of 4.
        word_temperature: τ₂, of the sum over words; published as a factor of 5.
        local_temperature: τ₃, of the contrast of matching scores; published as a factor of 10.
    """

    global_weight: float = 1.0
    local_weight: float = 1.0
    attention_temperature: float = 0.25
    word_temperature: float = 0.2
    local_temperature: float = 0.1

    def check(self) -> None:
        """Refuse what makes the local loss nothing or infinite.

        Raises:
            InputError: Which setting.
        """
        if not self.global_weight >= 0:
            raise InputError(f"--method.losses.global-weight {self.global_weight}: must be at least 0")
        for name in ("local_weight", "attention_temperature", "word_temperature", "local_temperature"):
            if not (value := getattr(self, name)) > 0:
                hint = "; train `clip` without regions and words" if name == "local_weight" else ""
                raise InputError(f"--method.losses.{name.replace('_', '-')} {value}: must be above 0{hint}")


@dataclass(slots=True, kw_only=True)
class GloriaConfig(MethodConfig):
    """Two losses.

    Attributes:
        losses: Their weights and temperatures.
    """

    name = "gloria"
    summary = "CLIP and a contrast of image regions and words"
    starting_temperature = 0.1  # published as a factor of 10
    trains_local_features = True

    losses: GloriaLosses = field(default_factory=GloriaLosses)

    def build(self, encoder: DualEncoder, *, steps: int, seed: int) -> "Gloria":
        """The method for `encoder`.

        Raises:
            InputError: It has no local features of images or of texts.
        """
        check_local_features(encoder, method=self.name)
        return Gloria(encoder, self)

    def check(self) -> None:
        """Refuse values out of range."""
        self.losses.check()


class Gloria(Method):
    """Images and their reports, whole and in parts."""

    def __init__(self, encoder: DualEncoder, config: GloriaConfig) -> None:
        super().__init__(encoder)
        self.config = config

    def forward(self, batch: Batch) -> StepLosses:
        """w_global · InfoNCE + w_local · the contrast of regions and words."""
        image = self.encoder.preprocessing.normalise(batch.image_B1HW)
        return global_and_local(self, [image], batch.tokens, plain=len(image), losses=self.config.losses)


def global_and_local(
    method: Method,
    passes: Iterable[Tensor],
    tokens: Mapping[str, Tensor],
    *,
    plain: int,
    losses: GloriaLosses,
) -> StepLosses:
    """Both losses of images and their texts.

    Args:
        method: Whose encoder and contrast.
        passes: Normalised images (B, C, H, W) as they are to be encoded, all together those of the texts, in order.
        tokens: The texts.
        plain: How many of the pairs, the first ones, are ordinary ones; the accuracy is theirs.
        losses: Weights and temperatures.
    """
    encoder = method.encoder
    seen, read = [encoder.image_features(pixels) for pixels in passes], encoder.text_features(tokens)
    assert read.words is not None
    image_ND = F.normalize(torch.cat([features.pooled for features in seen]).float(), dim=-1)
    text_ND = F.normalize(read.pooled.float(), dim=-1)
    region_NRD = torch.cat([features.grid.flatten(1, 2) for features in seen if features.grid is not None])
    local = word_attention_loss(
        region_NRD,
        read.words,
        read.mask,
        attention_temperature=losses.attention_temperature,
        word_temperature=losses.word_temperature,
        temperature=losses.local_temperature,
    )
    return StepLosses(
        {"contrastive": method.contrast(image_ND, text_ND, encoder.scale), "local": local},
        weights={"contrastive": losses.global_weight, "local": losses.local_weight},
        metrics={"accuracy": in_batch_accuracy(image_ND[:plain], text_ND[:plain])},
    )


def check_local_features(encoder: DualEncoder, *, method: str) -> None:
    """Whether images have regions and texts have words.

    Raises:
        InputError: Which of them the encoder lacks.
    """
    regions, words = has_grid(encoder), has_words(encoder)
    if not (regions and words):
        missing = " and ".join(
            part for part, there in (("image regions", regions), ("words", words)) if not there
        )
        raise InputError(
            f"method {method}: this encoder has no {missing} to compare (no local features); take another one "
            "(docs/any-clip.md lists them), or a method of whole images and reports, such as clip or eclip"
        )
