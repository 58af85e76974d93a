"""Both towers as ONNX, to be used without torch (extra `onnx`).

FOLDER/image.onnx          pixel values (N, C, size, size) float32 to unit vectors (N, D)
FOLDER/text.onnx           token ids and attention masks (M, L) int64 to unit vectors (M, D)
FOLDER/tokenizer.json      of the library `tokenizers`; cuts and fills texts by itself
FOLDER/preprocessing.json  how pixels and texts are prepared, and what cosines are scaled with
"""

import importlib.util
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from eclip.errors import InputError
from eclip.models.dual_encoder import DualEncoder
from eclip.models.hugging_face_clip import HuggingFaceClip
from eclip.models.open_clip import OpenClip
from eclip.models.preprocessing import levels

TOLERANCE = 1e-4
ONE_FILE = 2**31 - 2**26  # bytes; weights beyond lie beside the graph, which has room for 2 GiB
NEEDED = ("onnx", "onnxscript", "onnxruntime")
_TEXTS = ["Clear lungs.", "There is a small left pleural effusion.", "No pneumothorax is seen. " * 400]
_HOW_TO_USE = [
    "Image: grey levels; the centre square resized to size x size (bicubic, antialiased, as Pillow does); divided by "
    "255; minus mean, divided by std, channel by channel; float32 (N, channels, size, size).",
    "Text: tokenizer.json, opened with tokenizers.Tokenizer.from_file, cuts and fills by itself; ids and "
    "attention_mask as int64 (M, L).",
    "The embeddings are unit vectors, so that a dot product is a cosine. Zero-shot probabilities are the softmax over "
    "classes of scale x cosine.",
]


class _Image(nn.Module):
    def __init__(self, encoder: DualEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.encoder.encode_image(pixel_values)


class _Text(nn.Module):
    def __init__(self, encoder: DualEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.encoder.encode_text({"input_ids": input_ids, "attention_mask": attention_mask})


def export_onnx(encoder: DualEncoder, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write both towers, and check each against the encoder with onnxruntime.

    Args:
        encoder: The CLIP, in evaluation mode.
        tokenizer: Its tokenizer.
        folder: Where to write; made if it is not there.

    Raises:
        InputError: The extra is not installed, torch cannot export the model, or what it exported computes something
            else.
    """
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise InputError(f"--format onnx: needs {', '.join(missing)}; pip install 'eclip[onnx]'")
    folder.mkdir(parents=True, exist_ok=True)
    words = _tokenizer(encoder, tokenizer)
    words.save(str(folder / "tokenizer.json"))
    size, channels = encoder.preprocessing.size, encoder.preprocessing.channels
    draw = torch.Generator().manual_seed(0)
    pixels_NCHW = torch.randn(3, channels, size, size, generator=draw)
    _write(folder / "image.onnx", _Image(encoder), [pixels_NCHW[:2]], [pixels_NCHW], names=["pixel_values"])
    given, other = _tokens(words, _TEXTS[:2]), _tokens(words, _TEXTS)
    names = ["input_ids", "attention_mask"]
    _write(folder / "text.onnx", _Text(encoder), given, other, names=names, any_length=not _fills(encoder))
    (folder / "preprocessing.json").write_text(json.dumps(_preprocessing(encoder), indent=2) + "\n")


def _fills(encoder: DualEncoder) -> bool:
    """Whether it reads every text filled up to its longest."""
    return isinstance(encoder, OpenClip) or (isinstance(encoder, HuggingFaceClip) and encoder.is_siglip)


def _tokenizer(encoder: DualEncoder, tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    if not tokenizer.is_fast:
        kind = type(tokenizer).__name__
        raise InputError(f"{kind}: has no tokenizer.json; save the model with a fast tokenizer")
    words = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    longest = encoder.config.max_length
    words.enable_truncation(longest, direction=tokenizer.truncation_side)
    words.enable_padding(
        direction=tokenizer.padding_side,
        pad_id=tokenizer.pad_token_id,
        pad_token=tokenizer.pad_token,
        length=longest if _fills(encoder) else None,
    )
    return words


def _tokens(words: Tokenizer, texts: list[str]) -> list[Tensor]:
    encoded = words.encode_batch(texts)
    return [
        torch.tensor([text.ids for text in encoded]),
        torch.tensor([text.attention_mask for text in encoded]),
    ]


def _preprocessing(encoder: DualEncoder) -> dict[str, Any]:
    preprocessing = encoder.preprocessing
    bias = encoder.logit_bias
    return {
        "image": {
            "size": preprocessing.size,
            "channels": preprocessing.channels,
            "crop": "centre square",
            "resampling": "bicubic",
            "mean": levels(preprocessing.mean)[: preprocessing.channels],
            "std": levels(preprocessing.std)[: preprocessing.channels],
        },
        "text": {
            "max_length": encoder.config.max_length,
            "padding": "max_length" if _fills(encoder) else "longest",
        },
        "scale": encoder.scale.item(),
        "bias": None if bias is None else bias.item(),
        "how_to_use": _HOW_TO_USE,
    }


def _write(
    path: Path,
    tower: nn.Module,
    given: Sequence[Tensor],
    other: Sequence[Tensor],
    *,
    names: list[str],
    any_length: bool = False,
) -> None:
    """Write a tower that `given` has gone through, and check it on inputs of another shape."""
    axes = {0: "batch"} | ({1: "tokens"} if any_length else {})
    size = sum(parameter.nbytes for parameter in tower.parameters())
    device = next(tower.parameters()).device
    try:
        with _quietly(), torch.no_grad():
            torch.onnx.export(
                tower.eval(),
                tuple(tensor.to(device) for tensor in given),
                path,
                input_names=names,
                output_names=[f"{path.stem}_embedding"],  # a name that no weight has
                dynamic_shapes=tuple(axes for _ in names),
                external_data=size > ONE_FILE,
                verbose=False,
            )
            expected_BD = tower(*(tensor.to(device) for tensor in other)).cpu().numpy()
    except torch.onnx.OnnxExporterError as error:
        reason = " ".join(str(error.__cause__ or error).split())[:200]
        raise InputError(f"--format onnx: torch cannot export the {path.stem} tower ({reason})") from error
    _check(path, {name: tensor.numpy() for name, tensor in zip(names, other, strict=True)}, expected_BD)


def _check(path: Path, given: dict[str, np.ndarray], expected_BD: np.ndarray) -> None:
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        wanted = {node.name for node in session.get_inputs()}
        (found_BD,) = session.run(None, {name: array for name, array in given.items() if name in wanted})
    except Exception as error:  # what onnxruntime throws has no common class but this
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"--format onnx: onnxruntime cannot run the {path.stem} tower ({reason})") from error
    difference = float(np.abs(found_BD - expected_BD).max())
    if not difference <= TOLERANCE:
        raise InputError(
            f"--format onnx: the {path.stem} tower gives other embeddings in onnxruntime, by up to {difference:.1e}; "
            f"at most {TOLERANCE:.0e} was expected, so nothing was written"
        )


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the exporter's warnings about operators and packages that this model does not have."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)
