"""What is exported opens in plain `transformers`, with the same embeddings."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoProcessor, AutoTokenizer, CLIPModel

import eclip
from eclip.errors import InputError
from eclip.models.model import Model
from small_clips import DUAL_MODELS, TEXTS, checkpoint
from small_models import small_encoder

SIZES = [32, 50, 77]  # squares: others are cropped before eclip resizes and after transformers does


@pytest.fixture(params=DUAL_MODELS)
def trained(request, tmp_path):
    """A model that has moved away from its checkpoint."""
    checkpoint(tmp_path / "hub", request.param)
    model = eclip.load(tmp_path / "hub")
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
    return model


@pytest.fixture
def images():
    draw = np.random.default_rng(0)
    return [draw.integers(0, 256, (size, size), dtype=np.uint8) for size in SIZES]


def unit(row_BD):
    return (row_BD / row_BD.norm(dim=1, keepdim=True)).detach().numpy()


def test_images_embed_alike_with_the_stock_classes(trained, images, tmp_path):
    trained.export(tmp_path / "stock")
    model = AutoModel.from_pretrained(tmp_path / "stock").eval()
    for processor in (AutoImageProcessor, AutoProcessor):
        if (processor, model.config.model_type) == (AutoProcessor, "siglip2"):
            continue  # it has 256 patches of 16 × 16 pixels, whatever the image processor says
        read = processor.from_pretrained(tmp_path / "stock")
        pixels = read(images=[Image.fromarray(image) for image in images], return_tensors="pt")
        embedded = unit(model.get_image_features(**pixels).pooler_output)
        np.testing.assert_allclose(embedded, trained.embed_images(images), atol=1e-5)


def test_texts_embed_alike_with_the_stock_classes(trained, tmp_path):
    trained.export(tmp_path / "stock")
    model = AutoModel.from_pretrained(tmp_path / "stock").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "stock")
    siglip = model.config.model_type.startswith("siglip")
    words = tokenizer(
        [*TEXTS, "effusion " * 40],
        padding="max_length" if siglip else True,
        truncation=True,
        return_tensors="pt",
        return_token_type_ids=False,
        return_attention_mask=not siglip,
    )
    embedded = unit(model.get_text_features(**words).pooler_output)
    np.testing.assert_allclose(embedded, trained.embed_texts([*TEXTS, "effusion " * 40]), atol=1e-5)


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


def test_two_towers_are_refused_in_one_line(tmp_path):
    checkpoint(tmp_path / "hub", "CLIP")
    tokenizer = eclip.load(tmp_path / "hub").tokenizer
    with pytest.raises(InputError, match="TwoTowers has no counterpart"):
        Model(small_encoder(), tokenizer).export(tmp_path / "stock")
    assert not (tmp_path / "stock").exists()
