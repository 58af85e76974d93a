"""Oracle: labels written by hand beside the terms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eclip.data.sources.open_i_labels import labels_of

NAMES = [
    *("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Enlarged Cardiomediastinum", "Fracture"),
    *("Lung Lesion", "Lung Opacity", "No Finding", "Pleural Effusion", "Pleural Other", "Pneumonia"),
    *("Pneumothorax", "Support Devices"),
]


@pytest.mark.parametrize(
    ("term", "name"),
    [
        ("Pulmonary Atelectasis/base/left", "Atelectasis"),
        ("Atelectasis", "Atelectasis"),
        ("Cardiomegaly/mild", "Cardiomegaly"),
        ("Cardiac Shadow/enlarged/borderline", "Cardiomegaly"),
        ("Consolidation", "Consolidation"),
        ("Pulmonary Edema/interstitial", "Edema"),
        ("Mediastinum/enlarged", "Enlarged Cardiomediastinum"),
        ("Fractures, Bone/ribs", "Fracture"),
        ("Nodule/lung", "Lung Lesion"),
        ("Mass/lung", "Lung Lesion"),
        ("Opacity/lung/base", "Lung Opacity"),
        ("Airspace Disease", "Lung Opacity"),
        ("normal", "No Finding"),
        ("Pleural Effusion/right/large", "Pleural Effusion"),
        ("Pleural Thickening", "Pleural Other"),
        ("Thickening/pleura/apex", "Pleural Other"),
        ("Pneumonia", "Pneumonia"),
        ("Pneumothorax/apex", "Pneumothorax"),
        ("Catheters, Indwelling/right", "Support Devices"),
        ("Surgical Instruments", "Support Devices"),
        ("Medical Device", "Support Devices"),
        (" PNEUMOTHORAX \n", "Pneumothorax"),
    ],
)
def test_a_heading_that_is_a_label_of_chexpert_gets_its_name(term, name):
    labels = labels_of([term])
    assert labels[name] == 1
    assert all(value == 0 for other, value in labels.items() if other != name)
    assert set(labels) <= set(NAMES)


def test_other_headings_keep_their_names_and_lose_their_qualifiers():
    zeros = dict.fromkeys(NAMES, 0)
    labels = labels_of(
        ["Scoliosis/mild", "Cardiac Shadow/obscured", "Thickening/bronchi", "Scoliosis/thoracic"]
    )
    assert labels == zeros | {"Scoliosis": 1, "Cardiac Shadow": 1, "Thickening": 1}


def test_one_term_may_be_two_labels():
    labels = labels_of(["Hydropneumothorax"])
    assert [name for name, value in labels.items() if value] == ["Pleural Effusion", "Pneumothorax"]


@pytest.mark.parametrize(
    ("term", "unmentioned"),
    [
        ("Cardiomegaly", {"Enlarged Cardiomediastinum"}),
        ("Pneumonia", {"Lung Opacity", "Consolidation"}),
        ("Pulmonary Atelectasis", {"Lung Opacity"}),
        ("Pulmonary Edema", {"Lung Opacity"}),
        ("Nodule", {"Lung Opacity"}),
        ("Consolidation", {"Lung Opacity"}),
        ("Pleural Effusion", set()),
        ("normal", set()),
    ],
)
def test_what_a_finding_is_a_kind_of_is_not_called_absent(term, unmentioned):
    assert set(NAMES) - set(labels_of([term])) == unmentioned


def test_it_is_present_where_it_is_named_too():
    assert labels_of(["Pneumonia", "Opacity/lung"])["Lung Opacity"] == 1


@pytest.mark.parametrize(
    "terms",
    [[], [""], ["No Indexing"], ["Technical Quality of Image Unsatisfactory"], ["/"], [" ", "no  indexing"]],
)
def test_without_terms_nothing_is_mentioned(terms):
    assert labels_of(terms) == {}


@given(st.lists(st.text(max_size=20)))
def test_any_terms_give_labels(terms):
    labels = labels_of(terms)
    assert set(labels.values()) <= {0, 1}
    assert labels == labels_of(terms[::-1])
    assert "" not in labels
