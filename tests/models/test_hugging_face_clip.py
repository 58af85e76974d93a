"""Stock CLIP-like models: what eclip computes with them is what plain `transformers` computes."""

import json

import numpy as np
import pytest
import torch
from transformers import AutoModel

import eclip
from eclip.errors import InputError
from eclip.models.dual_encoder import DualEncoderConfig
from eclip.models.encoders import build_encoder
from small_clips import COLOURS, DUAL_MODELS, TEXTS, checkpoint, small_clip, stock_model

SIGLIPS = [name for name in DUAL_MODELS if name.startswith("SigLIP")]


def unit(row_BD):
    return row_BD / row_BD.norm(dim=1, keepdim=True)


def some_tokens(*, padded):
    """Two texts; the second is shorter by `padded` tokens. 49 ends a text where a model looks for an end."""
    ids = torch.randint(5, 48, (2, 9), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    ids[:, -1] = 49
    if padded:
        ids[1, -padded - 1] = 49
        ids[1, -padded:], mask[1, -padded:] = 1, 0
    return {"input_ids": ids, "attention_mask": mask}


def patches_by_hand(image_CHW, size):
    """As NaFlex models read images: patches by row, in each (row, column, channel)."""
    height, width = image_CHW.shape[1:]
    return torch.stack(
        [
            image_CHW[:, top : top + size, left : left + size].permute(1, 2, 0).flatten()
            for top in range(0, height, size)
            for left in range(0, width, size)
        ]
    )


def plain_image_embedding(model, pixels_B3HW):
    if model.config.model_type == "siglip2":
        patches = torch.stack([patches_by_hand(image, 8) for image in pixels_B3HW])
        rows = torch.tensor([[side // 8 for side in pixels_B3HW.shape[2:]]] * len(pixels_B3HW))
        seen = torch.ones(patches.shape[:2], dtype=torch.long)
        return model.get_image_features(
            pixel_values=patches, pixel_attention_mask=seen, spatial_shapes=rows
        ).pooler_output
    return model.get_image_features(pixel_values=pixels_B3HW).pooler_output


@pytest.mark.parametrize("name", DUAL_MODELS)
def test_images_embed_as_in_plain_transformers(name):
    encoder, pixels = small_clip(name).eval(), torch.randn(3, 3, 32, 32)
    expected = unit(plain_image_embedding(stock_model(name), pixels))
    torch.testing.assert_close(encoder.encode_image(pixels), expected, atol=1e-6, rtol=0)
    pooled = encoder.image_features(pixels).pooled
    torch.testing.assert_close(unit(pooled), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("padded", [0, 3])
@pytest.mark.parametrize("name", [name for name in DUAL_MODELS if name not in SIGLIPS])
def test_texts_embed_as_in_plain_transformers(name, padded):
    encoder, tokens = small_clip(name).eval(), some_tokens(padded=padded)
    expected = unit(stock_model(name).get_text_features(**tokens).pooler_output)
    torch.testing.assert_close(encoder.encode_text(tokens), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", SIGLIPS)
def test_siglip_reads_texts_filled_up_and_without_a_mask(name):
    encoder, tokens = small_clip(name).eval(), some_tokens(padded=3)
    filled = torch.full((2, 24), 1)
    filled[:, :9] = tokens["input_ids"]
    expected = unit(stock_model(name).get_text_features(input_ids=filled).pooler_output)
    torch.testing.assert_close(encoder.encode_text(tokens), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", [name for name in DUAL_MODELS if name != "SigLIP 2"])
def test_scaled_cosines_are_the_logits_of_plain_transformers(name):
    encoder, model = small_clip(name).eval(), stock_model(name)
    pixels, tokens = torch.randn(2, 3, 32, 32), some_tokens(padded=0)
    if name in SIGLIPS:
        tokens = {"input_ids": torch.cat([tokens["input_ids"], torch.full((2, 15), 1)], 1)}
    expected = model(pixel_values=pixels, **tokens).logits_per_image
    cosines = encoder.encode_image(pixels) @ encoder.encode_text(tokens).T
    bias = encoder.logit_bias if name in SIGLIPS else 0
    torch.testing.assert_close(cosines * encoder.scale + bias, expected, atol=1e-5, rtol=1e-5)
    assert encoder.scale.shape == ()
    assert (encoder.logit_bias is not None) == (name in SIGLIPS)


def test_the_scale_of_clip_is_bounded_and_that_of_siglip_is_not():
    for name, scale in {"CLIP": 100.0, "SigLIP": 150.0}.items():
        encoder = small_clip(name)
        encoder.logit_scale.data.fill_(np.log(150))
        assert encoder.scale.item() == pytest.approx(scale)


@pytest.mark.parametrize("name", DUAL_MODELS)
def test_one_or_three_equal_channels_are_the_same_image(name):
    encoder, grey = small_clip(name).eval(), torch.randn(2, 1, 32, 32)
    torch.testing.assert_close(encoder.encode_image(grey), encoder.encode_image(grey.expand(-1, 3, -1, -1)))


def test_clip_projects_each_patch_as_its_class_token():
    encoder, pixels = small_clip("CLIP").eval(), torch.randn(2, 3, 32, 32)
    model = encoder.model
    tokens = model.vision_model(pixel_values=pixels).last_hidden_state
    expected = model.vision_model.post_layernorm(tokens) @ model.visual_projection.weight.T
    features = encoder.image_features(pixels)
    torch.testing.assert_close(features.pooled, expected[:, 0], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(features.grid.flatten(1, 2), expected[:, 1:], atol=1e-6, rtol=1e-5)


def test_siglip_attends_to_each_patch_alone():
    encoder, pixels = small_clip("SigLIP").eval(), torch.randn(2, 3, 32, 32)
    vision = encoder.model.vision_model
    tokens = vision(pixel_values=pixels).last_hidden_state
    grid = encoder.image_features(pixels).grid
    for place in (0, 7, 15):
        torch.testing.assert_close(grid.flatten(1, 2)[:, place], vision.head(tokens[:, place : place + 1]))


@pytest.fixture
def images():
    draw = np.random.default_rng(0)
    return [draw.integers(0, 256, (32, 32), dtype=np.uint8) for _ in range(3)]


@pytest.mark.parametrize("name", DUAL_MODELS)
def test_a_plain_checkpoint_opens_and_embeds_as_in_plain_transformers(tmp_path, images, name):
    checkpoint(tmp_path, name)
    opened, plain = eclip.load(tmp_path), AutoModel.from_pretrained(tmp_path).eval()
    assert opened.encoder.preprocessing == COLOURS
    assert opened.encoder.config.max_length == 24
    levels = torch.tensor([COLOURS.mean, COLOURS.std])[:, None, :, None, None]
    pixels = (torch.from_numpy(np.stack(images))[:, None] / 255 - levels[0]) / levels[1]
    expected = unit(plain_image_embedding(plain, pixels)).detach().numpy()
    np.testing.assert_allclose(opened.embed_images(images), expected, atol=1e-6)
    words = opened.tokenizer(
        TEXTS,
        truncation=True,
        padding="max_length" if name in SIGLIPS else True,
        return_tensors="pt",
        return_token_type_ids=False,
    )
    if name in SIGLIPS:
        del words["attention_mask"]
    expected = unit(plain.get_text_features(**words).pooler_output).detach().numpy()
    np.testing.assert_allclose(opened.embed_texts(TEXTS), expected, atol=1e-6)


@pytest.mark.parametrize("name", DUAL_MODELS)
def test_saved_as_a_model_folder_it_is_the_same_model(tmp_path, images, name):
    checkpoint(tmp_path / "hub", name)
    first = eclip.load(tmp_path / "hub")
    first.save(tmp_path / "model")
    again = eclip.load(tmp_path / "model")
    np.testing.assert_array_equal(again.embed_images(images), first.embed_images(images))
    np.testing.assert_array_equal(again.embed_texts(TEXTS), first.embed_texts(TEXTS))
    assert again.fingerprint == first.fingerprint
    assert again.encoder.config == first.encoder.config


def test_levels_that_are_alike_are_one_number_and_leave_images_grey(tmp_path):
    checkpoint(tmp_path, "SigLIP", image_mean=[0.5] * 3, image_std=[0.25] * 3)
    preprocessing = eclip.load(tmp_path).encoder.preprocessing
    assert (preprocessing.mean, preprocessing.std, preprocessing.channels) == (0.5, 0.25, 1)
    assert preprocessing([np.zeros((5, 5), np.uint8)]).shape == (1, 1, 32, 32)


def test_values_of_newer_folders_are_read_and_no_normalising_is_none(tmp_path):
    checkpoint(tmp_path, "CLIP", do_normalize=False)
    path = tmp_path / "preprocessor_config.json"
    (tmp_path / "processor_config.json").write_text(
        json.dumps({"image_processor": json.loads(path.read_text())})
    )
    path.unlink()
    preprocessing = eclip.load(tmp_path).encoder.preprocessing
    assert (preprocessing.mean, preprocessing.std) == (0, 1)


def test_colours_are_normalised_apart_and_restored():
    image = torch.rand(2, 1, 4, 4)
    pixels = COLOURS.normalise(image)
    for channel in range(3):
        expected = (image[:, 0] - COLOURS.mean[channel]) / COLOURS.std[channel]
        torch.testing.assert_close(pixels[:, channel], expected)
    torch.testing.assert_close(COLOURS.restore(pixels), image.expand(-1, 3, -1, -1))


def test_roberta_counts_positions_from_behind_the_padding(tmp_path):
    """AltCLIP's text model is one: of 40 positions, those up to the padding's are never a token's."""
    _, tokenizer = checkpoint(tmp_path, "AltCLIP")
    tokenizer.model_max_length = 10**30
    tokenizer.save_pretrained(tmp_path)
    opened = eclip.load(tmp_path)
    assert opened.encoder.config.max_length == 39
    assert opened.embed_texts(["effusion " * 100]).shape == (1, 12)


def test_weights_of_half_precision_are_taken_as_whole_ones(tmp_path):
    model, _ = checkpoint(tmp_path, "CLIP")
    model.half().save_pretrained(tmp_path)
    opened = eclip.load(tmp_path)
    assert {parameter.dtype for parameter in opened.encoder.parameters()} == {torch.float32}
    opened.save(tmp_path / "model")
    again = eclip.load(tmp_path / "model").encoder
    assert {parameter.dtype for parameter in again.parameters()} == {torch.float32}


def test_the_fingerprint_is_that_of_the_weights_not_of_the_library(tmp_path, monkeypatch):
    checkpoint(tmp_path, "CLIP")
    fingerprint = eclip.load(tmp_path).fingerprint
    monkeypatch.setattr("transformers.configuration_utils.__version__", "6.0.0")
    assert eclip.load(tmp_path).fingerprint == fingerprint


def break_settings(folder):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": "bert"}))


FAULTS = {
    "model_type bert": break_settings,
    "image_mean": lambda folder: (folder / "preprocessor_config.json").unlink(),
    "three numbers": lambda folder: (folder / "preprocessor_config.json").write_text('{"image_mean": [1]}'),
    "not readable as JSON": lambda folder: (folder / "preprocessor_config.json").write_text("{"),
    "transformers cannot open": lambda folder: (folder / "model.safetensors").unlink(),
}


@pytest.mark.parametrize("reason", FAULTS)
def test_what_is_wrong_with_a_checkpoint_is_one_line(tmp_path, reason):
    checkpoint(tmp_path, "CLIP")
    FAULTS[reason](tmp_path)
    with pytest.raises(InputError, match=reason) as caught:
        eclip.load(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_pickled_weights_are_not_opened(tmp_path):
    model, _ = checkpoint(tmp_path, "CLIP")
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(InputError, match="cannot open"):
        eclip.load(tmp_path)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"dual": {"model_type": "bert"}}, "model_type bert"),
        ({"dual": {"hidden_size": 3}}, "model_type None"),
        ({"dual": DUAL_MODELS["CLIP"], "embedding_dim": 7}, "--model.embedding-dim"),
        ({"dual": DUAL_MODELS["CLIP"], "projection": "mlp"}, "--model.projection"),
        ({"dual": {"model_type": "clip", "vision_config": {"hidden_size": 7}}}, "cannot make it"),
    ],
)
def test_settings_that_make_no_model_or_do_nothing_are_refused(settings, reason):
    with pytest.raises(InputError, match=reason) as caught:
        build_encoder(DualEncoderConfig(**settings))
    assert "\n" not in str(caught.value)
