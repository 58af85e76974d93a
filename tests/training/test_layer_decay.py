"""Layers by numbered names, against the order in which a forward pass calls them and the depth that was asked for."""

from dataclasses import replace

import pytest
import torch

from eclip.models.encoders import build_encoder
from eclip.training.config import OptimConfig
from eclip.training.layer_decay import layer_factors, parameters_of
from eclip.training.methods import EclipConfig
from eclip.training.module import parameter_groups
from small_clips import ARCHITECTURES, DUAL_MODELS, IMAGE_MODELS, TEXT_MODELS, architecture
from small_models import BERT, VIT, small_batch, small_config, small_encoder

DEEP = {"num_hidden_layers": 3, "n_layers": 3, "depths": [2, 3], "num_stages": 2}
MPNET = {"model_type": "mpnet", "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
MPNET |= {"vocab_size": 50, "max_position_embeddings": 40, "num_hidden_layers": 3}


def deeper(settings):
    """Blocks in the number of `DEEP` in the place of one."""
    return {
        name: deeper(value) if isinstance(value, dict) else DEEP.get(name, value)
        for name, value in settings.items()
    }


def depth_of(settings):
    return sum(settings["depths"]) if "depths" in settings else DEEP["num_hidden_layers"]


CASES = {f"image {name}": small_config(deeper(image)) for name, image in IMAGE_MODELS.items()}
CASES |= {f"text {name}": small_config(VIT, deeper(text)) for name, text in TEXT_MODELS.items()}
CASES |= {name: replace(ARCHITECTURES[name], dual=deeper(dual)) for name, dual in DUAL_MODELS.items()}
DEPTHS = {f"image {name}": {"image": depth_of(deeper(image))} for name, image in IMAGE_MODELS.items()}
DEPTHS |= {f"text {name}": {"text": 3} for name in TEXT_MODELS} | {
    name: {"image": 3, "text": 3} for name in DUAL_MODELS
}


def layers(encoder, decay=0.5):
    """How many factors of `decay` each parameter has, by tower."""
    factors = layer_factors(encoder, decay)
    return {
        side: {
            name: round(torch.tensor(factors[name]).log2().neg().item())
            for name in parameters_of(encoder, tower)
        }
        for side, tower in encoder.towers.items()
    }


def called(encoder):
    """Names of the parameters in the order in which their modules are first called."""
    names = {module: path for path, module in encoder.named_modules()}
    order = []

    def note(module, _):
        order.extend(f"{names[module]}.{name}" for name, parameter in module.named_parameters(recurse=False))

    hooks = [module.register_forward_pre_hook(note) for module in names]
    encoder.eval()
    encoder.encode_image(torch.randn(1, 1, 32, 32))
    encoder.encode_text(small_batch(plain=1).tokens)
    for hook in hooks:
        hook.remove()
    return list(dict.fromkeys(order))


@pytest.mark.parametrize("name", CASES)
def test_factors_rise_in_the_order_of_the_forward_pass_one_step_a_block(name):
    encoder = build_encoder(CASES[name])
    order = called(encoder)
    for side, found in layers(encoder).items():
        seen = [found[parameter] for parameter in order if parameter in found]
        assert seen == sorted(seen, reverse=True), side
        if side in DEPTHS[name]:
            depth = DEPTHS[name][side]
            assert set(found.values()) - {0} == set(range(1, depth + 2)), side
            assert seen[0] == depth + 1


@pytest.mark.parametrize("name", ["image ViT", "text BERT", "CLIP"])
def test_blocks_that_are_alike_have_as_many_parameters_each(name):
    for found in layers(build_encoder(CASES[name])).values():
        values = list(found.values())
        if max(values) == 4:
            assert values.count(1) == values.count(2) == values.count(3) > 8


def test_tables_are_lowest_where_they_are_registered_last():
    encoder = build_encoder(small_config(VIT, MPNET))
    name = "text_model.encoder.relative_attention_bias.weight"
    assert layers(encoder)["text"][name] == 4


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_groups_have_the_factor_of_their_layer_and_decay_as_ever(name):
    method = EclipConfig(processor_lr=2.0).build(architecture(name), steps=10, seed=0)
    groups = parameter_groups(method, OptimConfig(lr=1e-3, weight_decay=0.1), layer_decay=0.5)
    plain = parameter_groups(method, OptimConfig(lr=1e-3, weight_decay=0.1))
    found = {id(p): group for group in groups for p in group["params"]}
    usual = {id(p): group for group in plain for p in group["params"]}
    assert set(found) == set(usual)
    assert len(found) == sum(len(group["params"]) for group in groups)
    expected = layer_factors(method.encoder, 0.5)
    for key, parameter in method.named_parameters():
        group = found[id(parameter)]
        factor = 2.0 if key.startswith("heatmap") else expected.get(key.removeprefix("encoder."), 1.0)
        assert group["lr"] == pytest.approx(1e-3 * factor), key
        assert group["weight_decay"] == usual[id(parameter)]["weight_decay"], key
    encoder = method.encoder
    towers = {id(p) for tower in encoder.towers.values() for p in parameters_of(encoder, tower).values()}
    assert {id(dict(encoder.named_parameters())[key]) for key in expected} == towers
    assert id(encoder.logit_scale) not in towers


def test_a_decay_of_one_changes_no_group():
    method = EclipConfig().build(small_encoder(VIT), steps=10, seed=0)
    assert set(layer_factors(method.encoder, 1.0).values()) == {1.0}
    assert len(parameter_groups(method, OptimConfig())) == len(
        parameter_groups(method, OptimConfig(), layer_decay=1.0)
    )


def test_each_tower_counts_its_own_depth():
    encoder = build_encoder(small_config(VIT | {"num_hidden_layers": 2}, BERT | {"num_hidden_layers": 5}))
    found = layers(encoder)
    assert max(found["image"].values()) == 3
    assert max(found["text"].values()) == 6
