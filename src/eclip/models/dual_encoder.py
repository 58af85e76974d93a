"""The CLIP itself: an image encoder and a text encoder with one shared space (Kumar & Marttinen 2024, section 3)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from eclip.errors import InputError
from eclip.models.preprocessing import Preprocessing

Pooling = Literal["cls", "mean"]
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
        temperature: Start of the learnable temperature.
        max_length: Tokens a text is cut to.
        preprocessing: How pixels reach the image encoder.
    """

    image: str | dict[str, Any] = "microsoft/swin-tiny-patch4-window7-224"
    text: str | dict[str, Any] = "emilyalsentzer/Bio_ClinicalBERT"
    embedding_dim: int = 512
    text_pooling: Pooling = "cls"
    temperature: float = 0.07
    max_length: int = 128
    preprocessing: Preprocessing = field(default_factory=Preprocessing)


@dataclass(slots=True)
class ImageFeatures:
    """Image features in the shared space, not normalised.

    Attributes:
        pooled: (B, D), one vector an image.
        grid: (B, h, w, D), the local features before the encoder's own pooling; None where it has none.
    """

    pooled: Tensor
    grid: Tensor | None


class DualEncoder(nn.Module):
    """Any `transformers` vision model and any text model, each with one linear projection into the shared space.

    Images are (B, C, H, W) with one or three channels, whatever the vision model takes; a heatmap processor never
    changes this class.
    """

    def __init__(self, config: DualEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.preprocessing = config.preprocessing
        self.image_model = _tower(config.image, field="image")
        # bf16 convolutions on a CPU are faster so
        nn.Module.to(self.image_model, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.text_model = _tower(config.text, field="text")
        self.image_projection = nn.Linear(_width(self.image_model.config), config.embedding_dim, bias=False)
        self.text_projection = nn.Linear(_width(self.text_model.config), config.embedding_dim, bias=False)
        for projection in (self.image_projection, self.text_projection):
            nn.init.normal_(projection.weight, std=projection.in_features**-0.5)
        self.logit_scale = nn.Parameter(torch.tensor(-math.log(config.temperature)))

    @property
    def scale(self) -> Tensor:
        """What cosines are multiplied with: exp(logit_scale), at most 100."""
        return self.logit_scale.exp().clamp(max=MAX_LOGIT_SCALE)

    def image_features(self, pixel_values_BCHW: Tensor) -> ImageFeatures:
        """Pooled and local features of normalised images (B, C, H, W)."""
        pixels = self._match_channels(pixel_values_BCHW).contiguous(memory_format=torch.channels_last)
        hidden = self.image_model(pixel_values=pixels)
        tokens = hidden.last_hidden_state
        if tokens.ndim == 4:  # convolutional: (B, C, h, w); its own pooling knows its own norm
            pooled_BC = hidden.pooler_output.flatten(1)
            grid_BhwC = tokens.permute(0, 2, 3, 1)
        else:
            height, width = pixel_values_BCHW.shape[-2:]
            stride = _stride(self.image_model.config)
            rows, columns = height // stride, width // stride
            extra = tokens.shape[1] - rows * columns  # class and register tokens come first
            pooled_BC = tokens[:, 0] if extra else tokens.mean(1)
            grid_BhwC = tokens[:, extra:].unflatten(1, (rows, columns))
        return ImageFeatures(self.image_projection(pooled_BC), self.image_projection(grid_BhwC))

    def encode_image(self, pixel_values_BCHW: Tensor) -> Tensor:
        """Unit vectors (B, D) of normalised images (B, C, H, W)."""
        return F.normalize(self.image_features(pixel_values_BCHW).pooled.float(), dim=-1)

    def encode_text(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """Unit vectors (B, D) of token ids and attention masks (B, L)."""
        hidden_BLC = self.text_model(**tokens).last_hidden_state
        if self.config.text_pooling == "cls":
            pooled_BC = hidden_BLC[:, 0]
        else:
            mask_BL1 = tokens["attention_mask"].unsqueeze(-1).to(hidden_BLC.dtype)
            pooled_BC = (hidden_BLC * mask_BL1).sum(1) / mask_BL1.sum(1).clamp(min=1)
        return F.normalize(self.text_projection(pooled_BC).float(), dim=-1)

    def _match_channels(self, image_BCHW: Tensor) -> Tensor:
        wanted = getattr(self.image_model.config, "num_channels", 3)
        if image_BCHW.shape[1] == wanted:
            return image_BCHW
        grey_B1HW = image_BCHW.mean(1, keepdim=True)
        return grey_B1HW.expand(-1, wanted, -1, -1)


def _tower(source: str | dict[str, Any], *, field: str) -> PreTrainedModel:
    """Pretrained weights by name or folder, or a model from scratch by its settings; never with unused pooler heads."""
    try:
        if isinstance(source, str):
            config = AutoConfig.from_pretrained(source)
            return AutoModel.from_pretrained(source, **_without_pooler(config))
        config = AutoConfig.for_model(**source)
        return AutoModel.from_config(config, **_without_pooler(config))
    except (OSError, ValueError, KeyError) as error:
        name = source if isinstance(source, str) else source.get("model_type", source)
        first_line = str(error).strip().splitlines()[0]
        raise InputError(
            f"--model.{field} {name}: not a model that transformers can make or find ({first_line})"
        ) from error


def _without_pooler(config: PretrainedConfig) -> dict[str, bool]:
    """The pooler of BERT- and ViT-like models is a head of their own pre-training; the paper projects the token."""
    return {"add_pooling_layer": False} if config.model_type in {"bert", "roberta", "vit", "deit"} else {}


def _width(config: PretrainedConfig) -> int:
    """Channels of the last layer."""
    sizes = getattr(config, "hidden_sizes", None)
    return int(sizes[-1] if sizes else config.hidden_size)


def _stride(config: PretrainedConfig) -> int:
    """Image pixels a token stands for along one side."""
    depths = getattr(config, "depths", None)
    merges = len(depths) - 1 if depths else 0  # hierarchical models (Swin) halve the grid between stages
    return int(config.patch_size) * 2**merges
