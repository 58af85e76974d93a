"""Where a model lies, and how the files of its folder are read."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from eclip.errors import InputError
from eclip.models.open_clip import CONFIG as OPEN_CLIP_CONFIG

FORMAT_VERSION = 1


def locate(source: str | Path) -> Path:
    """The folder of a model: itself, in a training run, or fetched from the hub.

    Raises:
        InputError: There is none.
    """
    for scheme in ("hf-hub:", "local-dir:"):  # as open_clip writes them
        source = str(source).removeprefix(scheme)
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


def read_config(folder: Path) -> dict[str, Any]:
    """What `config.json` says.

    Raises:
        InputError: Not readable, or not settings.
    """
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable as JSON ({error})") from error
    if not isinstance(config, dict):
        raise InputError(f"{path}: not a model's settings (a JSON object was expected)")
    return config


def check_format(config: dict[str, Any], path: Path) -> None:
    """Refuse what is not of eclip, or of a newer one.

    Raises:
        InputError: Which of both.
    """
    if config.get("format") != "eclip-model":
        raise InputError(f'{path}: not an eclip model (its field "format" should be "eclip-model")')
    if config.get("format_version", 0) > FORMAT_VERSION:
        raise InputError(
            f"{path}: format_version {config['format_version']} is newer than this eclip reads ({FORMAT_VERSION}); "
            "upgrade eclip"
        )


def read_weights(module: torch.nn.Module, path: Path) -> None:
    """Load weights into a module that they fit.

    Raises:
        InputError: Missing, broken, or of another model.
    """
    if not path.is_file():
        raise InputError(f"{path}: missing; copy the whole model folder")
    try:
        module.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: broken or not of this model's shape ({reason})") from error
