"""Where a draft's sentences come from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eclip.reporting.generators.protocol import Source
from eclip.reporting.sources import Contradiction, _dice, contradictions, support


def reports(*texts):
    return [Source(study_id=f"s{i}", text=text, similarity=0.5, number=i) for i, text in enumerate(texts)]


def test_each_sentence_has_the_sentences_most_like_it():
    found = support(
        "Small right effusion. No edema.",
        reports("No edema. Left effusion.", "Small right pleural effusion."),
    )
    assert [s.text for s in found] == ["Small right effusion.", "No edema."]
    assert (found[0].sources[0].study_id, found[0].sources[0].text) == ("s1", "Small right pleural effusion.")
    assert found[0].sources[0].similarity == pytest.approx(2 * 3 / 7)
    assert found[1].sources[0].study_id == "s0"
    assert found[1].sources[0].similarity == 1
    assert [s.supported for s in found] == [True, True]


def test_a_sentence_nobody_said_is_marked():
    (found,) = support("Acute rib fracture.", reports("No edema.", "Left effusion."))
    assert not found.supported
    (found,) = support("Left effusion with pneumothorax.", reports("Left effusion."))
    assert not found.supported  # the pneumothorax has no source
    assert support("No edema.", []) == [type(found)("No edema.", (), False)]


def test_who_says_the_opposite_is_no_source():
    (found,) = support("There is a right pleural effusion.", reports("There is no right pleural effusion."))
    assert found.sources == ()
    assert not found.supported


@pytest.mark.parametrize(
    ("draft", "source", "supported"),
    [
        ("Small left pleural effusion.", "Small right pleural effusion.", False),
        ("Small left pleural effusion.", "Small left pleural effusion.", True),
        ("Small bilateral pleural effusions.", "Small left pleural effusion.", False),
        ("Small pleural effusion.", "Small left pleural effusion.", True),
        ("The lungs are clear.", "The lungs are not clear.", False),
        ("The trachea is not deviated.", "The trachea is deviated.", False),
        ("The trachea is not deviated.", "The trachea is not much deviated.", True),
        ("No pleural effusion.", "There is no pleural effusion.", True),
    ],
)
def test_the_other_side_and_a_negation_are_no_support(draft, source, supported):
    assert [found.supported for found in support(draft, reports(source))] == [supported]


def test_disagreement_is_counted():
    retrieved = reports("Effusion.", "No effusion.", "No effusion or edema.", "Nodule.")
    assert contradictions("Effusion. No edema.", retrieved) == [Contradiction("Pleural Effusion", 1, 2)]
    assert contradictions("Clear.", retrieved) == []


@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=5).map(" ".join), min_size=2, max_size=6))
def test_likeness_is_that_of_the_sets(texts):
    found = _dice(texts[:1], texts[1:])
    for other, alike in zip(texts[1:], found[0], strict=True):
        a, b = set(texts[0].split()), set(other.split())
        assert alike == pytest.approx(2 * len(a & b) / max(1, len(a) + len(b)))
    assert np.isfinite(found).all()
