"""The finding labeller: written sentences, the phantom's labels, and that negation turns each finding round."""

from collections import Counter

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eclip.data.store import Store
from eclip.reporting.findings import FINDINGS, NO_FINDING, findings_of

EFFUSION, PNEUMOTHORAX, HEART = "Pleural Effusion", "Pneumothorax", "Cardiomegaly"
SENTENCES = [
    # present
    ("There is a small right pleural effusion.", {EFFUSION: 1}),
    ("Blunting of the right costophrenic angle.", {EFFUSION: 1}),
    ("The left costophrenic sulcus is mildly blunted.", {EFFUSION: 1}),
    ("Hydropneumothorax on the left.", {PNEUMOTHORAX: 1, EFFUSION: 1}),
    ("The heart is mildly enlarged.", {HEART: 1}),
    ("Enlarged cardiac silhouette.", {HEART: 1}),
    ("The cardiothoracic ratio is increased.", {HEART: 1}),
    ("Stable cardiomegaly.", {HEART: 1}),
    ("Plate-like atelectasis at the left base.", {"Atelectasis": 1}),
    ("Volume loss in the right lower lobe.", {"Atelectasis": 1}),
    ("A 6 mm nodule in the right upper lobe.", {"Lung Lesion": 1}),
    ("Spiculated density projecting over the apex.", {"Lung Lesion": 1}),
    ("Pulmonary vascular congestion.", {"Edema": 1}),
    ("Congestive failure with Kerley lines.", {"Edema": 1}),
    ("Right lower lobe pneumonia.", {"Pneumonia": 1}),
    ("Acute fracture of the seventh rib.", {"Fracture": 1}),
    ("Widened mediastinum.", {"Enlarged Cardiomediastinum": 1}),
    ("Biapical pleural thickening.", {"Pleural Other": 1}),
    ("Endotracheal tube in place.", {"Support Devices": 1, NO_FINDING: 1}),
    ("Edema is unchanged.", {"Edema": 1}),
    ("No change in the left effusion.", {EFFUSION: 1}),
    ("There is no significant interval change in atelectasis.", {"Atelectasis": 1}),
    ("No increase in the pneumothorax.", {PNEUMOTHORAX: 1}),
    ("The edema has not resolved.", {"Edema": 1}),
    # absent
    ("No effusion.", {EFFUSION: 0, NO_FINDING: 1}),
    ("No effusion, consolidation or pneumothorax.", {EFFUSION: 0, "Consolidation": 0, PNEUMOTHORAX: 0, NO_FINDING: 1}),
    ("There is no evidence of pneumonia.", {"Pneumonia": 0, NO_FINDING: 1}),
    ("Negative for pneumothorax.", {PNEUMOTHORAX: 0, NO_FINDING: 1}),
    ("The lungs are free of consolidation.", {"Consolidation": 0, NO_FINDING: 1}),
    ("Pleural effusion is not seen.", {EFFUSION: 0, NO_FINDING: 1}),
    ("The previously seen pneumothorax has resolved.", {PNEUMOTHORAX: 0, NO_FINDING: 1}),
    ("Right effusion is no longer seen.", {EFFUSION: 0, NO_FINDING: 1}),
    ("Complete resolution of edema.", {"Edema": 0, NO_FINDING: 1}),
    ("Heart size is normal.", {HEART: 0, NO_FINDING: 1}),
    ("The heart is not enlarged.", {HEART: 0, NO_FINDING: 1}),
    ("The cardiomediastinal silhouette is unremarkable.", {HEART: 0, "Enlarged Cardiomediastinum": 0, NO_FINDING: 1}),
    ("Costophrenic angles are sharp.", {EFFUSION: 0, NO_FINDING: 1}),
    ("The lungs are clear.", {NO_FINDING: 1}),
    ("Normal chest radiograph.", {NO_FINDING: 1}),
    ("Pneumothorax: none.", {PNEUMOTHORAX: 0, NO_FINDING: 1}),
    ("FINDINGS:\nHeart: normal in size.\nPleura: clear.", {HEART: 0, EFFUSION: 0, NO_FINDING: 1}),
    ("The fissure leads to the hilum.", {NO_FINDING: 1}),
    ("---", {}),
    # headings that are findings
    ("Pleural effusion: small, left.", {EFFUSION: 1}),
    ("FINDINGS:\nCardiomegaly: mild.\nPneumothorax: large right.", {HEART: 1, PNEUMOTHORAX: 1}),
    ("Right upper lobe mass: 3 cm.", {"Lung Lesion": 1}),
    ("Heart: mildly enlarged.", {HEART: 1}),
    ("Effusion: no change.", {EFFUSION: 1}),
    # uncertain
    ("Possible pneumonia.", {"Pneumonia": -1}),
    ("Pneumonia cannot be excluded.", {"Pneumonia": -1}),
    ("A small effusion is suspected.", {EFFUSION: -1}),
    ("Opacity may represent pneumonia.", {"Lung Opacity": 1, "Pneumonia": -1}),
    ("Consolidation, concerning for pneumonia.", {"Consolidation": 1, "Pneumonia": -1}),
    ("Atelectasis versus pneumonia.", {"Atelectasis": -1, "Pneumonia": -1}),
    ("Cardiac silhouette is borderline enlarged.", {HEART: -1}),
    ("Questionable right apical pneumothorax.", {PNEUMOTHORAX: -1}),
    ("There may be a trace effusion.", {EFFUSION: -1}),
    # more than one clause
    ("No focal consolidation, but a small right effusion.", {"Consolidation": 0, EFFUSION: 1}),
    ("Mild cardiomegaly without pulmonary edema.", {HEART: 1, "Edema": 0}),
    ("No pneumothorax or effusion with mild cardiomegaly.", {PNEUMOTHORAX: 0, EFFUSION: 0, HEART: 1}),
    ("No definite effusion; possible edema.", {EFFUSION: 0, "Edema": -1}),
    ("There is no pneumothorax and the effusion is larger.", {PNEUMOTHORAX: 0, EFFUSION: 1}),
    ("Small pneumothorax without shift of the mediastinum.", {PNEUMOTHORAX: 1}),
    ("Interval removal of the chest tube, no pneumothorax.", {"Support Devices": 1, PNEUMOTHORAX: 0, NO_FINDING: 1}),
    # a whole report
    ("There may be an effusion. There is a right effusion.", {EFFUSION: 1}),
    ("No effusion. An effusion is suspected.", {EFFUSION: -1}),
    ("Clear lungs. Acute rib fracture.", {"Fracture": 1}),
    ("Lungs are clear. No acute fracture. Heart size is normal.", {"Fracture": 0, HEART: 0, NO_FINDING: 1}),
    ("", {}),
    ("Effusion without evidence of edema or pneumonia.", {EFFUSION: 1, "Edema": 0, "Pneumonia": 0}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), SENTENCES)
def test_written_sentences(text, expected):
    assert findings_of(text) == expected


PLAIN = {
    "Atelectasis": "atelectasis", "Cardiomegaly": "cardiomegaly", "Consolidation": "consolidation", "Edema": "edema",
    "Enlarged Cardiomediastinum": "mediastinal widening", "Fracture": "rib fracture", "Lung Lesion": "nodule",
    "Lung Opacity": "infiltrate", "Pleural Effusion": "effusion", "Pleural Other": "pleural thickening",
    "Pneumonia": "pneumonia", "Pneumothorax": "pneumothorax", "Support Devices": "pacemaker",
}  # fmt: skip


def test_the_names_are_chexperts():
    assert set(FINDINGS) == set(PLAIN) | {NO_FINDING}


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize(
    ("frame", "value"),
    [("There is {}.", 1), ("There is no {}.", 0), ("No evidence of {}.", 0), ("{} has resolved.", 0),
     ("Possible {}.", -1), ("{} cannot be excluded.", -1), ("No change in {}.", 1)],
)  # fmt: skip
def test_every_finding_is_stated_denied_and_doubted(name, frame, value):
    assert findings_of(frame.format(PLAIN[name]))[name] == value


@given(st.lists(st.sampled_from(sorted(PLAIN)), min_size=2, max_size=6, unique=True))
def test_a_negation_reaches_over_a_list(names):
    listed = ", ".join(PLAIN[name] for name in names[:-1]) + f" or {PLAIN[names[-1]]}"
    found = findings_of(f"No {listed}.")
    assert {name: found[name] for name in names} == dict.fromkeys(names, 0)


@given(st.text(alphabet="no effusion,.;:()not with ", max_size=400))
def test_any_text_is_read(text):
    assert set(findings_of(text)) <= set(FINDINGS)


@pytest.mark.parametrize(
    "words", ["no ", "blunting of the ", "mediastinum is ", "cannot be excluded ", "heart size is "]
)
def test_long_texts_end(words):
    """An expression that backtracks would need hours."""
    findings_of(words * 20_000)


def test_phantom_reports_are_labelled_as_the_phantom_means_them(phantom_store):
    """Misses are wording that the phantom's own rules read otherwise: airspace disease is an opacity here as well."""
    store = Store.open(phantom_store)
    hits: Counter[str] = Counter()
    for text, labels in zip(store.column("text"), store.column("labels"), strict=True):
        meant = {entry["name"] for entry in labels if entry["value"] == 1}
        found = {name for name, value in findings_of(text).items() if value == 1}
        for name in meant | found:
            hits[name, name in meant, name in found] += 1
    f1 = {}
    for name in {name for name, *_ in hits}:
        both, missed, added = hits[name, True, True], hits[name, True, False], hits[name, False, True]
        f1[name] = 2 * both / (2 * both + missed + added)
    expected = [
        "Pleural Effusion",
        "Pneumothorax",
        "Edema",
        "Cardiomegaly",
        "Lung Lesion",
        "Atelectasis",
        NO_FINDING,
    ]
    assert {name: f1[name] for name in expected} == pytest.approx(dict.fromkeys(expected, 1.0), abs=0.03)
    assert f1["Consolidation"] > 0.9


@pytest.mark.real
def test_real_texts_are_read(real_cxr):
    texts = pd.read_csv(real_cxr / "metadata.csv")["text"].dropna()
    found = [findings_of(text) for text in texts]
    assert sum(map(bool, found)) > 0.9 * len(found)
