import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eclip.annotations import Annotation, Fixation, Sentence
from eclip.annotations.sentences import LEAD, group_sentences, joined, sentence_fixations


def spoken(text, *, start=0.0, step=0.5):
    """One word after another, each half a second long."""
    return [(word, start + i * step, start + (i + 1) * step) for i, word in enumerate(text.split())]


def test_a_sentence_ends_at_the_word_that_holds_a_period():
    assert group_sentences(spoken("Heart is large. Lungs are clear.")) == (
        Sentence("Heart is large.", 0.0, 1.5),
        Sentence("Lungs are clear.", 1.5, 3.0),
    )


def test_periods_commas_and_slashes_may_be_words_of_their_own():
    sentences = group_sentences(spoken("edema , mild . atelectasis / pneumonia ."))
    assert [sentence.text for sentence in sentences] == ["edema, mild.", "atelectasis/pneumonia."]
    assert sentences[0].end == sentences[1].start == 2.0


def test_a_missing_last_period_ends_nothing_too_early():
    assert [s.text for s in group_sentences(spoken("Clear. No effusion"))] == ["Clear.", "No effusion"]


def test_a_phrase_with_several_periods_is_one_sentence_with_its_own_times():
    assert group_sentences([("No edema. No effusion.", 1.0, 4.0), ("Clear.", 4.0, 5.0)]) == (
        Sentence("No edema. No effusion.", 1.0, 4.0),
        Sentence("Clear.", 4.0, 5.0),
    )


def test_the_point_of_a_number_ends_no_sentence():
    assert [s.text for s in group_sentences(spoken("Nodule of 2.5 cm."))] == ["Nodule of 2.5 cm."]


def test_words_without_length_and_times_before_zero_are_fine():
    assert group_sentences([("Large", -0.4, -0.4), ("heart.", -0.4, 0.2)]) == (
        Sentence("Large heart.", -0.4, 0.2),
    )


@pytest.mark.parametrize("words", [[], [(".", 0.0, 0.1)], [("", 0.0, 0.1), (",", 0.2, 0.3)]])
def test_nothing_said_is_no_sentence(words):
    assert group_sentences(words) == ()


letters = st.text("abcXYZ", min_size=1, max_size=6)
a_word = st.one_of(letters, letters.map(lambda word: word + "."), st.sampled_from([".", ",", "/"]))
some_words = st.lists(st.tuples(a_word, st.floats(0, 60), st.floats(0, 5)), max_size=40).map(
    lambda words: [(text, start, start + length) for text, start, length in words]
)


@given(words=some_words)
def test_grouping_loses_no_letter_and_leaves_the_span_of_the_words(words):
    sentences = group_sentences(words)
    said = [re.sub(r"[^a-zA-Z]", "", sentence.text) for sentence in sentences]
    assert "".join(said) == "".join(re.sub(r"[^a-zA-Z]", "", text) for text, _, _ in words)
    assert all(said)
    for sentence in sentences:
        assert "." not in sentence.text.rstrip(".")
        assert sentence.start in [start for _, start, _ in words]
        assert sentence.end in [end for _, _, end in words]
        assert sentence.start <= sentence.end


def test_joined_puts_no_space_before_punctuation():
    assert joined(["edema", ",", "mild", " .", "No", "mass"]) == "edema, mild. No mass"


READING = Annotation(
    "gaze",
    fixations=(
        Fixation(0.1, 0.1, 0.0, 1.0),
        Fixation(0.2, 0.2, 1.0, 3.0),
        Fixation(0.3, 0.3, 3.0, 9.0),
        Fixation(0.4, 0.4, 9.0, 9.5),
    ),
    sentences=(Sentence("One.", 2.0, 4.0), Sentence("Two.", 4.5, 6.0), Sentence("Three.", 5.0, 7.0)),
)


def extents(fixations):
    return [(fixation.x, fixation.start, fixation.end) for fixation in fixations]


def test_a_sentence_has_the_fixations_from_one_and_a_half_seconds_before_it():
    assert LEAD == 1.5
    assert extents(sentence_fixations(READING, READING.sentences[0])) == [
        (0.1, 0.5, 1.0),
        (0.2, 1.0, 3.0),
        (0.3, 3.0, 4.0),
    ]


def test_its_window_begins_no_earlier_than_the_previous_sentence():
    assert extents(sentence_fixations(READING, READING.sentences[1])) == [(0.3, 3.0, 6.0)]
    assert extents(sentence_fixations(READING, READING.sentences[1], lead=100)) == [
        (0.2, 2.0, 3.0),
        (0.3, 3.0, 6.0),
    ]
    assert extents(sentence_fixations(READING, READING.sentences[2])) == [(0.3, 4.5, 7.0)]


@given(
    edges=st.lists(st.floats(0, 20), min_size=2, max_size=30, unique=True).map(sorted),
    starts=st.lists(st.floats(0, 20), min_size=1, max_size=6, unique=True).map(sorted),
    lead=st.floats(0, 5),
)
def test_the_window_keeps_the_time_that_a_plain_loop_keeps(edges, starts, lead):
    fixations = [Fixation(0.5, 0.5, a, b) for a, b in pairwise(edges)]
    sentences = [Sentence(f"{i}.", start, start + 1.0) for i, start in enumerate(starts)]
    reading = Annotation("gaze", fixations=tuple(fixations), sentences=tuple(sentences))
    for i, sentence in enumerate(sentences):
        begin = sentence.start - lead
        if i and sentences[i - 1].start > begin:
            begin = sentences[i - 1].start
        seconds = sum(max(0.0, min(f.end, sentence.end) - max(f.start, begin)) for f in fixations)
        kept = sentence_fixations(reading, sentence, lead=lead)
        assert sum(f.duration for f in kept) == pytest.approx(seconds, abs=1e-9)
        assert all(begin <= f.start < f.end <= sentence.end for f in kept)
