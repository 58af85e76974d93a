"""Trained, exported, and opened by other libraries: the same embeddings. open_clip's is in tests/with_torchvision."""

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer, CLIPModel, SiglipModel

import eclip
from eclip.cli import main
from eclip.models.auto_model import EclipModel
from eclip.training.config import LoadingConfig, OptimConfig, TrainConfig
from eclip.training.methods import METHODS
from eclip.training.train import train
from small_clips import TEXTS, checkpoint
from small_models import BERT, SWIN, small_config
from small_stores import small_store

RUNS = {
    "CLIP": ("clip", CLIPModel),
    "SigLIP": ("siglip", SiglipModel),
    "Swin + BERT": ("eclip", EclipModel),  # the paper's, small
}


@pytest.fixture(scope="module", params=RUNS)
def trained(request, tmp_path_factory):
    """A run folder, its model, and the class that its export is to have."""
    folder = tmp_path_factory.mktemp("round-trip")
    method, kind = RUNS[request.param]
    if kind is EclipModel:
        start = {"model": small_config(SWIN, BERT | {"vocab_size": 300})}
    else:
        checkpoint(folder / "hub", request.param)
        start = {"start_from": str(folder / "hub")}
    config = TrainConfig(
        method=METHODS[method](),
        steps=4,
        batch_size=6,
        precision="32",
        validate_every=2,
        optim=OptimConfig(lr=1e-2),
        loading=LoadingConfig(workers=0),
        **start,
    )
    run = train(config, data=small_store(folder / "store").path, out=folder / "run")
    return run, eclip.load(run), kind


@pytest.fixture
def images():
    return [np.random.default_rng(i).integers(0, 256, (40, 40), dtype=np.uint8) for i in range(3)]


def unit(row_BD):
    return (row_BD / row_BD.norm(dim=1, keepdim=True)).numpy()


def test_it_opens_in_transformers(trained, images, tmp_path):
    run, model, kind = trained
    assert main(["export", "--model", str(run), "--out", str(tmp_path / "out")]) == 0
    opened = AutoModel.from_pretrained(tmp_path / "out")
    assert type(opened) is kind
    pictures = [Image.fromarray(image) for image in images]
    pixels = AutoImageProcessor.from_pretrained(tmp_path / "out")(images=pictures, return_tensors="pt")
    siglip = kind is SiglipModel
    words = AutoTokenizer.from_pretrained(tmp_path / "out")(
        TEXTS,
        padding="max_length" if siglip else True,
        return_attention_mask=not siglip,
        return_token_type_ids=False,
        return_tensors="pt",
    )
    with torch.inference_mode():
        image_BD = opened.get_image_features(**pixels).pooler_output
        text_BD = opened.get_text_features(**words).pooler_output
    np.testing.assert_allclose(unit(image_BD), model.embed_images(images), atol=1e-5)
    np.testing.assert_allclose(unit(text_BD), model.embed_texts(TEXTS), atol=1e-5)
    np.testing.assert_allclose(
        eclip.load(tmp_path / "out").embed_images(images), model.embed_images(images), atol=1e-5
    )


def test_it_opens_in_onnxruntime(trained, images, tmp_path):
    run, model, _ = trained
    assert main(["export", "--model", str(run), "--out", str(tmp_path / "out"), "--format", "onnx"]) == 0
    sessions = {
        tower: onnxruntime.InferenceSession(tmp_path / "out" / f"{tower}.onnx") for tower in ("image", "text")
    }
    pixels = model.encoder.preprocessing(images).numpy()
    (image_BD,) = sessions["image"].run(None, {"pixel_values": pixels})
    words = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json")).encode_batch(TEXTS)
    given = {"input_ids": [text.ids for text in words], "attention_mask": [t.attention_mask for t in words]}
    (text_BD,) = sessions["text"].run(None, {name: np.array(rows) for name, rows in given.items()})
    np.testing.assert_allclose(image_BD, model.embed_images(images), atol=1e-5)
    np.testing.assert_allclose(text_BD, model.embed_texts(TEXTS), atol=1e-5)
