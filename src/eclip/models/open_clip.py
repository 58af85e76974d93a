"""Models of open_clip as they are, from the folders it writes for the hub (extra `open-clip`).

FOLDER/open_clip_config.json         `model_cfg` and `preprocess_cfg`
FOLDER/open_clip_model.safetensors   the weights
FOLDER/tokenizer*                    the tokenizer as `transformers` writes it
"""

import copy
import dataclasses
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Regex, normalizers
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedTokenizerBase

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
from eclip.models.preprocessing import Preprocessing, level, levels

CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
IMAGE_PROJECTIONS = ("proj", "attnpool.c_proj", "head")  # of its vision transformer, ResNet, and timm towers


class OpenClip(DualEncoder):
    """A model of open_clip, untouched: `model` is what open_clip made.

    It reads texts that are filled up to its context length with its own padding. Local features are there for its
    own vision and text transformers; other towers have none.
    """

    def __init__(self, config: DualEncoderConfig) -> None:
        """Build it with new weights.

        Args:
            config: Its `dual` has `model_cfg`, as `open_clip_config.json`.

        Raises:
            InputError: open_clip is not installed or cannot make the model, or settings of two towers.
        """
        super().__init__()
        refuse_tower_settings(config)
        self.config = config
        self.model: Any = _make(copy.deepcopy(config.dual.get("model_cfg", {})))
        self.embedding_dim = int(config.dual["model_cfg"]["embed_dim"])
        own_text = getattr(self.model, "text", None)
        hub_text = getattr(own_text, "config", None)  # a text model of transformers inside
        self.padding: int = (
            hub_text.pad_token_id
            if hub_text is not None
            else config.dual["model_cfg"]["text_cfg"].get("pad_id", 0)
        )

    @property
    def logit_scale(self) -> nn.Parameter:  # type: ignore[override]
        """The model's own."""
        return self.model.logit_scale

    @property
    def logit_bias(self) -> nn.Parameter | None:  # type: ignore[override]
        """SigLIP's own; None for others."""
        return self.model.logit_bias

    @property
    def scale(self) -> Tensor:
        """What cosines are multiplied with: exp(logit_scale), but where there is a bias (SigLIP) at most 100."""
        return super().scale if self.logit_bias is None else self.logit_scale.exp().squeeze()

    @property
    def towers(self) -> Mapping[TowerName, Tower]:
        """Its image towers hold their projection, under three names; `CLIP` holds the text tower in pieces."""
        image = Tower(("model.visual",), tuple(f"model.visual.{name}" for name in IMAGE_PROJECTIONS))
        if hasattr(self.model, "text"):
            return {
                "image": image,
                "text": Tower(("model.text",), ("model.text.text_projection", "model.text.proj")),
            }
        pieces = ("token_embedding", "positional_embedding", "transformer", "ln_final")
        return {"image": image, "text": Tower(tuple(f"model.{name}" for name in pieces))}

    @property
    def settings(self) -> dict[str, Any]:
        """Its configuration as plain values."""
        return {
            "dual": copy.deepcopy(self.config.dual),
            "max_length": self.config.max_length,
            "preprocessing": dataclasses.asdict(self.preprocessing),
        }

    def image_features(self, pixel_values_BCHW: Tensor) -> ImageFeatures:
        """Pooled and local features of normalised images (B, C, H, W)."""
        visual = self.model.visual
        pixels_B3HW = match_channels(pixel_values_BCHW, 3)
        if not isinstance(getattr(visual, "proj", None), Tensor) or not hasattr(visual, "ln_post"):
            return ImageFeatures(visual(pixels_B3HW), None)
        seen = visual.forward_intermediates(pixels_B3HW, indices=1)
        tokens_BhwC = seen["image_intermediates"][-1].permute(0, 2, 3, 1)
        return ImageFeatures(seen["image_features"], visual.ln_post(tokens_BhwC) @ visual.proj)

    def encode_image(self, pixel_values_BCHW: Tensor) -> Tensor:
        """Unit vectors (B, D) of normalised images (B, C, H, W)."""
        return F.normalize(self.model.encode_image(match_channels(pixel_values_BCHW, 3)).float(), dim=-1)

    def text_features(self, tokens: Mapping[str, Tensor]) -> TextFeatures:
        """Pooled and local features of texts."""
        ids_BL = self._filled(tokens)
        text = getattr(self.model, "text", self.model)
        if not hasattr(text, "forward_intermediates"):
            return TextFeatures(self.model.encode_text(ids_BL), None, word_mask(tokens))
        read = self.model.forward_intermediates(
            text=ids_BL, text_indices=1, normalize=False, normalize_intermediates=True
        )
        words_BLD = read["text_intermediates"][-1][:, : tokens["input_ids"].shape[1]]
        project = text.text_projection
        if project is not None:
            words_BLD = project(words_BLD) if isinstance(project, nn.Linear) else words_BLD @ project
        return TextFeatures(read["text_features"], words_BLD, word_mask(tokens))

    def encode_text(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """Unit vectors (B, D) of token ids and attention masks (B, L)."""
        return F.normalize(self.model.encode_text(self._filled(tokens)).float(), dim=-1)

    def _filled(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """Token ids up to the context length, with the model's own padding."""
        ids_BL = tokens["input_ids"].masked_fill(tokens["attention_mask"] == 0, self.padding)
        room = max(0, self.config.max_length - ids_BL.shape[1])
        return F.pad(ids_BL, (0, room), value=self.padding)


def open_open_clip(folder: Path) -> tuple[OpenClip, PreTrainedTokenizerBase]:
    """The model of a folder that open_clip wrote, and its tokenizer.

    Raises:
        InputError: A file is missing or broken, or open_clip is not installed.
    """
    try:
        settings = json.loads((folder / CONFIG).read_text())
        model_cfg, pixels = settings["model_cfg"], settings["preprocess_cfg"]
        preprocessing = Preprocessing(
            size=model_cfg["vision_cfg"]["image_size"], mean=level(pixels["mean"]), std=level(pixels["std"])
        )
        max_length = model_cfg["text_cfg"].get("context_length", 77)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / CONFIG}: {error} is missing or not understood") from error
    dual = {"model_type": "open_clip", "model_cfg": model_cfg}
    encoder = OpenClip(DualEncoderConfig(dual=dual, max_length=max_length, preprocessing=preprocessing))
    try:
        encoder.model.load_state_dict(load_file(folder / WEIGHTS))
        side = {"padding_side": "right"}
        tokenizer = cleaning(AutoTokenizer.from_pretrained(folder, **side), model_cfg)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{folder}: weights or tokenizer are missing or not this model's ({reason})"
        ) from error
    return encoder, tokenizer


def cleaning(tokenizer: PreTrainedTokenizerBase, model_cfg: dict[str, Any]) -> PreTrainedTokenizerBase:
    """A tokenizer that first cleans texts as `tokenizer_kwargs` say; open_clip does so outside of it (SigLIP).

    Raises:
        InputError: They ask for what cannot be put into the tokenizer.
    """
    asked = dict(model_cfg["text_cfg"].get("tokenizer_kwargs") or {})
    clean = asked.pop("clean", "whitespace" if model_cfg["text_cfg"].get("hf_tokenizer_name") else "")
    if clean not in {"canonicalize", "lower", "whitespace", ""} or any(asked.values()):
        what = ", ".join([name for name, value in asked.items() if value] or [f"clean: {clean}"])
        raise InputError(f"tokenizer_kwargs of open_clip: eclip does not serve models with {what}")
    steps: list[Any] = []
    if clean == "canonicalize":
        steps += [normalizers.Replace("_", " "), normalizers.Replace(Regex(r"[!-/:-@\[-`{-~]"), "")]
    if clean in {"canonicalize", "lower"}:
        steps.append(normalizers.Lowercase())
    if clean:
        steps += [normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    own, dirty = tokenizer.backend_tokenizer.normalizer, " A_b!  C "
    cleaned = normalizers.Sequence(steps + ([own] if own else []))
    if steps and (own is None or own.normalize_str(dirty) != cleaned.normalize_str(dirty)):
        tokenizer.backend_tokenizer.normalizer = (
            cleaned  # not yet there, as it is in a folder that eclip wrote
        )
    return tokenizer


def export_open_clip(encoder: OpenClip, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write a folder that open_clip opens as `local-dir:FOLDER`, with the same embeddings."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in encoder.model.state_dict().items()}
    save_file(state, folder / WEIGHTS)
    pixels = {
        "mean": levels(encoder.preprocessing.mean),
        "std": levels(encoder.preprocessing.std),
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
    settings = {"model_cfg": encoder.config.dual["model_cfg"], "preprocess_cfg": pixels}
    (folder / CONFIG).write_text(json.dumps(settings, indent=2) + "\n")


def _make(model_cfg: dict[str, Any]) -> nn.Module:
    try:
        library = importlib.import_module("open_clip.model")  # needs torchvision, which eclip does without
    except (ImportError, RuntimeError) as error:
        raise InputError(
            f"open_clip cannot be imported ({str(error).splitlines()[0]}); pip install 'eclip[open-clip]'"
        ) from error
    try:
        text_cfg = model_cfg["text_cfg"]
        hub_text = "hf_model_name" in text_cfg
        if hub_text:
            text_cfg["hf_model_pretrained"] = False
        custom = model_cfg.pop("custom_text", False) or hub_text
        return (library.CustomTextCLIP if custom else library.CLIP)(**model_cfg, cast_dtype=torch.float32)
    except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"model_cfg: open_clip cannot make this model ({reason})") from error
