"""Oracles: the cases run through MIMIC-CXR's own parser (data_formats §4.4), that parser's rules word for word, and

what a reader sees where that parser is known to fail.
"""

import re
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
    ("report", "expected"),
    [
        # no leading space: the original sees no header
        ("x\nFINDINGS: a\nIMPRESSION: b", {"preamble": "x", "findings": "a", "impression": "b"}),
        # on the first line: the original leaves it in the preamble
        (" FINDINGS: a\n IMPRESSION: b", {"preamble": "", "findings": "a", "impression": "b"}),
        ("FINDINGS: a\n IMPRESSION: b", {"preamble": "", "findings": "a", "impression": "b"}),
        # right after an empty header: the original makes the impression part of the findings
        ("x\n FINDINGS:\n IMPRESSION: b", {"preamble": "x", "impression": "b"}),
        ("x\n FINDINGS:\n\n IMPRESSION:\n b", {"preamble": "x", "impression": "b"}),
        ("x\n FINDINGS:\n a\n IMPRESSION:\n b", {"preamble": "x", "findings": "a", "impression": "b"}),
        # mixed case: the original sees no header
        ("x\n Findings: a\n Impression: b", {"preamble": "x", "findings": "a", "impression": "b"}),
        ("x\n Findings and Impression: b", {"preamble": "x", "impression": "b"}),
        ("x\n Conclusion: b", {"preamble": "x", "impression": "b"}),
        # … but prose is no header
        ("x\n IMPRESSION: a\n Note: b", {"preamble": "x", "impression": "a Note: b"}),
        (
            "x\n IMPRESSION: the overall\n impression: b",
            {"preamble": "x", "impression": "the overall impression: b"},
        ),
        ("x\n IMPRESSION: a\n Dr. Impression: b", {"preamble": "x", "impression": "a Dr. Impression: b"}),
        # parts of the body: the original makes sections of them, and findings without any
        (
            "x\n FINDINGS:\n LUNGS: clear.\n HEART AND MEDIASTINUM: normal.\n IMPRESSION: b",
            {"preamble": "x", "findings": "LUNGS: clear. HEART AND MEDIASTINUM: normal.", "impression": "b"},
        ),
        (
            "x\n TECHNIQUE: a\n LUNGS: clear.\n BONES/SOFT TISSUES: old fracture.\n CONCLUSION: b",
            {
                "preamble": "x",
                "technique": "a",
                "findings": "LUNGS: clear. BONES/SOFT TISSUES: old fracture.",
                "impression": "b",
            },
        ),
        ("x\n FINDINGS: a\n OTHER FINDINGS: c", {"preamble": "x", "findings": "a OTHER FINDINGS: c"}),
        ("x\n IMPRESSION:\n PLEURA: b\n LINES: c", {"preamble": "x", "impression": "PLEURA: b LINES: c"}),
        # … but a disease of one is none
        ("x\n HISTORY: a\n HEART FAILURE: c", {"preamble": "x", "history": "a", "heart failure": "c"}),
        # digits: the original sees no header
        ("x\n CHEST 2 VIEWS: b", {"preamble": "x", "findings": "b"}),
        ("x\n 2 VIEWS OF THE CHEST: b", {"preamble": "x", "findings": "b"}),
        ("x\n COMPARISON 2: b\n FINDINGS: a", {"preamble": "x", "comparison": "b", "findings": "a"}),
        # … but a vertebra, a number and a time are none
        ("x\n FINDINGS: a\n T12: b\n 2: c", {"preamble": "x", "findings": "a T12: b 2: c"}),
        ("x\n FINDINGS: seen at\n 10:30 AM.", {"preamble": "x", "findings": "seen at 10:30 AM."}),
        # the last thing: the original needs white space after it
        ("x\n FINDINGS: a\n IMPRESSION:", {"preamble": "x", "findings": "a"}),
    ],
)
def test_what_the_original_parser_is_known_to_lose(report, expected):
    assert dict(sections(report).by_name) == expected


def by_the_original_rules(report):
    """Header names as they stand there, with their texts: rules 1 and 2, step by step."""
    names, starts, ends = ["preamble"], [0], []
    header = re.search(r"\n ([A-Z ()/,-]+):\s", report)
    while header is not None:
        names.append(header[1])
        ends.append(header.start())
        starts.append(header.end())
        newline = report.find("\n", header.end())
        if newline == -1:
            break
        header = re.compile(r"\n ([A-Z ()/,-]+):\s").search(report, newline)
    ends.append(len(report))
    texts = [report[start:end] for start, end in zip(starts, ends, strict=True)]
    return (["full report"] if len(names) == 1 else names), texts


LINES = ["FINDINGS: a b", "IMPRESSION: c", "IMPRESSION: ", "HISTORY: d", "WET READ: e", "   TECHNIQUE: f",
         "PORTABLE CHEST: g", "COMPARISONS: ___", "g. IMPRESSION: h", "ADDENDUM", "i j", "", "(K): l"]  # fmt: skip
MEANING = {"FINDINGS": "findings", "IMPRESSION": "impression", "HISTORY": "history", "WET READ": "wet read",
           "TECHNIQUE": "technique", "PORTABLE CHEST": "findings", "COMPARISONS": "comparison", "(K)": "(k)",
           "preamble": "preamble", "full report": "full report"}  # fmt: skip


@settings(max_examples=300)
@given(st.lists(st.sampled_from(LINES), max_size=12))
def test_reports_without_its_traps_are_split_as_by_the_original(lines):
    report = "FINAL REPORT\n" + "\n".join(f" {line}" for line in lines)
    names, texts = by_the_original_rules(report)
    kept = [
        (MEANING[name.strip()], text)
        for name, text in zip(names, texts, strict=True)
        if text.strip() or MEANING[name.strip()] not in {"findings", "impression"}
    ]
    expected = dict(kept)
    if not expected.keys() & {"findings", "impression"} and "\n \n" in kept[-1][1]:
        expected[kept[-1][0]], expected["last_paragraph"] = kept[-1][1].split("\n \n", 1)
    assert sections(report).by_name == {name: " ".join(text.split()) for name, text in expected.items()}


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


@settings(max_examples=400)
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
