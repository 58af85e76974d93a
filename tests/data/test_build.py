"""Oracles: what was written; and that workers, kills and mistakes leave no trace in the store."""

import json
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from eclip.annotations.reading import Rejection
from eclip.data import build as building
from eclip.data.build import build, summary
from eclip.data.images import decode
from eclip.data.sources.lab.table import Table
from eclip.data.store import Store
from eclip.errors import InputError


def lab(folder, count, *, broken=(), **columns):
    """A table of `count` images with their number as text; `columns`: name to a function of the number."""
    folder.mkdir(exist_ok=True)
    for i in range(count):
        path = folder / f"image{i}.png"
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (50, 40), dtype=np.uint8)).save(path)
        if i in broken:
            path.write_bytes(b"broken")
    rows = [
        {"file": f"image{i}.png", "report": f"number {i}"} | {name: cell(i) for name, cell in columns.items()}
        for i in range(count)
    ]
    pd.DataFrame(rows).to_csv(folder / "table.csv", index=False)
    return Table(table=folder / "table.csv", image="file", text="report", **{name: name for name in columns})


def content(store):
    return {path.name: path.read_bytes() for path in store.glob("*.parquet")}


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(building, "SHARD_ROWS", 40)


def test_the_bytes_do_not_depend_on_the_number_of_workers(tmp_path, small_shards):
    source = lab(tmp_path / "lab", 100, broken=(3, 50, 99))
    manifests = [build(source, tmp_path / f"{w}", workers=w, image_size=32) for w in (1, 2, 3)]
    assert content(tmp_path / "1") == content(tmp_path / "2") == content(tmp_path / "3")
    assert sorted(content(tmp_path / "1")) == [f"studies-0000{i}.parquet" for i in range(3)]
    assert Store.open(tmp_path / "1").column("image_id") == [
        f"image{i}" for i in range(100) if i not in (3, 50, 99)
    ]
    for manifest in manifests:
        assert [rejection["row"] for rejection in manifest["rejected"]] == ["row 5", "row 52", "row 101"]
        assert manifest["shards"] == manifests[0]["shards"]
        assert manifest["counts"]["rows"] == 97


def test_images_are_shrunk_to_the_size_asked_for_and_never_enlarged(tmp_path):
    source = lab(tmp_path / "lab", 2)
    for size, expected in ((20, (25, 20)), (64, (50, 40))):
        build(source, tmp_path / f"{size}", image_size=size, workers=1)
        study = Store.open(tmp_path / f"{size}")[0]
        assert (study.height, study.width) == decode(study.image).shape == expected
        assert (study.original_height, study.original_width) == (50, 40)


def test_the_manifest_tells_how_it_was_built(tmp_path):
    manifest = build(lab(tmp_path / "lab", 3), tmp_path / "store", image_size=32, workers=1)
    assert manifest["source"] == "csv"
    assert manifest["options"] == {
        "image_size": 32, "table": str(tmp_path / "lab" / "table.csv"), "image": "file", "text": "report",
    }  # fmt: skip
    assert json.loads((tmp_path / "store" / "manifest.json").read_text()) == manifest


def test_it_says_how_many_were_left_out_and_why(tmp_path, capsys):
    manifest = build(lab(tmp_path / "lab", 5, broken=(1, 2)), tmp_path / "s", workers=1)
    assert "3 studies stored, 0 with annotations; 2 left out" in capsys.readouterr().out
    assert "row 3" in summary(manifest)


def test_many_reasons_are_cut_short():
    rejected = [
        {"file": "t.csv", "row": f"row {i}", "reason": f"reason {'abcdefg'[i % 7]}"} for i in range(70)
    ]
    lines = summary({"counts": {"rows": 1, "annotated": 0}, "rejected": rejected}).splitlines()
    assert len(lines) == 7
    assert lines[1] == "  10 × reason a (the first: t.csv, row 0: reason a)"


def test_nothing_left_is_an_error_with_the_first_reason(tmp_path):
    source = lab(tmp_path / "lab", 3, broken=(0, 1, 2))
    with pytest.raises(
        InputError, match=r"no study is left to store, 3 could not be used; .*row 2: .*not an image"
    ):
        build(source, tmp_path / "store", workers=2)
    assert [path.name for path in tmp_path.iterdir()] == ["lab"]


def split_of(number):
    return "test" if number % 4 == 3 else "train"


def test_a_patient_in_two_splits_stops_the_build_before_an_image_is_read(tmp_path, monkeypatch):
    source = lab(tmp_path / "lab", 8, split=split_of, patient=lambda i: f"p{i // 3}")
    monkeypatch.setattr(building, "finish", lambda *_: pytest.fail("an image was read"))
    with pytest.raises(
        InputError, match=r"2 × patients in several splits \(the first: p1: test and train, .*row 6\)"
    ):
        build(source, tmp_path / "store", workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["lab"]


def test_leaks_can_be_allowed_and_are_counted(tmp_path):
    source = lab(tmp_path / "lab", 8, split=split_of, patient=lambda i: f"p{i // 3}")
    manifest = build(source, tmp_path / "store", workers=1, allow_leaks=True)
    assert manifest["counts"]["rows"] == 8
    assert manifest["checks"]["patients_in_several_splits"]["count"] == 2
    assert "LEAK: 2 × patients in several splits" in summary(manifest)


def test_an_image_encoded_anew_in_another_split_stops_the_build(tmp_path, monkeypatch):
    source = lab(tmp_path / "lab", 8, split=split_of)
    smooth = Image.fromarray(np.random.default_rng(1).integers(0, 255, (50, 40), dtype=np.uint8)).resize(
        (400, 500)
    )
    smooth.save(tmp_path / "lab" / "image2.png")
    smooth.resize((200, 250)).convert("RGB").save(tmp_path / "lab" / "image7.png", "JPEG", quality=60)
    with pytest.raises(
        InputError,
        match=r"1 × near duplicate images across splits \(the first: image7 \(test\) and image2 \(train\)",
    ):
        build(source, tmp_path / "store", workers=1)
    assert not (tmp_path / "store").exists()
    monkeypatch.setattr(building, "finish", lambda *_: pytest.fail("a finished shard was done again"))
    manifest = build(source, tmp_path / "store", workers=1, allow_leaks=True)
    assert manifest["checks"]["near_duplicate_images_across_splits"]["count"] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lab", "store"]


def test_a_text_in_two_splits_is_counted_and_no_leak(tmp_path):
    source = lab(tmp_path / "lab", 8, split=split_of)
    frame = pd.read_csv(source.table)
    frame.loc[[0, 3, 5], "report"] = "No acute process."
    frame.to_csv(source.table, index=False)
    checks = build(source, tmp_path / "store", workers=1)["checks"]
    assert checks["texts_in_several_splits"]["count"] == 1


def test_an_image_that_comes_twice_is_stored_once_and_listed(tmp_path):
    source = lab(tmp_path / "lab", 3)
    frame = pd.read_csv(source.table)
    pd.concat([frame, frame.iloc[[1]]]).to_csv(source.table, index=False)
    manifest = build(source, tmp_path / "store", workers=1)
    assert [r["row"] for r in manifest["rejected"]] == ["row 5"]
    assert manifest["checks"]["duplicate_image_ids"]["count"] == 1


def test_patients_of_another_store_can_be_left_out(tmp_path):
    source = lab(tmp_path / "lab", 8, patient=lambda i: f"p{i // 2}")
    frame = pd.read_csv(source.table)
    frame.iloc[[2, 7]].to_csv(tmp_path / "lab" / "held.csv", index=False)
    build(replace(source, table=tmp_path / "lab" / "held.csv"), tmp_path / "held", workers=1)
    manifest = build(source, tmp_path / "store", workers=1, exclude=(tmp_path / "held",))
    assert Store.open(tmp_path / "store").column("patient_id") == ["p0", "p0", "p2", "p2"]
    assert list(manifest["skipped"].values()) == [4]


def test_nothing_but_excluded_patients_is_told_as_such(tmp_path):
    source = lab(tmp_path / "lab", 3)
    build(source, tmp_path / "held", workers=1)
    with pytest.raises(
        InputError, match="no study is left to store, 0 could not be used, 3 × patient of a store"
    ):
        build(source, tmp_path / "store", workers=1, exclude=(tmp_path / "held",))


def test_a_link_to_a_store_stays_a_link(tmp_path):
    source = lab(tmp_path / "lab", 3)
    build(source, tmp_path / "disk" / "store", workers=1)
    (tmp_path / "store").symlink_to(tmp_path / "disk" / "store")
    build(source, tmp_path / "store", workers=1, image_size=16)
    assert (tmp_path / "store").is_symlink()
    assert Store.open(tmp_path / "disk" / "store").manifest["options"]["image_size"] == 16
    assert sorted(path.name for path in tmp_path.rglob("*") if path.name.startswith(".")) == [".arrow"]


def test_a_number_of_workers_that_cannot_be_is_told(tmp_path):
    with pytest.raises(InputError, match="--workers 0: expected at least 1"):
        build(lab(tmp_path / "lab", 1), tmp_path / "store", workers=0)


KILLED = """
import os, signal, sys, time
from pathlib import Path
import eclip.data.build as b
from eclip.data.sources.lab.table import Table

finish = b.finish
def slowly(draft, size):
    time.sleep(0.01)
    return finish(draft, size)

b.finish = slowly
b.SHARD_ROWS = 40
folder = Path(sys.argv[1])
table = Table(table=folder / "lab" / "table.csv", image="file", text="report")
b.build(table, folder / "store", workers=2)
"""


def test_a_killed_build_leaves_no_store_and_no_process_and_goes_on_where_it_was(
    tmp_path, monkeypatch, small_shards
):
    source = lab(tmp_path / "lab", 400)
    building_folder = tmp_path / ".store.building"
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while len(list(building_folder.glob("*.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    child.kill()
    child.communicate(timeout=5)  # ends when the workers, who hold the same pipe, are gone too
    with pytest.raises(InputError):
        Store.open(tmp_path / "store")
    done = len(list(building_folder.glob("*.json")))
    assert 3 <= done < 10

    finished = []
    finish = building.finish
    monkeypatch.setattr(building, "finish", lambda draft, size: finished.append(draft) or finish(draft, size))
    build(source, tmp_path / "store", workers=1)
    assert [draft.study.image_id for draft in finished] == [f"image{i}" for i in range(40 * done, 400)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lab", "store"]
    build(source, tmp_path / "again", workers=1)
    assert content(tmp_path / "again") == content(tmp_path / "store")


def interrupted(source, out, monkeypatch, *, after):
    """A build that is stopped when it has finished `after` rows."""
    finish, done = building.finish, []

    def until(draft, size):
        if len(done) == after:
            raise KeyboardInterrupt
        done.append(draft)
        return finish(draft, size)

    with monkeypatch.context() as patch:
        patch.setattr(building, "finish", until)
        with pytest.raises(KeyboardInterrupt):
            build(source, out, workers=1)


@pytest.mark.parametrize("changed", ["table", "size", "shard", "note"])
def test_shards_made_of_something_else_or_damaged_are_done_again(
    tmp_path, monkeypatch, small_shards, changed
):
    source = lab(tmp_path / "lab", 100)
    interrupted(source, tmp_path / "store", monkeypatch, after=85)
    shard = tmp_path / ".store.building" / "studies-00000.parquet"
    assert shard.exists()
    if changed == "table":
        frame = pd.read_csv(source.table)
        frame.loc[3, "report"] = "another"
        frame.to_csv(source.table, index=False)
    elif changed == "shard":
        shard.write_bytes(shard.read_bytes()[:-9])
    elif changed == "note":
        shard.with_suffix(".json").write_text('{"key": ')
    size = {"size": 32}.get(changed, 256)
    build(source, tmp_path / "store", workers=1, image_size=size)
    build(source, tmp_path / "fresh", workers=1, image_size=size)
    assert content(tmp_path / "store") == content(tmp_path / "fresh")


def test_rejections_of_shards_taken_over_stay_in_the_manifest(tmp_path, monkeypatch, small_shards):
    source = lab(tmp_path / "lab", 100, broken=(5, 99))
    interrupted(source, tmp_path / "store", monkeypatch, after=85)
    manifest = build(source, tmp_path / "store", workers=1)
    assert [rejection["row"] for rejection in manifest["rejected"]] == ["row 7", "row 101"]
    assert manifest["counts"]["rows"] == 98


def test_what_cannot_be_used_of_an_annotation_is_listed_and_its_study_kept(tmp_path):
    draft = next(lab(tmp_path / "lab", 1).select().drafts())
    left = Rejection("boxes.csv", "row 9", "no area")
    study, rejection = building.finish(replace(draft, annotate=lambda image: (left,)), 32)
    assert (study.image_id, study.annotations, rejection) == ("image0", (), left)
