"""Vectors that were computed before, on disk: a second evaluation of the same model and data costs no forward pass.

A file holds vectors alone: no id, text or label. What it belongs to is in the hash that it is called. Files may be
deleted at any time; beyond 10 GB the ones that were not used for longest go.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from secrets import token_hex

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

LARGEST = 10 * 10**9
_SUFFIX = ".vectors"
_DIGEST = 32


def cache_folder() -> Path:
    """`$ECLIP_CACHE`, or `eclip/embeddings` in the user's cache folder."""
    if folder := os.environ.get("ECLIP_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "eclip" / "embeddings"


def cached(
    folder: Path | None,
    key: Mapping[str, str],
    compute: Callable[[], dict[str, np.ndarray]],
    *,
    largest: int = LARGEST,
) -> dict[str, np.ndarray]:
    """Arrays that are on disk, or else are computed and written there.

    A damaged file counts as none, and a folder that cannot be written to as full.

    Args:
        folder: Where; None to compute.
        key: All that the arrays depend on.
        compute: Makes the arrays.
        largest: Bytes that the folder may hold.
    """
    if folder is None:
        return compute()
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
    path = folder / f"{name}{_SUFFIX}"
    found = _read(path)
    if found is not None:
        return found
    arrays = compute()
    try:
        _write(path, arrays)
        _bound(folder, largest)
    except OSError:  # a full disk is no reason to throw away what was computed
        pass
    return arrays


def _read(path: Path) -> dict[str, np.ndarray] | None:
    try:
        content = path.read_bytes()
        if hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
            return None
        path.touch()  # used now
        return load(content[_DIGEST:])
    except (OSError, SafetensorError):
        return None


def _write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Under another name first: a process that reads sees a whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    fresh = path.with_suffix(f".{token_hex(4)}")
    try:
        fresh.write_bytes(hashlib.sha256(content).digest() + content)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _bound(folder: Path, largest: int) -> None:
    files = [(file.stat(), file) for file in folder.glob(f"*{_SUFFIX}")]
    held = sum(state.st_size for state, _ in files)
    for state, file in sorted(files, key=lambda found: found[0].st_mtime_ns)[:-1]:  # the newest stays
        if held <= largest:
            return
        file.unlink(missing_ok=True)
        held -= state.st_size
