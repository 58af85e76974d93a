"""No setting of any method is silent: changed, it changes the losses, the batches or the optimiser, or is refused."""

import dataclasses
import types
from typing import Literal, get_args, get_origin, get_type_hints

import pytest
import torch

from eclip.data.loading import TrainingBatches
from eclip.errors import InputError
from eclip.training.config import OptimConfig
from eclip.training.methods import METHODS
from eclip.training.module import parameter_groups
from small_models import small_encoder
from small_stores import small_store

STEPS = 20
LOOKED_AT = (0, 1, 6, 7)  # two of the cold start, two after it


def small(config):
    """The method with a heatmap processor of the tests' size."""
    if hasattr(config, "processor"):
        config.processor = dataclasses.replace(config.processor, patch_size=8, width=16, heads=2)
    return config


def changed(value, kind):
    """Other values of a setting."""
    if get_origin(kind) is Literal:
        return [choice for choice in get_args(kind) if choice != value]
    if get_origin(kind) is types.UnionType:
        others = [
            other for kind in get_args(kind) if kind is not type(None) for other in changed(value, kind)
        ]
        return others if value is None else [None, *others]
    if kind is bool:
        return [not value]
    if kind is int:
        return [value // 2]
    assert kind is float, f"{kind}: how does this change?"
    return [1.5 if value is None else value * 0.6 if value else 0.5]


def variants(config, path=()):
    """Each leaf of the settings, changed alone: its path, and the whole configuration."""
    kinds = get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            for name, inner in variants(value, (*path, field.name)):
                yield name, dataclasses.replace(config, **{field.name: inner})
        else:
            for other in changed(value, kinds[field.name]):
                name = f"{'.'.join((*path, field.name))}={other}"
                yield name, dataclasses.replace(config, **{field.name: other})


CASES = [
    pytest.param(name, config, id=f"{name}-{setting}")
    for name, method in METHODS.items()
    for setting, config in variants(small(method()))
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(tmp_path_factory.mktemp("data") / "store", annotation="dictation")


def tokens(texts):
    numbers = [int(text.rsplit(" ", 1)[1].rstrip(".")) for text in texts]
    ids = torch.tensor([[number % 7 + 5, number % 11 + 20, number + 10] for number in numbers])
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def computation(config, store):
    """What a run would do: when experts come, the losses of some steps, the optimiser's groups."""
    config.check()
    probabilities = [config.expert_probability(step, steps=STEPS) for step in range(STEPS)]
    encoder = small_encoder()
    torch.manual_seed(1)
    method = config.build(encoder, steps=STEPS, seed=3)
    batches = TrainingBatches(
        store,
        tokenize=tokens,
        size=32,
        batch_size=8,
        expert_batch_size=round(8 * config.expert_share),
        expert_probability=(lambda step: probabilities[step] > 0) if config.expert_share else None,
        heatmaps=config.expert_heatmaps,
        slices=config.expert_slices,
        sentences=config.expert_sentences,
        lead=config.sentence_lead,
    )
    losses = [method(batches[step]).total.item() for step in LOOKED_AT]
    groups = [
        (group["lr"], group["weight_decay"], len(group["params"]))
        for group in parameter_groups(method, OptimConfig())
    ]
    return probabilities, losses, groups


@pytest.fixture(scope="module")
def computations(store):
    return {name: computation(small(config()), store) for name, config in METHODS.items()}


@pytest.mark.parametrize(("name", "config"), CASES)
def test_a_setting_that_is_changed_changes_the_computation(name, config, store, computations):
    try:
        found = computation(config, store)
    except InputError:
        return  # refused is not silent
    assert found != computations[name]


def test_the_same_settings_give_the_same_computation(store, computations):
    for name, config in METHODS.items():
        assert computation(small(config()), store) == computations[name]


def test_no_two_methods_compute_the_same(computations):
    values = list(computations.values())
    assert all(first != second for i, first in enumerate(values) for second in values[:i])


def test_every_method_with_settings_was_walked():
    walked = {case.values[0] for case in CASES}
    assert walked == {name for name, config in METHODS.items() if dataclasses.fields(config)}
    assert len(CASES) > 60
