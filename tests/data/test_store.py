"""Oracles: the studies that went in, other Parquet readers, and what a killed build must not leave."""

import json
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from eclip.annotations.annotation import Annotation, Fixation, Region, Sentence
from eclip.data.images import encode
from eclip.data.store import SCHEMA, SCHEMA_VERSION, Store, Study, write_store
from eclip.errors import InputError

GAZE = Annotation(
    kind="gaze",
    reader="R1",
    fixations=(
        Fixation(0.1, -0.2, 0.0, 0.25),
        Fixation(0.5, 1.5, 0.3, 0.9, 0.04, 0.05, (0.1, 0.2, 0.9, 0.8)),
    ),
    sentences=(Sentence("Small left effusion.", 0.1, 0.8),),
)
REGIONS = (
    Annotation(kind="box", label="Edema", region=Region(((0.1, 0.2), (0.3, 0.4)))),
    Annotation(kind="mask", reader="R2", region=Region(mask=b"\x89PNG\0")),
)


@dataclass(frozen=True)
class Left:  # what eclip.annotations.reading.Rejection looks like
    file: str
    row: str
    reason: str


def study(i, **changes):
    made = Study(
        image_id=f"image-{i}",
        study_id=f"s{i // 2}",
        patient_id=f"p{i // 4}",
        split=("train", "train", "validate", "test")[i // 4 % 4],
        view="PA",
        sex="F",
        age=i or None,
        image_hash=f"{i:064x}",
        image=encode(np.full((8, 9), i % 256, np.uint8)),
        height=8,
        width=9,
        original_height=2000,
        original_width=2250,
        report=f"FINDINGS: number {i}\n é ≥",
        findings=f"number {i}",
        text=f"number {i}",
        labels={"Edema": 1, "Fracture": -1, "Pneumonia": 0} if i % 2 else {},
        annotations=(GAZE, *REGIONS) if i % 3 == 0 else (),
    )
    return replace(made, **changes)


STUDIES = [study(i) for i in range(23)]


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


def test_the_manifest_counts_and_keeps_what_was_left_out(tmp_path):
    rejected, skipped = [], {}

    def studies():
        rejected.append(Left("a.csv", "line 3", "no report"))
        skipped["not frontal"] = 2
        yield from STUDIES

    returned = write_store(tmp_path / "s", studies(), source="mimic-cxr", rejected=rejected, skipped=skipped)
    manifest = json.loads((tmp_path / "s" / "manifest.json").read_text())
    assert manifest == returned
    assert manifest["rejected"] == [{"file": "a.csv", "row": "line 3", "reason": "no report"}]
    assert manifest["skipped"] == {"not frontal": 2}
    assert (manifest["schema_version"], manifest["source"]) == (SCHEMA_VERSION, "mimic-cxr")
    counts = manifest["counts"]
    assert (counts["rows"], counts["annotated"]) == (23, 8)
    assert counts["splits"]["validate"] == {"rows": 4, "annotated": 1}
    assert counts["kinds"] == {"box": 8, "gaze": 8, "mask": 8}
    assert counts["labels"] == {"Edema": {"1": 11}, "Fracture": {"-1": 11}, "Pneumonia": {"0": 11}}
    assert sum(shard["rows"] for shard in manifest["shards"]) == 23


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


def test_a_store_is_replaced_and_its_old_copy_goes_with_it(folder):
    Store.open(folder)
    write_store(folder, STUDIES[:2], source="test")
    assert len(Store.open(folder)) == 2
    assert len(list((folder / ".arrow").iterdir())) == 1
    assert [p.name for p in folder.parent.iterdir()] == ["store"]


def test_other_folders_are_not_overwritten(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()
    with pytest.raises(InputError, match="other things in it"):
        write_store(tmp_path / "thesis", STUDIES, source="test")
    assert [p.name for p in tmp_path.rglob("*")] == ["thesis", "chapter.tex"]


def test_no_study_is_an_error_that_shows_the_first_reason(tmp_path):
    with pytest.raises(
        InputError, match=r"no study is left.* 1 could not be used.*a\.csv, line 3: no report"
    ):
        write_store(tmp_path / "s", [], source="csv", rejected=[Left("a.csv", "line 3", "no report")])
    assert not list(tmp_path.iterdir())


def test_a_failing_source_leaves_the_old_store_and_nothing_else(folder):
    def studies():
        yield STUDIES[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_store(folder, studies(), source="test", shard_rows=1)
    assert len(Store.open(folder)) == 23
    assert [p.name for p in folder.parent.iterdir()] == ["store"]


KILLED = """
import sys, time
from pathlib import Path
from tests.data.test_store import study
from eclip.data.store import write_store

def studies():
    for i in range(30):
        yield study(i)
    print("written", flush=True)
    time.sleep(60)

write_store(Path(sys.argv[1]), studies(), source="test", shard_rows=10)
"""


def test_a_killed_build_leaves_no_store_and_the_next_cleans_up(tmp_path):
    out = tmp_path / "store"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    script = KILLED.replace("from tests.data.test_store", "from test_store")
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(out)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert child.stdout.readline() == "written\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    (leftover,) = tmp_path.iterdir()
    assert len(list(leftover.glob("*.parquet"))) == 3  # the kill came in the middle of the work
    for path in (out, leftover):
        with pytest.raises(InputError):
            Store.open(path)
    write_store(out, STUDIES, source="test")
    assert list(tmp_path.iterdir()) == [out]
    assert len(Store.open(out)) == 23


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


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(InputError, match="No space left on device"):
        write_store(tmp_path / "s", STUDIES, source="test")
    assert not list(tmp_path.iterdir())
