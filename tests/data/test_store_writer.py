"""Oracles: the studies that went in; and what a failed, killed or hindered writer must not leave."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from eclip.data.store import SCHEMA_VERSION, Store, write_store
from eclip.errors import InputError
from whole_studies import STUDIES, Left


@pytest.fixture
def folder(tmp_path):
    write_store(tmp_path / "store", iter(STUDIES), source="test", shard_rows=10, options={"image_size": 8})
    return tmp_path / "store"


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


def test_other_folders_are_not_overwritten(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()
    with pytest.raises(InputError, match="other things in it"):
        write_store(tmp_path / "thesis", STUDIES, source="test")
    assert [p.name for p in tmp_path.rglob("*")] == ["thesis", "chapter.tex"]


@pytest.mark.parametrize(
    "manifest", ['{"name": "a web app"}', "[]", "{", '{"level": "report", "model_fingerprint": ""}']
)
def test_another_manifest_makes_no_store(tmp_path, manifest):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "manifest.json").write_text(manifest)
    with pytest.raises(InputError, match="other things in it"):
        write_store(tmp_path / "app", STUDIES, source="test")
    assert (tmp_path / "app" / "manifest.json").read_text() == manifest


def test_what_somebody_put_into_a_store_is_not_deleted(folder):
    Store.open(folder)
    write_store(folder, STUDIES[:3], source="test")
    (folder / "patients.csv").touch()
    with pytest.raises(InputError, match="other things in it"):
        write_store(folder, STUDIES, source="test")
    assert (folder / "patients.csv").exists()
    assert len(Store.open(folder)) == 3


def test_a_store_that_was_on_its_way_out_when_all_was_killed_comes_back(folder):
    folder.rename(folder.with_name(".store.replaced"))

    def failing():
        yield STUDIES[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_store(folder, failing(), source="test")
    assert len(Store.open(folder)) == len(STUDIES)
    assert [path.name for path in folder.parent.iterdir()] == ["store"]


def test_here_is_a_folder_too(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    write_store(Path(), STUDIES, source="test")
    assert len(Store.open(tmp_path / "empty")) == len(STUDIES)


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
from whole_studies import study
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
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(out)], stdout=subprocess.PIPE, text=True, env=environment
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


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(InputError, match="No space left on device"):
        write_store(tmp_path / "s", STUDIES, source="test")
    assert not list(tmp_path.iterdir())
