"""Oracles: labels written by hand."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eclip.data.sources.lab.label_columns import code, label_reader
from eclip.data.sources.lab.layout import CodedLabels, NamedLabels
from eclip.errors import InputError


def read(columns, *groups):
    """The labels of each row; the error's text where there is one."""
    frame = pd.DataFrame(columns, dtype=object)
    reader = label_reader(frame, groups, Path("t.csv"))
    labels = []
    for row in frame.to_dict("records"):
        try:
            labels.append(reader(row))
        except InputError as error:
            labels.append(str(error))
    return labels


def test_codes_say_what_cells_mean():
    group = CodedLabels(columns={"oedem": "Edema"}, codes={"ja": 1, "2": 1, "nein": 0, "?": -1, "": 0})
    found = read({"oedem": ["JA ", "2.0", "nein", "?", "", "vielleicht"]}, group)
    assert found[:5] == [{"Edema": value} for value in (1, 1, 0, -1, 0)]
    assert "label 'Edema' is 'vielleicht'; expected ja, 2, nein, ?" in found[5]


def test_without_codes_labels_are_1_0_and_minus_1():
    found = read({"a": ["1", "0.0", "-1", " "]}, CodedLabels(columns={"a": "A"}))
    assert found == [{"A": 1}, {"A": 0}, {"A": -1}, {}]


def test_names_of_several_columns_are_one_vocabulary():
    group = NamedLabels(columns=("d1", "d2"), separator=";", rename={"tbc": "Tuberculosis"})
    found = read({"d1": ["tbc; Mass", "", ""], "d2": ["Edema", "Mass", " "]}, group)
    assert found == [
        {"Edema": 1, "Mass": 1, "Tuberculosis": 1},
        {"Edema": 0, "Mass": 1, "Tuberculosis": 0},
        {},
    ]


def test_the_cells_decide_about_a_column_alone():
    found = read({"a": ["1", "0", "x"], "b": ["Mass", "2", "Edema|Mass"], "c": [""] * 3}, "a", "b", "c")
    assert found[0] == {"a": 1, "2": 0, "Edema": 0, "Mass": 1}
    assert found[1] == {"a": 0, "2": 1, "Edema": 0, "Mass": 0}
    assert "label 'a' is 'x'" in found[2]  # a typo does not turn numbers into names


def test_truths_are_labels_of_their_column():
    """As pandas and spreadsheets write them."""
    found = read(
        {
            "Edema": ["True", "False", "", "True"],
            "Mass": ["no", "YES ", "n", ""],
            "d": ["Covid", "Negative", "", ""],
        },
        "Edema",
        "Mass",
        "d",
    )
    assert found == [
        {"Edema": 1, "Mass": 0, "Covid": 1, "Negative": 0},
        {"Edema": 0, "Mass": 1, "Covid": 0, "Negative": 1},
        {"Mass": 0},
        {"Edema": 1},
    ]
    assert read({"Mass": ["1", "TRUE", "no", "-1"]}, "Mass") == [{"Mass": value} for value in (1, 1, 0, -1)]
    with pytest.raises(InputError, match="column 'Edema' holds 'no' and 'unclear'; write 1, 0 and -1"):
        read({"Edema": ["yes", "no", "Unclear"]}, "Edema")


def test_one_label_from_two_columns_is_refused():
    with pytest.raises(InputError, match="label 'Mass' comes from 2 columns"):
        read(
            {"Mass": ["1"], "names": ["Mass"]},
            CodedLabels(columns={"Mass": "Mass"}),
            NamedLabels(columns=("names",)),
        )


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_compared_by_value(number):
    assert code(f" {number!r}") == code(f"{number:+.17e}")


@settings(max_examples=150)
@given(
    st.lists(
        st.sampled_from(["1", "TRUE", "no", "inf", "9" * 400, "1e999", "a|b", "|", "", "\x00", "nan"])
        | st.text(max_size=4)
        | st.text(max_size=4)
    )
)
def test_any_cells_give_labels_or_an_error(cells):
    try:
        found = read({"a": cells, "b": cells[::-1]}, "a", CodedLabels(columns={"b": "coded b"}))
    except InputError:  # truths among names
        return
    for labels in found:
        assert isinstance(labels, str) or set(labels.values()) <= {-1, 0, 1}
