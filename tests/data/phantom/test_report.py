import collections
import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eclip.data.phantom.findings import FINDING_NAMES, Finding, sample_findings
from eclip.data.phantom.report import write_report
from eclip.data.reports import sections

# What a reader would call each finding; written apart from the product's own tables.
WORDS = {
    "Atelectasis": r"atelecta|volume loss",
    "Cardiomegaly": r"cardiomegaly|heart|cardi(ac|othoracic)",
    "Consolidation": r"consolidation|opaci|airspace disease|pneumonia",
    "Edema": r"edema|congestion",
    "Lung Lesion": r"nodul|lesion|opacity|density",
    "Pleural Effusion": r"effusion|pleural fluid",
    "Pneumothorax": r"pneumothorax",
}
LARGE = r"large|sizable|substantial|massive|severe|marked|extensive|florid|dense|lobar|1[2-5] mm"
SMALL = r"small|trace|tiny|minimal|mild|minor|slight|limited|subcentimeter|\b[4-7] mm"


def reports(count, findings=None, prior=None):
    for i in range(count):
        rng = np.random.default_rng([17, i])
        shown = sample_findings(rng) if findings is None else findings
        yield shown, write_report(shown, rng, view=("AP", "PA")[i % 2], prior=prior, sex=("F", "M")[i % 2])


def one(name, side, zone, severity=0.5, subtlety=0.0):
    return (Finding(name, side, zone, severity, subtlety),)


PLACES = {
    "Atelectasis": ("right", "basal"), "Cardiomegaly": ("none", "heart"), "Consolidation": ("left", "upper"),
    "Edema": ("bilateral", "diffuse"), "Lung Lesion": ("right", "mid"), "Pleural Effusion": ("left", "basal"),
    "Pneumothorax": ("right", "apical"),
}  # fmt: skip


def test_lines_are_those_of_mimic():
    for _, report in reports(300):
        text = report.file_text()
        lines = text.removesuffix("\n").split("\n")
        assert max(map(len, lines)) <= 79
        assert all(line.startswith(" ") for line in lines)
        assert text.isascii()
        assert "FINAL REPORT" in text
        assert not re.search(r"[\[\]{}|*]|  \.|\.\.", text), text


def test_sections_are_found_again():
    for _, report in reports(400):
        found = sections(report.file_text())
        if report.layout == "joint":
            assert found.impression == f"{report.findings_text} {report.impression_text}"
        elif report.layout == "paragraph":
            assert found.text == f"{report.findings_text} {report.impression_text}"
        else:
            assert (found.findings, found.impression) == (report.findings_text, report.impression_text)


def test_texts_differ_from_study_to_study():
    every = [report for _, report in reports(1000)]
    assert len({report.file_text() for report in every}) >= 950
    assert len({report.findings_text + report.impression_text for report in every}) >= 800
    normal = [report.impression_text for shown, report in reports(1000) if not shown]
    assert len(set(normal)) >= 40


@pytest.mark.parametrize("name", FINDING_NAMES)
def test_a_finding_is_worded_in_many_ways(name):
    """Without the words for severity, side and place there are 10 ways in findings, 6 in impressions."""
    ways = collections.defaultdict(set)
    for _, report in reports(250, one(name, *PLACES[name])):
        for part in ("findings", "impression"):
            for statement in getattr(report, part):
                if statement.finding == 0:
                    assert re.search(WORDS[name], statement.text, re.I) or "opacification" in statement.text
                    bones = re.sub(
                        r"moderate\S*|mild|to|right|left|upper|mid|lower|lung|lobe|zone", "", statement.text
                    )
                    ways[part].add(" ".join(bones.split()))
    assert len(ways["findings"]) >= 10
    assert len(ways["impression"]) >= 6


@pytest.mark.parametrize("name", FINDING_NAMES)
@pytest.mark.parametrize(("severity", "fitting", "other"), [(0.1, SMALL, LARGE), (0.95, LARGE, SMALL)])
def test_words_follow_severity(name, severity, fitting, other):
    said = [
        report.findings_text + report.impression_text
        for _, report in reports(80, one(name, *PLACES[name], severity))
    ]
    assert np.mean([bool(re.search(fitting, text, re.I)) for text in said]) > 0.5
    assert not any(re.search(rf"\b({other})\b", text, re.I) for text in said)


@pytest.mark.parametrize("name", sorted(set(FINDING_NAMES) - {"Cardiomegaly", "Edema"}))
def test_words_follow_side_and_zone(name):
    side, zone = PLACES[name]
    other = {"left": "right", "right": "left"}[side]
    place = {"basal": r"bas(e|al|ilar)|lower|costophrenic|effusion|pleural", "upper": "upper",
             "mid": "mid|perihilar", "apical": "ap[ie]|upper|pneumothorax"}[zone]  # fmt: skip
    for _, report in reports(80, one(name, side, zone)):
        for statement in report.findings + report.impression:
            if statement.finding == 0:
                assert side in statement.text.lower()
                assert other not in statement.text.lower()
                assert re.search(place, statement.text, re.I)


def test_labels_agree_with_what_is_said():
    for shown, report in reports(500):
        present = {finding.name for finding in shown}
        assert {name for name, value in report.labels.items() if value and name in FINDING_NAMES} == present
        assert report.labels.get("No Finding") == (None if present else 1)
        said = [s for s in report.findings + report.impression if s.finding is None]
        denied = {name for name, value in report.labels.items() if value == 0}
        for name in denied & set(WORDS):
            words = WORDS[name] + ("|silhouette|contours" if name == "Cardiomegaly" else "")
            assert any(re.search(words, statement.text, re.I) for statement in said), (name, report)
        for finding, statement in ((f, s) for s in report.findings + report.impression for f in shown):
            if statement.finding is None and re.match("No |There is no ", statement.text):
                strict = {
                    "Consolidation": "consolidation|pneumonia",
                    "Lung Lesion": "nodule",
                    "Cardiomegaly": "cardiomegaly",
                }
                assert not re.search(strict.get(finding.name, WORDS[finding.name]), statement.text, re.I)


def test_hedged_findings_are_uncertain():
    hedge = re.compile(r"may|could|possib|probable|questi|suspected|cannot", re.I)
    values = collections.Counter()
    for _, report in reports(300, one("Lung Lesion", "left", "mid", 0.2, 0.9)):
        told = [s.text for s in report.findings + report.impression if s.finding == 0]
        value = report.labels["Lung Lesion"]
        values[value] += 1
        assert all(bool(hedge.search(text)) == (value == -1) for text in told), told
    assert 0.1 < values[-1] / 300 < 0.5


def test_comparison_with_the_study_before():
    now = one("Pleural Effusion", "left", "basal", 0.5)
    for severity, wanted, never in (
        (
            0.5,
            r"unchanged|stable|similar|persistent|again|no significant",
            r"\bnew\b|increase|decrease|worse",
        ),
        (0.1, r"increase|progress|worse", r"unchanged|decrease|improve"),
        (0.95, r"decrease|improve", r"unchanged|increase|worse"),
    ):
        before = one("Pleural Effusion", "left", "basal", severity)
        told = [
            s.text for _, r in reports(100, now, before) for s in r.findings + r.impression if s.finding == 0
        ]
        assert np.mean([bool(re.search(wanted, text, re.I)) for text in told]) > 0.4
        assert not any(re.search(never, text, re.I) for text in told)
    cleared = [report for _, report in reports(60, (), now)]
    assert any(re.search(r"resol|no longer|cleared", report.impression_text) for report in cleared)


def test_order_is_that_of_reading():
    """Lungs and pleura are told apart from the heart, never woven into each other; bones come last."""
    for _, report in reports(300):
        zones = [
            "heart" if set(s.zones) & {"heart"} else "bones" if "fracture" in s.text.lower() else "lung"
            for s in report.findings
        ]
        runs = [zone for zone, _ in itertools.groupby(zones)]
        assert runs.count("heart") <= 2
        assert "bones" not in runs[:-2]


@given(st.integers(0, 2**32), st.sampled_from(["AP", "PA"]))
@settings(max_examples=50)
def test_every_sentence_ends_with_its_only_period(seed, view):
    rng = np.random.default_rng(seed)
    report = write_report(sample_findings(rng), rng, view=view, prior=sample_findings(rng))
    for statement in report.findings + report.impression:
        assert statement.text.endswith(".")
        assert statement.text.count(".") == 1
        assert statement.text[0].isupper() or statement.text[0].isdigit()
    assert report.sentences
