"""Sections of a free-text report, by the rules of MIMIC-CXR's own section parser (data_formats §4.4).

A header is a line that starts with a space and runs in upper-case letters up to a colon. The 54 studies for
which the MIMIC-CXR authors list sections by hand are parsed like all others.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

_HEADER = re.compile(r"\n ([A-Z ()/,-]+):\s")
_EMPTY_LINE = "\n \n"
_SAME = {
    "comparisons": "comparison",
    "clinical history": "history",
    "clinical information": "history",
    "pfi": "history",
    "reason for exam": "indication",
    "reason for examination": "indication",
    "clinical indication": "indication",
    "type of examination": "examination",
    "conclusion": "impression",
    "findings and impression": "impression",
    "findings/impression": "impression",
    "ndication": "impression",  # sic: so the authors resolved it
    "wetread": "wet read",
    "recommendation": "recommendations",
    "recommendation(s)": "recommendations",
}
_KNOWN = ("impression", "findings", "history", "comparison", "addendum")
_OTHER = {*_SAME.values(), "technique", "notification"}
_EXAM_TITLE = re.compile(r"\b(chest|portable|radiographs?|(pa|ap|frontal) and lat(eral)?)\b")


@dataclass(frozen=True, slots=True)
class Sections:
    """What a report says, by section.

    Attributes:
        by_name: Section name (lower case, normalised) to its text, white space collapsed; of sections with
            the same name the last. Text before the first header is "preamble"; without headers all of it is
            "full report".
    """

    by_name: Mapping[str, str]

    @property
    def findings(self) -> str:
        """The findings section, or ""."""
        return self.by_name.get("findings", "")

    @property
    def impression(self) -> str:
        """The impression section, or ""."""
        return self.by_name.get("impression", "")

    @property
    def text(self) -> str:
        """What training reads: findings and impression, else the last paragraph, else everything."""
        return (
            " ".join(filter(None, (self.findings, self.impression)))
            or self.by_name.get("last_paragraph", "")
            or " ".join(filter(None, self.by_name.values())).removeprefix("FINAL REPORT").strip()
        )


def sections(report: str) -> Sections:
    """Split a report into its sections; linear in its length, never fails."""
    names, texts = _split(report)
    kept = [
        (name, text)
        for name, text in zip(names, texts, strict=True)
        if text.strip() or name not in {"impression", "findings"}
    ]
    by_name = dict(kept)
    if kept and not by_name.keys() & {"impression", "findings"}:
        name, text = kept[-1]
        first, found, rest = text.partition(_EMPTY_LINE)
        if found:
            by_name |= {name: first, "last_paragraph": rest}
    return Sections({name: " ".join(text.split()) for name, text in by_name.items()})


def _split(report: str) -> tuple[list[str], list[str]]:
    """Names and raw texts, in order."""
    names, starts, ends = ["preamble"], [0], []
    position = 0
    while (header := _HEADER.search(report, position)) is not None:
        names.append(_normalised(header[1]))
        starts.append(header.end())
        ends.append(header.start())
        position = report.find("\n", header.end())  # one header a line
        if position < 0:
            break
    if len(names) == 1:
        names = ["full report"]
    ends.append(len(report))
    return names, [report[start:end] for start, end in zip(starts, ends, strict=True)]


@lru_cache(4096)
def _normalised(header: str) -> str:
    name = " ".join(header.lower().split())
    name = _SAME.get(name, name)
    if name in _OTHER:
        return name
    for known in _KNOWN:
        if known in name:
            return known
    if len(name) <= 14 and (close := get_close_matches(name, _KNOWN[:4], n=1, cutoff=0.8)):
        return close[0]  # a typo: "impresssion", "findngs"
    return "findings" if _EXAM_TITLE.search(name) else name
