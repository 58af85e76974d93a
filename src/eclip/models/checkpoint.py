"""Folders in the format of `transformers`: a CLIP-like model with tokenizer and pixel values, or eclip's export."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer, PretrainedConfig, PreTrainedTokenizerBase

from eclip.errors import InputError
from eclip.models.auto_config import EclipConfig
from eclip.models.dual_encoder import DualEncoder, DualEncoderConfig
from eclip.models.hugging_face_clip import SERVED, HuggingFaceClip
from eclip.models.preprocessing import Preprocessing, level
from eclip.models.two_towers import settings_of

NO_LIMIT = 100_000  # tokenizers without a limit of their own claim a huge one


def open_checkpoint(folder: Path) -> tuple[DualEncoder, PreTrainedTokenizerBase]:
    """The model of a folder, untouched, and its tokenizer.

    Raises:
        InputError: Not a model that is served, or a file is missing or broken.
    """
    kind = json.loads((folder / "config.json").read_text())["model_type"]
    if kind not in (*SERVED, EclipConfig.model_type):
        raise InputError(
            f"{folder / 'config.json'}: model_type {kind} is not an image-text model that eclip serves; "
            f"there are {', '.join(SERVED)}"
        )
    try:
        settings = AutoConfig.from_pretrained(folder)
        model = AutoModel.from_pretrained(folder, config=settings, dtype=torch.float32, use_safetensors=True)
        # SigLIP reads its padding: the tokenizer's token, behind the text
        side = {"padding_side": "right"} if kind.startswith("siglip") else {}
        tokenizer = AutoTokenizer.from_pretrained(folder, **side)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise InputError(f"{folder}: transformers cannot open this {kind} model ({first_line})") from error
    if kind == EclipConfig.model_type:
        return model.encoder, tokenizer
    if kind.startswith("siglip"):
        model.config.text_config.pad_token_id = tokenizer.pad_token_id
    config = DualEncoderConfig(
        dual=settings_of(model),
        max_length=_max_length(settings.text_config, tokenizer),
        preprocessing=_preprocessing(folder, settings.vision_config),
    )
    return HuggingFaceClip(config, model=model), tokenizer


def _max_length(text_config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens that both the tokenizer and the model's positions have room for."""
    positions = int(text_config.max_position_embeddings)
    if "roberta" in text_config.model_type or text_config.model_type == "altclip_text_model":
        positions -= text_config.pad_token_id + 1  # RoBERTa counts positions from behind the padding's
    return min(positions, int(min(tokenizer.model_max_length, NO_LIMIT)))


def _preprocessing(folder: Path, vision_config: PretrainedConfig) -> Preprocessing:
    """The size that the vision model has positions for, and the levels of `preprocessor_config.json`."""
    values = _image_processor(folder)
    size = getattr(vision_config, "image_size", None)
    if size is None:  # SigLIP 2 of any aspect ratio
        size = int(vision_config.num_patches**0.5) * vision_config.patch_size
    if not values.get("do_normalize", True):
        return Preprocessing(size=size, mean=0.0, std=1.0)
    try:
        return Preprocessing(size=size, mean=level(values["image_mean"]), std=level(values["image_std"]))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{folder / 'preprocessor_config.json'}: image_mean and image_std should be three numbers each"
        ) from error


def _image_processor(folder: Path) -> dict[str, Any]:
    for name in ("preprocessor_config.json", "processor_config.json"):  # newer folders have the second alone
        path = folder / name
        if path.is_file():
            try:
                values = json.loads(path.read_text())
            except ValueError as error:
                raise InputError(f"{path}: not readable as JSON ({error})") from error
            values = values.get("image_processor", values)
            if isinstance(values, dict) and "image_mean" in values:
                return values
    raise InputError(
        f"{folder}: no image_mean in preprocessor_config.json or processor_config.json; copy the whole model folder"
    )
