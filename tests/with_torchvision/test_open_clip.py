"""open_clip models as they are: the same embeddings before, in and after eclip."""

import copy
import json

import numpy as np
import onnxruntime
import open_clip
import pytest
import torch
import torch.nn.functional as F
from open_clip.model import CLIP, CustomTextCLIP
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import AutoTokenizer

import eclip
from eclip.cli import main
from eclip.errors import InputError
from eclip.models.heatmap_processor import HeatmapProcessorConfig
from eclip.models.tokenizer import train_tokenizer
from eclip.training.config import LoadingConfig, OptimConfig, TrainConfig
from eclip.training.methods import METHODS
from eclip.training.train import train
from small_clips import COLOURS, TEXTS
from small_models import small_batch
from small_stores import small_store

VISION = {"image_size": 32, "layers": 1, "width": 64, "head_width": 32, "patch_size": 8}
TEXT = {"context_length": 24, "vocab_size": 300, "width": 16, "heads": 2, "layers": 1}
SIGLIP_TEXT = {"no_causal_mask": True, "pool_type": "last", "pad_id": 1, "proj_bias": True}
MODELS = {
    "ViT": {"embed_dim": 12, "vision_cfg": VISION, "text_cfg": TEXT},
    "ViT, QuickGELU": {"embed_dim": 12, "vision_cfg": VISION, "text_cfg": TEXT, "quick_gelu": True},
    "ResNet": {
        "embed_dim": 12,
        "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "head_width": 32},
        "text_cfg": TEXT,
    },
    "SigLIP": {
        "embed_dim": 12,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": VISION,
        "text_cfg": TEXT | SIGLIP_TEXT,
    },
    "timm": {
        "embed_dim": 12,
        "custom_text": True,
        "vision_cfg": {
            "timm_model_name": "convnext_atto",
            "timm_pool": "",
            "timm_proj": "linear",
            "image_size": 32,
        },
        "text_cfg": TEXT,
    },
}


def folder_of(folder, name):
    """As open_clip writes it for the hub."""
    torch.manual_seed(0)
    settings = copy.deepcopy(MODELS[name])
    custom = settings.pop("custom_text", False)
    model = (CustomTextCLIP if custom else CLIP)(**settings).eval()
    tokenizer = train_tokenizer(TEXTS, vocab_size=300)
    tokenizer.model_max_length = 24
    tokenizer.save_pretrained(folder)
    save_file(
        {key: tensor.contiguous() for key, tensor in model.state_dict().items()},
        folder / "open_clip_model.safetensors",
    )
    pixels = {"mean": COLOURS.mean, "std": COLOURS.std}
    settings = {"model_cfg": MODELS[name], "preprocess_cfg": pixels}
    (folder / "open_clip_config.json").write_text(json.dumps(settings))
    return model


@pytest.fixture(params=MODELS)
def opened(request, tmp_path):
    plain = folder_of(tmp_path / "hub", request.param)
    return request.param, plain, eclip.load(tmp_path / "hub")


@pytest.fixture(autouse=True)
def folders(tmp_path):
    (tmp_path / "hub").mkdir()


@pytest.fixture
def images():
    draw = np.random.default_rng(0)
    return [draw.integers(0, 256, (32, 32), dtype=np.uint8) for _ in range(3)]


def unit(row_BD):
    return (row_BD / row_BD.norm(dim=1, keepdim=True)).detach().numpy()


def filled(model, tokenizer, texts):
    """Ids up to the context length, filled with what the model's own tokenizer fills with."""
    padding = 1 if model.logit_bias is not None else 0
    rows = [tokenizer(text, truncation=True).input_ids for text in texts]
    return torch.tensor([row + [padding] * (24 - len(row)) for row in rows])


def test_it_embeds_as_in_plain_open_clip(opened, images):
    _, plain, model = opened
    levels = torch.tensor([COLOURS.mean, COLOURS.std])[:, None, :, None, None]
    pixels = (torch.from_numpy(np.stack(images))[:, None] / 255 - levels[0]) / levels[1]
    np.testing.assert_allclose(model.embed_images(images), unit(plain.encode_image(pixels)), atol=1e-6)
    ids = filled(plain, model.tokenizer, TEXTS)
    np.testing.assert_allclose(model.embed_texts(TEXTS), unit(plain.encode_text(ids)), atol=1e-6)
    assert model.encoder.scale.item() == pytest.approx(plain.logit_scale.exp().item())


UNCLEAN = ["There is  a_small RIGHT effusion!", "No [acute] (process); heart: normal.", "Ünclear\t–  45%."]


@pytest.mark.parametrize("clean", ["canonicalize", "lower", "whitespace"])
def test_texts_are_cleaned_as_open_clip_cleans_them(tmp_path, monkeypatch, clean):
    monkeypatch.setitem(MODELS, "SigLIP", copy.deepcopy(MODELS["SigLIP"]))
    MODELS["SigLIP"]["text_cfg"] |= {"tokenizer_kwargs": {"clean": clean}, "hf_tokenizer_name": "its own"}
    folder_of(tmp_path / "hub", "SigLIP")
    clean_text = open_clip.tokenizer.get_clean_fn(clean)
    plain = eclip.load(tmp_path / "hub").tokenizer
    raw = AutoTokenizer.from_pretrained(tmp_path / "hub")
    assert [plain(text).input_ids for text in UNCLEAN] == [
        raw(clean_text(text)).input_ids for text in UNCLEAN
    ]
    eclip.load(tmp_path / "hub").export(tmp_path / "again")
    again = open_clip.get_tokenizer(f"local-dir:{tmp_path / 'again'}")(UNCLEAN)
    wanted = open_clip.get_tokenizer(f"local-dir:{tmp_path / 'hub'}")(UNCLEAN)
    assert torch.equal(again, wanted)
    assert (
        eclip.load(tmp_path / "again").tokenizer.backend_tokenizer.to_str()
        == plain.backend_tokenizer.to_str()
    )


def test_what_a_tokenizer_cannot_do_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(MODELS, "ViT", copy.deepcopy(MODELS["ViT"]))
    MODELS["ViT"]["text_cfg"] |= {"tokenizer_kwargs": {"strip_sep_token": True}}
    folder_of(tmp_path / "hub", "ViT")
    with pytest.raises(InputError, match="does not serve models with strip_sep_token"):
        eclip.load(tmp_path / "hub")


def test_local_features_of_a_vision_transformer_are_projected_as_its_class_token(opened):
    name, plain, model = opened
    pixels = torch.randn(2, 3, 32, 32)
    features = model.encoder.image_features(pixels)
    torch.testing.assert_close(features.pooled, plain.encode_image(pixels), atol=1e-5, rtol=1e-5)
    if name in {"ResNet", "timm"}:
        assert features.grid is None
        return
    tokens = plain.visual.transformer(plain.visual._embeds(pixels))
    expected = plain.visual.ln_post(tokens) @ plain.visual.proj
    torch.testing.assert_close(features.pooled, expected[:, 0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(features.grid.flatten(1, 2), expected[:, 1:], atol=1e-5, rtol=1e-5)


def test_words_are_projected_as_the_token_that_is_pooled(opened):
    _, plain, model = opened
    ids = filled(plain, model.tokenizer, TEXTS)
    tokens = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    features = model.encoder.text_features(tokens)
    torch.testing.assert_close(features.pooled, plain.encode_text(ids), atol=1e-5, rtol=1e-5)
    place = torch.full((len(ids),), -1) if plain.logit_bias is not None else ids.argmax(1)
    words = features.words[torch.arange(len(ids)), place]
    torch.testing.assert_close(words, features.pooled, atol=1e-5, rtol=1e-5)
    assert torch.equal(model.encoder.encode_text(tokens), F.normalize(plain.encode_text(ids), dim=1))
    short = {name: rows[:, :9] for name, rows in tokens.items()}
    assert model.encoder.text_features(short).words.shape == (len(ids), 9, 12)


@pytest.mark.parametrize("method", ["gloria", "gloria-eclip"])
def test_gloria_trains_those_with_regions_and_refuses_the_others(opened, method):
    name, _, model = opened
    config = METHODS[method]()
    if hasattr(config, "processor"):
        config.processor = HeatmapProcessorConfig(patch_size=8, width=16, heads=2)
    if name in {"ResNet", "timm"}:
        with pytest.raises(InputError, match="no image regions to compare"):
            config.build(model.encoder, steps=10, seed=0)
        return
    trained = config.build(model.encoder, steps=10, seed=0).train()
    trained(small_batch(5, experts=2 if hasattr(config, "processor") else 0)).total.backward()
    without = {key for key, parameter in trained.named_parameters() if parameter.grad is None}
    assert without == {key for key, _ in trained.named_parameters() if key.endswith("logit_bias")}


@pytest.mark.parametrize("method", ["gaze-pooling", "gaze-attention"])
def test_gaze_guides_those_with_local_features_and_is_refused_by_the_others(opened, method):
    name, _, model = opened
    config = METHODS[method]()
    if name in {"ResNet", "timm"}:
        with pytest.raises(InputError, match=f"method {method}: needs local features"):
            config.build(model.encoder, steps=10, seed=0)
        return
    trained = config.build(model.encoder, steps=10, seed=0).train()
    trained(small_batch(5, experts=2)).total.backward()
    without = {key for key, parameter in trained.named_parameters() if parameter.grad is None}
    assert without == {key for key, _ in trained.named_parameters() if key.endswith("logit_bias")}


def test_saved_and_loaded_is_the_same_model(opened, images, tmp_path):
    _, _, model = opened
    model.save(tmp_path / "model")
    again = eclip.load(tmp_path / "model")
    np.testing.assert_array_equal(again.embed_images(images), model.embed_images(images))
    np.testing.assert_array_equal(again.embed_texts(TEXTS), model.embed_texts(TEXTS))
    assert again.fingerprint == model.fingerprint
    assert again.encoder.preprocessing == COLOURS


def test_the_export_opens_in_open_clip_itself(opened, images, tmp_path):
    _, _, model = opened
    model.export(tmp_path / "stock")
    plain, _, transform = open_clip.create_model_and_transforms(f"local-dir:{tmp_path / 'stock'}")
    plain.eval()
    pixels = torch.stack([transform(Image.fromarray(image).convert("RGB")) for image in images])
    np.testing.assert_allclose(model.embed_images(images), unit(plain.encode_image(pixels)), atol=1e-5)
    ids = filled(plain, model.tokenizer, TEXTS)
    np.testing.assert_allclose(model.embed_texts(TEXTS), unit(plain.encode_text(ids)), atol=1e-5)
    again = eclip.load(tmp_path / "stock")
    np.testing.assert_array_equal(again.embed_images(images), model.embed_images(images))


def test_trained_and_exported_it_opens_in_open_clip_and_onnxruntime(images, tmp_path):
    folder_of(tmp_path / "hub", "ViT")
    config = TrainConfig(
        start_from=str(tmp_path / "hub"),
        steps=4,
        batch_size=6,
        precision="32",
        validate_every=2,
        optim=OptimConfig(lr=1e-2),
        loading=LoadingConfig(workers=0),
    )
    run = train(config, data=small_store(tmp_path / "store").path, out=tmp_path / "run")
    model = eclip.load(run)
    for name, words in (("stock", []), ("onnx", ["--format", "onnx"])):
        assert main(["export", "--model", str(run), "--out", str(tmp_path / name), *words]) == 0
    plain, _, transform = open_clip.create_model_and_transforms(f"local-dir:{tmp_path / 'stock'}")
    pixels = torch.stack([transform(Image.fromarray(image).convert("RGB")) for image in images])
    ids = filled(plain, model.tokenizer, TEXTS)
    plain.eval()
    np.testing.assert_allclose(unit(plain.encode_image(pixels)), model.embed_images(images), atol=1e-5)
    np.testing.assert_allclose(unit(plain.encode_text(ids)), model.embed_texts(TEXTS), atol=1e-5)
    assert "library_name: open_clip" in (tmp_path / "stock" / "README.md").read_text()

    sessions = {
        tower: onnxruntime.InferenceSession(tmp_path / "onnx" / f"{tower}.onnx")
        for tower in ("image", "text")
    }
    (image_BD,) = sessions["image"].run(
        None, {"pixel_values": model.encoder.preprocessing(images[:1]).numpy()}
    )
    words = Tokenizer.from_file(str(tmp_path / "onnx" / "tokenizer.json")).encode_batch(TEXTS)
    given = {"input_ids": [text.ids for text in words], "attention_mask": [t.attention_mask for t in words]}
    (text_BD,) = sessions["text"].run(None, {name: np.array(rows) for name, rows in given.items()})
    np.testing.assert_allclose(image_BD, model.embed_images(images[:1]), atol=1e-5)
    np.testing.assert_allclose(text_BD, model.embed_texts(TEXTS), atol=1e-5)


def test_two_steps_change_every_parameter(opened):
    _, _, model = opened
    config = METHODS["siglip-eclip" if model.encoder.logit_bias is not None else "eclip"]()
    config.processor = HeatmapProcessorConfig(patch_size=8, width=16, heads=2)
    method = config.build(model.encoder, steps=10, seed=0).train()
    before = {key: tensor.detach().clone() for key, tensor in method.named_parameters()}
    optimiser = torch.optim.AdamW(method.parameters(), lr=1e-2, weight_decay=0)
    for step in (5, 6):
        optimiser.zero_grad()
        method(small_batch(step, experts=2, seed=step)).total.backward()
        optimiser.step()
    same = [key for key, tensor in method.named_parameters() if torch.equal(tensor, before[key])]
    assert not same


FAULTS = {
    "weights or tokenizer": lambda folder: (folder / "open_clip_model.safetensors").unlink(),
    "missing or not understood": lambda folder: (folder / "open_clip_config.json").write_text("{}"),
    "cannot make this model": lambda folder: (folder / "open_clip_config.json").write_text(
        (folder / "open_clip_config.json").read_text().replace('"width": 16', '"wide": 16')
    ),
}


@pytest.mark.parametrize("reason", FAULTS)
def test_what_is_wrong_with_a_folder_is_one_line(tmp_path, reason):
    folder_of(tmp_path / "hub", "ViT")
    FAULTS[reason](tmp_path / "hub")
    with pytest.raises(InputError, match=reason) as caught:
        eclip.load(tmp_path / "hub")
    assert "\n" not in str(caught.value)
