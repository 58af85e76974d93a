"""The CLIP itself: an image encoder and a text encoder with one shared space (Kumar & Marttinen 2024, section 3)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

import torch.nn.functional as F
import tyro
from torch import Tensor, nn

from eclip.errors import InputError
from eclip.models.preprocessing import Preprocessing

Pooling = Literal["cls", "mean"]
Projection = Literal["linear", "mlp"]
LocalFeatures = Literal["shared", "own"]
TowerName = Literal["image", "text"]
OF_TWO_TOWERS = (
    "image",
    "text",
    "embedding_dim",
    "text_pooling",
    "projection",
    "local_features",
    "temperature",
)
MAX_LOGIT_SCALE = 100.0  # as in CLIP (Radford et al. 2021, section 2.5)


@dataclass(slots=True, kw_only=True)
class DualEncoderConfig:
    """What a dual encoder is made of.

    Attributes:
        image: A hub id or folder whose weights are loaded, or the settings of a `transformers` vision model that
            starts from scratch (`model_type` and its fields).
        text: The same for the text model; from scratch, `vocab_size` is that of the tokenizer which is learned from
            the training reports along with it.
        embedding_dim: Size of the shared space.
        text_pooling: "cls" takes the first token (the paper's), "mean" averages over the tokens.
        projection: Each tower's way into the shared space: "linear" (the paper's), or "mlp", a hidden layer with
            ReLU as wide as the tower (ConVIRT; Zhang et al. 2022, section 3).
        local_features: Where image regions and words come from: "shared", the last layer and the tower's projection;
            or "own", layers and projections of their own (GLoRIA; Huang et al. 2021), which `gloria` trains.
        temperature: Start of the learnable temperature.
        max_length: Tokens a text is cut to.
        preprocessing: How pixels reach the image encoder.
        dual: Settings of a whole CLIP-like model in the place of two towers: of `transformers` (`model_type` and its
            fields), or of open_clip (`model_type` "open_clip" and `model_cfg`); empty for two towers. `eclip.load`
            writes it when it opens such a checkpoint, and takes its `max_length` and `preprocessing` from there.
    """

    image: str | dict[str, Any] = "microsoft/swin-tiny-patch4-window7-224"
    text: str | dict[str, Any] = "emilyalsentzer/Bio_ClinicalBERT"
    embedding_dim: int = 512
    text_pooling: Pooling = "cls"
    projection: Projection = "linear"
    local_features: LocalFeatures = "shared"
    temperature: float = 0.07
    max_length: int = 128
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    dual: Annotated[dict[str, Any], tyro.conf.Suppress] = field(default_factory=dict)


@dataclass(slots=True)
class ImageFeatures:
    """Image features in the shared space, not normalised.

    Attributes:
        pooled: (B, D), one vector an image.
        grid: (B, h, w, D), the local features before the encoder's own pooling; None where it has none.
    """

    pooled: Tensor
    grid: Tensor | None


@dataclass(slots=True)
class TextFeatures:
    """Text features in the shared space, not normalised.

    Attributes:
        pooled: (B, D), one vector a text.
        words: (B, L, D), one vector a token or word; None where the model has none.
        mask: (B, L) bool, which of them are words of the text; special tokens and padding are not.
    """

    pooled: Tensor
    words: Tensor | None
    mask: Tensor


@dataclass(slots=True, frozen=True)
class Tower:
    """Which of an encoder's parameters are those of a tower.

    Attributes:
        parts: Dotted names of its modules and parameters in the encoder, from input to output.
        projection: Of those in them that lead into the shared space: they are no part of the tower, wherever a library
            keeps them.
    """

    parts: tuple[str, ...]
    projection: tuple[str, ...] = ()


class DualEncoder(nn.Module):
    """A CLIP, whatever it is; `build_encoder` makes one.

    Images are (B, C, H, W) with one or three channels, whatever the vision model takes; a heatmap processor never
    changes this class. Tokens are `input_ids` and `attention_mask`, (B, L), and may have `word_ids`, (B, L), which only
    `text_features` reads: the number of the word that a token is a piece of, −1 for special tokens and padding.

    Attributes:
        config: What `build_encoder` makes it from again, once towers are spelled out by `settings`.
        embedding_dim: Size of the shared space.
        logit_scale: Logarithm of the inverse temperature; learned.
        logit_bias: Of the sigmoid loss, where the model has one (SigLIP).
        always_eval: Modules that stay in evaluation mode whatever `train` says, for nothing in them is trained.
    """

    config: DualEncoderConfig
    embedding_dim: int
    logit_scale: nn.Parameter
    logit_bias: nn.Parameter | None
    always_eval: tuple[nn.Module, ...] = ()

    def train(self, mode: bool = True) -> Self:
        """Training mode, but not for `always_eval`."""
        super().train(mode)
        for module in self.always_eval:
            module.eval()
        return self

    @property
    def towers(self) -> Mapping[TowerName, Tower]:
        """The two towers."""
        raise NotImplementedError

    @property
    def preprocessing(self) -> Preprocessing:
        """How pixels reach it."""
        return self.config.preprocessing

    @property
    def settings(self) -> dict[str, Any]:
        """Its configuration as plain values, with which it is rebuilt without any hub."""
        raise NotImplementedError

    @property
    def scale(self) -> Tensor:
        """What cosines are multiplied with: exp(logit_scale), at most 100.

        The gradient is that of exp throughout: with that of the clamp, a scale that has once reached 100 would stay.
        """
        scale = self.logit_scale.exp()
        return scale.detach().clamp(max=MAX_LOGIT_SCALE) + (scale - scale.detach())

    def image_features(self, pixel_values_BCHW: Tensor) -> ImageFeatures:
        """Pooled and local features of normalised images (B, C, H, W)."""
        raise NotImplementedError

    def text_features(self, tokens: Mapping[str, Tensor]) -> TextFeatures:
        """Pooled and local features of texts."""
        raise NotImplementedError

    def encode_image(self, pixel_values_BCHW: Tensor) -> Tensor:
        """Unit vectors (B, D) of normalised images (B, C, H, W)."""
        return F.normalize(self.image_features(pixel_values_BCHW).pooled.float(), dim=-1)

    def encode_text(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """Unit vectors (B, D) of token ids and attention masks (B, L)."""
        return F.normalize(self.text_features(tokens).pooled.float(), dim=-1)


def word_mask(tokens: Mapping[str, Tensor]) -> Tensor:
    """Which tokens are pieces of words, (B, L) bool; without `word_ids` every token that is not padding counts."""
    return tokens["word_ids"] >= 0 if "word_ids" in tokens else tokens["attention_mask"] > 0


def match_channels(image_BCHW: Tensor, wanted: int) -> Tensor:
    """Images with one or three channels to as many as a vision model takes: grey is repeated, colour averaged."""
    if image_BCHW.shape[1] == wanted:
        return image_BCHW
    grey_B1HW = image_BCHW.mean(1, keepdim=True)
    return grey_B1HW.expand(-1, wanted, -1, -1)


def refuse_tower_settings(config: DualEncoderConfig) -> None:
    """A whole model has no use for settings of two towers.

    Raises:
        InputError: Names those that were given.
    """
    standard = DualEncoderConfig()
    if changed := [name for name in OF_TWO_TOWERS if getattr(config, name) != getattr(standard, name)]:
        flags = ", ".join(f"--model.{name.replace('_', '-')}" for name in changed)
        kind = config.dual["model_type"]
        raise InputError(f"{flags}: no effect on a whole {kind} model, which has its own; leave it out")
