"""timm backbones as image tower, through `transformers`' wrapper: `--model.image timm/NAME` on the hub."""

import pytest
import timm
import torch

import eclip
from eclip.models.encoders import build_encoder
from eclip.models.heatmap_processor import HeatmapProcessorConfig
from eclip.models.model import Model
from eclip.models.tokenizer import train_tokenizer
from eclip.training.methods import METHODS
from small_models import BERT, small_batch, small_config

VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2}
BACKBONES = {
    "vit_tiny_patch16_224": (VIT, (4, 4)),
    "vit_small_patch14_reg4_dinov2": (VIT, (4, 4)),
    "swin_tiny_patch4_window7_224": (
        {"img_size": 32, "window_size": 4, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2]},
        (4, 4),
    ),
    "resnet18": ({}, (1, 1)),
    "convnext_atto": ({}, (1, 1)),
    "efficientnet_b0": ({}, (1, 1)),
    "mobilenetv3_small_050": ({}, None),  # its head widens after pooling
}


def config_of(name):
    image = {"model_type": "timm_wrapper", "architecture": name, "model_args": BACKBONES[name][0]}
    return small_config(image)


def encoder_of(name):
    torch.manual_seed(0)
    return build_encoder(config_of(name))


@pytest.mark.parametrize("name", BACKBONES)
def test_the_pooled_vector_is_what_timm_pools(name):
    encoder, image = encoder_of(name).eval(), torch.randn(2, 3, 32, 32)
    plain = timm.create_model(name, num_classes=0, **BACKBONES[name][0]).eval()
    plain.load_state_dict(encoder.image_model.timm_model.state_dict())
    features = encoder.image_features(image)
    expected = plain(image) @ encoder.image_projection.weight.T
    torch.testing.assert_close(features.pooled, expected, atol=1e-5, rtol=1e-5)
    grid = BACKBONES[name][1]
    assert (features.grid is None) if grid is None else (features.grid.shape == (2, *grid, 12))


@pytest.mark.parametrize("name", [name for name, (_, grid) in BACKBONES.items() if grid == (4, 4)])
def test_the_grid_keeps_rows_and_columns_apart(name):
    encoder = encoder_of(name).eval()
    plain = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    spot = plain.clone()
    spot[..., 8:16, 24:] += 3 * torch.randn(8, 8, generator=torch.Generator().manual_seed(1))
    change = (encoder.image_features(spot).grid - encoder.image_features(plain).grid).norm(dim=-1)[0]
    assert divmod(int(change.argmax()), 4) == (1, 3)


@pytest.mark.parametrize("name", [name for name, (_, grid) in BACKBONES.items() if grid == (1, 1)])
def test_the_only_cell_of_a_grid_is_the_pooled_vector(name):
    encoder = encoder_of(name)
    for key, parameter in encoder.image_model.named_parameters():
        if "norm" in key:
            parameter.data += torch.randn(parameter.shape) / 2
    features = encoder.eval().image_features(torch.randn(2, 1, 32, 32))
    torch.testing.assert_close(features.grid[:, 0, 0], features.pooled, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", BACKBONES)
def test_saved_and_loaded_is_the_same_model(tmp_path, name):
    tokenizer = train_tokenizer(["Clear lungs."], vocab_size=280)
    config = config_of(name)
    config.text = BERT | {"vocab_size": len(tokenizer)}
    model = Model(build_encoder(config), tokenizer)
    model.save(tmp_path)
    again = eclip.load(tmp_path)
    image = torch.randn(2, 1, 32, 32)
    assert torch.equal(again.encoder.encode_image(image), model.encoder.encode_image(image))
    assert again.fingerprint == model.fingerprint


@pytest.mark.parametrize("name", BACKBONES)
def test_two_steps_of_eclip_change_every_parameter(name):
    config = METHODS["eclip"]()
    config.processor = HeatmapProcessorConfig(patch_size=8, width=16, heads=2)
    method = config.build(encoder_of(name), steps=10, seed=0).train()
    before = {key: tensor.detach().clone() for key, tensor in method.named_parameters()}
    optimiser = torch.optim.AdamW(method.parameters(), lr=1e-2, weight_decay=0)
    for step in (5, 6):
        optimiser.zero_grad()
        method(small_batch(step, experts=2, seed=step)).total.backward()
        optimiser.step()
    assert not [key for key, tensor in method.named_parameters() if torch.equal(tensor, before[key])]
