"""Sentences: where they end, and that no word is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eclip.reporting.sentences import split_sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The heart is normal. No effusion.", ["The heart is normal.", "No effusion."]),
        ("the heart is big. there is edema", ["the heart is big.", "there is edema"]),
        ("No effusion; lungs clear.", ["No effusion;", "lungs clear."]),
        ("Nodule of 1.5 cm. Stable.", ["Nodule of 1.5 cm.", "Stable."]),
        (
            "Told to Dr. Smith at 3 p.m. today. No change.",
            ["Told to Dr. Smith at 3 p.m. today.", "No change."],
        ),
        ("Atelectasis vs. pneumonia.", ["Atelectasis vs. pneumonia."]),
        (
            "FINDINGS: Clear lungs.\n\nIMPRESSION:\n1. Normal.\n2. Stable.",
            ["Clear lungs.", "Normal.", "Stable."],
        ),
        (
            "CLINICAL HISTORY: Cough.\nLungs: clear\nPleural effusion: small, left.\nFindings and impression: None.",
            ["Cough.", "Lungs: clear", "Pleural effusion: small, left.", "None."],
        ),
        ("Heart is normal.Lungs are clear.", ["Heart is normal.", "Lungs are clear."]),
        ("One line\nof two lines. End", ["One line of two lines.", "End"]),
        ("", []),
        (" .\n-\n ", []),
        ("Is it edema? Yes!", ["Is it edema?", "Yes!"]),
    ],
)
def test_where_sentences_end(text, expected):
    assert split_sentences(text) == expected


@given(
    st.lists(
        st.sampled_from(["no", "edema.", "1.5", "cm;", "The", "heart", "vs.", "p.m.", "ok?"]), max_size=30
    )
)
def test_no_word_is_lost(words):
    assert " ".join(split_sentences(" ".join(words))).split() == words


@given(st.text(max_size=300))
def test_any_text_can_be_split(text):
    split_sentences(text)
