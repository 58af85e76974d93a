"""Oracles: cells written by hand; properties of any bytes."""

import contextlib
import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eclip.data.sources.cells import (
    age_years,
    label_values,
    path_inside,
    read_rows,
    sex_name,
    split_name,
    split_of,
    view_name,
)
from eclip.errors import InputError


def test_labels_are_those_mentioned():
    names = ["a", "b", "c", "d", "e"]
    assert label_values(names, ["1", "0.0", "-1.0", "", " 1 "]) == {"a": 1, "b": 0, "c": -1, "e": 1}


@pytest.mark.parametrize("cell", ["2", "0.5", "yes", "nan", "--1"])
def test_other_labels_are_told(cell):
    with pytest.raises(InputError, match=f"label 'Edema' is '{cell}'; expected 1, 0, -1 or blank"):
        label_values(["Edema"], [cell])


def test_splits_are_named_alike():
    cells = ["train", "Training", "val", "valid", "validate", " Validation ", "test", "TEST"]
    assert list(map(split_name, cells)) == ["train"] * 2 + ["validate"] * 4 + ["test"] * 2
    with pytest.raises(InputError, match="split is 'holdout'"):
        split_name("holdout")


def test_patients_are_split_80_10_10_and_always_alike():
    splits = [split_of(f"patient {i}") for i in range(5000)]
    for name, share in {"train": 0.8, "validate": 0.1, "test": 0.1}.items():
        assert abs(splits.count(name) / 5000 - share) < 0.02  # three standard deviations and more
    assert splits[:3] == [split_of(f"patient {i}") for i in range(3)]


@pytest.mark.parametrize("test", [True, False])
def test_where_the_test_set_is_known_no_patient_is_drawn_for_it(test):
    splits = {split_of(f"patient {i}", test=test) for i in range(200)}
    assert splits == ({"train", "validate", "test"} if test else {"train", "validate"})


def read(path, **options):
    """(rows by number, rejections by row)."""
    rejected = []
    frame = read_rows(path, columns=["id", "note"], reject=rejected.append, **options)
    rows = dict(zip(frame.index.tolist(), frame.to_numpy().tolist(), strict=True))
    return rows, {rejection.row: rejection.reason for rejection in rejected}


def test_rows_may_be_short_where_that_is_said_and_columns_optional(tmp_path):
    (tmp_path / "a.csv").write_text("id,note,more\n1,2\n3,4,5\n6,7,8,9\n")
    assert read(tmp_path / "a.csv")[0] == {3: ["3", "4"]}
    found, rejected = read(tmp_path / "a.csv", short=True, optional=["gone", "more", "id"])
    assert found == {2: ["1", "2", ""], 3: ["3", "4", "5"]}
    assert list(rejected) == ["row 4"]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv"])
def test_rows_are_counted_as_a_spreadsheet_does(tmp_path, name):
    separator = "\t" if "tsv" in name else ","
    rows = [["other", "id", "note"], ["x", "007", ""], [], ["x", "NA", '"two\nlines, é"'], ["", "9", "z"]]
    text = "\r\n".join(separator.join(row) for row in rows).encode("utf-8-sig")
    (tmp_path / name).write_bytes(gzip.compress(text) if "gz" in name else text)
    found, rejected = read(tmp_path / name)
    assert found == {2: ["007", ""], 4: ["NA", "two\nlines, é"], 5: ["9", "z"]}
    assert not rejected


def test_a_broken_row_costs_no_other(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"id,note\n1,a\n2\n3,b,c\n4,\xfc\n5,e\n")
    found, rejected = read(tmp_path / "a.csv")
    assert found == {2: ["1", "a"], 6: ["5", "e"]}
    assert rejected["row 3"] == "1 cells, expected 2 as in the header"
    assert rejected["row 4"] == "3 cells, expected 2 as in the header"
    assert rejected["row 5"].startswith("bytes that are not utf-8; save the table as UTF-8")


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "latin-1", "utf-8"])
def test_encodings_and_separators_can_be_told(tmp_path, encoding):
    (tmp_path / "a.csv").write_bytes("note;id\nGröße;1\n".encode(encoding))
    assert read(tmp_path / "a.csv", separator=";", encoding=encoding) == ({2: ["1", "Größe"]}, {})


def test_an_unclosed_quote_is_told_with_its_line(tmp_path):
    (tmp_path / "a.csv").write_text('x,y\n1,2\n3,"4\n' + "5,6\n" * 50_000)
    with pytest.raises(InputError, match=r"a\.csv: .*line \d+: .*is a quote never closed"):
        read_rows(tmp_path / "a.csv", columns=["x"], reject=print)


def test_utf_16_is_told(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n", encoding="utf-16")
    with pytest.raises(InputError, match="UTF-16 text"):
        read_rows(tmp_path / "a.csv", columns=["x"], reject=print)
    frame = read_rows(tmp_path / "a.csv", columns=["x"], reject=print, encoding="utf-16")
    assert frame["x"].tolist() == ["1"]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"id;note\n1;2\n", {}, "no column 'id'; there are: id;note; cells seem to be separated by \";\""),
        (b"", {}, "empty; expected a header with 'id'"),
        (b"\xff\xfei\x00d\x00", {}, "UTF-16 text"),
        (b"id,note,id\n1,2,3\n", {}, "column 'id' is there 2 times"),
        (b"id,note\n", {"encoding": "klingon"}, "'klingon' is not an encoding"),
        (b"id,note\n", {"encoding": "zlib"}, "'zlib' is not an encoding"),
        (b'id,note\n"' + b"a" * 200_000, {}, "not a table that can be read"),
    ],
)
def test_what_is_no_table_of_rows_is_told_in_one_line(tmp_path, content, options, message):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.csv: .*{message}") as error:
        read(tmp_path / "a.csv", **options)
    str(error.value).encode()  # can be printed
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "gone.csv")


@settings(max_examples=200)
@given(
    st.binary(max_size=120),
    st.sampled_from(["a.csv", "a.csv.gz"]),
    st.sampled_from(["utf-8", "utf-16", "cp1252"]),
)
def test_any_bytes_give_rows_or_an_input_error(tmp_path_factory, content, name, encoding):
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(b"id,note\n" + content if encoding != "utf-16" else content)
    with contextlib.suppress(InputError):
        rows, _ = read(path, encoding=encoding)
        assert all(cell.encode() is not None for row in rows.values() for cell in row)


@pytest.mark.parametrize("cell", ["a.png", "x/../a.png", " a.png ", "./x/a b.png", "ä\u00a0.png"])
def test_files_of_the_folder_are_found(cell):
    assert path_inside(Path("root"), cell) == Path("root") / cell.strip()
    assert path_inside(Path("/data"), "/data/a.png") == Path("/data/a.png")


@pytest.mark.parametrize(
    "cell", ["../a", "x/../../a", "/etc/passwd", "..", "a\0b", "", "a\nb", "\udcff", "a" * 5000]
)
def test_files_elsewhere_are_refused(cell):
    with pytest.raises(InputError) as error:
        path_inside(Path("root"), cell)
    str(error.value).encode()
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


def test_views_sexes_and_ages_are_named_alike():
    views = ["PA", "ap supine", "AP_portable", "Lateral", "frontal", "LL", "oblique", "PA/AP", "", "LATER"]
    assert list(map(view_name, views)) == ["PA", "AP", "AP", "LATERAL", "FRONTAL", "LL", "", "", "", ""]
    assert list(map(sex_name, ["F", " male", "FEMALE", "m", "d", ""])) == ["F", "M", "F", "M", "", ""]
    ages = ["58", "58.9", "058Y", "010M", "30D", "50 - 60", "400", "", "old", "9" * 400]
    assert list(map(age_years, ages)) == [58, 58, 58, 0, 0, 55, None, None, None, None]
