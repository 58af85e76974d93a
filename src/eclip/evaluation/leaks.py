"""Patients that a model was trained on must not be among those that it is judged on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from eclip.data.store import Store
from eclip.errors import InputError

_SHOWN = 3


def patients_seen(run: Path | None, store: Store, *, split: str | None) -> list[str] | None:
    """Patients of a split that training read, sorted; None where that cannot be known.

    Args:
        run: A training run, whose `config.yaml` names its store, and the run that it started from, if any.
        store: What is judged.
        split: Which studies of it; None for all.
    """
    config = _config(run)
    if config is None:
        return None
    judged = _patients(store, split)
    seen: set[str] = set()
    known = True
    while config is not None:
        training = _training_store(config, store)
        if training is None:
            known = False
        else:
            seen |= judged & _patients(training, "train")
        start = config.get("start_from") or ""
        earlier = _run_of(Path(start)) if start else None
        known &= not start or earlier is not None or not _was_folder(start)
        config = _config(earlier)
    return sorted(seen) if known or seen else None


def check_leaks(model_path: Path | None, store: Store, *, split: str, allow: bool) -> int | None:
    """Stop where a run is judged on patients that it was trained on; say where that cannot be checked.

    Returns:
        How many there are, where they are allowed; None where it is not known.

    Raises:
        InputError: There are some, and they are not allowed.
    """
    run = _run_of(model_path)
    seen = patients_seen(run, store, split=split)
    if seen and not allow:
        shown = ", ".join(seen[:_SHOWN]) + (", …" if len(seen) > _SHOWN else "")
        raise InputError(
            f"{store.path}: {len(seen)} patients of the split {split!r} were in the training of {run} ({shown}); "
            "judge another split or store, or add --allow-leaks if these are other people or you mean it"
        )
    if run is not None and seen is None:
        Console(stderr=True).print(
            f"{run}: its training store is not there any more; whether it shares patients with {store.path} could not "
            "be checked",
            highlight=False,
            soft_wrap=True,
        )
    return None if seen is None else len(seen)


def _run_of(model: Path | None) -> Path | None:
    """The training run that a model folder belongs to, or that it is."""
    folders = [] if model is None else [model, model.parent]
    return next((folder for folder in folders if (folder / "config.yaml").is_file()), None)


def _was_folder(start: str) -> bool:
    """Whether a name is that of a folder, which may have been a run before it was deleted, and not a hub id."""
    return Path(start).is_absolute() or ("/" in start and Path(start).parent.is_dir())


def _config(run: Path | None) -> Mapping[str, Any] | None:
    if run is None:
        return None
    try:
        config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return None
    return config if isinstance(config, dict) and "data_fingerprint" in config else None


def _training_store(config: Mapping[str, Any], judged: Store) -> Store | None:
    """The store that a run read, if it still is what it was."""
    if config["data_fingerprint"] == judged.fingerprint:
        return judged
    try:
        store = Store.open(str(config.get("data", "")))
    except InputError:
        return None
    return store if store.fingerprint == config["data_fingerprint"] else None


def _patients(store: Store, split: str | None) -> set[str]:
    patients = store.column("patient_id")
    return {patients[row] for row in store.rows(split=split)}
