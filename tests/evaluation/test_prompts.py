"""Prompt sets: those that come along, combinations, and what a wrong file is told."""

import dataclasses

import pytest

from eclip.data.phantom.findings import FINDING_NAMES, NO_FINDING
from eclip.data.sources.nih_cxr14 import LABELS
from eclip.errors import InputError
from eclip.evaluation.prompts import FOLDER, fitting_set, prompt_set
from fabricated import vindr_cxr


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_every_set_that_comes_along_is_sound(name):
    found = prompt_set(name)
    assert found.name == name
    assert found.description
    assert found.source
    for sentences in (*found.classes.values(), *found.negatives.values()):
        assert len(sentences) == len(set(sentences)) >= 2
        assert all(sentence == " ".join(sentence.split()) for sentence in sentences)


def test_the_phantom_set_has_the_phantoms_classes():
    assert set(prompt_set("phantom").classes) == {*FINDING_NAMES, NO_FINDING}


def test_parts_are_combined_in_the_order_of_the_file_and_blanks_left_out(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "classes:\n  A: [plain,  plain, two  words]\n"
        "  B: {severity: ['', mild], subtype: [edema], location: ['', here]}\n  C: {prompts: [x]}\n"
    )
    found = prompt_set(file)
    assert found.classes["A"] == ["plain", "two words"]
    assert found.classes["B"] == ["edema", "edema here", "mild edema", "mild edema here"]
    assert found.classes["C"] == ["x"]
    assert found.name == "mine"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [", "not YAML"),
        ("just words", "expected `classes:`"),
        ("classes: {A: [x]}", "two or more"),
        ("classes: {A: {positive: [x]}}", "class 'A' has no prompt"),
        ("classes: {A: {positive: [x], negative: [y]}, B: [z]}", "class 'B' has no `positive`"),
        ("classes: {A: {positive: [x], negative: 3}}", "class 'A': expected"),
        ("classes: {A: [x], B: text}", "class 'B': expected"),
        ("classes: {A: [x], B: [1]}", "class 'B': expected"),
        ("classes: {A: [x], B: ['']}", "class 'B' has no prompt"),
        ("classes: {A: [x], B: {}}", "class 'B' has no prompt"),
        ("classes: {A: [x], B: !!python/object/apply:os.getcwd []}", "not YAML"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(tmp_path, content, message):
    (tmp_path / "set.yaml").write_text(content)
    with pytest.raises(InputError, match=message) as told:
        prompt_set(tmp_path / "set.yaml")
    assert "\n" not in str(told.value)


def test_an_unknown_name_is_told_which_there_are():
    with pytest.raises(InputError, match="no such set or file; there are chexpert, chexpert-pairs"):
        prompt_set("phantm")


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("cxr14", {label for label in LABELS.values() if label != "No Finding"}),
        ("rsna", {"Pneumonia"}),
        ("siim", {"Pneumothorax"}),
    ],
)
def test_sets_have_the_labels_of_their_sources(name, labels):
    assert set(prompt_set(name).classes) == labels


def test_the_vindr_set_has_labels_of_the_source():
    names = {*vindr_cxr.FINDINGS, "Pleural Effusion", "Pleural Thickening"}  # as CheXpert spells these
    assert set(prompt_set("vindr").classes) <= names


def test_positive_and_negative_sentences(tmp_path):
    file = tmp_path / "pair.yaml"
    file.write_text("classes: {A: {positive: {s: ['', mild], k: [edema]}, negative: [No edema.]}}")
    found = prompt_set(file)
    assert found.classes == {"A": ["edema", "mild edema"]}
    assert found.negatives == {"A": ["No edema."]}
    assert found.sentences == ["edema", "mild edema", "No edema."]
    assert found.fingerprint != dataclasses.replace(found, negatives={"A": ["None."]}).fingerprint


def test_the_set_that_fits_is_the_one_with_the_most_classes():
    cxr14 = list(prompt_set("cxr14").classes)
    assert fitting_set([*cxr14, "No Finding"], phantom=False).name == "cxr14"
    assert fitting_set(list(prompt_set("chexpert").classes), phantom=False).name == "chexpert"
    assert fitting_set(["Pneumothorax"], phantom=False).name == "siim"
    assert fitting_set(["Fracture"], phantom=False) is None
    assert fitting_set(cxr14, phantom=True).name == "phantom"
