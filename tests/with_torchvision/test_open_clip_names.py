"""Models by their names in open_clip, with weights from a file: what cannot be fetched here is told."""

import copy
import json

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file

import eclip
from eclip.cli import main
from eclip.errors import InputError

SETTINGS = {
    "embed_dim": 12,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "head_width": 32, "patch_size": 8},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
TEXTS = ["No pleural effusion.", "Large LEFT effusion;  3.5 cm, isn't it?", "Clear lungs. " * 20, ""]


@pytest.fixture
def weights(tmp_path):
    (tmp_path / "tiny-clip.json").write_text(json.dumps(SETTINGS))
    open_clip.add_model_config(tmp_path / "tiny-clip.json")
    torch.manual_seed(0)
    plain = open_clip.create_model("tiny-clip")
    save_file(plain.state_dict(), tmp_path / "weights.safetensors")
    yield plain, tmp_path / "weights.safetensors"
    open_clip.factory._MODEL_CONFIGS.pop("tiny-clip")


@torch.inference_mode()
def test_a_name_and_a_file_give_open_clips_own_embeddings(weights, tmp_path):
    plain, file = weights
    model = eclip.load(f"open_clip:tiny-clip/{file}")
    ids = open_clip.get_tokenizer("tiny-clip")(TEXTS)
    np.testing.assert_allclose(
        model.embed_texts(TEXTS), F.normalize(plain.encode_text(ids), dim=-1).numpy(), atol=1e-5
    )
    image = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
    transform = open_clip.image_transform(32, is_train=False)
    pixels = transform(Image.fromarray(image).convert("RGB"))[None]
    np.testing.assert_allclose(
        model.embed_images([image]), F.normalize(plain.encode_image(pixels), dim=-1).numpy(), atol=1e-5
    )
    model.save(tmp_path / "saved")
    np.testing.assert_array_equal(eclip.load(tmp_path / "saved").embed_texts(TEXTS), model.embed_texts(TEXTS))


def test_the_command_line_takes_it(weights, tmp_path):
    command = ["embed", "--model", f"open_clip:tiny-clip/{weights[1]}", "--texts", "effusion", "--out"]
    assert main([*command, str(tmp_path / "e.parquet")]) == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ViT-B-33/openai", "no such model in open_clip; near are ViT-B-32"),
        ("ViT-B-32", "which weights.*there are openai, laion400m_e31"),
        ("ViT-B-32/nope", "not a known tag or valid file"),
        ("ViT-B-32/laion2b_s34b_b79k", "Failed to download"),
        ("ViT-B-32/openai", "open_clip cannot open it"),
    ],
)
def test_names_and_weights_that_are_not_there_are_told_in_one_line(name, message):
    with pytest.raises(InputError, match=message) as told:
        eclip.load(f"open_clip:{name}")
    assert "\n" not in str(told.value)


def test_schemes_of_open_clip_are_understood(tmp_path):
    from test_open_clip import folder_of

    folder_of(tmp_path / "hub", "ViT")
    assert copy.deepcopy(eclip.load(f"local-dir:{tmp_path / 'hub'}").encoder.settings)
    with pytest.raises(InputError, match=r"^org/nowhere: neither a folder here nor a model on the hub"):
        eclip.load("hf-hub:org/nowhere")
