"""Freezing, layers and adapters with the classes of open_clip and timm."""

import pytest
import torch
from test_open_clip import MODELS
from test_timm import BACKBONES, encoder_of
from torch import nn

from eclip.errors import InputError
from eclip.models.dual_encoder import DualEncoderConfig
from eclip.models.encoders import build_encoder
from eclip.training.config import OptimConfig
from eclip.training.layer_decay import layer_factors, parameters_of
from eclip.training.methods import ClipConfig
from eclip.training.module import parameter_groups
from eclip.training.tuning import TuningConfig, tune
from small_clips import COLOURS
from small_models import small_batch

PROJECTIONS = {
    "ViT": {"model.visual.proj", "model.text_projection"},
    "ViT, QuickGELU": {"model.visual.proj", "model.text_projection"},
    "ResNet": {
        "model.visual.attnpool.c_proj.weight",
        "model.visual.attnpool.c_proj.bias",
        "model.text_projection",
    },
    "SigLIP": {"model.visual.proj", "model.text.text_projection.weight", "model.text.text_projection.bias"},
    "timm": {"model.visual.head.proj.weight", "model.text.text_projection"},
}
DEPTHS = {"resnet18": 8, "convnext_atto": 12, "efficientnet_b0": 16, "mobilenetv3_small_050": 12}


def open_clip_encoder(name):
    torch.manual_seed(0)
    dual = {"model_type": "open_clip", "model_cfg": MODELS[name]}
    encoder = build_encoder(DualEncoderConfig(dual=dual, max_length=24, preprocessing=COLOURS))
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return encoder


def two_steps(encoder, tuning):
    method = ClipConfig().build(encoder, steps=10, seed=0)
    adapters = tune(encoder, tuning)
    method.train()
    optimiser = torch.optim.AdamW(parameter_groups(method, OptimConfig(lr=1e-2)))
    before = {key: tensor.detach().clone() for key, tensor in encoder.state_dict().items()}
    for step in (5, 6):
        optimiser.zero_grad()
        method(small_batch(step, plain=6, seed=step)).total.backward()
        optimiser.step()
    same = {key for key, tensor in encoder.state_dict().items() if torch.equal(tensor, before[key])}
    return adapters, same, set(before)


def embeddings(encoder):
    encoder.eval()
    with torch.inference_mode():
        image = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
        return encoder.encode_image(image), encoder.encode_text(small_batch().tokens)


@pytest.mark.parametrize("name", MODELS)
def test_with_both_towers_frozen_projections_and_scale_alone_are_trained(name):
    encoder = open_clip_encoder(name)
    _, same, every = two_steps(encoder, TuningConfig(freeze=("image", "text")))
    assert every - same == PROJECTIONS[name] | {"model.logit_scale"}


@pytest.mark.parametrize("name", MODELS)
def test_layers_rise_from_embeddings_to_what_comes_after_the_blocks(name):
    encoder = open_clip_encoder(name)
    factors = layer_factors(encoder, 0.5)
    assert set(factors).isdisjoint(PROJECTIONS[name])
    text = "model.text." if hasattr(encoder.model, "text") else "model."
    assert factors[f"{text}token_embedding.weight"] == factors[f"{text}positional_embedding"] == 0.25
    assert factors[f"{text}transformer.resblocks.0.mlp.c_fc.weight"] == 0.5
    assert factors[f"{text}ln_final.weight"] == 1
    image = {factors[key] for key in parameters_of(encoder, encoder.towers["image"])}
    blocks = {"ResNet": 4, "timm": 12}.get(name, 1)
    assert image == {0.5**layer for layer in range(blocks + 2)}


@pytest.mark.parametrize("name", BACKBONES)
def test_layers_of_a_timm_backbone_are_its_blocks(name):
    encoder = encoder_of(name)
    found = layer_factors(encoder, 0.5)
    factors = {found[key] for key in parameters_of(encoder, encoder.towers["image"])} - {1.0}
    depth = DEPTHS.get(name, 2 if name.startswith("swin") else 1)
    assert factors == {0.5**layer for layer in range(1, depth + 2)}
    order = [found[key] for key in parameters_of(encoder, encoder.towers["image"])]
    assert order == sorted(order)


ADAPTED = dict.fromkeys(("ViT", "ViT, QuickGELU", "SigLIP"), open_clip_encoder)
ADAPTED |= dict.fromkeys(("vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"), encoder_of)


@pytest.mark.parametrize("name", ADAPTED)
def test_adapters_alone_are_trained_and_merged_they_compute_the_same(name):
    encoder = ADAPTED[name](name)
    keys, expected = set(encoder.state_dict()), embeddings(encoder)
    adapters, same, every = two_steps(encoder, TuningConfig(lora_rank=2))
    lora = {key for key in every if ".lora_" in key}
    projections = PROJECTIONS.get(name, {"image_projection.weight", "text_projection.weight"})
    scale = {key for key in every if key.endswith("logit_scale") and "attn" not in key}
    assert every - same == lora | projections | scale
    assert any(".attn." in key for key in lora)
    adapted = embeddings(encoder)
    assert not any(map(torch.allclose, adapted, expected))
    adapters.merge_and_unload()
    for merged, found in zip(embeddings(encoder), adapted, strict=True):
        torch.testing.assert_close(merged, found, atol=1e-5, rtol=0)
    assert set(encoder.state_dict()) == keys
    assert not any("lora" in type(module).__module__ for module in encoder.modules())


@pytest.mark.parametrize("name", ["ResNet", "timm"])
def test_image_towers_without_linear_layers_that_are_called_are_refused_adapters(name):
    """The pooling of open_clip's ResNet reads past any adapter; this ConvNeXt has 1 x 1 convolutions."""
    encoder = open_clip_encoder(name)
    linear = sum(isinstance(module, nn.Linear) for module in encoder.model.visual.modules())
    assert linear == {"ResNet": 4, "timm": 1}[name]  # the projections among them
    with pytest.raises(InputError, match="the image tower has no linear layers"):
        tune(encoder, TuningConfig(lora_rank=2))
