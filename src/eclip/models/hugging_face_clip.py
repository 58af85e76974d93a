"""CLIP-like models of `transformers` as they are: their own projections, pooling, temperature and pixel values."""

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from eclip.errors import InputError
from eclip.models.dual_encoder import (
    DualEncoder,
    DualEncoderConfig,
    ImageFeatures,
    TextFeatures,
    Tower,
    TowerName,
    match_channels,
    refuse_tower_settings,
    word_mask,
)
from eclip.models.token_grid import token_grid
from eclip.models.two_towers import resized, settings_of

SERVED = (
    "clip",
    "siglip",
    "siglip2",
    "chinese_clip",
    "altclip",
    "metaclip_2",
    "vision-text-dual-encoder",
)
"""Values of `model_type`."""


class HuggingFaceClip(DualEncoder):
    """A stock model, untouched: `model` is what `transformers` made, and computes what it computes there.

    SigLIP models read texts that are filled up to `max_length` and take no attention mask, as they were trained; they
    have a `logit_bias`, and their scale has no bound.
    """

    def __init__(self, config: DualEncoderConfig, *, model: PreTrainedModel | None = None) -> None:
        """Build it.

        Args:
            config: Its `dual` says what the model is.
            model: The model itself, with its weights; by default one with new weights.

        Raises:
            InputError: Not the settings of a model that is served, or settings of two towers beside them.
        """
        super().__init__()
        _check(config)
        self.config = config
        self.model: Any = _from_settings(config.dual) if model is None else model
        own: PretrainedConfig = self.model.config
        self.kind: str = own.model_type
        self.is_siglip = self.kind.startswith("siglip")
        self.embedding_dim = int(own.vision_config.hidden_size) if self.is_siglip else int(own.projection_dim)

    @property
    def logit_scale(self) -> nn.Parameter:  # type: ignore[override]
        """The model's own."""
        return self.model.logit_scale

    @property
    def logit_bias(self) -> nn.Parameter | None:  # type: ignore[override]
        """SigLIP's own; None for others."""
        return getattr(self.model, "logit_bias", None)

    @property
    def scale(self) -> Tensor:
        """What cosines are multiplied with: exp(logit_scale), but for SigLIP at most 100."""
        return self.logit_scale.exp().squeeze() if self.is_siglip else super().scale

    @property
    def towers(self) -> Mapping[TowerName, Tower]:
        """SigLIP projects texts alone: the head of its vision model pools."""
        inside = ("model.text_model.head",) if self.is_siglip else ()
        return {"image": Tower(("model.vision_model",)), "text": Tower(("model.text_model",), inside)}

    @property
    def settings(self) -> dict[str, Any]:
        """Its configuration as plain values."""
        return {
            "dual": settings_of(self.model),
            "max_length": self.config.max_length,
            "preprocessing": dataclasses.asdict(self.preprocessing),
        }

    def image_features(self, pixel_values_BCHW: Tensor) -> ImageFeatures:
        """Pooled and local features of normalised images (B, C, H, W)."""
        hidden = self._see(pixel_values_BCHW)
        height, width = pixel_values_BCHW.shape[-2:]
        vision_config = self.model.config.vision_config
        grid_BhwC = token_grid(hidden.last_hidden_state, vision_config, height=height, width=width)
        return ImageFeatures(hidden.pooler_output, None if grid_BhwC is None else self._project(grid_BhwC))

    def encode_image(self, pixel_values_BCHW: Tensor) -> Tensor:
        """Unit vectors (B, D) of normalised images (B, C, H, W)."""
        return F.normalize(self._see(pixel_values_BCHW).pooler_output.float(), dim=-1)

    def text_features(self, tokens: Mapping[str, Tensor]) -> TextFeatures:
        """Pooled features of texts, and each token alone through what the model does to its pooled token."""
        hidden = self._read(tokens)
        states_BLC = hidden.last_hidden_state[:, : tokens["input_ids"].shape[1]]
        text = self.model.text_model
        if self.is_siglip:
            words_BLD = text.head(states_BLC)
        else:
            if hasattr(getattr(text, "pooler", None), "dense"):
                states_BLC = text.pooler(states_BLC.flatten(0, 1)[:, None]).unflatten(0, states_BLC.shape[:2])
            words_BLD = self.model.text_projection(states_BLC)
        return TextFeatures(hidden.pooler_output, words_BLD, word_mask(tokens))

    def encode_text(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """Unit vectors (B, D) of token ids and attention masks (B, L)."""
        return F.normalize(self._read(tokens).pooler_output.float(), dim=-1)

    def _read(self, tokens: Mapping[str, Tensor]) -> Any:
        """The text model's output, whose `pooler_output` is in the shared space."""
        ids_BL = tokens["input_ids"]
        if self.is_siglip:
            room = max(0, self.config.max_length - ids_BL.shape[1])
            padding = self.model.config.text_config.pad_token_id
            return self.model.get_text_features(input_ids=F.pad(ids_BL, (0, room), value=padding))
        return self.model.get_text_features(input_ids=ids_BL, attention_mask=tokens["attention_mask"])

    def _see(self, pixel_values_BCHW: Tensor) -> Any:
        """The vision model's output, whose `pooler_output` is in the shared space."""
        vision_config = self.model.config.vision_config
        pixels_BCHW = match_channels(pixel_values_BCHW, getattr(vision_config, "num_channels", 3))
        if self.kind == "siglip2":
            patches_BNp, shape_B2 = _patches(pixels_BCHW, vision_config.patch_size)
            seen = torch.ones(patches_BNp.shape[:2], dtype=torch.long, device=patches_BNp.device)
            return self.model.get_image_features(
                pixel_values=patches_BNp, pixel_attention_mask=seen, spatial_shapes=shape_B2
            )
        return self.model.get_image_features(
            pixel_values=pixels_BCHW, **resized(self.model.vision_model, pixels_BCHW)
        )

    def _project(self, grid_BhwC: Tensor) -> Tensor:
        """Each patch token alone through what the model does to its pooled token."""
        vision = self.model.vision_model
        tokens_N1C = grid_BhwC.reshape(-1, 1, grid_BhwC.shape[-1])
        if self.is_siglip:
            projected_ND = vision.head(tokens_N1C)
        else:
            if hasattr(vision, "post_layernorm"):
                tokens_N1C = vision.post_layernorm(tokens_N1C)
            elif hasattr(getattr(vision, "pooler", None), "dense"):
                tokens_N1C = vision.pooler(tokens_N1C).unsqueeze(1)
            projected_ND = self.model.visual_projection(tokens_N1C.squeeze(1))
        return projected_ND.unflatten(0, grid_BhwC.shape[:3])


def _check(config: DualEncoderConfig) -> None:
    kind = config.dual.get("model_type")
    if kind not in SERVED:
        raise InputError(
            f"model_type {kind}: not an image-text model that eclip serves; there are {', '.join(SERVED)}"
        )
    refuse_tower_settings(config)


def _from_settings(settings: dict[str, Any]) -> PreTrainedModel:
    try:
        return AutoModel.from_config(AutoConfig.for_model(**copy.deepcopy(settings)))
    except (ValueError, KeyError, TypeError, AttributeError, StrictDataclassError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"settings of a {settings['model_type']} model: transformers cannot make it ({reason})"
        ) from error


def _patches(image_BCHW: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Patches by row, each (row, column, channel) flattened, (B, N, p); and how many high and wide, (B, 2)."""
    height, width = image_BCHW.shape[-2:]
    rows, columns = height // size, width // size
    image_BCHW = image_BCHW[..., : rows * size, : columns * size]
    patches = image_BCHW.unflatten(3, (columns, size)).unflatten(2, (rows, size)).permute(0, 2, 4, 3, 5, 1)
    shape_B2 = torch.tensor([[rows, columns]], device=image_BCHW.device).expand(len(image_BCHW), -1)
    return patches.flatten(3).flatten(1, 2), shape_B2
