"""Which formats there are, which one is a model's own, and how a folder comes to be whole."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from transformers import PreTrainedTokenizerBase

from eclip.errors import InputError, refuse_present_folder
from eclip.models.dual_encoder import DualEncoder
from eclip.models.export.hugging_face import export_hugging_face
from eclip.models.export.onnx import export_onnx
from eclip.models.open_clip import OpenClip, export_open_clip

Format = Literal["transformers", "open_clip", "onnx"]


def stock_format(encoder: DualEncoder) -> Format:
    """Of the library that a model's architecture comes from."""
    return "open_clip" if isinstance(encoder, OpenClip) else "transformers"


def export(
    encoder: DualEncoder,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    *,
    format: Format,
    card: Mapping[str, Any],
    readme: str,
) -> None:
    """Write a folder in a format; it is there when all is written and checked, or not at all.

    Args:
        encoder: The CLIP.
        tokenizer: Its tokenizer.
        folder: Where to write.
        format: The format.
        card: What the model was trained on and how; kept where the format has a place for it.
        readme: Text of its README.md.

    Raises:
        InputError: `folder` holds something, or the model cannot be had in this format.
    """
    stock = stock_format(encoder)
    if format not in ("onnx", stock):
        raise InputError(
            f"--format {format}: this model is not of {format}; there are --format {stock} and --format onnx"
        )
    with _whole(folder) as part:
        if format == "onnx":
            export_onnx(encoder, tokenizer, part)
        elif format == "open_clip":
            assert isinstance(encoder, OpenClip)
            export_open_clip(encoder, tokenizer, part)
        else:
            export_hugging_face(encoder, tokenizer, part, card=card)
        (part / "README.md").write_text(readme, encoding="utf-8")


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A folder to write to, which becomes `folder` when all is written."""
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"{folder}: exists and is not an empty folder; choose another --out")
    refuse_present_folder(folder)
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # a killed export's
    try:
        part.mkdir(parents=True)
        yield part
        part.rename(folder)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
