"""Vectors that are kept: the same as computed, once a model and store, and never in the way."""

import numpy as np
import pytest

from eclip.cli import main
from eclip.evaluation.cache import cache_folder, cached
from eclip.evaluation.embeddings import embed_store
from eclip.evaluation.evaluate import evaluate
from eclip.models.model import Model
from small_evaluations import SpotModel
from small_stores import small_store


@pytest.fixture
def store(tmp_path):
    return small_store(tmp_path / "store")


def arrays(value=1.0):
    return {"image": np.full((3, 2), value, np.float32), "text": np.zeros((0, 2), np.float32)}


def never():
    raise AssertionError("computed again")


def test_computed_once_and_the_same_bits(tmp_path):
    rows = {"image": np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)}
    cached(tmp_path / "new", {"model": "a"}, lambda: rows)
    found = cached(tmp_path / "new", {"model": "a"}, never)
    np.testing.assert_array_equal(found["image"], rows["image"])
    assert found["image"].dtype == np.float32


def test_another_key_is_another_entry(tmp_path):
    for value, key in enumerate(({"model": "a"}, {"model": "b"}, {"model": "a", "split": "test"})):
        assert cached(tmp_path, key, lambda v=value: arrays(v))["image"][0, 0] == value


@pytest.mark.parametrize("cut", [0, 1, 31, 40, -1])
def test_a_damaged_file_is_computed_anew(tmp_path, cut):
    cached(tmp_path, {"model": "a"}, arrays)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:cut])
    assert cached(tmp_path, {"model": "a"}, lambda: arrays(2))["image"][0, 0] == 2
    flipped = bytearray(file.read_bytes())
    flipped[-1] ^= 1
    file.write_bytes(bytes(flipped))
    assert cached(tmp_path, {"model": "a"}, lambda: arrays(3))["image"][0, 0] == 3
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_made_is_no_reason_to_stop(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    assert cached(tmp_path / "file", {"model": "a"}, arrays)["image"].shape == (3, 2)


def test_the_oldest_go_when_there_are_too_many(tmp_path):
    rows = {"image": np.zeros((100, 10), np.float32)}
    for number in range(5):
        cached(tmp_path, {"model": str(number)}, lambda: rows, largest=13_000)
        if number == 3:
            cached(tmp_path, {"model": "2"}, never)  # used now
    assert len(list(tmp_path.iterdir())) == 3
    for number in (2, 3, 4):
        cached(tmp_path, {"model": str(number)}, never)


def test_where_it_lies(monkeypatch, tmp_path):
    monkeypatch.setenv("ECLIP_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("ECLIP_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "eclip" / "embeddings"


def test_a_second_evaluation_costs_no_forward_pass(store, tmp_path):
    model, cache = SpotModel(), tmp_path / "cache"
    first = evaluate(model, store, out=tmp_path / "a", tasks=["retrieval"], cache=cache)
    calls = model.calls
    assert calls == 2  # images, texts
    second = evaluate(model, store, out=tmp_path / "b", tasks=["retrieval"], cache=cache)
    assert model.calls == calls
    assert second == first
    assert (tmp_path / "a" / "results.json").read_bytes() == (tmp_path / "b" / "results.json").read_bytes()
    evaluate(model, store, out=tmp_path / "b", tasks=["embedding-quality"], cache=cache)
    assert model.calls == calls
    evaluate(model, store, out=tmp_path / "b", tasks=["retrieval"])
    assert model.calls == 2 * calls


def test_other_models_splits_and_stores_are_not_confused(store, tmp_path):
    cache = tmp_path / "cache"
    other = small_store(tmp_path / "other", plain=20)
    cases = [(SpotModel(), store, "test"), (SpotModel(seed=1), store, "test"), (SpotModel(), store, "train")]
    for model, of, split in [*cases, (SpotModel(), other, "train")]:
        expected = embed_store(model, of, split=split)
        for _ in range(2):
            found = embed_store(model, of, split=split, cache=cache)
            np.testing.assert_array_equal(found.image_ND, expected.image_ND)
            np.testing.assert_array_equal(found.text_ND, expected.text_ND)
    assert len(list(cache.iterdir())) == 2 * 4  # images and texts


def test_nothing_of_a_patient_but_vectors_is_kept(store, tmp_path):
    embed_store(SpotModel(), store, cache=tmp_path / "cache")
    files = list((tmp_path / "cache").iterdir())
    content = b"".join(file.read_bytes() for file in files)
    for study in store:
        for word in (study.image_id, study.patient_id, study.text):
            assert word.encode() not in content
    assert (tmp_path / "cache").stat().st_mode & 0o077 == 0


def test_the_command_keeps_them_unless_told_not_to(store, tmp_path, monkeypatch):
    from models.test_model import small_model

    monkeypatch.setenv("ECLIP_CACHE", str(tmp_path / "cache"))
    small_model().save(tmp_path / "model")
    command = ["evaluate", "--model", str(tmp_path / "model"), "--data", str(store.path)]
    command += ["--tasks", "retrieval", "--out", str(tmp_path / "out")]
    assert main([*command, "--no-cache"]) == 0
    assert not (tmp_path / "cache").exists()
    assert main(command) == 0
    monkeypatch.setattr(Model, "embed_images", lambda *_, **__: never())
    assert main(command) == 0
