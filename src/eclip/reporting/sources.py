"""Which retrieved sentences stand behind each sentence of a draft, and where those disagree."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from eclip.reporting.consensus import words_of
from eclip.reporting.findings import ABSENT, NO_FINDING, PRESENT, findings_of, spoken_of
from eclip.reporting.generators.protocol import Source
from eclip.reporting.sentences import split_sentences

SUPPORTED_FROM = 0.5
"""Similarity from which a source stands behind a sentence."""
_SHOWN = 3
_SIDES = {
    "left": {"left"},
    "right": {"right"},
    **{word: {"left", "right"} for word in ("bilateral", "bilaterally", "both")},
}
_NEGATIONS = frozenset({"no", "not", "without", "none", "neither", "nor", "never", "cannot"})


@dataclass(frozen=True, slots=True)
class Support:
    """A sentence of a draft and what stands behind it.

    Attributes:
        text: The sentence.
        sources: Up to three retrieved sentences, the most alike first; each with its study. `similarity` is that of
            the words (Dice: 2 · shared / all), not the image's.
        supported: Whether one of them is alike enough, says the same of every finding, and the same side if any; where
            no finding is named, both are negated or neither is.
    """

    text: str
    sources: tuple[Source, ...]
    supported: bool


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A finding of the draft that some retrieved reports state and others deny.

    Attributes:
        finding: Its name.
        present: How many reports state it.
        absent: How many deny it.
    """

    finding: str
    present: int
    absent: int


def support(draft: str, retrieved: Sequence[Source]) -> list[Support]:
    """For each sentence of a draft the retrieved sentences most like it.

    Likeness is of words, so that everybody can see why; a source that says the opposite of a finding ("no effusion"
    for "effusion") is no source.

    Args:
        draft: The draft.
        retrieved: Texts that it was made from.
    """
    own = split_sentences(draft)
    others = [(source, text) for source in retrieved for text in split_sentences(source.text)]
    if not others:
        return [Support(text, (), False) for text in own]
    alike_SO = _dice(own, [text for _, text in others])
    said_O = [spoken_of(text) for _, text in others]
    sides_O = [_sides(text) for _, text in others]
    negated_O = np.array([_negated(text) for _, text in others])
    found = []
    for text, alike_O in zip(own, alike_SO, strict=True):
        said = spoken_of(text)
        agrees_O = np.array(
            [all(said.get(name) == value for name, value in other.items()) for other in said_O]
        )
        opposes_O = np.array([any(said.get(n, v) != v for n, v in other.items()) for other in said_O])
        order = np.lexsort((np.arange(len(others)), -alike_O, opposes_O))[:_SHOWN]
        sources = tuple(
            replace(others[o][0], text=others[o][1], similarity=float(alike_O[o]))
            for o in order
            if alike_O[o] > 0 and not opposes_O[o]
        )
        sides = _sides(text)
        behind_O = agrees_O & (alike_O >= SUPPORTED_FROM)
        behind_O &= np.array([not sides or sides == other for other in sides_O])
        behind_O &= bool(said) | (negated_O == _negated(text))
        covered = {name for o in np.flatnonzero(behind_O) for name in said_O[o]}
        found.append(Support(text, sources, bool(behind_O.any()) and set(said) <= covered))
    return found


def contradictions(draft: str, retrieved: Sequence[Source]) -> list[Contradiction]:
    """Findings that a draft speaks of and the retrieved reports are not of one mind about."""
    counts: Counter[tuple[str, int]] = Counter()
    for source in retrieved:
        counts.update(findings_of(source.text).items())
    return [
        Contradiction(name, counts[name, PRESENT], counts[name, ABSENT])
        for name in findings_of(draft)
        if name != NO_FINDING and counts[name, PRESENT] and counts[name, ABSENT]
    ]


def _sides(text: str) -> set[str]:
    return set().union(*(_SIDES.get(word, ()) for word in words_of(text)))


def _negated(text: str) -> bool:
    return not _NEGATIONS.isdisjoint(words_of(text))


def _dice(own: Sequence[str], others: Sequence[str]) -> np.ndarray:
    """Likeness (S, O) in [0, 1] of the sets of words."""
    sets = [set(words_of(text)) for text in (*own, *others)]
    vocabulary = {word: i for i, word in enumerate(sorted(set().union(*sets)))}
    has_XW = np.zeros((len(sets), len(vocabulary)), np.float32)
    for row, words in zip(has_XW, sets, strict=True):
        row[[vocabulary[word] for word in words]] = 1
    size_X = has_XW.sum(1)
    shared_SO = has_XW[: len(own)] @ has_XW[len(own) :].T
    all_SO = size_X[: len(own), None] + size_X[len(own) :]
    return 2 * shared_SO / np.maximum(all_SO, 1)
