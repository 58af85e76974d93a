"""The progress bar of a training run."""

import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class TrainingProgress(Callback):
    """Shows loss, in-batch accuracy, probability of an expert batch and studies a second, and logs every value."""

    def __init__(self, name: str, *, log_every: int) -> None:
        self.name, self.log_every = name, log_every
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(),
        )
        self.studies = 0
        self.since = 0.0

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Start the bar where the run stands."""
        if trainer.is_global_zero:
            self.task = self.progress.add_task(
                f"Training {self.name}", total=trainer.max_steps, completed=trainer.global_step, numbers=""
            )
            self.progress.start()
        self.studies, self.since = 0, time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Show the newest values, and log those of every few steps.

        Logged here and not through Lightning, which logs a value again and again after its last measurement.
        """
        self.studies += len(batch.image_B1HW) + (len(batch.expert.image_E1HW) if batch.expert else 0)
        rate = self.studies * trainer.world_size / (time.perf_counter() - self.since)
        values = outputs["values"]
        if batch.step % self.log_every == 0:
            for logger in trainer.loggers:
                logger.log_metrics(
                    {name: float(value) for name, value in values.items()} | {"studies_per_second": rate},
                    step=batch.step,
                )
                logger.save()
        if not trainer.is_global_zero:
            return
        shown = [f"loss {float(values['train/loss']):.3f}", f"accuracy {float(values['train/accuracy']):.2f}"]
        if "train/expert_probability" in values:
            shown.append(f"expert p {values['train/expert_probability']:.2f}")
        shown.append(f"{rate:.0f} studies/s")
        self.progress.update(self.task, completed=trainer.global_step, numbers=" · ".join(shown))

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Leave the last state on the screen."""
        self.progress.stop()

    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        """Give the terminal back."""
        self.progress.stop()
