"""Which weights of the encoder are trained: all of them, those of one tower, or small adapters beside them."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Protocol

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from eclip.errors import InputError
from eclip.models.dual_encoder import DualEncoder, TowerName
from eclip.training.layer_decay import parameters_of

BOTH: tuple[TowerName, ...] = ("image", "text")
OPEN_CLIP_POOLING = "open_clip.modified_resnet.AttentionPool2d"


@dataclass(slots=True, kw_only=True)
class TuningConfig:
    """How far training may go from the weights that it starts with.

    A tower's projection into the shared space is no part of it: it is always trained, and so is the temperature.

    Attributes:
        freeze: Towers that stay as they are: weights, statistics of batch norms, no dropout. "image" is locked-image
            tuning (Zhai et al. 2022).
        layer_decay: Factor on the learning rate from each layer of a tower to the one below it; 1 for one rate.
        lora_rank: Rank of the adapters that are trained in the place of a tower's weights (Hu et al. 2022), beside each
            of its linear layers; 0 for none. They are merged into the weights in the end. Needs the extra `lora`.
        lora_alpha: The adapters' product is multiplied by lora_alpha / lora_rank; None for a factor of 1.
        lora_towers: Towers that have adapters.
    """

    freeze: tuple[TowerName, ...] = ()
    layer_decay: float = 1.0
    lora_rank: int = 0
    lora_alpha: int | None = None
    lora_towers: tuple[TowerName, ...] = BOTH

    def check(self) -> None:
        """Refuse values out of range, and those that would have no effect.

        Raises:
            InputError: Which setting, and what to do.
        """
        self._check_ranges()
        frozen = set(self.freeze)
        if self.layer_decay != 1 and frozen == set(BOTH):
            raise InputError(
                f"--tuning.layer-decay {self.layer_decay}: has no effect with both towers frozen; leave it out"
            )
        if self.lora_rank:
            if both := frozen & set(self.lora_towers):
                raise InputError(
                    f"--tuning.freeze {' '.join(sorted(both))}: adapters are to train this tower; name the others with "
                    "--tuning.lora-towers, or leave out the freezing, for adapters leave the weights beside them frozen"
                )
            if find_spec("peft") is None:
                raise InputError(
                    f"--tuning.lora-rank {self.lora_rank}: needs peft; pip install 'eclip[lora]'"
                )
        elif self.lora_alpha is not None or set(self.lora_towers) != set(BOTH):
            name = "lora-towers" if self.lora_alpha is None else "lora-alpha"
            raise InputError(f"--tuning.{name}: has no effect without adapters; give a --tuning.lora-rank")

    def _check_ranges(self) -> None:
        if not 0 < self.layer_decay <= 1:
            raise InputError(
                f"--tuning.layer-decay {self.layer_decay}: must be above 0 and at most 1; to leave a tower as it is, "
                "give --tuning.freeze"
            )
        if self.lora_rank < 0:
            raise InputError(f"--tuning.lora-rank {self.lora_rank}: must be at least 1, or 0 for no adapters")
        if self.lora_alpha is not None and not self.lora_alpha > 0:
            raise InputError(f"--tuning.lora-alpha {self.lora_alpha}: must be above 0")
        for name, towers in (("freeze", self.freeze), ("lora-towers", self.lora_towers)):
            if len(set(towers)) < len(towers):
                raise InputError(f"--tuning.{name} {' '.join(towers)}: names a tower twice; give each once")
        if not self.lora_towers:
            raise InputError("--tuning.lora-towers: name at least one of image and text")


class Adapters(Protocol):
    """Adapters that are in the encoder."""

    def merge_and_unload(self) -> nn.Module:
        """Add them to the weights that they stand beside, and take them out."""


def tune(encoder: DualEncoder, tuning: TuningConfig) -> Adapters | None:
    """Freeze what is to be frozen, and put the adapters in.

    A frozen tower needs no graph of its own: autograd records one only for an input that has a gradient, which is how
    the heatmap processor still learns through it.

    Returns:
        The adapters, if there are any.

    Raises:
        InputError: No weight would be left to train, or a tower has no linear layers for adapters.
    """
    held: list[nn.Module] = []
    for name in tuning.freeze:
        for parameter in parameters_of(encoder, encoder.towers[name]).values():
            parameter.requires_grad_(False)
        held += _modules(encoder, name)
    adapters = _add_adapters(encoder, tuning) if tuning.lora_rank else None
    if tuning.lora_rank:
        towers = (_modules(encoder, name) for name in tuning.lora_towers)
        held += [m for tower in towers for part in tower for m in part.modules() if isinstance(m, _BatchNorm)]
    encoder.always_eval = tuple(held)
    encoder.train(encoder.training)
    scalars = {id(encoder.logit_scale), id(encoder.logit_bias)}
    if not any(p.requires_grad and id(p) not in scalars for p in encoder.parameters()):
        raise InputError(
            f"--tuning.freeze {' '.join(tuning.freeze)}: leaves nothing to train, for this model has no projections; "
            "freeze one tower"
        )
    return adapters


def _modules(encoder: DualEncoder, name: TowerName) -> list[nn.Module]:
    modules = dict(encoder.named_modules())
    return [modules[part] for part in encoder.towers[name].parts if part in modules]


def _add_adapters(encoder: DualEncoder, tuning: TuningConfig) -> Adapters:
    """An adapter beside each linear layer, and beside the joint query, key and value weight of each attention."""
    from peft import LoraConfig
    from peft.tuners.lora import LoraModel

    layers: list[str] = []
    weights: list[str] = []
    for name in tuning.lora_towers:
        found = list(_linear_layers(encoder, name))
        if not found:
            raise InputError(
                f"--tuning.lora-rank {tuning.lora_rank}: the {name} tower has no linear layers; name the other with "
                "--tuning.lora-towers"
            )
        layers += [layer for layer, kind in found if kind is nn.Linear]
        weights += [f"{layer}.in_proj_weight" for layer, kind in found if kind is nn.MultiheadAttention]
    adapted = [parameters_of(encoder, encoder.towers[name]) for name in tuning.lora_towers]
    frozen = {id(parameter) for tower in adapted for parameter in tower.values()}
    others = [p for p in encoder.parameters() if p.requires_grad and id(p) not in frozen]
    config = LoraConfig(
        r=tuning.lora_rank,
        lora_alpha=tuning.lora_alpha or tuning.lora_rank,
        target_modules=layers,
        target_parameters=weights,
    )
    model = LoraModel(encoder, config, "default")  # it freezes all but the adapters
    for parameter in others:
        parameter.requires_grad_(True)
    return model


def _linear_layers(encoder: DualEncoder, name: TowerName) -> Iterator[tuple[str, type[nn.Module]]]:
    """Names of a tower's linear layers and attentions of torch, which keep query, key and value in one weight.

    Layers in an attention of torch, or in the pooling of open_clip's ResNets, are left out: their weights are read
    without calling them, past any adapter.
    """
    inside = {weight.rpartition(".")[0] for weight in parameters_of(encoder, encoder.towers[name])}
    read_past: tuple[str, ...] = ()
    for path, module in encoder.named_modules():
        kind = type(module)
        if (
            isinstance(module, nn.MultiheadAttention)
            or f"{kind.__module__}.{kind.__name__}" == OPEN_CLIP_POOLING
        ):
            read_past += (f"{path}.",)
        if path not in inside or path.startswith(read_past):
            continue
        if isinstance(module, nn.Linear):
            yield path, nn.Linear
        elif isinstance(module, nn.MultiheadAttention) and module.in_proj_weight is not None:
            yield path, nn.MultiheadAttention
