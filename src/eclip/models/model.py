"""A trained model as people use it, and the folder it is kept in.

MODEL/config.json                    architecture, preprocessing, licence, what it was trained on
MODEL/model.safetensors              the dual encoder
MODEL/heatmap_processor.safetensors  only where training used one; inference never needs it
MODEL/tokenizer/                     the tokenizer as `transformers` writes it
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from rich.progress import track
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, PreTrainedTokenizerBase

import eclip
from eclip.data.images import decode, fit
from eclip.errors import InputError
from eclip.models.checkpoint import open_checkpoint
from eclip.models.dual_encoder import DualEncoder, DualEncoderConfig
from eclip.models.encoders import build_encoder
from eclip.models.export import export_hugging_face
from eclip.models.heatmap_processor import HeatmapProcessor, HeatmapProcessorConfig, build_processor
from eclip.models.open_clip import CONFIG as OPEN_CLIP_CONFIG
from eclip.models.open_clip import OpenClip, export_open_clip, open_open_clip
from eclip.models.preprocessing import Preprocessing
from eclip.models.tokenizer import tokenize

FORMAT_VERSION = 1
ImageInput = str | Path | bytes | np.ndarray | Image.Image


class Model:
    """A dual encoder with its tokenizer and all that is needed to use the weights correctly.

    Attributes:
        encoder: The CLIP, in evaluation mode.
        tokenizer: Its tokenizer.
        heatmap_processor: The processor it was trained with, if any; for pictures, not for inference.
        card: Licence and training data, recipe and seed, as saved in `config.json`.
        path: The folder it was loaded from, if any.
    """

    def __init__(
        self,
        encoder: DualEncoder,
        tokenizer: PreTrainedTokenizerBase,
        *,
        heatmap_processor: HeatmapProcessor | None = None,
        card: Mapping[str, Any] | None = None,
        path: Path | None = None,
    ) -> None:
        self.encoder = encoder.eval()
        self.tokenizer = tokenizer
        self.heatmap_processor = heatmap_processor.eval() if heatmap_processor is not None else None
        self.card = dict(card or {})
        self.path = path

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.encoder.logit_scale.device

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that change with any weight of the encoder or with its preprocessing."""
        digest = hashlib.sha256(json.dumps(self.encoder.settings, sort_keys=True).encode())
        for name, tensor in sorted(self.encoder.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()[:16]

    @torch.inference_mode()
    def embed_images(
        self, images: Sequence[ImageInput], *, batch_size: int = 64, progress: bool = False
    ) -> np.ndarray:
        """Unit vectors (N, D) float32 of files, encoded bytes, PIL images or uint8 arrays (H, W).

        Raises:
            InputError: A file that is not there or not an image.
        """
        encoder = self.encoder
        rows = []
        for batch in _batches(images, batch_size, progress=progress, what="Embedding images"):
            pixels = encoder.preprocessing([_grey(image) for image in batch])
            rows.append(encoder.encode_image(pixels.to(self.device)).cpu().numpy())
        return np.concatenate(rows) if rows else np.empty((0, encoder.embedding_dim), np.float32)

    @torch.inference_mode()
    def embed_texts(
        self, texts: Sequence[str], *, batch_size: int = 256, progress: bool = False
    ) -> np.ndarray:
        """Unit vectors (N, D) float32 of texts."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # equal lengths together: less padding
        rows = np.empty((len(texts), self.encoder.embedding_dim), np.float32)
        max_length = self.encoder.config.max_length
        for batch in _batches(order, batch_size, progress=progress, what="Embedding texts"):
            tokens = tokenize(self.tokenizer, [texts[i] for i in batch], max_length=max_length)
            tokens = {name: ids.to(self.device) for name, ids in tokens.items()}
            rows[batch] = self.encoder.encode_text(tokens).cpu().numpy()
        return rows

    def embed_classes(self, prompts: Mapping[str, Sequence[str]]) -> np.ndarray:
        """One unit vector a class, (C, D): the mean of its prompts' unit vectors, normalised again."""
        rows_CD = np.stack([self.embed_texts(list(texts)).mean(0) for texts in prompts.values()])
        return rows_CD / np.linalg.norm(rows_CD, axis=1, keepdims=True)

    def similarity(self, images: Sequence[ImageInput], texts: Sequence[str]) -> np.ndarray:
        """Cosine of each image with each text, (N, M) float32."""
        return self.embed_images(images) @ self.embed_texts(texts).T

    def zero_shot(self, images: Sequence[ImageInput], prompts: Mapping[str, Sequence[str]]) -> pd.DataFrame:
        """Probability of each class for each image: softmax over classes of scaled cosines.

        Args:
            images: As for `embed_images`.
            prompts: Class name to one or more sentences that describe it.
        """
        cosine_NC = self.embed_images(images) @ self.embed_classes(prompts).T
        logits_NC = torch.from_numpy(cosine_NC) * self.encoder.scale.detach().cpu()
        names = [str(image) if isinstance(image, str | Path) else str(i) for i, image in enumerate(images)]
        return pd.DataFrame(logits_NC.softmax(1).numpy(), index=names, columns=list(prompts))

    @torch.inference_mode()
    def expert_view(self, image_HW: np.ndarray, heatmap_HW: np.ndarray) -> np.ndarray | None:
        """What the heatmap processor makes of an image (H, W) uint8 and its heatmap (H, W) in [0, 1].

        Returns:
            Grey levels in [0, 1], (size, size) float32 in the encoder's crop; None for a model without processor.
        """
        if self.heatmap_processor is None:
            return None
        preprocessing = self.encoder.preprocessing
        image = preprocessing([image_HW]).to(self.device)
        heatmap = (
            torch.tensor(fit((heatmap_HW * 255).astype(np.uint8), preprocessing.size)).to(self.device) / 255
        )
        image = image.expand(-1, self.heatmap_processor.channels, -1, -1)
        view = self.heatmap_processor(image, heatmap[None, None])
        return preprocessing.restore(view)[0].mean(0).cpu().numpy()

    def save(self, folder: str | Path) -> None:
        """Write the model folder; `load` and every `--model` open it."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        processor = self.heatmap_processor
        config = {
            "format": "eclip-model",
            "format_version": FORMAT_VERSION,
            "eclip_version": eclip.__version__,
            "encoder": self.encoder.settings,
            "heatmap_processor": None
            if processor is None
            else dataclasses.asdict(processor.config) | {"channels": processor.channels},
            "card": self.card,
        }
        self.tokenizer.save_pretrained(folder / "tokenizer")
        save_file(_contiguous(self.encoder), folder / "model.safetensors")
        if processor is not None:
            save_file(_contiguous(processor), folder / "heatmap_processor.safetensors")
        (folder / "config.json").write_text(
            json.dumps(config, indent=2) + "\n"
        )  # last: it marks a whole folder

    def export(self, folder: str | Path) -> None:
        """Write the model for plain `transformers` or `open_clip`, with which it has the same embeddings.

        Raises:
            InputError: It is not of an architecture that one of them has.
        """
        if isinstance(self.encoder, OpenClip):
            export_open_clip(self.encoder, self.tokenizer, Path(folder))
            return
        export_hugging_face(self.encoder, self.tokenizer, Path(folder))


def load(source: str | Path, *, device: str | torch.device = "cpu") -> Model:
    """Open a model folder, a training run, or a CLIP of `transformers` or open_clip, from a folder or the hub.

    Args:
        source: The folder, or a hub id.
        device: Where to put it.

    Raises:
        InputError: Not a model, a file is missing or broken, or it was written by a newer eclip.
    """
    folder = _locate(source)
    if not (folder / "config.json").is_file():
        open_clip, tokenizer = open_open_clip(folder)
        return Model(open_clip.to(device), tokenizer, path=folder)
    config = _read_config(folder)
    if "format" not in config and "model_type" in config:
        checkpoint, tokenizer = open_checkpoint(folder)
        return Model(checkpoint.to(device), tokenizer, path=folder)
    _check_format(config, folder / "config.json")
    try:
        settings = dict(config["encoder"])
        settings["preprocessing"] = _preprocessing(settings["preprocessing"])
        encoder = build_encoder(DualEncoderConfig(**settings))
        processor = None
        if size := config["heatmap_processor"]:
            size = dict(size)
            channels = size.pop("channels")
            processor = build_processor(HeatmapProcessorConfig(**size), channels=channels)
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{folder / 'config.json'}: {error} is missing or not understood; save the model again"
        ) from error
    _read_weights(encoder, folder / "model.safetensors")
    if processor is not None:
        _read_weights(processor.to(device), folder / "heatmap_processor.safetensors")
    if not (folder / "tokenizer" / "tokenizer.json").is_file():
        raise InputError(f"{folder / 'tokenizer' / 'tokenizer.json'}: missing; copy the whole model folder")
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    return Model(
        encoder.to(device), tokenizer, heatmap_processor=processor, card=config.get("card"), path=folder
    )


def _locate(source: str | Path) -> Path:
    folder = Path(source)
    for candidate in (folder, folder / "model"):  # a training run keeps its model in RUN/model
        if (candidate / "config.json").is_file() or (candidate / OPEN_CLIP_CONFIG).is_file():
            return candidate
    if folder.exists():
        raise InputError(f"{folder}: not a model folder (no config.json here or in {folder / 'model'})")
    name = str(source)
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise InputError(f"{folder}: no such folder; give a model folder, a training run or a hub id")
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(
                name, allow_patterns=["*.json", "*.safetensors", "*.txt", "*.model", "tokenizer/*"]
            )
        )
    except Exception as error:
        raise InputError(
            f"{name}: neither a folder here nor a model on the hub ({type(error).__name__})"
        ) from error


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(config, dict):
        raise InputError(f"{path}: not a model's settings (a JSON object was expected)")
    return config


def _check_format(config: dict[str, Any], path: Path) -> None:
    if config.get("format") != "eclip-model":
        raise InputError(f'{path}: not an eclip model (its field "format" should be "eclip-model")')
    if config.get("format_version", 0) > FORMAT_VERSION:
        raise InputError(
            f"{path}: format_version {config['format_version']} is newer than this eclip reads ({FORMAT_VERSION}); "
            "upgrade eclip"
        )


def _preprocessing(settings: dict[str, Any]) -> Preprocessing:
    """JSON has lists where there are three levels."""
    mean, std = (
        tuple(level) if isinstance(level, list) else level for level in (settings["mean"], settings["std"])
    )
    return Preprocessing(**settings | {"mean": mean, "std": std})


def _read_weights(module: torch.nn.Module, path: Path) -> None:
    if not path.is_file():
        raise InputError(f"{path}: missing; copy the whole model folder")
    try:
        module.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: broken or not of this model's shape ({reason})") from error


def _contiguous(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}


def _grey(image: ImageInput) -> np.ndarray:
    if isinstance(image, np.ndarray):
        return image
    if isinstance(image, Image.Image):
        return np.asarray(image.convert("L"))
    return decode(image)


def _batches(items: Sequence[Any], size: int, *, progress: bool, what: str) -> Iterator[Sequence[Any]]:
    starts = range(0, len(items), size)
    for start in track(starts, description=what) if progress else starts:
        yield items[start : start + size]
