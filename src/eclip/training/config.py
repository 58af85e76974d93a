"""Everything a training run is made from, in one typed value. Saved as `config.yaml` in the run."""

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from eclip.data.augmentation import AugmentationConfig
from eclip.data.loading import PlainRows
from eclip.errors import InputError
from eclip.models.dual_encoder import MAX_LOGIT_SCALE, DualEncoderConfig
from eclip.training.methods import ClipConfig, MethodConfig
from eclip.training.tuning import TuningConfig

Precision = Literal["auto", "32", "bf16", "16"]


@dataclass(slots=True, kw_only=True)
class OptimConfig:
    """AdamW with a linear warm-up and a cosine to zero.

    Attributes:
        lr: Peak learning rate.
        weight_decay: On weights of two dimensions or more; norms, biases, class tokens and the temperature have none.
        betas: Of Adam.
        warmup: Share of the steps in which the learning rate rises.
        clip_norm: Largest norm of the gradient; 0 for any.
    """

    lr: float = 2e-4
    weight_decay: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.98)
    warmup: float = 0.1
    clip_norm: float = 1.0

    def check(self) -> None:
        """Refuse what no optimiser can use.

        Raises:
            InputError: Which setting.
        """
        for name, fits, expected in (
            ("lr", 0 <= self.lr < math.inf, "a number from 0"),
            ("weight-decay", 0 <= self.weight_decay < math.inf, "a number from 0"),
            ("betas", all(0 <= beta < 1 for beta in self.betas), "two numbers from 0 to below 1"),
            ("warmup", 0 <= self.warmup <= 1, "a share of the steps, from 0 to 1"),
            ("clip-norm", 0 <= self.clip_norm < math.inf, "a number from 0; 0 does not clip"),
        ):
            if not fits:
                value = getattr(self, name.replace("-", "_"))
                raise InputError(f"--optim.{name} {value}: expected {expected}")


@dataclass(slots=True, kw_only=True)
class LoadingConfig:
    """How studies are read.

    Attributes:
        plain_rows: "unannotated" trains the plain CLIP on studies without annotation, as the two sets are meant;
            "all" takes the annotated ones in as well, for small stores.
        augmentation: How training images are varied.
        workers: Processes that prepare batches; 0 to do it in the trainer.
    """

    plain_rows: PlainRows = "unannotated"
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    workers: int = 1


WHICH = "MODEL"
"""Stands in the recipes that go on with a model for the one that has to be given."""


@dataclass(slots=True, kw_only=True)
class TrainConfig:
    """A training run.

    Attributes:
        method: The method and its settings.
        model: The dual encoder.
        start_from: A model folder, training run or hub id whose encoder and tokenizer training goes on with; `model`
            is then taken from it. Its heatmap processor is not: this run primes its own.
        tuning: Which weights of the encoder are trained, and how fast.
        optim: The optimiser.
        loading: How studies are read.
        steps: Optimiser steps.
        batch_size: Studies a step, over all processes.
        seed: Of every draw.
        precision: "auto" is bf16 where the processor has it, else 32 bit.
        validate_every: Steps between validations, each followed by a checkpoint to resume from.
        log_every: Steps between logged values.
    """

    method: MethodConfig = field(default_factory=ClipConfig)
    model: DualEncoderConfig = field(default_factory=DualEncoderConfig)
    start_from: str = ""
    tuning: TuningConfig = field(default_factory=TuningConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    loading: LoadingConfig = field(default_factory=LoadingConfig)
    steps: int = 10_000
    batch_size: int = 512
    seed: int = 0
    precision: Precision = "auto"
    validate_every: int = 500
    log_every: int = 10

    def check(self) -> None:
        """Refuse values that cannot be trained with, before anything is read or written.

        Raises:
            InputError: Which setting, and what is expected.
        """
        for name, value, least in (
            ("steps", self.steps, 1),
            ("batch-size", self.batch_size, 2),  # of one pair there is nothing to contrast
            ("seed", self.seed, 0),
            ("validate-every", self.validate_every, 1),
            ("log-every", self.log_every, 1),
            ("loading.workers", self.loading.workers, 0),
        ):
            if value < least:
                raise InputError(f"--{name} {value}: expected {least} or more")
        if self.start_from == WHICH:
            raise InputError("--start-from: which model is to go on? A folder, a training run or a hub id")
        if not 1 / MAX_LOGIT_SCALE <= self.model.temperature < math.inf:
            raise InputError(
                f"--model.temperature {self.model.temperature}: expected {1 / MAX_LOGIT_SCALE} or more, its bound"
            )
        self.optim.check()
        self.method.check()
        self.tuning.check()
        share = self.method.expert_share
        if share and not (0 < share < math.inf and round(self.batch_size * share)):
            raise InputError(
                f"--batch-size {self.batch_size}: an expert batch of {share} of it has no study; raise one of them"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for YAML and JSON."""
        values = dataclasses.asdict(self)
        values["method"] = {"name": self.method.name, **values["method"]}
        return _plain(values)

    def save(self, path: Path, *, recipe: str, data: str, data_fingerprint: str) -> None:
        """Write the configuration and what it was applied to."""
        about = {"recipe": recipe, "data": data, "data_fingerprint": data_fingerprint}
        part = path.with_name(f".{path.name}.part")
        part.write_text(yaml.safe_dump(about | self.to_dict(), sort_keys=False))
        part.replace(path)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
