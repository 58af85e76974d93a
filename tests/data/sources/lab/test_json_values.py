"""Oracles: values written by hand; any JSON is read or told in one line."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eclip.data.sources.lab.json_values import (
    a_list,
    a_name,
    a_number,
    an_object,
    parse_json,
    read_json,
    shown,
)
from eclip.errors import InputError


def test_values_of_the_wanted_type_are_taken():
    assert parse_json(b'\xef\xbb\xbf{"a": [1, 2.5]}') == {"a": [1, 2.5]}
    assert (a_number(3, "x"), a_number(-2.5, "x")) == (3.0, -2.5)
    assert (a_name("é", "n"), a_name(12, "n"), a_name(None, "n")) == ("é", "12", "")
    assert (an_object({}, "o"), a_list([], "l")) == ({}, [])


@pytest.mark.parametrize(
    "text", [b"", b"nonsense", b"[" * 100_000, b"9" * 5000, b"\xff", b'{"a": "\n"}', "{"], ids=range(7)
)
def test_what_is_no_json_is_told_in_one_line(text):
    with pytest.raises(InputError, match="is not JSON") as error:
        parse_json(text)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_a_file_is_named(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(InputError, match=r"a\.json: .*not JSON"):
        read_json(tmp_path / "a.json")
    with pytest.raises(InputError, match=r"b\.json: no such file"):
        read_json(tmp_path / "b.json")


@pytest.mark.parametrize("value", [None, True, "1", [1], float("nan"), float("inf"), 10**400])
def test_what_is_no_number_is_told(value):
    with pytest.raises(InputError, match=r"x: .* is no number"):
        a_number(value, "x")


@pytest.mark.parametrize("value", [True, 1.5, ["a"], "\ud800"])
def test_what_is_no_name_is_told(value):
    with pytest.raises(InputError, match=r"n: .* is no name") as error:
        a_name(value, "n")
    assert str(error.value).isascii()


@settings(max_examples=200)
@given(st.recursive(st.none() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=8))
def test_any_value_is_shown_in_few_printable_characters(value):
    assert len(shown(value)) <= 61
    assert shown(value).isprintable()
    for read in (a_number, a_name, a_list, an_object):
        with contextlib.suppress(InputError):
            read(value, "it")
