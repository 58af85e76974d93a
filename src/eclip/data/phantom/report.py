"""The phantom's report: what a radiologist dictates of the findings, laid out as a MIMIC-CXR report file."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from eclip.data.phantom import phrases
from eclip.data.phantom.findings import NO_FINDING, Finding
from eclip.data.phantom.phrases import pick, say
from eclip.data.phantom.statements import Dictation, Statement

Layout = Literal["both", "impression only", "findings only", "joint", "paragraph"]
_LAYOUTS: tuple[Layout, ...] = ("both", "impression only", "findings only", "joint", "paragraph")
_LAYOUT_SHARES = (0.74, 0.14, 0.06, 0.03, 0.03)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report in its parts; `file_text` puts them together.

    Attributes:
        header: The sections before the findings, as (name, text).
        findings: Sentences of the findings section.
        impression: Sentences of the impression.
        labels: CheXpert's names: 1 said to be present, 0 denied, -1 hedged; not listed: not mentioned.
        layout: Which sections there are; "joint" is one section for both, "paragraph" has no
            heading.
        numbered: Whether the items of the impression are numbered.
        wet_read: A preliminary reading above the report, or "".
        addendum: What was added later, above the report, or "".
    """

    header: tuple[tuple[str, str], ...]
    findings: tuple[Statement, ...]
    impression: tuple[Statement, ...]
    labels: dict[str, int]
    layout: Layout = "both"
    numbered: bool = False
    wet_read: str = ""
    addendum: str = ""

    @property
    def findings_text(self) -> str:
        """The findings section in one line."""
        return " ".join(statement.text for statement in self.findings)

    @property
    def impression_text(self) -> str:
        """The impression in one line."""
        marks = (f"{i + 1}. " if self.numbered else "" for i in range(len(self.impression)))
        return " ".join(mark + item.text for mark, item in zip(marks, self.impression, strict=True))

    @property
    def sentences(self) -> tuple[Statement, ...]:
        """What is dictated before the image: the findings, or the impression where there are none."""
        return self.findings or self.impression

    def file_text(self) -> str:
        """The report as MIMIC-CXR keeps it: lines of at most 79 characters, each starting with a space."""
        blocks = []
        for name, text in (("ADDENDUM", self.addendum), ("WET READ: ___ ___ ___", self.wet_read)):
            blocks += [f" {name}\n{_wrap('  ' + text)}\n {'_' * 78}"] if text else []
        blocks += [f"{'FINAL REPORT':>45}"]
        blocks += [_wrap(f" {name}:  {text}") for name, text in self.header]
        findings, impression = self.findings_text, self.impression_text
        if self.layout in ("joint", "paragraph"):
            blocks += [" FINDINGS AND IMPRESSION: "] if self.layout == "joint" else []
            blocks += [_wrap(f" {findings} {impression}")]
        else:
            blocks += [" FINDINGS: ", _wrap(" " + findings)] if findings else []
            blocks += [" IMPRESSION: ", "\n".join(map(_wrap, self._impression_lines()))] if impression else []
        return "\n \n".join(blocks) + "\n"

    def _impression_lines(self) -> list[str]:
        if not self.numbered:
            return [" " + self.impression_text]
        return [f" {i + 1}. {statement.text}" for i, statement in enumerate(self.impression)]


def write_report(
    findings: Sequence[Finding],
    rng: np.random.Generator,
    *,
    view: str,
    prior: Sequence[Finding] | None = None,
    sex: Literal["F", "M"] = "F",
) -> Report:
    """Report a chest. With `prior`, the findings of the patient's study before, it is compared with that."""
    dictation = Dictation(findings, rng, prior)
    layout = _LAYOUTS[rng.choice(len(_LAYOUTS), p=_LAYOUT_SHARES)]
    observed = () if layout == "impression only" else tuple(dictation.findings_section())
    concluded = () if layout == "findings only" else tuple(dictation.impression())
    if not findings:
        dictation.labels[NO_FINDING] = 1
    return Report(
        header=_header(rng, view=view, compared=prior is not None, sex=sex),
        findings=observed,
        impression=concluded,
        labels=dictation.labels,
        layout=layout,
        numbered=len(concluded) > 1 and layout == "both" and bool(rng.random() < 0.4),
        wet_read=" ".join(s.text for s in (concluded or observed)[:2]) if rng.random() < 0.04 else "",
        addendum=say(phrases.ADDENDA, rng) if rng.random() < 0.03 else "",
    )


def _header(rng: np.random.Generator, *, view: str, compared: bool, sex: str) -> tuple[tuple[str, str], ...]:
    slots = {
        "sex": "woman" if sex == "F" else "man",
        "initial": sex,
        "complaint": say(phrases.COMPLAINTS, rng),
        "question": say(phrases.QUESTIONS, rng),
    }
    examination, indication = say(phrases.EXAMINATION_NAMES, rng), say(phrases.INDICATION_NAMES, rng)
    header = [(examination, say(phrases.EXAMINATIONS[view], rng))]
    header += [(indication, say(pick(phrases.INDICATIONS, rng), rng, slots))]
    if rng.random() < 0.4:
        header += [("TECHNIQUE", say(phrases.TECHNIQUES[view], rng))]
    if compared or rng.random() < 0.8:
        header += [("COMPARISON", say(phrases.COMPARISONS if compared else phrases.NO_COMPARISON, rng))]
    return tuple(header)


def _wrap(text: str) -> str:
    return textwrap.fill(text, 79, subsequent_indent=" ", drop_whitespace=True, break_on_hyphens=False)
