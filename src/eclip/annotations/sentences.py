"""Dictated words to sentences, and which fixations belong to a sentence."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from eclip.annotations.annotation import Annotation, Fixation, Sentence

LEAD = 1.5  # seconds by which the eye is ahead of the tongue (Bigolin Lanfredi et al. 2022)

_PERIOD = re.compile(r"\.(?!\d)")  # not that of "2.5 cm"
_SPACE_AT_PUNCTUATION = re.compile(r"\s+(?=[.,;:/](\s|$))|(?<=\s/)\s+")

Word = tuple[str, float, float]


def joined(words: Iterable[str]) -> str:
    """Words and punctuation as running text: ["edema", ",", "mild", "."] is "edema, mild."."""
    return _SPACE_AT_PUNCTUATION.sub("", " ".join(" ".join(words).split()))


def encodable(text: str) -> str:
    """Without the half characters that JSON can spell and UTF-8 cannot."""
    return text.encode(errors="replace").decode()


def group_sentences(words: Iterable[Word]) -> tuple[Sentence, ...]:
    """Group dictated words into sentences; each ends at the word or phrase that holds a period.

    A phrase with several periods stays one sentence: its times are known as a whole only. A missing last period
    and words without length are fine; what has no letter or digit is no sentence.

    Args:
        words: (text, start, end) in the order in which they were dictated, times in seconds.
    """
    sentences = ((joined(text), start, end) for text, start, end in map(_extent, _until_period(words)))
    return tuple(Sentence(*sentence) for sentence in sentences if any(map(str.isalnum, sentence[0])))


def sentence_fixations(
    annotation: Annotation, sentence: Sentence, *, lead: float = LEAD
) -> tuple[Fixation, ...]:
    """The fixations in which a reader saw what a sentence says, cut to the sentence's time.

    The time begins `lead` seconds before the sentence, but not before the previous sentence does, and ends with it
    (the window of the REFLACX authors' localisation paper, without its search for the label's last mention).

    Args:
        annotation: The reading.
        sentence: One of its sentences.
        lead: Seconds.
    """
    index = annotation.sentences.index(sentence)
    previous = annotation.sentences[index - 1].start if index else -float("inf")
    start, end = max(sentence.start - lead, previous), sentence.end
    return tuple(
        replace(fixation, start=max(fixation.start, start), end=min(fixation.end, end))
        for fixation in annotation.fixations
        if fixation.end > start and fixation.start < end
    )


def _until_period(words: Iterable[Word]) -> Iterator[list[Word]]:
    group: list[Word] = []
    for word in words:
        group.append(word)
        if _PERIOD.search(word[0]):
            yield group
            group = []
    if group:
        yield group


def _extent(group: list[Word]) -> tuple[list[str], float, float]:
    texts, starts, ends = zip(*group, strict=True)
    return list(texts), min(starts), max(ends)
