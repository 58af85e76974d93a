"""The dual encoder over several `transformers` families: shapes, pooling by hand, channels, grid."""

import math

import pytest
import torch
import torch.nn.functional as F

from eclip.errors import InputError
from eclip.models.encoders import build_encoder
from eclip.models.two_towers import positions_of
from small_clips import IMAGE_MODELS, TEXT_MODELS
from small_models import BERT, RESNET, SWIN, VIT, small_config, small_encoder, small_tokens

FAMILIES = {"resnet": RESNET, "vit": VIT, "swin": SWIN}


@pytest.mark.parametrize("family", FAMILIES)
def test_embeddings_are_unit_vectors_of_the_shared_size(family):
    encoder = small_encoder(FAMILIES[family]).eval()
    image = encoder.encode_image(torch.randn(3, 1, 32, 32))
    tokens = {"input_ids": torch.randint(0, 50, (3, 7)), "attention_mask": torch.ones(3, 7, dtype=torch.long)}
    text = encoder.encode_text(tokens)
    assert image.shape == text.shape == (3, 12)
    torch.testing.assert_close(image.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(text.norm(dim=1), torch.ones(3))


@pytest.mark.parametrize(("family", "grid"), [("resnet", (4, 4)), ("vit", (4, 4)), ("swin", (4, 4))])
def test_grid_holds_local_features_in_the_shared_space(family, grid):
    features = small_encoder(FAMILIES[family]).eval().image_features(torch.randn(2, 1, 32, 32))
    assert features.pooled.shape == (2, 12)
    assert features.grid.shape == (2, *grid, 12)


@pytest.mark.parametrize("family", ["resnet", "swin"])
def test_mean_of_the_grid_is_the_pooled_vector_where_the_encoder_pools_by_mean(family):
    features = small_encoder(FAMILIES[family]).eval().image_features(torch.randn(2, 1, 32, 32))
    torch.testing.assert_close(features.grid.mean((1, 2)), features.pooled, atol=1e-5, rtol=1e-4)


def with_norms_that_do_something(encoder):
    """As training makes them; those from scratch are ones and zeros."""
    generator = torch.Generator().manual_seed(3)
    for name, parameter in encoder.image_model.named_parameters():
        if "norm" in name.lower():
            parameter.data += torch.randn(parameter.shape, generator=generator) / 2
    return encoder.eval()


@pytest.mark.parametrize("name", ["ResNet", "RegNet", "ConvNeXt", "ConvNeXt V2"])
def test_the_only_cell_of_a_grid_is_the_pooled_vector(name):
    """Whatever comes after pooling comes after a cell, too."""
    encoder = with_norms_that_do_something(small_encoder(IMAGE_MODELS[name]))
    side = 32 // encoder.image_features(torch.randn(1, 1, 32, 32)).grid.shape[1]
    features = encoder.image_features(torch.randn(2, 1, side, side))
    assert features.grid.shape == (2, 1, 1, 12)
    torch.testing.assert_close(features.grid[:, 0, 0], features.pooled, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("CLIP's vision model", lambda model, token: model.post_layernorm(token)),
        ("SigLIP's vision model", lambda model, token: model.head(token[:, None])),
        ("BEiT", lambda model, token: model.pooler.layernorm(token)),
        ("DINOv2", lambda model, token: token),
    ],
)
def test_each_patch_goes_through_what_the_pooled_token_does(name, after):
    encoder = with_norms_that_do_something(small_encoder(IMAGE_MODELS[name]))
    image = torch.randn(2, 3, 32, 32)
    tokens = encoder.image_model(pixel_values=image).last_hidden_state[:, -16:]
    grid = encoder.image_features(image).grid.flatten(1, 2)
    for patch in (0, 7, 15):
        expected = encoder.image_projection(after(encoder.image_model, tokens[:, patch]))
        torch.testing.assert_close(grid[:, patch], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "image",
    [
        {"model_type": "efficientnet", "width_coefficient": 0.2, "depth_coefficient": 0.1, "hidden_dim": 256},
        {"model_type": "mobilenet_v2", "depth_multiplier": 0.35},
        {
            "model_type": "pvt",
            "image_size": 32,
            "patch_sizes": [4, 2, 2, 2],
            "hidden_sizes": [8, 8, 16, 16],
            "num_attention_heads": [1, 1, 2, 2],
            "depths": [1, 1, 1, 1],
        },
        {"model_type": "poolformer", "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]},
    ],
    ids=lambda settings: settings["model_type"],
)
def test_models_in_stages_need_not_tell_their_width(image):
    encoder = small_encoder(image)
    assert encoder.image_model.training
    encoder.eval()
    assert encoder.encode_image(torch.randn(2, 1, 32, 32)).shape == (2, 12)


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_a_text_model_has_as_many_positions_as_it_can_read(name):
    encoder = small_encoder(text=TEXT_MODELS[name]).eval()
    most = int(positions_of(encoder.text_model))
    ids = torch.randint(3, 50, (1, most + 1), generator=torch.Generator().manual_seed(0))
    assert encoder.encode_text(small_tokens(ids[:, :most])).isfinite().all()
    with pytest.raises((RuntimeError, IndexError)):
        encoder.encode_text(small_tokens(ids))


def test_what_is_no_vision_model_or_leaves_patches_out_is_refused_in_one_line():
    with pytest.raises(InputError, match="image bert: not a model that transformers can make"):
        small_encoder(BERT | {"hidden_size": "wide"})
    with pytest.raises(InputError, match="a bert takes no images"):
        small_encoder(BERT)
    with pytest.raises(InputError, match="a efficientnet cannot be used on images of 32 pixels"):
        small_encoder({"model_type": "efficientnet", "width_coefficient": 0.2, "depth_coefficient": 0.1})
    with pytest.raises(InputError, match="a vit_mae leaves out patches at random"):
        small_encoder(VIT | {"model_type": "vit_mae"})


def test_vit_takes_its_class_token():
    encoder = small_encoder(VIT).eval()
    image = torch.randn(2, 3, 32, 32)
    hidden = encoder.image_model(pixel_values=image).last_hidden_state
    expected = hidden[:, 0] @ encoder.image_projection.weight.T
    torch.testing.assert_close(encoder.image_features(image).pooled, expected)


def test_swin_grid_keeps_rows_and_columns_apart():
    """A bright spot in the top right shows in the top right of the grid."""
    encoder = small_encoder(SWIN).eval()
    dark, spot = torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 32, 32)
    spot[..., :8, 24:] = 5
    change = (encoder.image_features(spot).grid - encoder.image_features(dark).grid).norm(dim=-1)[0]
    assert divmod(int(change.argmax()), 4) == (0, 3)


@pytest.mark.parametrize("family", FAMILIES)
def test_one_or_three_equal_channels_are_the_same_image(family):
    encoder = small_encoder(FAMILIES[family]).eval()
    grey = torch.randn(2, 1, 32, 32)
    torch.testing.assert_close(encoder.encode_image(grey), encoder.encode_image(grey.expand(-1, 3, -1, -1)))


def test_mean_pooling_leaves_padding_out():
    encoder = small_encoder(text_pooling="mean").eval()
    ids = torch.randint(0, 50, (1, 6))
    short = {"input_ids": ids, "attention_mask": torch.ones(1, 6, dtype=torch.long)}
    padded = {"input_ids": F.pad(ids, (0, 4)), "attention_mask": F.pad(short["attention_mask"], (0, 4))}
    torch.testing.assert_close(encoder.encode_text(short), encoder.encode_text(padded), atol=1e-5, rtol=1e-4)


def test_temperature_starts_where_it_is_told_and_is_bounded():
    encoder = small_encoder(temperature=0.07)
    assert encoder.scale.item() == pytest.approx(1 / 0.07)
    encoder.logit_scale.data.fill_(20.0)
    assert encoder.scale.item() == 100


@pytest.mark.parametrize("start", [2.0, 4.6051702, 4.7, 6.0])
def test_a_temperature_at_its_bound_can_still_rise(start):
    """The gradient is that of exp everywhere; that of a clamp would be none from ln 100 on, for good."""
    encoder = small_encoder()
    encoder.logit_scale.data.fill_(start)
    (gradient,) = torch.autograd.grad(encoder.scale, encoder.logit_scale)
    assert gradient.item() == pytest.approx(math.exp(start), rel=1e-5)
    assert encoder.scale.item() == pytest.approx(min(math.exp(start), 100), rel=1e-6)


def test_pretrained_towers_come_from_a_folder(tmp_path):
    first = small_encoder(VIT)
    first.image_model.save_pretrained(tmp_path / "vit")
    config = small_config()
    config.image = str(tmp_path / "vit")
    second = build_encoder(config)
    for name, tensor in first.image_model.state_dict().items():
        assert torch.equal(tensor, second.image_model.state_dict()[name]), name


@pytest.mark.parametrize("image", [{"model_type": "no-such-model"}, "/no/such/folder"])
def test_unknown_model_is_one_line(image):
    config = small_config()
    config.image = image
    with pytest.raises(InputError, match=r"--model\.image") as caught:
        build_encoder(config)
    assert "\n" not in str(caught.value)


def test_unused_heads_of_pretraining_are_not_there():
    """The paper projects the class token; a pooler would be trained by nothing."""
    encoder = small_encoder(VIT, text=BERT)
    assert not [name for name, _ in encoder.named_parameters() if "pooler" in name]


def test_projections_of_convirt_are_two_layers_by_hand():
    encoder = small_encoder(VIT, projection="mlp").eval()
    image = torch.randn(2, 3, 32, 32)
    token = encoder.image_model(pixel_values=image).last_hidden_state[:, 0]
    first, _, second = encoder.image_projection
    hidden = (token @ first.weight.T + first.bias).clamp(min=0)
    torch.testing.assert_close(encoder.image_features(image).pooled, hidden @ second.weight.T)
    assert first.weight.shape == (16, 16)


def test_an_image_model_with_a_pooling_of_its_own_keeps_it():
    """SigLIP's attends over patches; nothing of it is left out."""
    settings = {"model_type": "siglip_vision_model"} | {k: v for k, v in VIT.items() if k != "model_type"}
    encoder = small_encoder(settings).eval()
    image = torch.randn(2, 3, 32, 32)
    pooled = encoder.image_model(pixel_values=image).pooler_output
    expected = pooled @ encoder.image_projection.weight.T
    torch.testing.assert_close(encoder.image_features(image).pooled, expected)
    encoder.encode_image(image).sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.image_model.parameters())
