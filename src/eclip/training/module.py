"""The Lightning module: it optimises what a method gives it, and nothing else."""

import math
import re
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import nn

from eclip.data.draws import torch_seed
from eclip.data.loading import Batch
from eclip.errors import InputError
from eclip.losses.contrastive import in_batch_accuracy, info_nce
from eclip.training.config import OptimConfig, TrainConfig
from eclip.training.layer_decay import layer_factors
from eclip.training.methods import Method

_NEVER_DECAYED = re.compile(
    r"position|pos_embed|class_embed|(cls|dist|distillation|mask|reg|register)_tokens?$|probe|logit_scale|bias"
)


class TrainingModule(pl.LightningModule):
    """Optimises a method's losses and logs them by name."""

    def __init__(self, method: Method, config: TrainConfig) -> None:
        super().__init__()
        self.method, self.config = method, config

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """One step: the loss, and the values worth watching by name.

        Dropout is drawn anew from (seed, step, rank), so that a resumed run draws the same.
        """
        torch.manual_seed(torch_seed(self.config.seed, batch.step, f"dropout {self.global_rank}"))
        if batch.step + 1 == self.config.steps:
            # Lightning validates every so many steps, and else only where it is told to stop
            self.trainer.should_stop = True
        losses = self.method(batch)
        total = losses.total
        if not torch.isfinite(total):
            raise InputError(
                f"step {batch.step}: the loss is {total.item()}; start a new run with a lower --optim.lr, or with "
                "--precision 32"
            )
        values = {"loss": total.detach()} | {name: term.detach() for name, term in losses.terms.items()}
        values |= losses.metrics | {"temperature": 1 / self.method.encoder.scale.detach()}
        return {"loss": total, "values": {f"train/{name}": value for name, value in values.items()}}

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Stop before a gradient that is not finite makes all weights so, and the next checkpoint holds them."""
        if self.config.precision == "16":
            return  # its scaler leaves out such steps, and tries a lower scale
        gradients = [parameter.grad for parameter in self.parameters() if parameter.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        if not torch.isfinite(norm):
            raise InputError(
                f"step {self.global_step}: the norm of the gradient is {norm.item()}; go on from the last checkpoint "
                "with --resume, and if it comes again, start a new run with a lower --optim.lr"
            )

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """The contrastive loss of the plain encoder on studies never trained on; every rank sees all of them."""
        encoder = self.method.encoder
        image_BD = encoder.encode_image(encoder.preprocessing.normalise(batch.image_B1HW))
        text_BD = encoder.encode_text(batch.tokens)
        values = {
            "validation/loss": info_nce(image_BD, text_BD, encoder.scale, gather=False),
            "validation/accuracy": in_batch_accuracy(image_BD, text_BD),
        }
        self.log_dict(values, batch_size=len(image_BD), on_step=False, on_epoch=True)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW over the method's parameters, with linear warm-up and cosine decay counted in steps."""
        optim, steps = self.config.optim, self.config.steps
        groups = parameter_groups(self.method, optim, layer_decay=self.config.tuning.layer_decay)
        optimizer = torch.optim.AdamW(groups, lr=optim.lr, betas=optim.betas)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: warmup_cosine(step, steps=steps, warmup=optim.warmup)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def warmup_cosine(step: int, *, steps: int, warmup: float) -> float:
    """Factor on the learning rate: linear from 0 to 1 over the warm-up, then half a cosine to 0."""
    rising = warmup * steps
    if step < rising:
        return (step + 1) / (rising + 1)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rising) / max(1.0, steps - rising))))


def parameter_groups(method: Method, optim: OptimConfig, *, layer_decay: float = 1.0) -> list[dict[str, Any]]:
    """Groups by learning rate and weight decay.

    Decay is for weights of two dimensions or more: norms, biases and the temperature have none, whatever a library
    calls them. Nor have positions, class tokens and their like that are parameters of their own, some with three
    dimensions: these are known by their names in transformers, timm and open_clip. Tables of `nn.Embedding`, of words
    or positions, are weights.
    """
    factors: dict[int, float] = {}
    for module, factor in method.learning_rate_factors():
        factors |= {id(parameter): factor for parameter in module.parameters()}
    if layer_decay != 1:
        encoder = dict(method.encoder.named_parameters())
        for name, factor in layer_factors(method.encoder, layer_decay).items():
            factors[id(encoder[name])] = factor * factors.get(id(encoder[name]), 1.0)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in method.named_parameters():
        if parameter.requires_grad:
            is_weight = parameter.ndim >= 2 and not _NEVER_DECAYED.search(name.rpartition(".")[2])
            decay = optim.weight_decay if is_weight else 0.0
            groups.setdefault((factors.get(id(parameter), 1.0), decay), []).append(parameter)
    return [
        {"params": parameters, "lr": optim.lr * factor, "weight_decay": decay}
        for (factor, decay), parameters in groups.items()
    ]
