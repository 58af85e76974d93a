"""Oracles: the cells that were written; the line numbers that an editor shows."""

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eclip.annotations.recording_table import read_extents, read_numbers, read_parts, read_table, region_of
from eclip.errors import InputError


@pytest.fixture
def table(tmp_path):
    def read(content, columns=("a", "b"), **options):
        path = tmp_path / "t.csv"
        path.write_bytes(content)
        rejected = []
        return read_table(path, columns=columns, reject=rejected.append, **options), rejected

    return read


def lines(rejected):
    return [rejection.row for rejection in rejected]


def test_rows_know_the_line_they_begin_on(table):
    frame, rejected = table(b'a,b\r\n1,"x\r\ny ""z"""\r\n\r\n3,w\r\n4\r\n5,v,6\r\n7,')
    assert frame.to_numpy().tolist() == [["1", 'x\r\ny "z"'], ["3", "w"], ["7", ""]]
    assert frame.index.tolist() == [2, 5, 8]
    assert lines(rejected) == ["line 6", "line 7"]
    assert rejected[0].reason == "1 cells, expected 2"
    assert rejected[0].file.endswith("t.csv")


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_a_large_table_comes_in_parts(tmp_path, monkeypatch, rows):
    monkeypatch.setattr("eclip.annotations.recording_table.PART", rows)
    path, rejected = tmp_path / "t.csv", []
    path.write_text("a,b,c\n1,2,3\n4,5\n\n6,7,8\n9,10,11\n")
    parts = list(read_parts(path, columns=("c", "a"), optional=(), reject=rejected.append))
    assert [cells for part in parts for cells in part.to_numpy().tolist()] == [
        ["1", "3"],
        ["6", "8"],
        ["9", "11"],
    ]
    assert [line for part in parts for line in part.index] == [2, 5, 6]
    assert max(map(len, parts)) == min(rows, 3)
    assert lines(rejected) == ["line 3"]
    assert read_table(path, columns=("a",), reject=print).index.tolist() == [2, 5, 6]
    path.write_text("a,b\n")
    (empty,) = read_parts(path, columns=("a",), reject=print)
    assert (list(empty), len(empty)) == (["a", "b"], 0)


def test_columns_go_by_several_names_and_only_the_wanted_ones_are_kept(table):
    content = "\ufeffold a, b ,c,d,b\n1,2,3,4,5\n".encode()
    frame, _ = table(content, optional=("d", "e"), aliases={"old a": "a"})
    assert frame.to_dict("list") == {"a": ["1"], "b": ["2"], "d": ["4"]}
    assert list(table(content, aliases={"old a": "a"})[0]) == ["a", "b", "c", "d"]


def test_a_missing_column_or_file_is_one_line(table, tmp_path):
    with pytest.raises(InputError, match=r"t\.csv: no column 'b'; there are: a, c"):
        table(b"a,c\n1,2\n")
    with pytest.raises(InputError, match=r"no column 'a'; there are: none"):
        table(b"")
    for path in (tmp_path / "gone.csv", tmp_path, tmp_path / ("x" * 400), tmp_path / "nul\0"):
        with pytest.raises(InputError) as error:
            read_table(path, columns=("a",), reject=print)
        assert str(error.value).startswith(str(tmp_path))


def test_rows_with_text_for_a_number_are_left_out(table, tmp_path):
    frame, rejected = table(b"a,b\n1, 2 \n1,two\n,3\n-4e-1,5\nnan,inf\n")
    numbers = read_numbers(frame, ("a", "b"), path=tmp_path, reject=rejected.append)
    assert numbers.to_numpy().tolist() == [[1, 2], [-0.4, 5]]
    assert numbers.index.tolist() == [2, 5]
    assert lines(rejected) == ["line 3", "line 4", "line 6"]
    assert rejected[0].reason == "b is 'two', expected a number"


def test_boxes_without_area_are_left_out(table, tmp_path):
    frame, rejected = table(b"l,t,r,b\n10,20,30,60\n5,5,5,9\n5,9,8,9\n", columns=("l", "t", "r", "b"))
    boxes = read_extents(frame, ("l", "t", "r", "b"), path=tmp_path, reject=rejected.append)
    assert boxes.to_numpy().tolist() == [[10, 20, 30, 60]]
    assert lines(rejected) == ["line 3", "line 4"]
    assert region_of(boxes.iloc[0].tolist(), (100, 200)).points == ((0.1, 0.1), (0.3, 0.3))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60), st.text(',\n\r"a1.\0', max_size=60))
def test_any_bytes_give_a_table_or_one_line(table, junk, text):
    for content in (junk, b"a,b\n" + junk, b"a,b\n" + text.encode()):
        with contextlib.suppress(InputError):
            frame, rejected = table(content)
            assert list(frame)[:2] == ["a", "b"]
            read_numbers(frame, ("a", "b"), path=None, reject=rejected.append)
