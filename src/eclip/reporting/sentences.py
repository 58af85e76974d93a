"""Reports into sentences."""

import re

_HEADING = re.compile(r"^[ \t]*([A-Z][A-Za-z /&-]{2,30}):[ \t]*", re.MULTILINE)
_SECTION = re.compile(
    r"(?:(?:final|preliminary|radiology) )?report|findings|impressions?|findings ?(?:/|and|&) ?impressions?|summary"
    r"|conclusions?|opinion|interpretation|(?:clinical )?(?:indications?|history|information)|comparisons?|techniques?"
    r"|reason for (?:exam(?:ination)?|study)|exam(?:ination)?|study|procedure|views?|wet read|recommendations?"
    r"|notifications?|addendum",
    re.I,
)
"""Headings that say nothing themselves. Others do: of "Pneumothorax: large, right." the finding would be lost."""
_PARAGRAPH = re.compile(r"\n\s*\n|\n(?=\s*\(?\d{1,2}[.)]\s)")
_NUMBERING = re.compile(r"^\(?\d{1,2}[.)]\s+")
_BOUNDARY = re.compile(r"(?<=[.!?;])\s+|(?<=[a-z]{2}\.)(?=[A-Z][a-z])")
_ABBREVIATED = re.compile(
    r"(?:\b(?:dr|mr|mrs|ms|vs|cf|e\.g|i\.e|a\.m|p\.m|approx|no\.? \d|fig)\.|^\d{1,2}\.)$", re.I
)


def split_sentences(text: str) -> list[str]:
    """Sentences in order, without names of sections and numbering; words stay as they are.

    A sentence ends with ".", "!", "?" or ";", with an empty line, before a numbered line or one with a heading; not
    after an abbreviation (Dr., vs., e.g., p.m.) or a number alone.
    """
    found: list[str] = []
    for paragraph in _PARAGRAPH.split(_HEADING.sub(_own_paragraph, text)):
        sentence = ""
        for piece in _BOUNDARY.split(_NUMBERING.sub("", " ".join(paragraph.split()))):
            sentence = f"{sentence} {piece}".strip()
            if not _ABBREVIATED.search(sentence):
                found.append(sentence)
                sentence = ""
        found.append(sentence)
    return [sentence for sentence in found if any(map(str.isalnum, sentence))]


def _own_paragraph(heading: re.Match[str]) -> str:
    return "\n\n" + ("" if _SECTION.fullmatch(heading[1].strip()) else heading[0].lstrip())
