"""Sections of a free-text report, by the rules of MIMIC-CXR's own section parser, and better where it fails.

The rules are those of MIT-LCP/mimic-cxr, `txt/section_parser.py` and `create_section_files.py`: a header is a line
that starts in upper-case letters, up to a colon and white space; of sections with one name the last counts; findings
and impression that are blank are dropped; where neither is left, what follows the first empty line of the last section
is its "last_paragraph". A header in the middle of a line is none.

On purpose, it differs where that parser is known to lose text:

- a header on the report's first line, or at the start of a line without the usual space before it, is a header;
- a header right after an empty one (`FINDINGS:`, and on the next line `IMPRESSION: …`) is not swallowed by it;
- `Impression:` in mixed case is a header at the start of a line, if it is one of the well-known names;
- `LUNGS:` and other parts of the body are no sections of their own but lines of the findings, or of the impression
  under which they stand;
- `CHEST 2 VIEWS:` with digits is a header if it means a known section; `T12:` is not;
- a header may be the last thing in a report.

The MIMIC-CXR authors list sections by hand for 54 studies: 23 with names of their own, 31 with ranges of characters, of
which 8 are empty. Here they are parsed like all others.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

_HEADER = re.compile(r"^ *([A-Za-z0-9()/,-][A-Za-z0-9 ()/,-]*):(?:\s|\Z)", re.MULTILINE)
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
_NAMES = {*_SAME, *_KNOWN, *_OTHER}
_BODY = {
    "abdomen", "additional", "airway", "airways", "aorta", "bone", "bones", "bony", "cardiac",
    "cardiomediastinal", "cardiomediastinum", "cardiovascular", "catheters", "devices", "diaphragm",
    "diaphragms", "effusion", "effusions", "extrathoracic", "heart", "hemidiaphragms", "hila", "hilar",
    "hilum", "line", "lines", "lung", "lungs", "mediastinal", "mediastinum", "musculoskeletal", "osseous",
    "other", "parenchyma", "pleura", "pleural", "pneumothorax", "pulmonary", "ribs", "skeletal", "skeleton",
    "spine", "thoracic", "thorax", "trachea", "tubes", "vascular", "vasculature", "vessels", "wall",
}  # fmt: skip
_BESIDE_BODY = {
    "and", "chest", "contour", "contours", "findings", "great", "of", "silhouette", "size", "soft", "space",
    "spaces", "structures", "support", "the", "tissue", "tissues", "upper",
}  # fmt: skip
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
    for header in _HEADER.finditer(report):
        part = _is_of_the_body(header[1])
        if _is_header(header[1]) and not (part and names[-1] in {"findings", "impression"}):
            ends.append(max(header.start() - 1, starts[-1]))  # without the line's end
            names.append("findings" if part else _normalised(header[1]))
            starts.append(header.start() if part else header.end())
    if len(names) == 1:
        names = ["full report"]
    ends.append(len(report))
    return names, [report[start:end] for start, end in zip(starts, ends, strict=True)]


@lru_cache(4096)
def _is_header(name: str) -> bool:
    """Whether what stands before a colon is meant as a header."""
    if name != name.upper():
        return name[0].isupper() and " ".join(name.lower().split()) in _NAMES
    return not any(map(str.isdigit, name)) or _normalised(name) in _NAMES


@lru_cache(4096)
def _is_of_the_body(name: str) -> bool:
    """Whether a header names a part of the chest, which findings are told by."""
    words = {*re.findall("[a-z]+", name.lower())}
    return words <= _BODY | _BESIDE_BODY and not words.isdisjoint(_BODY)


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
