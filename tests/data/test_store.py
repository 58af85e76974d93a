"""Oracles: the studies that went in, and other Parquet readers."""

import json
import os
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from eclip.data.store import SCHEMA, Store, write_store
from eclip.errors import InputError
from whole_studies import STUDIES


@pytest.fixture
def folder(tmp_path):
    write_store(tmp_path / "store", iter(STUDIES), source="test", shard_rows=10, options={"image_size": 8})
    return tmp_path / "store"


def test_what_is_read_is_what_was_written(folder):
    store = Store.open(folder)
    assert len(store) == 23
    assert [store[i] for i in range(23)] == STUDIES
    assert list(store) == STUDIES
    assert store.column("image_id") == [s.image_id for s in STUDIES]
    with pytest.raises(IndexError):
        store[23]


@pytest.mark.parametrize("split", [None, "train", "validate", "test", "nowhere"])
@pytest.mark.parametrize("annotated", [None, True, False])
def test_rows_are_those_a_loop_finds(folder, split, annotated):
    expected = [
        i
        for i, s in enumerate(STUDIES)
        if split in (None, s.split) and annotated in (None, bool(s.annotations))
    ]
    rows = Store.open(folder).rows(split, annotated)
    assert rows.tolist() == expected
    assert rows.dtype == np.int64


def test_other_readers_read_it(folder):
    frame = pd.read_parquet(folder / "studies-00001.parquet")
    assert frame["image_id"].tolist() == [f"image-{i}" for i in range(10, 20)]
    assert frame["annotations"][2][0]["fixations"][1]["visible"].tolist() == [0.1, 0.2, 0.9, 0.8]
    assert pq.read_schema(folder / "studies-00000.parquet").equals(SCHEMA)


def test_datasets_reads_it_without_the_cached_copy(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    Store.open(folder)
    rows = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    assert rows["image_id"] == [s.image_id for s in STUDIES]


def test_same_studies_same_fingerprint_other_studies_another(folder, tmp_path):
    before = Store.open(folder).fingerprint
    write_store(tmp_path / "again", STUDIES, source="test", shard_rows=10)
    write_store(
        tmp_path / "other", [replace(STUDIES[0], text="other"), *STUDIES[1:]], source="test", shard_rows=10
    )
    assert Store.open(tmp_path / "again").fingerprint == before
    assert Store.open(tmp_path / "other").fingerprint != before


def test_a_store_goes_to_worker_processes_by_its_path(folder):
    store = Store.open(folder)
    sent = pickle.dumps(store)
    assert len(sent) < 1000
    assert pickle.loads(sent)[22] == STUDIES[22]  # noqa: S301 - our own bytes


def test_the_mapped_copy_lies_in_the_store_and_is_made_once(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    store = Store.open(folder)
    copy = folder / ".arrow" / f"{store.fingerprint}.arrow"
    made = copy.stat().st_mtime_ns
    Store.open(folder)
    assert copy.stat().st_mtime_ns == made
    assert not (tmp_path / "home").exists()


def test_a_store_that_cannot_be_written_to_is_mapped_from_the_cache_folder(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert Store.open(folder)[3] == STUDIES[3]
    assert not (folder / ".arrow").exists()
    assert list((tmp_path / "home" / "eclip").glob("*.arrow"))


@pytest.mark.parametrize("kept", [0, 100])
def test_a_copy_that_was_cut_short_is_made_again(folder, kept):
    """As by a crash of the machine, which may lose what was not on disk yet."""
    copy = folder / ".arrow" / f"{Store.open(folder).fingerprint}.arrow"
    whole = copy.read_bytes()
    copy.unlink()
    copy.write_bytes(whole[:kept])
    assert Store.open(folder)[3] == STUDIES[3]
    assert copy.read_bytes() == whole


def test_a_store_is_replaced_and_its_old_copy_goes_with_it(folder):
    Store.open(folder)
    write_store(folder, STUDIES[:2], source="test")
    assert len(Store.open(folder)) == 2
    assert len(list((folder / ".arrow").iterdir())) == 1
    assert [p.name for p in folder.parent.iterdir()] == ["store"]


def truncate(folder):
    shard = folder / "studies-00001.parquet"
    shard.write_bytes(shard.read_bytes()[:-50])


def swap(folder):
    (folder / "studies-00001.parquet").write_bytes((folder / "studies-00002.parquet").read_bytes())


def edit_manifest(**changes):
    def edit(folder):
        path = folder / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "not a study store"),
        (lambda folder: (folder / "manifest.json").write_text('{"schema'), r"manifest\.json: cannot be read"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), r"manifest\.json: cannot be read"),
        (edit_manifest(schema_version=1), "older eclip .*build the store again"),
        (edit_manifest(schema_version=99), "newer eclip .*update eclip"),
        (
            lambda folder: (folder / "studies-00002.parquet").unlink(),
            r"studies-00002\.parquet: shard missing",
        ),
        (truncate, r"studies-00001\.parquet: shard damaged"),
        (swap, r"studies-00001\.parquet: shard does not have the 10 rows"),
    ],
)
def test_each_damage_is_told_in_one_line(folder, damage, message):
    damage(folder)
    with pytest.raises(InputError, match=message) as error:
        Store.open(folder)
    assert "\n" not in str(error.value)


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        Store.open(tmp_path / "nowhere")


def change_bytes(shard):
    content = bytearray(shard.read_bytes())
    content[60:80] = bytes(byte ^ 1 for byte in content[60:80])
    shard.write_bytes(content)


def test_changed_bytes_are_found_by_their_checksum(folder):
    assert Store.open(folder).damaged_shards() == []
    change_bytes(folder / "studies-00001.parquet")
    assert Store.open(folder).damaged_shards() == ["studies-00001.parquet"]


def test_changed_bytes_that_cannot_be_read_are_told_in_one_line(folder):
    change_bytes(folder / "studies-00001.parquet")
    with pytest.raises(InputError, match=r"studies-00001\.parquet: shard damaged; build the store again$"):
        Store.open(folder)
    assert not list((folder / ".arrow").iterdir())
