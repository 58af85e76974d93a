"""The paper's dual encoder: any vision model and any text model, joined by projections."""

import dataclasses
import inspect
import math
from collections.abc import Mapping
from typing import Any, cast

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
    word_mask,
)
from eclip.models.token_grid import timm_grid, timm_pooled, token_grid

POOLER_OF_PRETRAINING = {"bert", "roberta", "xlm-roberta", "camembert", "mpnet", "vit", "deit"}


class TwoTowers(DualEncoder):
    """Any `transformers` vision model and any text model, each with a projection into the shared space."""

    logit_bias = None

    def __init__(self, config: DualEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding_dim = config.embedding_dim
        self.image_model = _tower(config.image, field="image")
        # bf16 convolutions on a CPU are faster so
        nn.Module.to(self.image_model, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.text_model = _tower(config.text, field="text")
        self.image_projection = self._projection(self._image_width())
        self.text_projection = self._projection(self.text_model.config.hidden_size)
        draw_weights(self.image_projection, self.text_projection)
        self.logit_scale = nn.Parameter(torch.tensor(-math.log(config.temperature)))

    @property
    def towers(self) -> Mapping[TowerName, Tower]:
        """Without their projections."""
        return {"image": Tower(("image_model",)), "text": Tower(("text_model",))}

    @property
    def settings(self) -> dict[str, Any]:
        """Its configuration with both towers spelled out."""
        settings = dataclasses.asdict(self.config)
        del settings["dual"]
        for name, usual in (("projection", "linear"), ("local_features", "shared")):
            if settings[name] == usual:  # as in folders from before there was a choice
                del settings[name]
        settings["image"], settings["text"] = settings_of(self.image_model), settings_of(self.text_model)
        return settings

    def image_features(self, pixel_values_BCHW: Tensor) -> ImageFeatures:
        """Pooled and local features of normalised images (B, C, H, W)."""
        pooled_BC, grid_BhwC = self._see(pixel_values_BCHW)
        pooled_BD = self.image_projection(pooled_BC)
        if grid_BhwC is None or grid_BhwC.shape[-1] != pooled_BC.shape[-1]:  # pooling may widen
            return ImageFeatures(pooled_BD, None)
        return ImageFeatures(pooled_BD, self.image_projection(as_pooled(self.image_model, grid_BhwC)))

    def text_features(self, tokens: Mapping[str, Tensor]) -> TextFeatures:
        """Pooled features of texts, and the projection on each token."""
        hidden_BLC = self._read(tokens)
        words_BLD = self.text_projection(hidden_BLC)
        return TextFeatures(self._pool(hidden_BLC, tokens), words_BLD, word_mask(tokens))

    def encode_text(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """Unit vectors (B, D) of token ids and attention masks (B, L)."""
        return F.normalize(self._pool(self._read(tokens), tokens).float(), dim=-1)

    def _pixels(self, image_BCHW: Tensor) -> Tensor:
        """As the image model takes them."""
        pixels = match_channels(image_BCHW, getattr(self.image_model.config, "num_channels", 3))
        return pixels.contiguous(memory_format=torch.channels_last)

    def _see(self, pixel_values_BCHW: Tensor) -> tuple[Tensor, Tensor | None]:
        """What the image model pools, (B, C), and its tokens by row and column, (B, h, w, C), if they have a grid."""
        config, pixels = self.image_model.config, self._pixels(pixel_values_BCHW)
        hidden = self.image_model(pixel_values=pixels, **resized(self.image_model, pixels))
        tokens = hidden.last_hidden_state
        height, width = pixels.shape[-2:]
        timm: Any = getattr(self.image_model, "timm_model", None)
        grid_BhwC = (
            token_grid(tokens, config, height=height, width=width)
            if timm is None
            else timm_grid(tokens, timm, height=height, width=width)
        )
        if getattr(hidden, "pooler_output", None) is not None:
            return hidden.pooler_output.flatten(1), grid_BhwC
        if tokens.ndim == 4:  # convolutional: (B, C, h, w)
            return tokens.mean((2, 3)), grid_BhwC
        if grid_BhwC is not None and grid_BhwC.shape[1:3].numel() == tokens.shape[1]:
            return tokens.mean(1), grid_BhwC
        return tokens[:, 0], grid_BhwC  # a class token comes first

    def _image_width(self) -> int:
        """Channels of what the image model pools; where its settings do not tell them, as it shows.

        Raises:
            InputError: Not a vision model, or one that takes or gives something else.
        """
        model, kind = self.image_model, self.image_model.config.model_type
        if kind == "vit_mae":
            raise InputError(
                "--model.image: a vit_mae leaves out patches at random, in use as well; give a `vit` with its weights"
            )
        if "pixel_values" not in inspect.signature(model.forward).parameters:
            raise InputError(f"--model.image: a {kind} takes no images")
        if (timm := getattr(model, "timm_model", None)) is not None:
            return int(getattr(timm, "head_hidden_size", timm.num_features))
        if width := getattr(model.config, "hidden_size", None):
            return int(width)
        side, training = self.config.preprocessing.size, model.training
        try:
            with torch.no_grad():
                model.eval()
                return self._see(torch.zeros(1, 1, side, side))[0].shape[1]
        except (AttributeError, TypeError, ValueError, RuntimeError, IndexError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"--model.image: a {kind} cannot be used on images of {side} pixels ({reason})"
            ) from error
        finally:
            model.train(training)

    def _read(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """The text model's states (B, L, C)."""
        given = {name: tokens[name] for name in ("input_ids", "attention_mask")}
        states_BLC: Tensor = self.text_model(**given).last_hidden_state
        return states_BLC

    def _pool(self, hidden_BLC: Tensor, tokens: Mapping[str, Tensor]) -> Tensor:
        """One vector a text in the shared space (B, D)."""
        if self.config.text_pooling == "cls":
            pooled_BC = hidden_BLC[:, 0]
        else:
            mask_BL1 = tokens["attention_mask"].unsqueeze(-1).to(hidden_BLC.dtype)
            pooled_BC = (hidden_BLC * mask_BL1).sum(1) / mask_BL1.sum(1).clamp(min=1)
        return self.text_projection(pooled_BC)

    def _projection(self, width: int) -> nn.Module:
        if self.config.projection == "linear":
            return nn.Linear(width, self.embedding_dim, bias=False)
        return nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, self.embedding_dim, bias=False)
        )


def as_pooled(model: PreTrainedModel, grid_BhwC: Tensor) -> Tensor:
    """Each cell alone through what a vision model does to the vector that it pools."""
    kind, own = model.config.model_type, cast(Any, model)
    if (timm := getattr(model, "timm_model", None)) is not None:
        return timm_pooled(timm, grid_BhwC)
    if kind in {"convnext", "convnextv2"}:
        return own.layernorm(grid_BhwC)
    if kind in {"clip_vision_model", "chinese_clip_vision_model"}:
        return own.post_layernorm(grid_BhwC)
    if kind == "siglip_vision_model" and own.use_head:
        return own.head(grid_BhwC.reshape(-1, 1, grid_BhwC.shape[-1])).view_as(grid_BhwC)
    if kind == "beit" and own.pooler is not None and own.pooler.layernorm is not None:
        return own.pooler.layernorm(grid_BhwC)
    return grid_BhwC


def positions_of(text_model: PreTrainedModel) -> float:
    """How many tokens a text model has positions for; those of RoBERTa begin behind the one of padding."""
    most = getattr(text_model.config, "max_position_embeddings", None) or math.inf
    padding = getattr(getattr(text_model, "embeddings", None), "padding_idx", None)
    return float(most if padding is None else most - padding - 1)


def draw_weights(*projections: nn.Module) -> None:
    """Start projections so that they keep the size of what they are given."""
    for projection in projections:
        for module in projection.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=module.in_features**-0.5)


def settings_of(model: PreTrainedModel) -> dict[str, Any]:
    """What a model is made from again; the same with any version of `transformers`."""
    settings = model.config.to_diff_dict()
    settings.pop("transformers_version", None)
    return settings


def resized(model: nn.Module, pixels_BCHW: Tensor) -> dict[str, bool]:
    """What a vision model must be told when images are not of the size its positions are for."""
    size = getattr(model.config, "image_size", None)
    known = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if size is None or tuple(pixels_BCHW.shape[-2:]) == known:
        return {}
    name = "interpolate_pos_encoding"
    return {name: True} if name in inspect.signature(model.forward).parameters else {}


def _tower(source: str | dict[str, Any], *, field: str) -> PreTrainedModel:
    """Pretrained weights by name or folder, or a model from scratch by its settings; never with unused pooler heads."""
    try:
        if isinstance(source, str):
            config = AutoConfig.from_pretrained(source)
            return AutoModel.from_pretrained(source, dtype=torch.float32, **_without_pooler(config))
        config = AutoConfig.for_model(**source)
        return AutoModel.from_config(config, **_without_pooler(config))
    except (OSError, ValueError, KeyError, ImportError, StrictDataclassError) as error:
        name = source if isinstance(source, str) else source.get("model_type", source)
        first_line = str(error).strip().splitlines()[0]
        raise InputError(
            f"--model.{field} {name}: not a model that transformers can make or find ({first_line})"
        ) from error


def _without_pooler(config: PretrainedConfig) -> dict[str, bool]:
    """The pooler of BERT- and ViT-like models is a head of their own pre-training; the paper projects the token."""
    return {"add_pooling_layer": False} if config.model_type in POOLER_OF_PRETRAINING else {}
