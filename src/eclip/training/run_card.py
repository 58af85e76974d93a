"""What a model folder tells about its training: the `card` of its `config.json`."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from eclip.data.store import Store
from eclip.training.config import TrainConfig
from eclip.training.metrics_file import MetricsFile

_VERSIONS = ("eclip", "torch", "transformers", "lightning")
_TOLD_APART = ("model", "steps", "seed", "precision", "start_from", "log_every")


def run_card(
    config: TrainConfig,
    *,
    store: Store,
    recipe: str,
    step: int,
    precision: str,
    validation: Mapping[str, float],
) -> dict[str, Any]:
    """The card of a run; counts and settings, no text and no path of a study.

    Args:
        config: The run.
        store: What it learned from.
        recipe: Name of its recipe, or "".
        step: The step whose weights were chosen.
        precision: What `config.precision` came to.
        validation: Loss and accuracy at that step; empty without validation studies.
    """
    counts = store.manifest["counts"]
    return {
        "licence": "inherits from the training data and any pretrained weights",
        "trained_on": {
            "source": store.manifest["source"],
            "phantom": bool(store.manifest.get("phantom", False)),
            "data_fingerprint": store.fingerprint,
            "splits": counts["splits"],
            "kinds": counts["kinds"],
        },
        "pretrained": _pretrained(config),
        "recipe": recipe,
        "method": config.method.name,
        "settings": _changed(config),
        "steps": config.steps,
        "step": step,
        "validation": dict(validation),
        "seed": config.seed,
        "precision": precision,
        "versions": {name: version(name) for name in _VERSIONS},
        "intended_use": "research; not a medical device",
    }


def validation_at_best(metrics: MetricsFile) -> dict[str, float]:
    """Loss and accuracy of the validation with the lowest loss, whose weights are the best checkpoint's."""
    rows = [row for _, row in sorted(metrics.rows.items()) if row.get("validation/loss")]
    best = min(rows, key=lambda row: float(row["validation/loss"]), default={})
    return {
        name.removeprefix("validation/"): float(value)
        for name, value in best.items()
        if name.startswith("validation/")
    }


def _pretrained(config: TrainConfig) -> dict[str, str]:
    """Where weights came from, by hub id or the folder's own name."""
    given = (
        {"goes on from": config.start_from}
        if config.start_from
        else {"image weights from": config.model.image, "text weights from": config.model.text}
    )
    return {
        what: Path(name).name if Path(name).exists() else name
        for what, name in given.items()
        if isinstance(name, str)
    }


def _changed(config: TrainConfig) -> dict[str, Any]:
    """Settings that differ from their defaults, by dotted name."""
    usual = _flat(TrainConfig(method=type(config.method)()).to_dict())
    return {
        name: value
        for name, value in _flat(config.to_dict()).items()
        if name.partition(".")[0] not in _TOLD_APART and value != usual.get(name)
    }


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
