"""A trained model as people use it, and the folder it is kept in.

MODEL/config.json                    architecture, preprocessing, licence, what it was trained on
MODEL/model.safetensors              the dual encoder
MODEL/heatmap_processor.safetensors  only where training used one; inference never needs it
MODEL/tokenizer/                     the tokenizer as `transformers` writes it
MODEL/README.md                      the model card, written from config.json
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from PIL import Image
from rich.console import Console
from rich.progress import track
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase

import eclip
from eclip.data.images import decode, fit, grayscale
from eclip.errors import InputError
from eclip.models.card import Judgement, Library, model_card
from eclip.models.checkpoint import open_checkpoint
from eclip.models.dual_encoder import DualEncoder
from eclip.models.encoders import rebuild_encoder
from eclip.models.export.formats import Format, export, stock_format
from eclip.models.heatmap_processor import HeatmapProcessor, HeatmapProcessorConfig, build_processor
from eclip.models.model_folder import FORMAT_VERSION, check_format, locate, read_config, read_weights
from eclip.models.open_clip import open_open_clip
from eclip.models.open_clip_names import PREFIX, open_named
from eclip.models.read_ahead import read_ahead
from eclip.models.tokenizer import tokenize

Precision = Literal["auto", "32", "bf16"]
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

    @property
    def scale(self) -> float:
        """What cosines are multiplied with."""
        return float(self.encoder.scale.detach())

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that change with any weight of the encoder or with its preprocessing."""
        digest = hashlib.sha256(json.dumps(self.encoder.settings, sort_keys=True).encode())
        for name, tensor in sorted(self.encoder.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()[:16]

    def embed_images(
        self,
        images: Sequence[ImageInput] | ImageInput,
        *,
        batch_size: int | None = None,
        progress: bool = False,
        precision: Precision = "32",
    ) -> np.ndarray:
        """Unit vectors (N, D) float32 of files, encoded bytes, PIL images or uint8 arrays (H, W).

        One alone counts as a list of one. Threads read and decode the next batches while one is embedded.

        Args:
            images: Read when it is their turn: memory for some batches.
            batch_size: Images at a time; by default 16 on a CPU, whose caches hold no more, else 64.
            progress: Whether to show a bar.
            precision: What is multiplied: "32", "bf16", or "auto", bf16 where the device is faster with it.

        Raises:
            InputError: A file that is not there or not an image, an array of another kind, or the model gives NaN for
                one.
        """
        images = _images(images)
        encoder = self.encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        size = batch_size or (16 if self.device.type == "cpu" else 64)

        def pixels(start: int) -> Tensor:
            return encoder.preprocessing([_grey(image) for image in images[start : start + size]])

        starts = _starts(len(images), size, progress=progress, what="Embedding images")
        with torch.inference_mode(), self._computing(precision):
            rows = [
                encoder.encode_image(pixels_BCHW.to(self.device)).float().cpu().numpy()
                for pixels_BCHW in read_ahead(pixels, starts)
            ]
        return self._finite(
            np.concatenate(rows) if rows else np.empty((0, encoder.embedding_dim), np.float32)
        )

    def embed_texts(
        self,
        texts: Sequence[str] | str,
        *,
        batch_size: int = 64,
        progress: bool = False,
        precision: Precision = "32",
    ) -> np.ndarray:
        """Unit vectors (N, D) float32 of texts; the arguments are those of `embed_images`."""
        texts = [texts] if isinstance(texts, str) else texts
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # equal lengths together: less padding
        rows = np.empty((len(texts), self.encoder.embedding_dim), np.float32)
        max_length = self.encoder.config.max_length
        with torch.inference_mode(), self._computing(precision):
            for start in _starts(len(order), batch_size, progress=progress, what="Embedding texts"):
                batch = order[start : start + batch_size]
                tokens = tokenize(self.tokenizer, [texts[i] for i in batch], max_length=max_length)
                tokens = {name: ids.to(self.device) for name, ids in tokens.items()}
                rows[batch] = self.encoder.encode_text(tokens).float().cpu().numpy()
        return self._finite(rows)

    def _finite(self, rows_ND: np.ndarray) -> np.ndarray:
        """Vectors of NaN would be found first by every search."""
        if broken := np.count_nonzero(~np.isfinite(rows_ND).all(1)):
            raise InputError(
                f"{self.path or 'model'}: gives NaN or infinity for {broken} of {len(rows_ND)} inputs; its weights are "
                "broken, take an earlier checkpoint or train again"
            )
        return rows_ND

    def embed_classes(self, prompts: Mapping[str, Sequence[str] | str]) -> np.ndarray:
        """One unit vector a class, (C, D): the mean of its prompts' unit vectors, normalised again.

        Raises:
            InputError: No class, or one without a prompt.
        """
        without = [name for name, texts in prompts.items() if not len(texts)]
        if without or not prompts:
            raise InputError(
                f"class {without[0]!r} has no prompt" if without else "no class to choose between"
            )
        rows_CD = np.stack([self.embed_texts(texts).mean(0) for texts in prompts.values()])
        return rows_CD / np.linalg.norm(rows_CD, axis=1, keepdims=True)

    def similarity(self, images: Sequence[ImageInput] | ImageInput, texts: Sequence[str] | str) -> np.ndarray:
        """Cosine of each image with each text, (N, M) float32."""
        return self.embed_images(images) @ self.embed_texts(texts).T

    def zero_shot(
        self, images: Sequence[ImageInput] | ImageInput, prompts: Mapping[str, Sequence[str] | str]
    ) -> pd.DataFrame:
        """Probability of each class for each image: softmax over classes of scaled cosines.

        Args:
            images: As for `embed_images`.
            prompts: Class name to one or more sentences that describe it.
        """
        images = _images(images)
        cosine_NC = self.embed_images(images) @ self.embed_classes(prompts).T
        logits_NC = torch.from_numpy(cosine_NC) * self.encoder.scale.detach().cpu()
        names = [str(image) if isinstance(image, str | Path) else str(i) for i, image in enumerate(images)]
        return pd.DataFrame(logits_NC.softmax(1).numpy(), index=names, columns=list(prompts))

    @torch.inference_mode()
    def expert_view(self, image_HW: np.ndarray, heatmap_HW: np.ndarray) -> np.ndarray | None:
        """What the heatmap processor makes of an image (H, W) uint8 and its heatmap (H, W) in [0, 1].

        A processor of T slices takes the slices (T, H, W) as well; a heatmap is spread evenly over them.

        Returns:
            Grey levels in [0, 1], (size, size) float32 in the encoder's crop; None for a model without processor.

        Raises:
            InputError: Another number of slices than the processor was trained with.
        """
        if self.heatmap_processor is None:
            return None
        slices = self.heatmap_processor.config.slices
        given_THW = heatmap_HW[None] if heatmap_HW.ndim == 2 else heatmap_HW
        if len(given_THW) not in {1, slices}:
            raise InputError(
                f"{len(given_THW)} slices of a heatmap: this model's processor takes {slices}, or one heatmap"
            )
        preprocessing = self.encoder.preprocessing
        image = preprocessing([image_HW]).to(self.device)
        fitted = [fit((map_HW * 255).astype(np.uint8), preprocessing.size) for map_HW in given_THW]
        heatmap_THW = torch.tensor(np.array(fitted)).to(self.device) / 255
        heatmap_THW = heatmap_THW.expand(slices, -1, -1) * (len(given_THW) / slices)
        image = image.expand(-1, self.heatmap_processor.channels, -1, -1)
        view = self.heatmap_processor(image, heatmap_THW[None])
        return preprocessing.restore(view)[0].mean(0).cpu().numpy()

    def _computing(self, precision: Precision) -> torch.autocast:
        """Mixed precision or none; a CPU is faster with bf16 only where it has instructions for it."""
        kind = self.device.type
        fast = torch.cuda.is_bf16_supported() if kind == "cuda" else torch.cpu._is_avx512_bf16_supported()
        return torch.autocast(
            kind, torch.bfloat16, enabled=precision == "bf16" or (precision == "auto" and fast)
        )

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
        (folder / "README.md").write_text(self._readme("eclip"), encoding="utf-8")
        (folder / "config.json").write_text(
            json.dumps(config, indent=2) + "\n"
        )  # last: it marks a whole folder

    def export(
        self, folder: str | Path, *, format: Format | None = None, evaluation: Judgement | None = None
    ) -> None:
        """Write the model for other libraries, with which it has the same embeddings, and its model card.

        Args:
            folder: Where to write; not there yet, or empty.
            format: "transformers", "open_clip" or "onnx"; by default that of the library its architecture is from.
            evaluation: Its evaluation, for the card.

        Raises:
            InputError: `folder` holds something, the model cannot be had in this format, or the evaluation is of
                another model.
        """
        if evaluation is not None and evaluation.meta.get("model_fingerprint") != self.fingerprint:
            raise InputError(
                f"the evaluation is of another model (its model_fingerprint should be {self.fingerprint}); run "
                "`eclip evaluate` with this one"
            )
        chosen = format or stock_format(self.encoder)
        readme = self._readme(chosen, evaluation)
        export(self.encoder, self.tokenizer, Path(folder), format=chosen, card=self.card, readme=readme)

    def _readme(self, library: Library, evaluation: Judgement | None = None) -> str:
        return model_card(
            self.card,
            self.encoder,
            library=library,
            fingerprint=self.fingerprint,
            evaluation=evaluation,
        )


def load(source: str | Path, *, device: str | torch.device | None = None) -> Model:
    """Open a model folder, a training run, or a CLIP of `transformers` or open_clip, from a folder or the hub.

    Args:
        source: The folder, a hub id, or open_clip:NAME/PRETRAINED.
        device: Where to put it; by default on a GPU where CUDA has one, else on the CPU.

    Raises:
        InputError: Not a model, a file is missing or broken, or it was written by a newer eclip.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if str(source).startswith(PREFIX):
        open_clip, tokenizer = open_named(str(source).removeprefix(PREFIX))
        return Model(open_clip.to(device), tokenizer, path=Path(source))
    folder = locate(source)
    if not (folder / "config.json").is_file():
        open_clip, tokenizer = open_open_clip(folder)
        return Model(open_clip.to(device), tokenizer, path=folder)
    config = read_config(folder)
    if "format" not in config and "model_type" in config:
        checkpoint, tokenizer = open_checkpoint(folder)
        return Model(checkpoint.to(device), tokenizer, card=config.get("card"), path=folder)
    check_format(config, folder / "config.json")
    try:
        encoder = rebuild_encoder(config["encoder"])
        processor = None
        if size := config["heatmap_processor"]:
            size = dict(size)
            channels = size.pop("channels")
            processor = build_processor(HeatmapProcessorConfig(**size), channels=channels)
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{folder / 'config.json'}: {error} is missing or not understood; save the model again"
        ) from error
    read_weights(encoder, folder / "model.safetensors")
    if processor is not None:
        read_weights(processor.to(device), folder / "heatmap_processor.safetensors")
    if not (folder / "tokenizer" / "tokenizer.json").is_file():
        raise InputError(f"{folder / 'tokenizer' / 'tokenizer.json'}: missing; copy the whole model folder")
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    return Model(
        encoder.to(device), tokenizer, heatmap_processor=processor, card=config.get("card"), path=folder
    )


def _contiguous(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}


def _images(images: Sequence[ImageInput] | ImageInput) -> Sequence[ImageInput]:
    one = isinstance(images, str | Path | bytes | Image.Image) or (
        isinstance(images, np.ndarray) and images.ndim == 2
    )
    return [images] if one else images  # type: ignore[list-item, return-value]


def _grey(image: ImageInput) -> np.ndarray:
    if isinstance(image, Image.Image):
        return np.asarray(grayscale(image))
    if not isinstance(image, np.ndarray):
        return decode(image)
    if image.dtype != np.uint8 or image.ndim != 2:
        raise InputError(
            f"an array {image.shape} of {image.dtype}: expected gray levels, uint8 (height, width); scale them to "
            "0 … 255, or give the file"
        )
    return image


def _starts(count: int, size: int, *, progress: bool, what: str) -> Iterable[int]:
    """Where each batch starts; with a bar that keeps off the standard output."""
    starts = range(0, count, size)
    return track(starts, description=what, console=Console(stderr=True)) if progress else starts
