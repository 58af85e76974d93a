"""What the optimiser is given: groups, decay, learning rate; and what a broken loss does."""

import math

import pytest
import torch

from eclip.errors import InputError
from eclip.training.config import OptimConfig, TrainConfig
from eclip.training.methods import ClipConfig, EclipConfig
from eclip.training.module import TrainingModule, parameter_groups, warmup_cosine
from small_models import SWIN, VIT, small_batch, small_encoder


@pytest.mark.parametrize("image", [VIT, SWIN], ids=lambda settings: settings["model_type"])
def test_no_decay_on_norms_biases_and_temperature_whatever_they_are_called(image):
    method = EclipConfig(processor_lr=2.0).build(small_encoder(image), steps=10, seed=0)
    groups = parameter_groups(method, OptimConfig(lr=1e-3, weight_decay=0.1))
    seen = {id(p): group for group in groups for p in group["params"]}
    assert len(seen) == sum(len(group["params"]) for group in groups) == len(list(method.parameters()))
    for name, parameter in method.named_parameters():
        group = seen[id(parameter)]
        is_weight = parameter.ndim >= 2
        assert group["weight_decay"] == (0.1 if is_weight else 0.0), name
        if any(word in name.lower() for word in ("norm", "bias", "logit_scale")) and "table" not in name:
            assert group["weight_decay"] == 0, name
        assert group["lr"] == pytest.approx(2e-3 if name.startswith("heatmap_processor") else 1e-3), name


def test_learning_rate_rises_then_follows_half_a_cosine():
    factors = [warmup_cosine(step, steps=100, warmup=0.1) for step in range(101)]
    assert factors[:10] == sorted(factors[:10])
    assert factors[10] == 1
    assert factors[55] == pytest.approx(0.5)
    assert factors[100] == pytest.approx(0)
    for step in (20, 40, 80):
        assert factors[step] == pytest.approx((1 + math.cos(math.pi * (step - 10) / 90)) / 2)


def test_a_loss_that_is_not_finite_stops_the_run_with_one_line():
    module = TrainingModule(ClipConfig().build(small_encoder(), steps=10, seed=0), TrainConfig())
    with torch.no_grad():
        module.method.encoder.image_projection.weight.fill_(float("nan"))
    with pytest.raises(InputError, match=r"step 4: the loss is nan; lower --optim\.lr") as caught:
        module.training_step(small_batch(4), 4)
    assert "\n" not in str(caught.value)
