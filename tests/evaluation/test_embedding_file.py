"""Embeddings made elsewhere: the same scores as with the model, and each fault told in one line."""

import json

import numpy as np
import pandas as pd
import pytest

from eclip.errors import InputError
from eclip.evaluation.embedding_file import EmbeddingFile, open_model
from eclip.evaluation.embeddings import embed_store, write_embeddings
from eclip.evaluation.evaluate import evaluate
from eclip.evaluation.prompts import prompt_set
from small_evaluations import DIMENSIONS, SpotModel, unit_rows
from small_stores import FINDINGS, small_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(tmp_path_factory.mktemp("store") / "store", test=30)


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    file = tmp_path_factory.mktemp("prompts") / "small.yaml"
    classes = "\n".join(f"  {name}: [There is {name.lower()}., Mild {name.lower()}.]" for name in FINDINGS)
    file.write_text(f"classes:\n{classes}\n")
    return str(file)


@pytest.fixture(scope="module")
def files(store, prompts, tmp_path_factory):
    """What `eclip embed` writes of the store, and of the prompts."""
    folder = tmp_path_factory.mktemp("files")
    write_embeddings(SpotModel(noise=1.0), folder / "store.parquet", store=store)
    write_embeddings(SpotModel(noise=1.0), folder / "prompts.parquet", texts=prompt_set(prompts).sentences)
    return folder


def as_npz(parquet, npz, **changes):
    table = pd.read_parquet(parquet)
    arrays = {
        name: np.stack(column) if "embedding" in name else column.to_numpy(str)
        for name, column in table.items()
    }
    np.savez(npz, **{name: array for name, array in (arrays | changes).items() if array is not None})
    return npz


def small_file(path, **changes):
    """Three images with embeddings of 4 numbers."""
    arrays = {
        "image_id": np.array(["a", "b", "c"]),
        "image_embedding": unit_rows(3, 4),
        "text_embedding": unit_rows(3, 4, seed=1),
    }
    np.savez(path, **{name: array for name, array in (arrays | changes).items() if array is not None})
    return path


@pytest.mark.parametrize("kind", ["parquet", "npz"])
def test_scores_are_those_of_the_model(files, store, prompts, tmp_path, kind):
    expected = evaluate(SpotModel(noise=1.0), store, out=tmp_path / "model", prompts=prompts)
    paths = [files / "store.parquet", files / "prompts.parquet"]
    if kind == "npz":
        paths = [as_npz(path, tmp_path / f"{path.stem}.npz") for path in paths]
    model = open_model(paths[0], prompt_embeddings=paths[1])
    found = evaluate(model, store, out=tmp_path / "file", prompts=prompts)
    meta = found.pop("meta")
    del expected["meta"], expected["zero-shot"]["calibration_error"]  # a file has no temperature
    assert found == expected
    assert {"zero-shot", "retrieval", "embedding-quality"} <= set(found)
    assert meta["model_fingerprint"] == model.fingerprint != SpotModel(noise=1.0).fingerprint
    assert f"--prompt-embeddings {paths[1]}" in meta["command"]
    assert "store" in json.loads((tmp_path / "file" / "results.json").read_text())["meta"]["command"]


def test_without_prompts_only_what_needs_them_is_left_out(files, store, prompts, tmp_path, capsys):
    model = open_model(files / "store.parquet")
    assert "zero-shot" not in evaluate(model, store, out=tmp_path / "out", prompts=prompts)
    assert "eclip prompts" in capsys.readouterr().err
    with pytest.raises(InputError, match="give the file to --prompt-embeddings"):
        evaluate(model, store, out=tmp_path / "out", prompts=prompts, tasks=["zero-shot"])


def test_without_texts_what_needs_them_is_left_out(files, store, prompts, tmp_path):
    file = as_npz(files / "store.parquet", tmp_path / "images.npz", text_embedding=None)
    model = open_model(file, prompt_embeddings=files / "prompts.parquet")
    found = evaluate(model, store, out=tmp_path / "out", prompts=prompts)
    assert "zero-shot" in found
    assert "retrieval" not in found


def test_an_image_cannot_be_looked_at(files):
    model = open_model(files / "store.parquet")
    for look in (lambda: model.embed_images([b""]), lambda: model.encoder.image_features):
        with pytest.raises(InputError, match="needs the model itself"):
            look()


def test_rows_may_stand_in_any_order_and_be_more(files, store, tmp_path):
    table = pd.read_parquet(files / "store.parquet").sample(frac=1, random_state=0)
    table.to_parquet(tmp_path / "mixed.parquet")
    expected = embed_store(open_model(files / "store.parquet"), store)
    found = embed_store(open_model(tmp_path / "mixed.parquet"), store)
    np.testing.assert_array_equal(found.image_ND, expected.image_ND)
    np.testing.assert_array_equal(found.text_ND, expected.text_ND)


def test_rows_of_any_length_become_unit_vectors(files, store, tmp_path, capsys):
    long = np.stack(pd.read_parquet(files / "store.parquet")["image_embedding"]).astype(np.float64) * 7
    file = as_npz(files / "store.parquet", tmp_path / "long.npz", image_embedding=long)
    found = embed_store(open_model(file), store)
    np.testing.assert_allclose(np.linalg.norm(found.image_ND, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(
        found.image_ND, embed_store(open_model(files / "store.parquet"), store).image_ND, atol=1e-6
    )
    assert capsys.readouterr().err.count("not of unit length; normalised") == 1


def test_equal_texts_get_one_vector_and_must_have_had_one(store, tmp_path):
    ids, texts = store.column("image_id"), np.array(store.column("text"), dtype=object)
    assert len(set(texts)) == len(texts)
    image, text = unit_rows(len(ids), 4), unit_rows(len(ids), 4, seed=1)
    file = small_file(
        tmp_path / "all.npz", image_id=np.array(ids), image_embedding=image, text_embedding=text
    )
    model = EmbeddingFile(file)
    text_of_N = np.zeros(2, int)
    with pytest.raises(InputError, match="have the same text in the store, but"):
        model.of_texts(ids[:2], ["clear"], text_of_N)
    np.testing.assert_array_equal(model.of_texts(ids[:2], [""], text_of_N), text[:1])


bad = np.array([[1, 0, 0, 0], [np.nan, 0, 0, 0], [1, 0, 0, 0]])
FAULTS = {
    "no such column": ({"image_id": None}, "no image_id; expected image_id, image_embedding, text_embedding"),
    "twice": ({"image_id": np.array(["a", "b", "a"])}, "image_id 'a' comes twice"),
    "not finite": ({"image_embedding": bad}, "image_embedding of 'b' is zero or not finite"),
    "zero": ({"image_embedding": np.zeros((3, 4))}, "image_embedding of 'a' is zero or not finite"),
    "other dimension": (
        {"text_embedding": unit_rows(3, 5)},
        "text_embedding has 5 dimensions, and image_emb",
    ),
    "too few": ({"image_embedding": unit_rows(2, 4)}, "expected a row of numbers for each of 3 rows"),
    "flat": ({"image_embedding": np.ones(3)}, "expected a row of numbers for each of 3 rows"),
    "words": ({"image_embedding": np.array([["x"]] * 3)}, "expected a row of numbers"),
    "pickled": ({"image_id": np.array(["a", None, "b"], dtype=object)}, "without pickled objects"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_told_in_one_line(tmp_path, fault):
    changes, message = FAULTS[fault]
    with pytest.raises(InputError, match=message) as told:
        EmbeddingFile(small_file(tmp_path / "file.npz", **changes))
    assert "\n" not in str(told.value)
    assert "file.npz" in str(told.value)


@pytest.mark.parametrize(
    "rows",
    [[[1.0, 0.0], [1.0]], [[1.0, 0.0], None], [1.0, 2.0], ["a", "b"]],
    ids=["ragged", "null", "flat", "words"],
)
def test_columns_of_parquet_that_are_no_vectors_are_told(tmp_path, rows):
    pd.DataFrame({"image_id": ["a", "b"], "image_embedding": rows}).to_parquet(tmp_path / "file.parquet")
    with pytest.raises(InputError, match="image_embedding: expected a row of numbers for each of 2 rows"):
        EmbeddingFile(tmp_path / "file.parquet")


@pytest.mark.parametrize("name", ["file.npz", "file.parquet"])
@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04broken", b"PAR1broken"])
def test_broken_and_missing_files_are_told(tmp_path, name, content):
    with pytest.raises(InputError, match="no such file"):
        open_model(tmp_path / name)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as") as told:
        open_model(tmp_path / name)
    assert "\n" not in str(told.value)


def test_images_and_prompts_that_are_missing_are_named(store, prompts, tmp_path):
    model = EmbeddingFile(small_file(tmp_path / "file.npz"))
    with pytest.raises(InputError, match=r"30 of 30 images are not among its image_id, such as 'image-38'"):
        embed_store(model, store)
    np.savez(tmp_path / "prompts.npz", input=np.array(["x"]), embedding=unit_rows(1, 4))
    model = EmbeddingFile(small_file(tmp_path / "file.npz"), prompts=tmp_path / "prompts.npz")
    with pytest.raises(InputError, match="6 of 6 prompts are not among its `input`, such as 'There is atel"):
        model.embed_texts(prompt_set(prompts).sentences)


def test_prompts_of_another_model_are_told(files, tmp_path):
    np.savez(tmp_path / "prompts.npz", input=np.array(["x"]), embedding=unit_rows(1, 5))
    with pytest.raises(
        InputError, match=f"embedding has 5 dimensions, and image_embedding of .* {DIMENSIONS}"
    ):
        open_model(files / "store.parquet", prompt_embeddings=tmp_path / "prompts.npz")


def test_prompts_beside_a_model_have_no_effect_and_are_refused(tmp_path):
    with pytest.raises(InputError, match="has no effect on a model"):
        open_model(tmp_path, prompt_embeddings=tmp_path / "prompts.npz")
