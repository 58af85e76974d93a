"""Both towers in onnxruntime: the same embeddings, for any number of images and texts, without torch.

The code that reads the folder is that of docs/export.md, which knows nothing of eclip.
"""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

import eclip
from eclip.errors import InputError
from eclip.models.export import onnx
from eclip.models.model import Model
from eclip.models.tokenizer import train_tokenizer
from small_clips import TEXTS, checkpoint
from small_models import BERT, RESNET, VIT, small_encoder

PAGE = Path(__file__).parents[3] / "docs" / "export.md"
(EXAMPLE,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
MODELS = {
    "SigLIP": None,
    "ViT + BERT": VIT,
    "ResNet + BERT": RESNET,
}  # CLIP and Swin: tests/test_round_trips.py


def two_towers(image, **changes):
    tokenizer = train_tokenizer(TEXTS, vocab_size=300)
    text = BERT | {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    return Model(small_encoder(image, text=text, **changes), tokenizer)


@pytest.fixture(scope="module", params=MODELS)
def exported(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    if MODELS[request.param] is None:
        checkpoint(folder / "hub", request.param)
        model = eclip.load(folder / "hub")
    else:
        model = two_towers(MODELS[request.param])
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    model.export(folder / "exported" / "onnx", format="onnx")
    draw = np.random.default_rng(0)
    for name, shape in {"image.jpg": (50, 40), "b.png": (32, 32), "c.png": (33, 70)}.items():
        Image.fromarray(draw.integers(0, 256, shape, dtype=np.uint8)).save(folder / name)
    return model, folder


@pytest.fixture
def example(exported, monkeypatch):
    model, folder = exported
    monkeypatch.chdir(folder)
    names = {}
    exec(compile(EXAMPLE, PAGE.name, "exec"), names)  # noqa: S102
    return model, names


@pytest.mark.parametrize("files", [["image.jpg"], ["image.jpg", "b.png", "c.png"]])
def test_images_embed_alike(example, files):
    model, names = example
    found = names["embed_images"](files)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, model.embed_images(files), atol=1e-5)


@pytest.mark.parametrize(
    "texts", [["x"], TEXTS, ["", *TEXTS, "effusion " * 100]], ids=["one", "some", "very short and long"]
)
def test_texts_embed_alike(example, texts):
    model, names = example
    np.testing.assert_allclose(names["embed_texts"](texts), model.embed_texts(texts), atol=1e-5)


def test_probabilities_are_those_of_zero_shot(example):
    model, names = example
    prompts = {"effusion": ["There is a pleural effusion."], "clear": ["The lungs are clear."]}
    expected = model.zero_shot(["image.jpg"], prompts).to_numpy()
    np.testing.assert_allclose(names["probabilities"], expected, atol=1e-4)


def test_only_siglip_wants_texts_of_one_length(example):
    model, names = example
    length = names["tower"]("text").get_inputs()[0].shape[1]
    is_siglip = model.encoder.logit_bias is not None
    assert length == (24 if is_siglip else "tokens")
    assert names["preprocessing"]["text"]["padding"] == ("max_length" if is_siglip else "longest")


def test_it_is_used_without_torch_and_eclip(exported):
    _, folder = exported
    forbidden = "".join(f"sys.modules[{name!r}] = None\n" for name in ("torch", "transformers", "eclip"))
    script = f"import sys\n{forbidden}{EXAMPLE}\nassert abs(probabilities.sum() - 1) < 1e-5"
    assert subprocess.run([sys.executable, "-c", script], cwd=folder, check=False).returncode == 0


@pytest.fixture
def quick(monkeypatch):
    """Without tracing anything: it takes seconds."""
    monkeypatch.setattr(torch.onnx, "export", lambda tower, given, path, **_: path.write_bytes(b"graph"))


def test_other_embeddings_in_onnxruntime_are_an_error(quick, tmp_path, monkeypatch):
    class Session:
        def __init__(self, path, **_):
            self.text = path.stem == "text"

        def get_inputs(self):
            return []

        def run(self, outputs, given):
            return [np.zeros((3, 12), np.float32)]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    with pytest.raises(InputError, match=r"the image tower gives other embeddings .* nothing was written"):
        two_towers(RESNET).export(tmp_path / "out", format="onnx")
    assert not list(tmp_path.iterdir())


def test_what_onnxruntime_cannot_run_is_an_error(quick, tmp_path):
    with pytest.raises(InputError, match="onnxruntime cannot run the image tower") as caught:
        two_towers(RESNET).export(tmp_path / "out", format="onnx")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_what_torch_cannot_export_is_an_error(tmp_path):
    """SigLIP 2 places its positions image by image."""
    checkpoint(tmp_path / "hub", "SigLIP 2")
    with pytest.raises(InputError, match="torch cannot export the image tower") as caught:
        eclip.load(tmp_path / "hub").export(tmp_path / "out", format="onnx")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_without_the_extra_one_line_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "onnxruntime" else find_spec(name)
    )
    with pytest.raises(InputError, match=r"needs onnxruntime; pip install 'eclip\[onnx\]'"):
        two_towers(RESNET).export(tmp_path / "out", format="onnx")
    assert not list(tmp_path.iterdir())


def test_a_slow_tokenizer_is_refused(tmp_path):
    class Slow:
        is_fast = False

    with pytest.raises(InputError, match=r"Slow: has no tokenizer\.json"):
        Model(small_encoder(RESNET), Slow()).export(tmp_path / "out", format="onnx")


def test_large_weights_lie_beside_the_graph(tmp_path, monkeypatch):
    """An ONNX file holds at most 2 GiB."""
    monkeypatch.setattr(onnx, "ONE_FILE", 100)
    two_towers(RESNET).export(tmp_path / "out", format="onnx")
    assert {"image.onnx.data", "text.onnx.data"} <= {path.name for path in (tmp_path / "out").iterdir()}
    settings = json.loads((tmp_path / "out" / "preprocessing.json").read_text())
    assert settings["image"] | {"mean": 0, "std": 0} == {
        "size": 32,
        "channels": 1,
        "crop": "centre square",
        "resampling": "bicubic",
        "mean": 0,
        "std": 0,
    }
