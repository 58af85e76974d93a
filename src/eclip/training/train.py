"""One training run, from a store to a model folder.

RUN/config.yaml         what was asked for
RUN/checkpoints/        last.ckpt to resume from, best.ckpt by validation loss
RUN/logs/               metrics.csv and TensorBoard events
RUN/model/              the best model, written at the end
"""

import logging
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import yaml
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from eclip.data.augmentation import Augmentation
from eclip.data.draws import torch_seed
from eclip.data.loading import Batch, Steps, TrainingBatches, ValidationBatches
from eclip.data.store import Store
from eclip.errors import InputError
from eclip.models.dual_encoder import DualEncoder, DualEncoderConfig
from eclip.models.encoders import build_encoder
from eclip.models.model import Model, load
from eclip.models.tokenizer import tokenize, train_tokenizer
from eclip.training.config import TrainConfig
from eclip.training.methods import Method
from eclip.training.metrics_file import MetricsFile
from eclip.training.module import TrainingModule
from eclip.training.progress import TrainingProgress

DEFAULT_VOCABULARY = 4000  # of a tokenizer learned from the training reports
VALIDATION_BATCH = 64  # fixed, so that the validation loss does not depend on the batch size


def train(
    config: TrainConfig,
    *,
    data: Path,
    out: Path,
    recipe: str = "",
    resume: bool = False,
    callbacks: list[Callback] | None = None,
) -> Path:
    """Train a model and write its run folder; a run killed at any step goes on with `resume`.

    Args:
        config: The run.
        data: A study store.
        out: The run folder.
        recipe: Name of the recipe the configuration came from, for the record.
        resume: Go on from the last checkpoint of `out`; its configuration and data must be the same.
        callbacks: Further Lightning callbacks.

    Returns:
        The run folder, which serves wherever a model is asked for.

    Raises:
        InputError: Settings of the method that are refused, the store cannot feed it, `out` already holds a run, or
            there is none to resume.
    """
    config.method.check()
    start = _start(config)
    if start is not None:
        config = replace(config, model=start.encoder.config)
    store = Store.open(data)
    checkpoint = _prepare_run(config, out, store, recipe=recipe, resume=resume)
    first_step = _step_of(checkpoint) if checkpoint else 0

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # it greets, advertises and says good-bye
    torch.manual_seed(torch_seed(config.seed, 0, "weights"))
    tokenizer = start.tokenizer if start is not None else _tokenizer(config, store)
    encoder = start.encoder if start is not None else _encoder(config, tokenizer)
    method = config.method.build(encoder, steps=config.steps, seed=config.seed)
    method.train()  # pretrained weights come in evaluation mode, and Lightning leaves modes as they are
    trainer = _trainer(
        config,
        out,
        recipe or config.method.name,
        validates=len(store.rows(split="validate")) > 0,
        first_step=first_step,
        callbacks=callbacks or [],
    )
    loaders = _loaders(config, store, tokenizer, trainer, first_step=first_step)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(lightning|torch|kornia).*")
        try:
            trainer.fit(TrainingModule(method, config), *loaders, ckpt_path=checkpoint, weights_only=True)
        except SystemExit as stopped:  # what Lightning makes of Ctrl-C
            raise KeyboardInterrupt from stopped
    if trainer.is_global_zero:
        _export(config, method, tokenizer, out, recipe=recipe, store=store)
    trainer.strategy.barrier()
    return out


def _start(config: TrainConfig) -> Model | None:
    """The model that training goes on with, if any."""
    if not config.start_from:
        if config.model.dual:
            raise InputError(
                "settings of a whole model name no weights; give its folder or hub id to --start-from"
            )
        return None
    if config.model != DualEncoderConfig():
        raise InputError(
            f"--start-from {config.start_from}: the model comes from there, and settings of --model have no effect; "
            "leave them out, and take a recipe without a model of its own, such as post-eclip"
        )
    return load(config.start_from)


def _prepare_run(config: TrainConfig, out: Path, store: Store, *, recipe: str, resume: bool) -> Path | None:
    """Make the run folder, or check that the one to resume is this run; its last checkpoint, if it has one."""
    path = out / "config.yaml"
    if resume:
        if not path.is_file():
            raise InputError(
                f"{out}: no run to resume here (no config.yaml); leave out --resume to start one"
            )
        wanted = config.to_dict() | {"data_fingerprint": store.fingerprint}
        before = yaml.safe_load(path.read_text())
        changed = [name for name, value in wanted.items() if before.get(name) != value]
        if changed:
            raise InputError(
                f"{path}: differs from what is asked for in {', '.join(changed)}; resume with the run's own options "
                "and data, or start a new run with another --out"
            )
        last = out / "checkpoints" / "last.ckpt"
        return last if last.is_file() else None
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out}: not empty; add --resume to go on with this run, or choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    config.save(path, recipe=recipe, data=str(store.path), data_fingerprint=store.fingerprint)
    return None


def _step_of(checkpoint: Path) -> int:
    try:
        return int(torch.load(checkpoint, weights_only=True, map_location="cpu")["global_step"])
    except (RuntimeError, EOFError, KeyError) as error:
        raise InputError(
            f"{checkpoint}: not a whole checkpoint ({type(error).__name__}); delete it and resume again"
        ) from error


def _tokenizer(config: TrainConfig, store: Store) -> PreTrainedTokenizerBase:
    if isinstance(config.model.text, str):
        return AutoTokenizer.from_pretrained(config.model.text)
    texts = store.column("text")
    words = (texts[row] for row in store.rows(split="train"))
    return train_tokenizer(words, vocab_size=config.model.text.get("vocab_size", DEFAULT_VOCABULARY))


def _encoder(config: TrainConfig, tokenizer: PreTrainedTokenizerBase) -> DualEncoder:
    """The dual encoder; a text model from scratch gets as many words as the tokenizer learned."""
    text = config.model.text
    if isinstance(text, dict):
        text = text | {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    return build_encoder(replace(config.model, text=text))


def _trainer(
    config: TrainConfig, out: Path, name: str, *, validates: bool, first_step: int, callbacks: list[Callback]
) -> pl.Trainer:
    checkpoints: dict[str, Any] = {"dirpath": out / "checkpoints", "enable_version_counter": False}
    after_validation: dict[str, Any] = (
        {"save_on_train_epoch_end": False} if validates else {"every_n_train_steps": config.validate_every}
    )
    return pl.Trainer(
        accelerator="auto",
        devices="auto" if torch.cuda.is_available() else 1,
        strategy="ddp_find_unused_parameters_true" if torch.cuda.device_count() > 1 else "auto",
        precision=_precision(config.precision),
        max_steps=config.steps,
        max_epochs=1,
        gradient_clip_val=config.optim.clip_norm,
        val_check_interval=min(config.validate_every, config.steps),
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=config.log_every,
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=out,
        logger=[
            MetricsFile(out / "logs" / "metrics.csv", first_step=first_step),
            TensorBoardLogger(out, name="logs", version="", purge_step=first_step or None),
        ],
        callbacks=[
            TrainingProgress(name, log_every=config.log_every),
            ModelCheckpoint(filename="best", monitor="validation/loss", **checkpoints),
            ModelCheckpoint(
                filename="last", **checkpoints, **after_validation
            ),  # after best, whose state it keeps
            *callbacks,
        ],
    )


def _precision(precision: str) -> Any:
    if precision == "auto":
        fast = (
            torch.cuda.is_bf16_supported()
            if torch.cuda.is_available()
            else torch.cpu._is_avx512_bf16_supported()
        )
        precision = "bf16" if fast else "32"
    return {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}[precision]


def _loaders(
    config: TrainConfig,
    store: Store,
    tokenizer: PreTrainedTokenizerBase,
    trainer: pl.Trainer,
    *,
    first_step: int,
) -> tuple[DataLoader[Batch], DataLoader[Batch] | None]:
    def tokens(texts: list[str]) -> Any:
        return tokenize(tokenizer, texts, max_length=config.model.max_length)

    def expert_probability(step: int) -> float:
        return config.method.expert_probability(step, steps=config.steps)

    size, share = config.model.preprocessing.size, config.method.expert_share
    batches = TrainingBatches(
        store,
        tokenize=tokens,
        size=size,
        batch_size=config.batch_size,
        expert_batch_size=round(config.batch_size * share),
        expert_probability=expert_probability if share else None,
        heatmaps=config.method.expert_heatmaps,
        plain_rows=config.loading.plain_rows,
        augmentation=Augmentation(config.loading.augmentation),
        seed=config.seed,
        rank=trainer.global_rank,
        world_size=trainer.world_size,
    )
    steps = Steps(first=first_step, total=config.steps)
    workers = config.loading.workers
    loader = DataLoader(
        batches,
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )
    validation = ValidationBatches(store, tokenize=tokens, size=size, batch_size=VALIDATION_BATCH)
    return loader, DataLoader(validation, batch_size=None) if len(validation) else None


def _export(
    config: TrainConfig,
    method: Method,
    tokenizer: PreTrainedTokenizerBase,
    out: Path,
    *,
    recipe: str,
    store: Store,
) -> None:
    """Write RUN/model from the best checkpoint by validation loss, else from the last."""
    best = out / "checkpoints" / "best.ckpt"
    step = config.steps
    if best.is_file():
        state = torch.load(best, weights_only=True, map_location="cpu")
        step = int(state["global_step"])
        prefix = "method."
        method.load_state_dict(
            {name.removeprefix(prefix): tensor for name, tensor in state["state_dict"].items()}
        )
    card = {
        "licence": "inherits from the training data and any pretrained weights",
        "trained_on": {"source": store.manifest["source"], "data_fingerprint": store.fingerprint},
        "recipe": recipe,
        "method": config.method.name,
        "step": step,
        "seed": config.seed,
        "intended_use": "research; not a medical device",
    }
    model = Model(method.encoder, tokenizer, heatmap_processor=method.heatmap_processor, card=card)
    part = out / "model.part"
    shutil.rmtree(part, ignore_errors=True)
    model.save(part)
    shutil.rmtree(out / "model", ignore_errors=True)
    part.rename(out / "model")
