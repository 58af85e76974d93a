"""Models of open_clip by the names that it gives them: `open_clip:NAME/PRETRAINED` (extra `open-clip`)."""

import difflib
import importlib
import logging
import warnings
from pathlib import Path
from typing import Any

from transformers import CLIPTokenizer, PreTrainedTokenizerBase

from eclip.errors import InputError
from eclip.models.dual_encoder import DualEncoderConfig
from eclip.models.open_clip import OpenClip, cleaning
from eclip.models.preprocessing import Preprocessing, level

PREFIX = "open_clip:"
_SHOWN = 8


def open_named(name: str) -> tuple[OpenClip, PreTrainedTokenizerBase]:
    """A model by its name in open_clip, with the weights that open_clip fetches for it, and its tokenizer.

    Args:
        name: NAME/PRETRAINED: an architecture, and a tag of its weights or a file that holds them.

    Raises:
        InputError: open_clip is not installed, no such name or weights, or they cannot be fetched.
    """
    try:
        library = importlib.import_module("open_clip")
    except (ImportError, RuntimeError) as error:
        raise InputError(
            f"open_clip cannot be imported ({str(error).splitlines()[0]}); pip install 'eclip[open-clip]'"
        ) from error
    architecture, _, weights = name.partition("/")
    model_cfg = library.get_model_config(architecture)
    if model_cfg is None:
        near = difflib.get_close_matches(architecture, library.list_models(), _SHOWN)
        raise InputError(f"{PREFIX}{name}: no such model in open_clip; near are {', '.join(near) or 'none'}")
    if not weights:
        tags = library.list_pretrained_tags_by_model(architecture)
        shown = f"; there are {', '.join(tags[:_SHOWN])}{', …' * (len(tags) > _SHOWN)}" if tags else ""
        raise InputError(
            f"{PREFIX}{name}: which weights? Expected {PREFIX}{architecture}/PRETRAINED, a tag or a file{shown}"
        )
    weights = next((file for file in (weights, f"/{weights}") if Path(file).is_file()), weights)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="QuickGELU mismatch")
        logging.disable()  # open_clip says twice what it raises
        try:
            made = library.create_model(architecture, pretrained=weights, require_pretrained=True)
            tokenizer = cleaning(_tokenizer(library.get_tokenizer(architecture)), model_cfg)
        except Exception as error:  # from the hub, the disk, or the weights
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise InputError(f"{PREFIX}{name}: open_clip cannot open it ({reason})") from error
        finally:
            logging.disable(logging.NOTSET)
    pixels = made.visual.preprocess_cfg
    size = pixels["size"] if isinstance(pixels["size"], int) else min(pixels["size"])
    config = DualEncoderConfig(
        dual={"model_type": "open_clip", "model_cfg": model_cfg},
        max_length=model_cfg["text_cfg"].get("context_length", 77),
        preprocessing=Preprocessing(size=size, mean=level(pixels["mean"]), std=level(pixels["std"])),
    )
    encoder = OpenClip(config)
    encoder.model.load_state_dict(made.state_dict())
    return encoder, tokenizer


def _tokenizer(own: Any) -> PreTrainedTokenizerBase:
    """That of `transformers` inside open_clip's, or one with the words of its own."""
    inner = getattr(own, "tokenizer", None)
    if inner is not None:
        inner.padding_side = "right"
        return inner
    merges: Any = sorted(own.bpe_ranks, key=own.bpe_ranks.get)  # pairs
    start, end = "<start_of_text>", "<end_of_text>"
    return CLIPTokenizer(
        vocab=dict(own.encoder), merges=merges,
        bos_token=start, eos_token=end, unk_token=end, pad_token=end, padding_side="right",
        model_max_length=own.context_length,
    )  # fmt: skip
