"""What the retrieved reports agree on, in their own sentences.

Each report has a vote on each finding: present, absent, uncertain, or no word of it. A finding is taken as present
where at least `PRESENT_FROM` of the reports say so, as absent where more than half deny it. Then sentences are chosen
that say what was decided and nothing else: for each present finding the one most like the others that state it; for the
absent ones as few as deny them all; and sentences without a finding that half of the reports have.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eclip.reporting.findings import ABSENT, DEVICES, LUNGS_CLEAR, PRESENT, UNCERTAIN, spoken_of
from eclip.reporting.generators.protocol import Source
from eclip.reporting.sentences import split_sentences

PRESENT_FROM = 0.4
"""Chosen on validation studies of the phantom, whose seeds no number in the documentation comes from."""
ABSENT_FROM = 0.5
_ANATOMY = (
    "Lung Opacity", "Consolidation", "Pneumonia", "Edema", "Atelectasis", "Lung Lesion",
    "Pleural Effusion", "Pneumothorax", "Pleural Other", "Cardiomegaly", "Enlarged Cardiomediastinum", "Fracture",
    DEVICES,
)  # fmt: skip
"""Lungs, pleura, heart and mediastinum, bones, devices."""
_IN_LUNGS = frozenset(_ANATOMY[:6])
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: str
    source: Source
    findings: dict[str, int]
    words: frozenset[str]
    report: int


def consensus(
    sources: Sequence[Source], *, present_from: float = PRESENT_FROM, absent_from: float = ABSENT_FROM
) -> list[Source]:
    """Sentences of the retrieved reports that say what they agree on, each with the report that it comes from.

    Args:
        sources: Reports, or sentences.
        present_from: Share of them that has to state a finding.
        absent_from: Share of them, to be surpassed, that has to deny it.

    Returns:
        From the most important to the least: present findings, uncertain, absent, the rest.
    """
    sentences = [
        _Sentence(text, source, spoken_of(text), frozenset(words_of(text)), report)
        for report, source in enumerate(sources)
        for text in split_sentences(source.text)
    ]
    if not sentences:
        return []
    decided = _decide(sentences, len(sources), present_from, absent_from)
    agreeing = [sentence for sentence in sentences if _agrees(sentence, decided)]
    chosen: list[_Sentence] = []
    for value in (PRESENT, UNCERTAIN):
        for name in [name for name in _ANATOMY if decided.get(name) == value]:
            if not any(sentence.findings.get(name) == value for sentence in chosen):
                chosen += _medoid([s for s in agreeing if s.findings.get(name) == value])
    chosen += _denials(agreeing, decided, {name for sentence in chosen for name in sentence.findings})
    chosen += _common(agreeing, len(sources))
    return [replace(sentence.source, text=sentence.text) for sentence in chosen]


def by_anatomy(sentences: Iterable[str]) -> list[str]:
    """Sentences in the order that reports have: lungs, pleura, heart, mediastinum, bones, devices, the rest."""

    def place(sentence: str) -> int:
        if LUNGS_CLEAR.search(sentence):
            return 0
        return min((_ANATOMY.index(name) for name in spoken_of(sentence)), default=len(_ANATOMY))

    return sorted(sentences, key=place)


def words_of(text: str) -> list[str]:
    """Lower-case words and numbers, of any script."""
    return _WORD.findall(text.lower())


def _decide(
    sentences: Sequence[_Sentence], reports: int, present_from: float, absent_from: float
) -> dict[str, int]:
    rank = {ABSENT: 0, UNCERTAIN: 1, PRESENT: 2}
    votes: dict[tuple[int, str], int] = {}
    for sentence in sentences:
        for name, value in sentence.findings.items():
            key = (sentence.report, name)
            votes[key] = max(votes.get(key, value), value, key=rank.__getitem__)
    share = Counter((name, value) for (_, name), value in votes.items())
    decided = {}
    for name in _ANATOMY:
        present, uncertain, absent = (share[name, value] / reports for value in (PRESENT, UNCERTAIN, ABSENT))
        if present >= present_from:
            decided[name] = PRESENT
        elif uncertain and present + uncertain >= present_from:
            decided[name] = UNCERTAIN
        elif absent > absent_from:
            decided[name] = ABSENT
    return decided


def _agrees(sentence: _Sentence, decided: dict[str, int]) -> bool:
    clear = LUNGS_CLEAR.search(sentence.text) is not None
    if clear and any(decided.get(name, ABSENT) != ABSENT for name in _IN_LUNGS):
        return False
    return all(decided.get(name) == value for name, value in sentence.findings.items())


def _denials(
    sentences: Sequence[_Sentence], decided: dict[str, int], said: Collection[str]
) -> list[_Sentence]:
    """As few sentences as deny all that is absent and not spoken of yet: that which denies most, again and again."""
    chosen = []
    still = {name for name, value in decided.items() if value == ABSENT} - set(said)
    while denying := [sentence for sentence in sentences if still & set(sentence.findings)]:
        best = max(denying, key=lambda sentence: (len(still & set(sentence.findings)), -sentence.report))
        chosen.append(best)
        still -= set(best.findings)
    return chosen


def _common(sentences: Sequence[_Sentence], reports: int) -> list[_Sentence]:
    """Sentences without a finding that more than half of the reports have, each once."""
    first: dict[tuple[frozenset[str], int], _Sentence] = {}
    for sentence in sentences:
        if sentence.words and not sentence.findings:
            first.setdefault((sentence.words, sentence.report), sentence)
    frequency = Counter(words for words, _ in first)
    found = {s.words: s for s in reversed(first.values()) if frequency[s.words] > reports / 2}
    return sorted(found.values(), key=lambda sentence: sentence.report)


def _medoid(sentences: Sequence[_Sentence]) -> list[_Sentence]:
    """The sentence whose words are most like those of the others (Dice), if there is any."""
    if not sentences:
        return []
    vocabulary = {word: i for i, word in enumerate(sorted({w for s in sentences for w in s.words}))}
    has_SW = np.zeros((len(sentences), len(vocabulary)))
    for row, sentence in zip(has_SW, sentences, strict=True):
        row[[vocabulary[word] for word in sentence.words]] = 1
    size_S = np.maximum(has_SW.sum(1), 1)
    alike_SS = 2 * has_SW @ has_SW.T / (size_S[:, None] + size_S)
    return [sentences[int(alike_SS.sum(1).round(9).argmax())]]
