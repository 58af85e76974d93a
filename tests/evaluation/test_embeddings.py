"""Embeddings of a store: rows belong together, equal texts are equal, files round-trip."""

import numpy as np
import pandas as pd
import pytest

from eclip.data.store import Store, write_store
from eclip.errors import InputError
from eclip.evaluation.embeddings import Embeddings, embed_store, write_embeddings
from small_evaluations import SpotModel, unit_rows
from small_evaluations import embeddings as made_up
from small_stores import small_store, small_study


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(tmp_path_factory.mktemp("store") / "store")


def test_rows_are_those_of_the_split(store):
    model, rows = SpotModel(), store.rows(split="test")
    found = embed_store(model, store, progress=False)
    studies = [store[int(row)] for row in rows]
    assert found.image_id == [study.image_id for study in studies]
    assert found.patient_id == [study.patient_id for study in studies]
    np.testing.assert_array_equal(found.image_ND, model.embed_images([study.image for study in studies]))
    np.testing.assert_array_equal(found.text_ND, model.embed_texts([study.text for study in studies]))
    for name in found.label_names:
        assert found.label(name).tolist() == [study.labels[name] for study in studies]


def test_what_is_not_mentioned_is_nan_and_equal_texts_are_embedded_once(tmp_path):
    import dataclasses

    labels = [{"A": 1, "B": -1}, {}, {"B": 0}]
    studies = [
        dataclasses.replace(small_study(i, split="test"), labels=label, text="the same")
        for i, label in enumerate(labels)
    ]
    write_store(tmp_path / "store", studies, source="test")
    found = embed_store(SpotModel(), Store.open(tmp_path / "store"), progress=False)
    assert found.label_names == ("A", "B")
    np.testing.assert_array_equal(found.label_NC, [[1, -1], [np.nan, np.nan], [np.nan, 0]])
    np.testing.assert_array_equal(found.text_ND, found.text_ND[[0, 0, 0]])


def test_an_empty_split_is_told(store):
    with pytest.raises(InputError, match="no study in split 'tset'"):
        embed_store(SpotModel(), store, split="tset", progress=False)


def test_files_round_trip(tmp_path):
    labels = {"A": [1, 0, np.nan], "No Finding": [-1, np.nan, np.nan]}
    before = made_up(unit_rows(3, 5), unit_rows(3, 5, seed=1), texts=["x", "", "ß\n"], labels=labels)
    before.write(tmp_path / "e.parquet")
    after = Embeddings.read(tmp_path / "e.parquet")
    for name in Embeddings.__slots__:
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    assert after.image_ND.dtype == after.label_NC.dtype == np.float32


def test_missing_and_foreign_files_are_told(tmp_path):
    with pytest.raises(InputError, match="missing"):
        Embeddings.read(tmp_path / "none.parquet")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(InputError, match="not embeddings"):
        Embeddings.read(tmp_path / "other.parquet")
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(InputError, match="not embeddings"):
        Embeddings.read(tmp_path / "text.parquet")


def test_written_for_others_to_read(store, tmp_path):
    model = SpotModel()
    assert write_embeddings(model, tmp_path / "new" / "store.parquet", store=store) == len(store)
    table = pd.read_parquet(tmp_path / "new" / "store.parquet")
    assert list(table.columns) == ["image_id", "image_embedding", "text_embedding"]
    assert table["image_id"].tolist() == store.column("image_id")
    np.testing.assert_array_equal(table["text_embedding"][3], model.embed_texts([store[3].text])[0])

    assert write_embeddings(model, tmp_path / "texts.parquet", texts=["edema", "b"]) == 2
    table = pd.read_parquet(tmp_path / "texts.parquet")
    assert table["input"].tolist() == ["edema", "b"]
    np.testing.assert_array_equal(np.stack(table["embedding"]), model.embed_texts(["edema", "b"]))

    image = tmp_path / "image.png"
    image.write_bytes(store[0].image)
    assert write_embeddings(model, tmp_path / "images.parquet", images=[image]) == 1
    assert pd.read_parquet(tmp_path / "images.parquet")["input"].tolist() == [str(image)]
