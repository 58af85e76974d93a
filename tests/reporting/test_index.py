"""The report index: exact search against a product and sort, what is said by whom, appending, and what is refused."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from eclip.data.store import Store, write_store
from eclip.errors import InputError
from eclip.reporting import approximate
from eclip.reporting import index as index_module
from eclip.reporting.index import ReportIndex
from eclip.reporting.index_writer import build_index
from eclip.reporting.sentences import split_sentences
from small_evaluations import SpotModel, unit_rows
from small_stores import FINDINGS, small_store, small_study


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(tmp_path_factory.mktemp("store") / "store", plain=40)


@pytest.fixture
def index(store, tmp_path):
    return build_index(SpotModel(), store, tmp_path / "index")


def shared_store(folder):
    """Six studies of three patients; the first four say the same."""
    studies = [
        dataclasses.replace(
            small_study(i),
            patient_id=f"p{i // 2}",
            text="Clear. No edema." if i < 4 else f"Edema {i}. Clear.",
        )
        for i in range(6)
    ]
    write_store(folder, studies, source="test", rejected=[])
    return Store.open(folder)


def sayers(index, number, **which):
    return [index.study_id(row) for row in index.sayers(number, **which)]


def test_search_is_the_product_sorted(index, monkeypatch):
    queries = unit_rows(17, 8, seed=3)
    for cells in (10**6, 100):
        monkeypatch.setattr(index_module, "CELLS", cells)
        cosines, numbers = index.search(queries, 7)
        expected = np.argsort(-(queries.astype(np.float64) @ index.vectors.T), axis=1)[:, :7]
        np.testing.assert_array_equal(numbers, expected)
        np.testing.assert_allclose(
            cosines, np.take_along_axis(queries @ index.vectors.T, expected, 1), rtol=1e-5
        )
    one = index.search(queries[0], 7)
    np.testing.assert_array_equal(one[1][0], expected[0])
    assert index.search(queries, 1000)[1].shape == (17, len(index))


def test_vectors_are_those_of_the_model_and_texts_those_of_the_split(index, store):
    rows = store.rows(split="train")
    texts = [store.column("text")[row] for row in rows]
    assert index.texts.to_pylist() == texts
    np.testing.assert_array_equal(index.vectors, SpotModel().embed_texts(texts))
    assert isinstance(index.vectors, np.memmap)
    assert index.studies() == {store.column("study_id")[row] for row in rows}


def test_a_text_is_there_once_with_all_who_say_it(tmp_path):
    index = build_index(SpotModel(), shared_store(tmp_path / "store"), tmp_path / "index")
    assert index.texts.to_pylist() == ["Clear. No edema.", "Edema 4. Clear.", "Edema 5. Clear."]
    assert index.counts().tolist() == [4, 1, 1]
    assert sayers(index, 0) == [f"study-{i}" for i in range(4)]
    assert sayers(index, 0, exclude_patients=["p0"]) == ["study-2", "study-3"]
    assert sayers(index, 0, exclude_patients=["p0", "p1", "nobody"]) == []
    assert sayers(index, 0, labels=[FINDINGS[0]]) == ["study-0", "study-3"]
    assert sayers(index, 0, exclude_patients=["p0"], labels=[FINDINGS[0]]) == ["study-3"]
    assert (index.texts_of("p0"), index.texts_of("p2"), index.texts_of("nobody")) == (1, 2, 0)
    with pytest.raises(InputError, match="no study with finding 'Fracture'"):
        index.sayers(0, labels=["Fracture"])


def test_sentences_are_there_once_each(tmp_path):
    index = build_index(SpotModel(), shared_store(tmp_path / "store"), tmp_path / "index", level="sentence")
    assert index.texts.to_pylist() == ["Clear.", "No edema.", "Edema 4.", "Edema 5."]
    assert index.counts().tolist() == [6, 4, 1, 1]
    assert index.level == "sentence"


def test_appending_gives_what_indexing_all_at_once_gives(store, tmp_path):
    studies = list(store)
    for name, some in (("a", studies[:20]), ("b", studies[10:])):
        write_store(tmp_path / name, some, source="test", rejected=[])
    model = SpotModel()
    build_index(model, Store.open(tmp_path / "a"), tmp_path / "index")
    added = build_index(model, Store.open(tmp_path / "b"), tmp_path / "index", append=True)
    whole = build_index(model, store, tmp_path / "whole")
    np.testing.assert_array_equal(added.vectors, whole.vectors)
    assert added.texts.to_pylist() == whole.texts.to_pylist()
    assert added.entries.equals(whole.entries)
    assert len(added.manifest["sources"]) == 2
    with pytest.raises(InputError, match="all its studies are in the index"):
        build_index(model, store, tmp_path / "index", append=True)


def test_the_same_bytes_each_time(index, store, tmp_path):
    build_index(SpotModel(), store, tmp_path / "again")
    for file in (tmp_path / "again").iterdir():
        assert file.read_bytes() == (index.path / file.name).read_bytes(), file.name


@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_an_approximate_index_finds_nearly_all(store, tmp_path, kind, capsys):
    index = build_index(SpotModel(), store, tmp_path / "index", kind=kind)
    assert index.manifest["recall"] >= 0.99
    assert f"{kind} index: finds" in capsys.readouterr().err
    exact = build_index(SpotModel(), store, tmp_path / "exact")
    images = SpotModel().embed_images([study.image for study in store if study.split == "train"])
    found, nearest = index.search(images, 10)[1], exact.search(images, 10)[1]
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, nearest, strict=True)]) == pytest.approx(
        index.manifest["recall"], abs=1e-4
    )


@pytest.mark.parametrize("rows", [1, 2, 10])
def test_an_approximate_index_may_be_small(rows, tmp_path):
    for kind in ("ivf", "hnsw"):
        approximate.write_approximate(tmp_path / kind, unit_rows(rows, 6), kind, unit_rows(5, 6, seed=1))


def test_an_index_that_cannot_be_replaced_stays(index, store, tmp_path, monkeypatch):
    studies = [dataclasses.replace(study, study_id=f"more-{i}") for i, study in enumerate(store)]
    write_store(tmp_path / "more", studies, source="test", rejected=[])
    before = {file.name: file.read_bytes() for file in index.path.iterdir()}
    rename = type(tmp_path).rename

    def full(self, target):
        if (self / "manifest.json").is_file() and target == index.path and self.name in new:
            raise OSError(28, "No space left on device")
        if self == index.path:
            new.update(path.name for path in tmp_path.iterdir() if path.name.startswith("."))
        return rename(self, target)

    new: set[str] = set()
    monkeypatch.setattr(type(tmp_path), "rename", full)
    with pytest.raises(InputError, match="cannot be written"):
        build_index(SpotModel(), Store.open(tmp_path / "more"), index.path, append=True)
    assert {file.name: file.read_bytes() for file in index.path.iterdir()} == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("rows", [3, 400])
def test_neighbours_are_those_of_a_sort_and_recall_is_their_share(rows, monkeypatch):
    monkeypatch.setattr(approximate, "_ROWS", 70)
    vectors, queries = unit_rows(rows, 6), unit_rows(9, 6, seed=1)
    nearest = approximate.exact_neighbours(vectors, queries, 10)
    expected = np.argsort(-(queries @ vectors.T), axis=1)[:, :10]
    np.testing.assert_array_equal(np.sort(nearest, 1), np.sort(expected, 1))
    half = np.where(np.arange(nearest.shape[1]) % 2 == 0, nearest, -1)
    assert approximate.recall_of(half, nearest) == np.mean(np.arange(nearest.shape[1]) % 2 == 0)


def test_what_cannot_be_used_is_told_in_one_line(index, store, tmp_path):
    cases = []
    for number in range(6):
        shutil.copytree(index.path, tmp_path / f"copy{number}")
    (tmp_path / "copy0" / "manifest.json").write_text("{")
    cases.append(("copy0", "damaged"))
    (tmp_path / "copy1" / "vectors.npy").write_bytes((index.path / "vectors.npy").read_bytes()[:-100])
    cases.append(("copy1", "damaged"))
    (tmp_path / "copy2" / "texts.arrow").write_bytes(b"ARROW1")
    cases.append(("copy2", "damaged"))
    (tmp_path / "copy3" / "entries.arrow").unlink()
    cases.append(("copy3", "not a report index"))
    manifest = json.loads((index.path / "manifest.json").read_text())
    (tmp_path / "copy4" / "manifest.json").write_text(json.dumps(manifest | {"format": 9}))
    cases.append(("copy4", "format 9"))
    (tmp_path / "copy5" / "manifest.json").write_text(json.dumps(manifest | {"texts": 3}))
    cases.append(("copy5", "do not belong together"))
    cases.append(("nowhere", "not a report index"))
    (tmp_path / "a-store").mkdir()
    (tmp_path / "a-store" / "manifest.json").write_text('{"schema_version": 2}')
    cases.append(("a-store", "not a report index"))
    for name, message in cases:
        with pytest.raises(InputError, match=message) as told:
            ReportIndex.open(tmp_path / name)
        assert "\n" not in str(told.value)
    with pytest.raises(InputError, match="made with model"):
        ReportIndex.open(index.path, model=SpotModel(seed=1))
    with pytest.raises(InputError, match="8 dimensions, and the query has 5"):
        index.search(unit_rows(1, 5), 3)
    with pytest.raises(InputError, match="is there already"):
        build_index(SpotModel(), store, index.path)
    with pytest.raises(InputError, match="nothing to index"):
        build_index(SpotModel(), store, tmp_path / "none", split="nonsense")
    assert not (tmp_path / "none").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_split_sentences_are_what_an_index_of_sentences_holds(tmp_path):
    store = shared_store(tmp_path / "store")
    index = build_index(SpotModel(), store, tmp_path / "index", level="sentence")
    said = {sentence for text in store.column("text") for sentence in split_sentences(text)}
    assert set(index.texts.to_pylist()) == said
