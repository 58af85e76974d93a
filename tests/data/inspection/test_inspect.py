"""Oracles: counts of what was written; the pixels of the sheet."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from eclip.annotations.reading import Rejection
from eclip.data.inspection import check, contact_sheet, inspect
from eclip.data.store import Store, write_store
from eclip.errors import InputError
from small_stores import small_store, small_study


def test_the_printed_tables_say_what_is_in_the_store(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    store = small_store(tmp_path / "store", plain=24, annotated=8, validate=6, test=12)
    assert inspect(store) == []
    printed = capsys.readouterr().out
    lines = [line.replace("│", " ").split() for line in printed.splitlines()]
    assert ["train", "32", "8", "32"] in lines
    assert ["validate", "6", "0", "6"] in lines
    assert ["all", "50", "8", "50"] in lines
    assert ["views", "50", "PA"] in lines
    assert ["annotations", "8", "studies", "with", "gaze"] in lines
    assert ["Atelectasis", "17", "33", "0"] in lines
    assert "image ids are unique" in printed


def test_rows_left_out_are_shown_with_an_example(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    rejected = [Rejection("m.csv", f"id{i}", "no report") for i in range(3)]
    write_store(
        tmp_path / "s", [small_study(0)], source="test", rejected=rejected, skipped={"not frontal": 4}
    )
    inspect(Store.open(tmp_path / "s"))
    printed = capsys.readouterr().out
    assert "m.csv, id0: no report" in printed
    assert "4 × not frontal" in printed


def test_faults_are_found(tmp_path):
    studies = [small_study(0), small_study(0), replace(small_study(1), split="test", patient_id="patient-0")]
    write_store(tmp_path / "s", studies, source="test")
    Store.open(tmp_path / "s")  # makes the copy that is read from then on
    shard = tmp_path / "s" / "studies-00000.parquet"
    content = bytearray(shard.read_bytes())
    content[60] ^= 1
    shard.write_bytes(content)
    store = Store.open(tmp_path / "s")
    problems = inspect(store)
    assert problems == check(store)
    for problem, expected in zip(problems, ["not the bytes", "1 image ids", "1 patients"], strict=True):
        assert expected in problem


@pytest.mark.parametrize("annotation", ["gaze", "box", "off-image"])
@pytest.mark.parametrize("counts", [(1, 0), (24, 8), (0, 3)])
def test_a_sheet_is_drawn_whatever_the_store_holds(tmp_path, annotation, counts):
    plain, annotated = counts
    store = small_store(
        tmp_path / "s", plain=plain, annotated=annotated, validate=0, test=0, annotation=annotation
    )
    contact_sheet(store, tmp_path / "deep" / "sheet.png")
    with Image.open(tmp_path / "deep" / "sheet.png") as sheet:
        assert sheet.width > 1000


def test_the_heatmap_is_drawn_where_the_gaze_was(tmp_path):
    blank = io.BytesIO()
    Image.new("L", (100, 100)).save(blank, "PNG")
    study = replace(
        small_study(1, annotation="gaze"), image=blank.getvalue(), height=100, width=100, text="$x_{$"
    )
    write_store(tmp_path / "s", [study], source="test")  # the text would be a broken formula
    contact_sheet(Store.open(tmp_path / "s"), tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB")).astype(int)
    colour = sheet[..., 0] - sheet[..., 2]  # a gray image has none
    black = np.argwhere(sheet.sum(-1) < 60)
    (top, left), (bottom, right) = black.min(0), black.max(0)
    y, x = np.unravel_index(colour.argmax(), colour.shape)
    fixation = study.annotations[0].fixations[0]
    assert (x - left) / (right - left) == pytest.approx(fixation.x, abs=0.03)
    assert (y - top) / (bottom - top) == pytest.approx(fixation.y, abs=0.03)


def test_where_the_sheet_cannot_be_written_is_told(tmp_path):
    store = small_store(tmp_path / "s", plain=1, annotated=0, validate=0, test=0)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        contact_sheet(store, tmp_path / "file" / "sheet.png")
