"""A folder is there whole or not at all, and in the format that was asked for."""

from types import SimpleNamespace

import pytest

from eclip.errors import InputError
from eclip.models.export import formats
from eclip.models.model import Model
from eclip.models.tokenizer import train_tokenizer
from small_clips import TEXTS, small_clip
from small_models import BERT, small_encoder


@pytest.fixture
def model():
    tokenizer = train_tokenizer(TEXTS, vocab_size=300)
    return Model(small_encoder(text=BERT | {"vocab_size": len(tokenizer)}), tokenizer)


def test_a_folder_that_holds_something_is_left_alone(model, tmp_path):
    (tmp_path / "out").mkdir()
    model.export(tmp_path / "out")  # an empty one is taken
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(InputError, match="out: exists and is not an empty folder"):
        model.export(tmp_path / "out")
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="file: exists"):
        model.export(tmp_path / "file")


@pytest.mark.parametrize("error", [InputError, KeyboardInterrupt, OSError("disk full")])
def test_what_fails_half_way_leaves_nothing(model, tmp_path, monkeypatch, error):
    def fail(encoder, tokenizer, folder, **_):
        (folder / "model.safetensors").write_text("half")
        raise error

    monkeypatch.setattr(formats, "export_hugging_face", fail)
    with pytest.raises((InputError, KeyboardInterrupt)):
        model.export(tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_format_of_another_library_is_refused(model, tmp_path):
    for of in (model, Model(small_clip("CLIP"), model.tokenizer)):
        with pytest.raises(
            InputError, match="this model is not of open_clip; there are --format transformers"
        ):
            of.export(tmp_path / "out", format="open_clip")
    assert not list(tmp_path.iterdir())


def test_an_evaluation_of_another_model_is_refused(model, tmp_path):
    evaluation = SimpleNamespace(metrics={}, meta={"model_fingerprint": "of another"})
    with pytest.raises(InputError, match="the evaluation is of another model"):
        model.export(tmp_path / "out", evaluation=evaluation)
    assert not list(tmp_path.iterdir())
