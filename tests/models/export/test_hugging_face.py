"""What is exported for `transformers` opens there with the same embeddings, two towers after `import eclip`."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoProcessor, AutoTokenizer, CLIPModel

import eclip
from eclip.models.auto_model import EclipModel
from eclip.models.model import Model
from eclip.models.tokenizer import train_tokenizer
from small_clips import DUAL_MODELS, IMAGE_MODELS, TEXTS, checkpoint
from small_models import BERT, RESNET, small_encoder

SIZES = [32, 50, 77]  # squares: others are cropped before eclip resizes and after transformers does
LONG = "effusion " * 40


def moved(model):
    """A model that has moved away from its checkpoint."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    return model


@pytest.fixture(params=DUAL_MODELS)
def trained(request, tmp_path):
    checkpoint(tmp_path / "hub", request.param)
    return moved(eclip.load(tmp_path / "hub"))


def two_towers(image, **changes):
    tokenizer = train_tokenizer(TEXTS, vocab_size=300)
    text = BERT | {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    return moved(Model(small_encoder(image, text=text, **changes), tokenizer))


@pytest.fixture
def images():
    draw = np.random.default_rng(0)
    return [draw.integers(0, 256, (size, size), dtype=np.uint8) for size in SIZES]


def unit(row_BD):
    return (row_BD / row_BD.norm(dim=1, keepdim=True)).detach().numpy()


def pictures(images):
    return [Image.fromarray(image) for image in images]


def test_images_embed_alike_with_the_stock_classes(trained, images, tmp_path):
    trained.export(tmp_path / "stock")
    model = AutoModel.from_pretrained(tmp_path / "stock").eval()
    for processor in (AutoImageProcessor, AutoProcessor):
        if (processor, model.config.model_type) == (AutoProcessor, "siglip2"):
            continue  # it has 256 patches of 16 × 16 pixels, whatever the image processor says
        read = processor.from_pretrained(tmp_path / "stock")
        pixels = read(images=pictures(images), return_tensors="pt")
        embedded = unit(model.get_image_features(**pixels).pooler_output)
        np.testing.assert_allclose(embedded, trained.embed_images(images), atol=1e-5)


def test_texts_embed_alike_with_the_stock_classes(trained, tmp_path):
    trained.export(tmp_path / "stock")
    model = AutoModel.from_pretrained(tmp_path / "stock").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "stock")
    siglip = model.config.model_type.startswith("siglip")
    words = tokenizer(
        [*TEXTS, LONG],
        padding="max_length" if siglip else True,
        truncation=True,
        return_tensors="pt",
        return_token_type_ids=False,
        return_attention_mask=not siglip,
    )
    embedded = unit(model.get_text_features(**words).pooler_output)
    np.testing.assert_allclose(embedded, trained.embed_texts([*TEXTS, LONG]), atol=1e-5)


def test_eclip_opens_its_own_export(trained, images, tmp_path):
    trained.export(tmp_path / "stock")
    again = eclip.load(tmp_path / "stock")
    assert again.encoder.config == trained.encoder.config
    np.testing.assert_array_equal(again.embed_images(images), trained.embed_images(images))
    np.testing.assert_array_equal(again.embed_texts(TEXTS), trained.embed_texts(TEXTS))


def test_a_clip_is_a_clip_model(tmp_path):
    checkpoint(tmp_path / "hub", "CLIP")
    model = eclip.load(tmp_path / "hub")
    model.export(tmp_path / "stock")
    plain = CLIPModel.from_pretrained(tmp_path / "stock")
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, model.encoder.model.state_dict()[name]), name


def test_a_tokenizer_without_a_limit_gets_that_of_the_model(tmp_path):
    _, tokenizer = checkpoint(tmp_path / "hub", "Chinese-CLIP")
    tokenizer.model_max_length = 10**30
    tokenizer.save_pretrained(tmp_path / "hub")
    eclip.load(tmp_path / "hub").export(tmp_path / "stock")
    assert AutoTokenizer.from_pretrained(tmp_path / "stock").model_max_length == 40


@pytest.mark.parametrize("image", IMAGE_MODELS)
def test_two_towers_embed_alike_with_auto_classes(image, images, tmp_path):
    model = two_towers(IMAGE_MODELS[image])
    model.export(tmp_path / "stock")
    opened, told = AutoModel.from_pretrained(tmp_path / "stock", output_loading_info=True)
    assert isinstance(opened, EclipModel)
    assert not any(told.values())
    assert not opened.training
    pixels = AutoImageProcessor.from_pretrained(tmp_path / "stock")(
        images=pictures(images), return_tensors="pt"
    )
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "stock")
    words = tokenizer([*TEXTS, LONG], padding=True, truncation=True, return_tensors="pt")
    expected = model.embed_images(images), model.embed_texts([*TEXTS, LONG])
    with torch.inference_mode():
        embedded = opened.get_image_features(**pixels), opened.get_text_features(**words)
        found = opened(**pixels, **words)
    for features, rows in zip(embedded, expected, strict=True):
        np.testing.assert_allclose(unit(features.pooler_output), rows, atol=1e-5)
    np.testing.assert_allclose(found.image_embeds, expected[0], atol=1e-5)
    np.testing.assert_allclose(found.text_embeds, expected[1], atol=1e-5)
    logits = expected[0] @ expected[1].T * model.encoder.scale.item()
    np.testing.assert_allclose(found.logits_per_image, logits, atol=1e-3)
    np.testing.assert_array_equal(found.logits_per_text, found.logits_per_image.T)


@pytest.mark.parametrize(
    "changes",
    [{"projection": "mlp"}, {"text_pooling": "mean"}, {"local_features": "own"}],
    ids=lambda changes: next(iter(changes)),
)
def test_eclip_opens_its_export_of_two_towers(changes, images, tmp_path):
    model = two_towers(RESNET, **changes)
    model.card = {"method": "clip", "trained_on": {"source": "test"}}
    model.export(tmp_path / "stock")
    again = eclip.load(tmp_path / "stock")
    assert again.encoder.settings == model.encoder.settings
    assert (again.card, again.fingerprint) == (model.card, model.fingerprint)
    # its tensors lie in another order in memory, so that convolutions round otherwise
    np.testing.assert_allclose(again.embed_images(images), model.embed_images(images), atol=1e-6)
    np.testing.assert_array_equal(again.embed_texts(TEXTS), model.embed_texts(TEXTS))


def test_the_loss_is_that_of_both_directions(images, tmp_path):
    model = two_towers(RESNET)
    model.export(tmp_path / "stock")
    opened = AutoModel.from_pretrained(tmp_path / "stock")
    words = AutoTokenizer.from_pretrained(tmp_path / "stock")(TEXTS, padding=True, return_tensors="pt")
    pixels = model.encoder.preprocessing(images)
    found = opened(pixel_values=pixels, **words, return_loss=True)
    logits = found.logits_per_image.detach().numpy().astype(float)
    terms = [
        np.log(np.exp(table[row]).sum()) - table[row, row] for table in (logits, logits.T) for row in range(3)
    ]
    assert found.loss.item() == pytest.approx(np.mean(terms), abs=1e-4)
    found.loss.backward()
    assert all(parameter.grad is not None for parameter in opened.parameters())


def test_saved_by_transformers_it_opens_again(images, tmp_path):
    """Fine-tuned there, say."""
    model = two_towers(RESNET)
    model.export(tmp_path / "stock")
    opened = AutoModel.from_pretrained(tmp_path / "stock")
    with torch.no_grad():
        opened.encoder.image_projection.weight.mul_(-1)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "again").mkdir(exist_ok=True)
        (tmp_path / "again" / name).write_bytes((tmp_path / "stock" / name).read_bytes())
    opened.save_pretrained(tmp_path / "again")
    again = eclip.load(tmp_path / "again")
    np.testing.assert_allclose(again.embed_images(images), -model.embed_images(images), atol=1e-6)


def test_nothing_in_the_folder_is_code_or_a_pickle(tmp_path):
    two_towers(RESNET).export(tmp_path / "stock")
    assert {path.suffix for path in (tmp_path / "stock").iterdir()} == {".json", ".safetensors", ".md"}
    assert "auto_map" not in json.loads((tmp_path / "stock" / "config.json").read_text())


@pytest.mark.parametrize("name", ["CLIP", "SigLIP", None])
def test_the_code_in_the_model_card_gives_the_embeddings(name, images, tmp_path):
    if name is None:
        model = two_towers(RESNET)
    else:
        checkpoint(tmp_path / "hub", name)
        model = eclip.load(tmp_path / "hub")
    model.export(tmp_path / "stock")
    page = (tmp_path / "stock" / "README.md").read_text()
    code = page.split("```python\n")[1].split("```")[0].replace("FOLDER", str(tmp_path / "stock"))
    assert ("import eclip" in code) == (name is None)
    names = {"image": Image.fromarray(images[1]), "texts": TEXTS}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102
    np.testing.assert_allclose(unit(names["image_vectors"]), model.embed_images(images[1:2]), atol=1e-5)
    np.testing.assert_allclose(unit(names["text_vectors"]), model.embed_texts(TEXTS), atol=1e-5)
