"""What retrieved reports agree on."""

from hypothesis import given
from hypothesis import strategies as st

from eclip.reporting.consensus import by_anatomy, consensus
from eclip.reporting.findings import NO_FINDING, findings_of
from eclip.reporting.generators.extractive import ExtractiveGenerator
from eclip.reporting.generators.protocol import Case, Source


def reports(*texts):
    return [Source(study_id=f"s{i}", text=text, similarity=1 - i / 10) for i, text in enumerate(texts)]


def said(*texts, **how):
    return [source.text for source in consensus(reports(*texts), **how)]


def test_a_finding_that_enough_reports_state_is_stated():
    texts = [
        "Small right effusion.",
        "Right effusion. No edema.",
        "No effusion. No edema.",
        "No effusion.",
        "No edema.",
    ]
    assert said(*texts) == ["Small right effusion.", "No edema."]
    assert said(*texts, present_from=0.5) == ["No edema."]  # as many deny it: no word of it


def test_sentences_of_another_script_agree_only_where_they_are_alike():
    assert said("Лёгкие чистые.", "Сердце увеличено.", "Выпот справа.") == []
    assert said("Лёгкие чистые.", "Лёгкие чистые.", "Выпот справа.") == ["Лёгкие чистые."]
    assert said("---.", "***.", "Выпот справа.") == []


def test_of_those_who_state_it_the_one_most_like_the_others_is_taken():
    texts = ["Right effusion.", "Small right effusion.", "Small right pleural effusion."]
    assert said(*texts) == ["Small right effusion."]


def test_absent_findings_are_denied_in_as_few_sentences_as_do():
    texts = ["No edema.", "No effusion or edema.", "No effusion. No edema.", "No effusion or edema."]
    assert said(*texts) == ["No effusion or edema."]


def test_no_sentence_says_more_than_was_decided():
    texts = ["Effusion and pneumothorax.", "Effusion and edema.", "Effusion with atelectasis."]
    assert said(*texts) == []  # each says something that only one report says
    assert said(*texts, "Left effusion.") == ["Left effusion."]


def test_clear_lungs_are_not_said_beside_what_is_in_them():
    texts = ["The lungs are clear."] * 3 + ["Right lower lobe consolidation."] * 2
    assert said(*texts) == ["Right lower lobe consolidation."]
    assert said(*texts[:4]) == ["The lungs are clear."]


def test_a_sentence_without_a_finding_is_said_if_most_say_it():
    assert said("The trachea is midline. No edema.", "No edema. The trachea is midline.", "No edema.") == [
        "No edema.",
        "The trachea is midline.",
    ]


def test_every_sentence_keeps_its_study():
    found = consensus(reports("No edema.", "Effusion.", "Effusion.", "Clear."))
    assert [(s.text, s.study_id) for s in found] == [("Effusion.", "s1")]


def test_reports_are_read_from_the_lungs_to_the_bones():
    sentences = [
        "No fracture.",
        "Heart size is normal.",
        "Left effusion.",
        "Trachea midline.",
        "The lungs are clear.",
    ]
    assert by_anatomy(sentences) == [
        "The lungs are clear.", "Left effusion.", "Heart size is normal.", "No fracture.", "Trachea midline.",
    ]  # fmt: skip


PIECES = [
    "No edema.",
    "Edema.",
    "Left effusion.",
    "No effusion or edema.",
    "Possible edema.",
    "Clear lungs.",
    "Heart size is normal.",
]


@given(
    st.lists(st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map(" ".join), min_size=1, max_size=8)
)
def test_a_consensus_never_contradicts_itself(texts):
    found = [findings_of(text) for text in said(*texts)]
    for name in {name for own in found for name in own} - {NO_FINDING}:
        assert len({own[name] for own in found if name in own}) == 1


def test_the_generator_writes_it_or_the_nearest_report_where_there_is_none():
    cases = [
        Case(image_id="a", retrieved=reports("Heart size is normal. Effusion.", "Effusion.")),
        Case(image_id="b", retrieved=reports("Effusion and edema.", "Nodule and pneumonia.", "Fracture.")),
    ]
    found = dict(ExtractiveGenerator().generate(cases))
    assert {n: (one.text, one.error) for n, one in found.items()} == {
        0: ("Effusion.", ""),
        1: ("Effusion and edema.", ""),
    }
