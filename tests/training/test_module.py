"""What the optimiser is given: groups, decay, learning rate; and what a broken loss does."""

import math

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModel

from eclip.errors import InputError
from eclip.training.config import OptimConfig, TrainConfig
from eclip.training.methods import ClipConfig, EclipConfig, Method
from eclip.training.module import TrainingModule, parameter_groups, warmup_cosine
from small_models import BERT, RESNET, SWIN, VIT, small_batch, small_encoder

TINY = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
TOWERS = {
    "text_config": TINY | {"vocab_size": 50},
    "vision_config": TINY | {"image_size": 32, "patch_size": 8},
}
ARCHITECTURES = {
    "vit": VIT,
    "swin": SWIN,
    "swinv2": SWIN | {"model_type": "swinv2"},
    "resnet": RESNET,
    "convnext": {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2},
    "dinov2": TINY | {"image_size": 32, "patch_size": 8, "mlp_ratio": 2},
    "dinov2_with_registers": TINY | {"image_size": 32, "patch_size": 8, "mlp_ratio": 2},
    "deit": VIT | {"model_type": "deit"},
    "beit": TINY | {"image_size": 32, "patch_size": 8, "use_relative_position_bias": True},
    "bert": BERT,
    "roberta": TINY | {"vocab_size": 50},
    "clip": TOWERS,
    "siglip": TOWERS,
}
LAYERS = (nn.Linear, nn.Conv2d, nn.MultiheadAttention, nn.Embedding)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_decay_is_on_layers_and_tables_alone_in_every_architecture(name):
    """By the kinds of the modules, where the rule goes by dimensions and names."""
    settings = {"model_type": name} | ARCHITECTURES[name]
    model = AutoModel.from_config(AutoConfig.for_model(**settings))
    groups = parameter_groups(Method(model), OptimConfig(weight_decay=0.1))
    decayed = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
    found = {name for name, p in model.named_parameters() if id(p) in decayed}
    expected = set()
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(prefix=path, recurse=False):
            if isinstance(module, LAYERS) and parameter.ndim >= 2:
                expected.add(name)
    assert found == expected
    assert len(found) > 3


def test_expert_parameters_have_their_learning_rate_and_all_parameters_a_group():
    method = EclipConfig(processor_lr=2.0).build(small_encoder(VIT), steps=10, seed=0)
    groups = parameter_groups(method, OptimConfig(lr=1e-3, weight_decay=0.1))
    seen = {id(p): group for group in groups for p in group["params"]}
    assert len(seen) == sum(len(group["params"]) for group in groups) == len(list(method.parameters()))
    for name, parameter in method.named_parameters():
        group = seen[id(parameter)]
        assert group["lr"] == pytest.approx(2e-3 if name.startswith("heatmap_processor") else 1e-3), name
        if name.startswith("heatmap_processor"):
            assert group["weight_decay"] == (0.1 if parameter.ndim >= 2 else 0), name
        if name in {"encoder.logit_scale", "encoder.image_model.embeddings.cls_token"}:
            assert group["weight_decay"] == 0, name


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
    with pytest.raises(InputError, match=r"step 4: the loss is nan; start a new run") as caught:
        module.training_step(small_batch(4), 4)
    assert "\n" not in str(caught.value)


def test_a_gradient_that_is_not_finite_stops_before_the_weights_are_lost():
    module = TrainingModule(ClipConfig().build(small_encoder(), steps=10, seed=0), TrainConfig())
    module.training_step(small_batch(4), 4)["loss"].backward()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    module.on_before_optimizer_step(optimizer)
    module.method.encoder.logit_scale.grad.fill_(float("inf"))
    with pytest.raises(InputError, match="the norm of the gradient is inf"):
        module.on_before_optimizer_step(optimizer)
    module.config.precision = "16"  # its scaler deals with these
    module.on_before_optimizer_step(optimizer)
