"""Oracles: what was written; and that workers, kills and mistakes leave no trace in the store."""

import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from eclip.data.build import SOURCES, build, summary
from eclip.data.images import decode
from eclip.data.store import Store
from eclip.errors import InputError


def write_table(folder, count, *, broken=()):
    folder.mkdir(exist_ok=True)
    for i in range(count):
        path = folder / f"image{i}.png"
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (50, 40), dtype=np.uint8)).save(path)
        if i in broken:
            path.write_bytes(b"broken")
    rows = [{"file": f"image{i}.png", "report": f"number {i}"} for i in range(count)]
    pd.DataFrame(rows).to_csv(folder / "table.csv", index=False)
    return {"table": folder / "table.csv", "image": "file", "text": "report"}


def content(store):
    return {path.name: path.read_bytes() for path in store.glob("*.parquet")}


def test_the_bytes_do_not_depend_on_the_number_of_workers(tmp_path):
    options = write_table(tmp_path / "lab", 100, broken=(3, 50, 99))
    manifests = [
        build("csv", None, tmp_path / f"{w}", workers=w, image_size=32, **options) for w in (1, 2, 3)
    ]
    assert content(tmp_path / "1") == content(tmp_path / "2") == content(tmp_path / "3")
    for manifest in manifests:
        assert [rejection["row"] for rejection in manifest["rejected"]] == ["row 5", "row 52", "row 101"]
        assert manifest["shards"] == manifests[0]["shards"]


def test_images_are_shrunk_to_the_size_asked_for_and_never_enlarged(tmp_path):
    options = write_table(tmp_path / "lab", 2)
    for size, expected in ((20, (25, 20)), (64, (50, 40))):
        build("csv", None, tmp_path / f"{size}", image_size=size, workers=1, **options)
        study = Store.open(tmp_path / f"{size}")[0]
        assert (study.height, study.width) == decode(study.image).shape == expected
        assert (study.original_height, study.original_width) == (50, 40)


def test_the_manifest_tells_how_it_was_built(tmp_path):
    options = write_table(tmp_path / "lab", 3)
    manifest = build("csv", None, tmp_path / "store", image_size=32, workers=1, **options)
    assert manifest["source"] == "csv"
    assert manifest["options"] == {
        "root": "", "image_size": 32,
        "table": str(tmp_path / "lab" / "table.csv"), "image": "file", "text": "report",
    }  # fmt: skip


def test_it_says_how_many_were_left_out_and_why(tmp_path, capsys):
    manifest = build(
        "csv", None, tmp_path / "s", workers=1, **write_table(tmp_path / "lab", 5, broken=(1, 2))
    )
    assert "3 studies stored, 0 with annotations; 2 rows left out" in capsys.readouterr().out
    assert "row 3" in summary(manifest)


def test_many_reasons_are_cut_short():
    rejected = [
        {"file": "t.csv", "row": f"row {i}", "reason": f"reason {'abcdefg'[i % 7]}"} for i in range(70)
    ]
    lines = summary({"counts": {"rows": 1, "annotated": 0}, "rejected": rejected}).splitlines()
    assert len(lines) == 7
    assert lines[1] == "  10 × reason a (the first: t.csv, row 0: reason a)"


@pytest.mark.parametrize(
    ("source", "root", "options", "message"),
    [
        ("dicom", None, {}, "'dicom' is not a source; expected one of mimic-cxr, egd-cxr, reflacx, csv"),
        ("mimic-cxr", None, {}, "source mimic-cxr needs --root"),
        ("mimic-cxr", "gone", {}, "gone: no such folder"),
        ("mimic-cxr", ".", {"image": "file"}, "source mimic-cxr has no option --image"),
        ("reflacx", ".", {"gaze": {"egd-cxr": "x"}}, "source reflacx has no option --gaze"),
        ("csv", None, {"image": "file"}, "source csv needs --table"),
        ("csv", None, {"table": "t.csv", "image": "file"}, "source csv needs --text"),
    ],
)
def test_wrong_options_are_told_and_never_ignored(tmp_path, source, root, options, message):
    options = {name: tmp_path / value if name == "table" else value for name, value in options.items()}
    with pytest.raises(InputError, match=message):
        build(source, root and tmp_path / root, tmp_path / "store", **options)
    assert not (tmp_path / "store").exists()


def test_every_source_can_be_asked_for():
    assert list(SOURCES) == ["mimic-cxr", "egd-cxr", "reflacx", "csv"]


def test_nothing_left_is_an_error_with_the_first_reason(tmp_path):
    options = write_table(tmp_path / "lab", 3, broken=(0, 1, 2))
    with pytest.raises(
        InputError, match=r"no study is left to store, 3 could not be used; .*row 2: .*not an image"
    ):
        build("csv", None, tmp_path / "store", workers=2, **options)
    assert not (tmp_path / "store").exists()


KILLED = """
import sys, time
from pathlib import Path
import eclip.data.build as b

finish = b._finish
def slowly(draft, size):
    time.sleep(0.05)
    return finish(draft, size)

b._finish = slowly
folder = Path(sys.argv[1])
table = folder / "lab" / "table.csv"
b.build("csv", None, folder / "store", workers=2, table=table, image="file", text="report")
"""


def test_a_killed_build_leaves_no_store_and_no_process(tmp_path):
    options = write_table(tmp_path / "lab", 400)
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while not (tmp_path / ".store.building").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert (tmp_path / ".store.building").exists()
    time.sleep(0.3)
    child.kill()
    child.communicate(timeout=5)  # ends when the workers, who hold the same pipe, are gone too
    with pytest.raises(InputError):
        Store.open(tmp_path / "store")
    build("csv", None, tmp_path / "store", workers=1, **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lab", "store"]
