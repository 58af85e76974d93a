"""Oracles: counts of what was written, as they stand in the printed tables."""

from dataclasses import replace

import pytest

from eclip.annotations.reading import Rejection
from eclip.data.inspection.inspect import inspect
from eclip.data.store import Store, write_store
from eclip.errors import InputError
from small_stores import small_store, small_study


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")


def printed(capsys):
    """The lines, as words."""
    return [line.replace("│", " ").split() for line in capsys.readouterr().out.splitlines()]


def test_the_printed_tables_say_what_is_in_the_store(tmp_path, capsys):
    store = small_store(tmp_path / "store", plain=24, annotated=8, validate=6, test=12)
    assert inspect(store) == []
    lines = printed(capsys)
    assert ["train", "32", "32", "32", "8", "32"] in lines
    assert ["validate", "6", "6", "6", "0", "6"] in lines
    assert ["all", "50", "50", "50", "8", "50"] in lines
    assert ["annotations", "8", "×", "gaze", "on", "8", "images", "by", "1", "reader", "(r1", "8)"] in lines
    assert ["Atelectasis", "17", "33", "0", "█" * 16] in lines
    assert ["words", "a", "text", "train", "5", "5", "…", "5", "█"] in lines
    assert ["fixations", "a", "study", "train", "1", "1", "…", "1", "█"] in lines
    assert ["fixation", "in", "ms", "all", "400", "400", "…", "400", "█"] in lines
    assert ["✓", "patients", "in", "more", "than", "one", "split", "none"] in lines


def test_bars_are_as_high_as_counts_and_none_that_counts_is_invisible(tmp_path, capsys):
    words = [1] * 80 + [2] * 40 + [4] * 5
    studies = [replace(small_study(i), text="word " * n) for i, n in enumerate(words)]
    write_store(tmp_path / "s", studies, source="test")
    inspect(Store.open(tmp_path / "s"))
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "words a text" in line]
    assert "│ █▄ ▁ " in line


def test_rows_left_out_and_checks_are_shown_with_an_example(tmp_path, capsys):
    rejected = [Rejection("m.csv", f"id{i}", "expected [x0, y0, x1, y1] [/]") for i in range(3)]
    checks = {"near_duplicate_images_across_splits": {"count": 2, "examples": ["a and b"], "leak": True}}
    write_store(
        tmp_path / "s",
        [small_study(0)],
        source="test",
        rejected=rejected,
        skipped={"not frontal": 4, "lateral": 0},
        checks=checks,
        options={"root": "/data", "image_size": 256, "labels": [], "gaze": {"egd-cxr": "/egd"}},
    )
    problems = inspect(Store.open(tmp_path / "s"))
    assert problems == ["images that look the same in different splits: 2, such as a and b"]
    lines = printed(capsys)
    reason = ["expected", "[x0,", "y0,", "x1,", "y1]", "[/]"]
    assert any(line[:1] == ["3"] and line[-8:] == ["m.csv,", "id0:", *reason] for line in lines)
    assert ["not", "asked", "for", "4", "×", "not", "frontal"] in lines
    assert ["options", "root", "/data,", "image_size", "256,", "gaze", "egd-cxr", "/egd"] in lines
    looked_for = ["images", "that", "look", "the", "same", "in", "different", "splits"]
    assert ["✗", *looked_for, "2", "a", "and", "b"] in lines


def test_reports_are_not_printed(tmp_path, capsys):
    write_store(tmp_path / "s", [replace(small_study(0), text="Private matter.")], source="test")
    inspect(Store.open(tmp_path / "s"), out=tmp_path / "sheet.html")
    output = capsys.readouterr()
    assert "Private" not in output.out + output.err
    assert "Private" in (tmp_path / "sheet.html").read_text(encoding="utf-8")


def test_many_labels_and_reasons_are_cut_and_counted(tmp_path, capsys):
    study = replace(small_study(0), labels={f"Label {i:02d}": 1 for i in range(33)})
    rejected = [Rejection("m.csv", "", "bad " + "x" * i) for i in range(27)]
    write_store(tmp_path / "s", [study], source="test", rejected=rejected)
    inspect(Store.open(tmp_path / "s"))
    output = " ".join(capsys.readouterr().out.split())
    assert "and 13 more" in output
    assert "and 7 for 7 other reasons" in output


@pytest.mark.parametrize(
    ("name", "start"), [("a.png", b"\x89PNG"), ("a.PNG", b"\x89PNG"), ("a.html", b"<!doctype html>")]
)
def test_the_suffix_says_what_is_written(tmp_path, name, start):
    store = small_store(tmp_path / "s", plain=2, annotated=1, validate=0, test=0)
    inspect(store, out=tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


@pytest.mark.parametrize("name", ["sheet.jpg", "sheet", "sheet.html.gz"])
def test_another_suffix_is_refused_before_anything_is_done(tmp_path, name, capsys):
    store = small_store(tmp_path / "s", plain=1, annotated=0, validate=0, test=0)
    with pytest.raises(InputError, match=r"\.png .* \.html"):
        inspect(store, out=tmp_path / name)
    assert capsys.readouterr().out == ""
    assert not (tmp_path / name).exists()
