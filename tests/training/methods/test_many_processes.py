"""Every method on two processes, each with its share of a batch, and on one: the same loss, the same gradients.

Rows are uneven: 3 + 2 ordinary ones; 2 + 1 experts, or 1 + 0. Dropout is off and there are no batch norms, which draw
from, and look at, a rank's own rows.
"""

import dataclasses
from functools import partial

import numpy as np
import pytest
import torch

from eclip.data.loading import Batch
from eclip.training.methods import METHODS
from many_processes import mean_over_ranks
from small_models import VIT, small_batch, small_encoder

RANKS, PLAIN = 2, 5
COLD, LATER = 1, 15  # of 20 steps
STEPS = {"cold start": (COLD, 0), "two experts and one": (LATER, 3), "one expert and none": (LATER, 1)}
UNEVEN_BY_DESIGN = {"dacl": {"mixup_alpha": 1e-9}}  # λ = 1: its partners in mixing are those of a rank


def build(name):
    config = METHODS[name](**UNEVEN_BY_DESIGN.get(name, {}))
    if hasattr(config, "processor"):
        config.processor = dataclasses.replace(config.processor, patch_size=8, width=16, heads=2)
    encoder = small_encoder(VIT)
    torch.manual_seed(1)
    return config, config.build(encoder, steps=20, seed=3).eval()


def share(batch, rank):
    """A rank's rows, as the loader deals them out: slices of the ordinary and of the expert ones."""

    def own(rows):
        return np.array_split(np.arange(rows), RANKS)[rank]

    plain, experts = own(len(batch.image_B1HW)), own(len(batch.expert.rows) if batch.expert else 0)
    rows = texts = np.concatenate([plain, PLAIN + experts])
    expert = None
    if batch.expert is not None:
        values = {field.name: getattr(batch.expert, field.name) for field in dataclasses.fields(batch.expert)}
        sentences = values.pop("sentences")
        own_values = {
            name: value[experts] if isinstance(value, torch.Tensor) else [value[i] for i in experts]
            for name, value in values.items()
            if value is not None
        }
        expert = dataclasses.replace(batch.expert, **own_values)
        if sentences is not None:  # the one of each expert image
            rows = np.concatenate([texts, PLAIN + len(batch.expert.rows) + experts])
            expert.sentences = dataclasses.replace(
                sentences,
                heatmap_STHW=sentences.heatmap_STHW[experts],
                index_S=torch.arange(len(experts)),
                rows=expert.rows,
                tokens={name: value[experts] for name, value in sentences.tokens.items()},
            )
    tokens = {name: value[texts] for name, value in batch.tokens.items()}
    keys = batch.key_N2[rows] if batch.key_N2 is not None else None
    return Batch(batch.step, batch.image_B1HW[plain], tokens, expert, keys)


def computed(name, rank):
    """Loss and gradients of a method at each of the steps, of one rank's rows or, for None, of all."""
    found = {}
    for case, (step, experts) in STEPS.items():
        config, method = build(name)
        batch = small_batch(
            step,
            plain=PLAIN,
            experts=experts if config.expert_share else 0,
            slices=config.expert_slices,
            sentences=config.expert_sentences > 0,
        )
        loss = method(batch if rank is None else share(batch, rank)).total
        loss.backward()
        found[f"{case}: loss"] = loss.detach()
        for key, parameter in method.named_parameters():
            if parameter.grad is not None:
                found[f"{case}: {key}"] = parameter.grad
    return found


def computed_by_all_methods(names, rank):
    return {f"{name}: {key}": value for name in names for key, value in computed(name, rank).items()}


@pytest.fixture(scope="module")
def on_two_processes():
    """All methods at once, since starting processes takes longer than what they do."""
    return mean_over_ranks(partial(computed_by_all_methods, tuple(METHODS)), RANKS)


@pytest.mark.parametrize("name", METHODS)
def test_two_processes_equal_one_in_loss_and_gradients(name, on_two_processes):
    expected = computed(name, None)
    found = {
        key.removeprefix(f"{name}: "): value
        for key, value in on_two_processes.items()
        if key.startswith(f"{name}: ")
    }
    assert set(found) == set(expected)
    for key, value in expected.items():
        scale = float(value.abs().max())
        np.testing.assert_allclose(
            found[key], value.numpy(), rtol=1e-4, atol=2e-5 * scale + 1e-7, err_msg=key
        )
