"""A run folder before training: a new one, or the one to go on with."""

import os
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_only

from eclip.data.store import Store
from eclip.errors import InputError
from eclip.training.config import TrainConfig

CONFIG = "config.yaml"


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside its place, and moves it there when it is on disk: a kill costs no older one.

    Lightning's own writes into the system's temporary folder and copies from there, if that is another file system.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """As its parent does."""
        place = Path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f".{place.name}.part")
        with part.open("wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(place)


class MovableCheckpoint(ModelCheckpoint):
    """Knows the best score, and which file has it, also when the run folder was moved; its parent forgets them."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As its parent does."""
        here = Path(self.dirpath or "")

        def moved(path: str) -> str:
            return str(here / Path(path).name) if path else path

        paths = {name: moved(path) for name, path in state_dict.items() if name.endswith("model_path")}
        scores = {moved(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **paths, "dirpath": self.dirpath, "best_k_models": scores})


@rank_zero_only
def check_empty(out: Path) -> None:
    """Refuse to write over something; asked by the first process alone, for the others may come when it has begun.

    Raises:
        InputError: `out` holds something.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise InputError(f"{out}: not empty; add --resume to go on with this run, or choose another --out")


@rank_zero_only
def begin(config: TrainConfig, out: Path, store: Store, *, recipe: str) -> None:
    """Make the folder and say in it what was asked for."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        config.save(out / CONFIG, recipe=recipe, data=str(store.path), data_fingerprint=store.fingerprint)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror or error})") from error


def checkpoint_to_resume(config: TrainConfig, out: Path, store: Store) -> Path | None:
    """The last checkpoint of a run, if it has one.

    Raises:
        InputError: There is no run, or it was another one.
    """
    path = out / CONFIG
    if not path.is_file():
        raise InputError(f"{out}: no run to resume here (no {CONFIG}); leave out --resume to start one")
    wanted = config.to_dict() | {"data_fingerprint": store.fingerprint}
    try:
        before = dict(yaml.safe_load(path.read_text()))
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, ValueError) as error:
        raise InputError(f"{path}: damaged; start a new run with another --out") from error
    changed = [name for name, value in wanted.items() if before.get(name) != value]
    if changed:
        raise InputError(
            f"{path}: differs from what is asked for in {', '.join(changed)}; resume with the run's own options "
            "and data, or start a new run with another --out"
        )
    last = out / "checkpoints" / "last.ckpt"
    return last if last.is_file() else None


def step_of(checkpoint: Path) -> int:
    """How many steps were done when it was written.

    Raises:
        InputError: It is broken.
    """
    try:
        return int(torch.load(checkpoint, weights_only=True, map_location="cpu")["global_step"])
    except (RuntimeError, EOFError, KeyError) as error:
        raise InputError(
            f"{checkpoint}: not a whole checkpoint ({type(error).__name__}); delete it and resume again"
        ) from error
