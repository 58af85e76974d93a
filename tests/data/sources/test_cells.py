"""Oracles: cells written by hand; properties of any bytes."""

import contextlib
import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eclip.data.sources.cells import label_values, read_table, split_name, split_of
from eclip.errors import InputError


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv"])
def test_all_cells_are_text_and_blank_ones_stay_blank(tmp_path, name):
    rows = [["id", "note"], ["007", ""], ["NA", '"two\nlines, é"']]
    text = "\r\n".join(("\t" if "tsv" in name else ",").join(row) for row in rows).encode("utf-8-sig")
    (tmp_path / name).write_bytes(gzip.compress(text) if "gz" in name else text)
    frame = read_table(tmp_path / name, columns=["id", "note"])
    assert frame.to_numpy().tolist() == [["007", ""], ["NA", "two\nlines, é"]]


def test_only_the_named_columns_are_kept_when_asked_for(tmp_path):
    (tmp_path / "a.csv").write_text("x,y,z\n1,2,3\n")
    assert list(read_table(tmp_path / "a.csv", columns=["z", "x"], only=True)) == ["x", "z"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x,y\n1,2\n", r"a\.csv: no column 'z'; there are: x, y"),
        (b"", "not a table"),
        (b"x,z\n1,2\n1,2,3\n", "not a table.*line 3"),
        (b"x,z\n1,2,3\n4,5,6\n", "not a table.*more cells than the header"),
        (b"x,z\n\xff\xfe,1\n", "not a table"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(tmp_path, content, message):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        read_table(tmp_path / "a.csv", columns=["z"])
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "gone.csv", columns=["z"])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=120), st.sampled_from(["a.csv", "a.csv.gz"]))
def test_any_bytes_give_a_table_or_an_input_error(tmp_path_factory, content, name):
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        read_table(path, columns=["x"])


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
