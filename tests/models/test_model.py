"""The model folder: what is saved is what is loaded, and what is missing is said in one line."""

import json

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

import eclip
from eclip.data.images import fit
from eclip.errors import InputError
from eclip.models.heatmap_processor import HeatmapProcessorConfig, build_processor
from eclip.models.model import Model
from eclip.models.tokenizer import train_tokenizer
from small_models import BERT, RESNET, SWIN, VIT, small_encoder

TEXTS = ["No pleural effusion.", "Large left pleural effusion.", "The heart is enlarged.", "Clear lungs."]


@pytest.fixture
def images():
    draw = np.random.default_rng(0)
    return [draw.integers(0, 256, (40, 50), dtype=np.uint8) for _ in range(5)]


def small_model(image=RESNET, *, processor=False, **changes):
    tokenizer = train_tokenizer(TEXTS, vocab_size=80)
    text = BERT | {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    encoder = small_encoder(image, text=text, **changes)
    config = HeatmapProcessorConfig(patch_size=8, width=16, heads=2)
    return Model(encoder, tokenizer, heatmap_processor=build_processor(config) if processor else None)


@pytest.mark.parametrize("image", [RESNET, VIT, SWIN], ids=lambda settings: settings["model_type"])
@pytest.mark.parametrize("processor", [False, True], ids=["plain", "processor"])
def test_saved_and_loaded_is_the_same_model(tmp_path, images, image, processor):
    model = small_model(image, processor=processor)
    model.save(tmp_path / "model")
    again = eclip.load(tmp_path / "model")
    np.testing.assert_array_equal(again.embed_images(images), model.embed_images(images))
    np.testing.assert_array_equal(again.embed_texts(TEXTS), model.embed_texts(TEXTS))
    assert again.fingerprint == model.fingerprint
    assert (again.heatmap_processor is not None) == processor


@pytest.mark.parametrize(("gpu", "device"), [(True, "cuda"), (False, "cpu")])
def test_a_model_is_loaded_to_the_gpu_if_there_is_one(tmp_path, monkeypatch, gpu, device):
    small_model(processor=True).save(tmp_path)
    asked = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.nn.Module, "to", lambda module, *where, **_: asked.extend(where) or module)
    eclip.load(tmp_path)
    eclip.load(tmp_path, device="cpu")
    assert asked == [device, device, "cpu", "cpu"]  # encoder and processor


def test_projections_of_convirt_are_loaded_as_they_were_saved(tmp_path, images):
    model = small_model(projection="mlp")
    model.save(tmp_path)
    again = eclip.load(tmp_path)
    assert again.encoder.config.projection == "mlp"
    np.testing.assert_array_equal(again.embed_images(images), model.embed_images(images))
    np.testing.assert_array_equal(again.embed_texts(TEXTS), model.embed_texts(TEXTS))


PROCESSORS = {
    "attention": {"patch_size": 8, "width": 16, "heads": 2, "query": "masked+image", "positions": True},
    "mask": {"kind": "mask"},
    "convolution": {"kind": "convolution", "filters": 4, "layers": 2},
    "attention, slices": {"patch_size": 8, "width": 16, "heads": 2, "slices": 3},
    "convolution, slices": {"kind": "convolution", "filters": 4, "layers": 2, "slices": 3},
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])
@pytest.mark.parametrize("kind", PROCESSORS)
def test_every_heatmap_processor_is_loaded_as_it_was_saved(tmp_path, kind, residual, channels):
    model = small_model()
    config = HeatmapProcessorConfig(**PROCESSORS[kind], residual=residual)
    model.heatmap_processor = build_processor(config, channels=channels)
    for parameter in model.heatmap_processor.parameters():  # the residual forms start at zero
        torch.nn.init.normal_(parameter)
    model.save(tmp_path)
    again = eclip.load(tmp_path).heatmap_processor
    assert (again.config, again.channels) == (config, channels)
    image, heatmap = torch.randn(2, channels, 20, 20), torch.rand(2, config.slices, 20, 20)
    assert torch.equal(again(image, heatmap), model.heatmap_processor(image, heatmap))


def test_a_folder_from_before_there_were_kinds_holds_the_attention_processor(tmp_path):
    model = small_model(processor=True)
    model.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    old = {"patch_size", "width", "heads", "channels"}
    config["heatmap_processor"] = {name: config["heatmap_processor"][name] for name in old}
    (tmp_path / "config.json").write_text(json.dumps(config))
    again = eclip.load(tmp_path).heatmap_processor
    assert again.config == model.heatmap_processor.config
    assert list(again.state_dict()) == [
        "patchify.weight",
        "patchify.bias",
        "attention.in_proj_weight",
        "attention.in_proj_bias",
        "attention.out_proj.weight",
        "attention.out_proj.bias",
        "projection.weight",
        "projection.bias",
        "unpatchify.weight",
        "unpatchify.bias",
    ]


def test_a_processor_of_an_unknown_kind_is_named(tmp_path):
    small_model(processor=True).save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["heatmap_processor"]["kind"] = "magic"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="magic"):
        eclip.load(tmp_path)


def test_a_run_folder_serves_as_a_model(tmp_path, images):
    model = small_model()
    model.save(tmp_path / "run" / "model")
    np.testing.assert_array_equal(
        eclip.load(tmp_path / "run").embed_images(images), model.embed_images(images)
    )


def test_an_export_does_not_replace_the_folder_one_is_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for here in (".", tmp_path, "../" + tmp_path.name):
        with pytest.raises(InputError, match="the folder you are in"):
            small_model().export(here, format="onnx")


def test_nothing_in_the_folder_is_a_pickle(tmp_path):
    small_model(processor=True).save(tmp_path)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} <= {".json", ".safetensors", ".md"}


def test_files_bytes_arrays_and_pictures_embed_alike(tmp_path, images):
    model = small_model()
    path = tmp_path / "a.png"
    Image.fromarray(images[0]).save(path)
    rows = model.embed_images([images[0], path, str(path), path.read_bytes(), Image.open(path)])
    assert rows.dtype == np.float32
    assert np.ptp(rows, axis=0).max() < 1e-6


@pytest.mark.parametrize("kind", ["16 bits", "on its side", "transparent", "colours"])
def test_an_open_picture_is_what_its_file_is(tmp_path, kind):
    """Pillow's own grey clips 16 bits at 255, and knows neither EXIF nor what is not meant to be seen."""
    model, draw = small_model(), np.random.default_rng(1)
    path, exif = tmp_path / "a.png", Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    picture = {
        "16 bits": Image.fromarray(draw.integers(0, 4000, (40, 50), dtype=np.uint16)),
        "on its side": Image.fromarray(draw.integers(0, 256, (40, 50), dtype=np.uint8)),
        "transparent": Image.fromarray(draw.integers(0, 256, (40, 50, 4), dtype=np.uint8)),
        "colours": Image.fromarray(draw.integers(0, 256, (40, 50, 3), dtype=np.uint8)),
    }[kind]
    picture.save(path, exif=exif if kind == "on its side" else None)
    np.testing.assert_allclose(model.embed_images([Image.open(path)]), model.embed_images([path]), atol=1e-6)


@pytest.mark.parametrize(
    "array",
    [np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint16), np.zeros((8, 8)), np.zeros(8, np.uint8)],
)
def test_an_array_of_another_kind_is_refused(array):
    with pytest.raises(InputError, match=r"expected gray levels, uint8 \(height, width\)"):
        small_model().embed_images([array])


def test_one_alone_is_a_list_of_one(tmp_path, images):
    model = small_model()
    Image.fromarray(images[0]).save(tmp_path / "a.png")
    for one in (images[0], tmp_path / "a.png", str(tmp_path / "a.png"), Image.open(tmp_path / "a.png")):
        np.testing.assert_array_equal(model.embed_images(one), model.embed_images([images[0]]))
    np.testing.assert_array_equal(model.embed_texts(TEXTS[0]), model.embed_texts(TEXTS[:1]))
    single, listed = {"a": TEXTS[0], "b": TEXTS[3]}, {"a": TEXTS[:1], "b": TEXTS[3:]}
    path = str(tmp_path / "a.png")
    table = model.zero_shot(path, single)
    assert table.index.tolist() == [path]
    np.testing.assert_array_equal(table.to_numpy(), model.zero_shot([images[0]], listed).to_numpy())
    assert model.similarity(images[0], TEXTS[0]).shape == (1, 1)


@pytest.mark.parametrize(
    ("prompts", "message"), [({}, "no class"), ({"a": ["x"], "b": []}, "class 'b' has no prompt")]
)
def test_a_class_without_a_prompt_is_refused(prompts, message):
    with pytest.raises(InputError, match=message):
        small_model().embed_classes(prompts)


def test_batching_and_order_change_nothing(images):
    model = small_model()
    np.testing.assert_allclose(
        model.embed_images(images, batch_size=2), model.embed_images(images, batch_size=5), atol=1e-6
    )
    texts = [*TEXTS, "a much longer text " * 3, "x"]
    one_by_one = np.concatenate([model.embed_texts([text]) for text in texts])
    np.testing.assert_allclose(model.embed_texts(texts, batch_size=4), one_by_one, atol=1e-5)


def test_class_vectors_are_means_of_unit_vectors_made_unit_again():
    model = small_model()
    rows = model.embed_classes({"effusion": TEXTS[:2], "clear": TEXTS[3:]})
    mean = model.embed_texts(TEXTS[:2]).mean(0)
    np.testing.assert_allclose(rows[0], mean / np.linalg.norm(mean), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_zero_shot_is_the_softmax_of_scaled_cosines(images):
    model, prompts = small_model(), {"effusion": TEXTS[:2], "clear": TEXTS[3:]}
    table = model.zero_shot(images, prompts)
    logits = model.embed_images(images) @ model.embed_classes(prompts).T * model.encoder.scale.item()
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(table.to_numpy(), expected, rtol=1e-4)
    assert list(table.columns) == ["effusion", "clear"]


def test_the_processor_never_touches_the_encoder(images):
    """Bit for bit: the CLIP computes the same with and without a processor beside it."""
    plain, expert = small_model(), small_model(processor=True)
    np.testing.assert_array_equal(plain.embed_images(images), expert.embed_images(images))
    assert plain.fingerprint == expert.fingerprint
    assert plain.expert_view(images[0], np.ones((40, 50), np.float32)) is None
    view = expert.expert_view(images[0], np.ones((40, 50), np.float32))
    assert view.shape == (32, 32)
    assert 0 <= view.min() <= view.max() <= 1


def test_processors_saved_before_there_were_slices_are_loaded(tmp_path):
    small_model(processor=True).save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["heatmap_processor"].pop("slices") == 1
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert eclip.load(tmp_path).heatmap_processor.config.slices == 1


def test_an_expert_view_of_a_processor_of_slices(images):
    """One heatmap is spread evenly; slices are taken as they are, and their order matters."""
    model = small_model()
    model.heatmap_processor = build_processor(HeatmapProcessorConfig(kind="convolution", slices=4))
    torch.nn.init.normal_(model.heatmap_processor.layers[0].weight)
    draw = np.random.default_rng(0)
    heatmap = draw.integers(0, 256, (40, 50)) / 255 + 1e-6
    one = model.expert_view(images[0], heatmap)
    preprocessing, processor = model.encoder.preprocessing, model.heatmap_processor
    fitted = torch.tensor(fit((heatmap * 255).astype(np.uint8), 32) / 255, dtype=torch.float32)
    with torch.inference_mode():
        view = processor(preprocessing([images[0]]), fitted.expand(1, 4, -1, -1) / 4)
    np.testing.assert_allclose(one, preprocessing.restore(view)[0, 0], atol=1e-5)
    slices = np.stack([heatmap, 0 * heatmap, 0 * heatmap, 0 * heatmap])
    there, back = (model.expert_view(images[0], maps) for maps in (slices, slices[::-1]))
    assert np.abs(there - back).max() > 1e-3
    with pytest.raises(InputError, match="3 slices of a heatmap: this model's processor takes 4"):
        model.expert_view(images[0], slices[:3])


def test_fingerprint_changes_with_a_weight():
    model, other = small_model(), small_model()
    with torch.no_grad():
        other.encoder.text_projection.weight[0, 0] += 1e-3
    assert model.fingerprint != other.fingerprint


def test_fingerprint_is_the_same_with_another_version_of_transformers(tmp_path, monkeypatch):
    model = small_model()
    model.save(tmp_path)
    monkeypatch.setattr("transformers.configuration_utils.__version__", "99.0.0")
    assert eclip.load(tmp_path).fingerprint == model.fingerprint


@pytest.mark.parametrize(
    "missing",
    ["model.safetensors", "heatmap_processor.safetensors", "tokenizer/tokenizer.json", "config.json"],
)
def test_a_missing_file_is_named(tmp_path, missing):
    small_model(processor=True).save(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(InputError, match=missing.rsplit("/")[-1]) as caught:
        eclip.load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("broken", ["model.safetensors", "config.json"])
def test_a_broken_file_is_named(tmp_path, broken):
    small_model().save(tmp_path)
    path = tmp_path / broken
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=broken):
        eclip.load(tmp_path)


def test_a_folder_of_a_newer_format_says_so(tmp_path):
    small_model().save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text()) | {"format_version": 99}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="newer"):
        eclip.load(tmp_path)


@pytest.mark.parametrize("source", ["no/such/folder", "nothing-here"])
def test_no_model_there(tmp_path, source):
    with pytest.raises(InputError, match="no such folder"):
        eclip.load(tmp_path / source)


def test_an_image_that_is_none_is_named(tmp_path):
    path = tmp_path / "report.jpg"
    path.write_text("not an image")
    with pytest.raises(InputError, match=r"report\.jpg"):
        small_model().embed_images([path])


def test_a_model_whose_weights_are_broken_embeds_nothing(images):
    """Vectors of NaN are nearest to everything."""
    model = small_model()
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.fill_(float("nan"))
    with pytest.raises(InputError, match="NaN or infinity for 5 of 5 inputs"):
        model.embed_images(images)
    with pytest.raises(InputError, match="NaN or infinity for 4 of 4 inputs"):
        model.embed_texts(TEXTS)
