"""Oracles: the cases run through MIMIC-CXR's own parser (data_formats §4.4), and properties of any text."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eclip.data.reports import sections

TYPICAL = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)
~
 INDICATION:  ___F with cough  // ?pneumonia
~
 TECHNIQUE:  Chest PA and lateral
~
 COMPARISON:  ___
~
 FINDINGS: ~
~
 There is no focal consolidation, pleural effusion or
 pneumothorax. The cardiomediastinal silhouette is normal.
~
 IMPRESSION: ~
~
 No acute cardiopulmonary process.
""".replace("\n~", "\n ").replace("~", "")  # an empty line of a report is a space


def test_a_typical_report():
    found = sections(TYPICAL)
    assert found.findings == (
        "There is no focal consolidation, pleural effusion or pneumothorax. "
        "The cardiomediastinal silhouette is normal."
    )
    assert found.impression == "No acute cardiopulmonary process."
    assert found.text == f"{found.findings} {found.impression}"
    assert found.by_name["examination"] == "CHEST (PA AND LAT)"
    assert found.by_name["indication"] == "___F with cough // ?pneumonia"
    assert found.by_name["preamble"] == "FINAL REPORT"


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ("FINDINGS: a\nIMPRESSION: b", {"full report": "FINDINGS: a IMPRESSION: b"}),  # no leading space
        ("x\n Impression: b", {"full report": "x Impression: b"}),  # mixed case
        ("x\n CHEST 2 VIEWS: b", {"full report": "x CHEST 2 VIEWS: b"}),  # a digit
        (" FINDINGS: a\n IMPRESSION: b", {"preamble": "FINDINGS: a", "impression": "b"}),  # on the first line
        ("x\n FINDINGS:\n IMPRESSION: b", {"preamble": "x", "findings": "IMPRESSION: b"}),  # swallowed
        ("x\n FINDINGS: \n IMPRESSION: b", {"preamble": "x", "impression": "b"}),
        ("x\n FINDINGS: a. IMPRESSION: b", {"preamble": "x", "findings": "a. IMPRESSION: b"}),  # in mid-line
        ("x\n    FINDINGS: a", {"preamble": "x", "findings": "a"}),  # deeper indentation
        ("x\r\n FINDINGS: a\r\n IMPRESSION: b\r\n", {"preamble": "x", "findings": "a", "impression": "b"}),
        ("x\n IMPRESSION: a\n IMPRESSION: b", {"preamble": "x", "impression": "b"}),  # the last counts
        ("x\n ADDENDUM\n y\n FINDINGS: a", {"preamble": "x ADDENDUM y", "findings": "a"}),  # no colon
        (" FINAL REPORT\n \n a\n \n b", {"full report": "FINAL REPORT", "last_paragraph": "a b"}),
        ("x\n WET READ: a\n \n b", {"preamble": "x", "wet read": "a", "last_paragraph": "b"}),
        ("x\n FINDINGS: a\n \n b", {"preamble": "x", "findings": "a b"}),  # the last section is one we want
        ("", {"full report": ""}),
    ],
)
def test_the_cases_run_through_the_original_parser(report, expected):
    assert dict(sections(report).by_name) == expected


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("CONCLUSION", "impression"),
        ("FINDINGS AND IMPRESSION", "impression"),
        ("FINDINGS/IMPRESSION", "impression"),
        ("NDICATION", "impression"),  # sic
        ("IMPRESSON", "impression"),
        ("FINDINGS AND REPORT", "findings"),
        ("FINDNGS", "findings"),
        ("CHEST, TWO VIEWS", "findings"),
        ("PORTABLE CHEST", "findings"),
        ("PA AND LATERAL VIEWS OF THE CHEST", "findings"),
        ("COMPARISONS", "comparison"),
        ("CLINICAL HISTORY", "history"),
        ("REASON FOR EXAM", "indication"),
        ("INDICATION", "indication"),
        ("EXAMINATION", "examination"),
        ("TECHNIQUE", "technique"),
        ("RECOMMENDATION(S)", "recommendations"),
        ("WETREAD", "wet read"),
        ("NOTIFICATION", "notification"),
    ],
)
def test_header_names_are_normalised(header, name):
    assert sections(f"x\n {header}: said").by_name == {"preamble": "x", name: "said"}


@pytest.mark.parametrize(
    ("report", "text"),
    [
        ("x\n FINDINGS: a\n IMPRESSION: b", "a b"),
        ("x\n IMPRESSION: b", "b"),
        (
            " FINAL REPORT\n COMPARISON: none.\n \n Lungs are clear.\n \n No effusion.",
            "Lungs are clear. No effusion.",
        ),
        (" FINAL REPORT\n Lungs are clear.", "Lungs are clear."),
        ("Lungs are\nclear.", "Lungs are clear."),
        (" FINAL REPORT\n ", ""),
    ],
)
def test_the_text_is_findings_and_impression_else_the_last_paragraph_else_all(report, text):
    assert sections(report).text == text


fragments = st.sampled_from(
    ["\n ", "\n \n", " ", ":", "\r", "FINDINGS", "IMPRESSION", "CHEST", "a b", "((", "é", "\0"]
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=300), st.lists(fragments, max_size=60).map("".join)))
def test_any_text_is_split_without_inventing_or_crashing(report):
    found = sections(report)
    words = set(report.split())
    for text in found.by_name.values():
        # a section may begin or end inside a word only where a header or a line break stood
        assert all(any(word in whole for whole in words) for word in text.split())
    assert "\n" not in found.text


@pytest.mark.parametrize(
    "unit", ["A", "\n A", "\n ", "\n \n", "\n A: ", "\n A:\n", "\n FINDINGS: x\n \n", ": "]
)
def test_time_grows_with_the_length_not_with_its_square(unit):
    def seconds(size):
        report = unit * (size // len(unit))
        start = time.perf_counter()
        sections(report)
        return time.perf_counter() - start

    assert seconds(400_000) < 1.0  # a quadratic parser would need hours
