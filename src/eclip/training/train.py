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
from lightning.pytorch.callbacks import Callback
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
from eclip.models.two_towers import TwoTowers, positions_of
from eclip.training.config import TrainConfig
from eclip.training.methods import Method
from eclip.training.metrics_file import MetricsFile
from eclip.training.module import TrainingModule
from eclip.training.progress import TrainingProgress
from eclip.training.run_card import run_card, validation_at_best
from eclip.training.run_folder import (
    MovableCheckpoint,
    WholeCheckpoints,
    begin,
    check_empty,
    checkpoint_to_resume,
    step_of,
)
from eclip.training.tuning import Adapters, tune

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
    config.check()
    start = _start(config)
    if start is not None:
        config = replace(config, model=start.encoder.config)
    store = Store.open(data)
    checkpoint = checkpoint_to_resume(config, out, store) if resume else None
    first_step = step_of(checkpoint) if checkpoint else 0
    if not resume:
        check_empty(out)

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # it greets, advertises and says good-bye
    torch.manual_seed(torch_seed(config.seed, 0, "weights"))
    tokenizer = start.tokenizer if start is not None else _tokenizer(config, store)
    encoder = start.encoder if start is not None else _encoder(config, tokenizer)
    method = config.method.build(encoder, steps=config.steps, seed=config.seed)
    adapters = tune(method.encoder, config.tuning)
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
    if not resume:  # when all that may be refused was not
        begin(config, out, store, recipe=recipe)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(lightning|torch|kornia).*")
        try:
            trainer.fit(TrainingModule(method, config), *loaders, ckpt_path=checkpoint, weights_only=True)
        except SystemExit as stopped:  # what Lightning makes of Ctrl-C
            raise KeyboardInterrupt from stopped
    if trainer.is_global_zero:
        _export(config, method, adapters, tokenizer, out, trainer=trainer, recipe=recipe, store=store)
    trainer.strategy.barrier()
    return out


def _start(config: TrainConfig) -> Model | None:
    """The model that training goes on with, if any."""
    if not config.start_from:
        if config.model.dual:
            raise InputError(
                "settings of a whole model name no weights; give its folder or hub id to --start-from"
            )
        if config.model.local_features == "own" and not config.method.trains_local_features:
            raise InputError(
                f"--model.local-features own: method {config.method.name} trains none; leave it out, or train gloria"
            )
        return None
    if config.model != DualEncoderConfig():
        raise InputError(
            f"--start-from {config.start_from}: the model comes from there, and settings of --model have no effect; "
            "leave them out, and take a recipe without a model of its own, such as post-eclip"
        )
    return load(config.start_from, device="cpu")  # each process takes it to its own


def _tokenizer(config: TrainConfig, store: Store) -> PreTrainedTokenizerBase:
    if isinstance(config.model.text, str):
        try:
            return AutoTokenizer.from_pretrained(config.model.text)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise InputError(
                f"--model.text {config.model.text}: no tokenizer that transformers can find "
                f"({' '.join(str(error).split())[:200]})"
            ) from error
    texts = store.column("text")
    words = (texts[row] for row in store.rows(split="train"))
    return train_tokenizer(words, vocab_size=config.model.text.get("vocab_size", DEFAULT_VOCABULARY))


def _encoder(config: TrainConfig, tokenizer: PreTrainedTokenizerBase) -> DualEncoder:
    """The dual encoder; a text model from scratch gets as many words as the tokenizer learned."""
    text = config.model.text
    if isinstance(text, dict):
        text = text | {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    encoder = build_encoder(replace(config.model, text=text))
    assert isinstance(encoder, TwoTowers)
    most = positions_of(encoder.text_model)
    if config.model.max_length > most:
        raise InputError(
            f"--model.max-length {config.model.max_length}: the text model has {most:.0f} positions; lower it"
        )
    return encoder


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
        plugins=[WholeCheckpoints()],
        logger=[
            MetricsFile(out / "logs" / "metrics.csv", first_step=first_step),
            TensorBoardLogger(out, name="logs", version="", purge_step=first_step or None),
        ],
        callbacks=[
            TrainingProgress(name, log_every=config.log_every),
            MovableCheckpoint(filename="best", monitor="validation/loss", **checkpoints),
            MovableCheckpoint(  # after best, whose state it keeps
                filename="last", **checkpoints, **after_validation
            ),
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
        words = config.method.trains_local_features
        return tokenize(tokenizer, texts, max_length=config.model.max_length, word_ids=words)

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
        slices=config.method.expert_slices,
        sentences=config.method.expert_sentences,
        lead=config.method.sentence_lead,
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
    adapters: Adapters | None,
    tokenizer: PreTrainedTokenizerBase,
    out: Path,
    *,
    trainer: pl.Trainer,
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
    if adapters is not None:
        adapters.merge_and_unload()
    metrics = trainer.loggers[0]
    assert isinstance(metrics, MetricsFile)
    card = run_card(
        config,
        store=store,
        recipe=recipe,
        step=step,
        precision=trainer.precision,
        validation=validation_at_best(metrics),
    )
    model = Model(method.encoder, tokenizer, heatmap_processor=method.heatmap_processor, card=card)
    part = out / "model.part"
    shutil.rmtree(part, ignore_errors=True)
    model.save(part)
    shutil.rmtree(out / "model", ignore_errors=True)
    part.rename(out / "model")
