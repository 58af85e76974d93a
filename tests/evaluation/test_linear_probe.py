"""Linear probe: scikit-learn called directly, nested subsets, rotations, leaks."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

from eclip.errors import InputError
from eclip.evaluation import linear_probe
from eclip.evaluation.linear_probe import STRENGTHS, patients_in_order, shots_of
from small_evaluations import embeddings, unit_rows

CLASSES = ["A", "B", "C"]


def split(name, rows, *, seed, noise=1.2, images_a_patient=1):
    """Images near the direction of their class; one in ten has no label at all."""
    draw = np.random.default_rng(seed)
    kind = draw.choice(3, rows, p=[0.6, 0.3, 0.1])
    image_ND = unit_rows(3, 8, seed=7)[kind] + noise * unit_rows(rows, 8, seed=seed + 100)
    image_ND = (image_ND / np.linalg.norm(image_ND, axis=1, keepdims=True)).astype(np.float32)
    label_NC = np.eye(3)[kind]
    label_NC[draw.random(rows) < 0.1] = np.nan
    labels = dict(zip(CLASSES, label_NC.T, strict=True))
    patients = [f"{name}{n // images_a_patient}" for n in range(rows)]
    return embeddings(image_ND, image_ND, labels=labels, patients=patients)


@pytest.fixture(scope="module")
def splits():
    sizes = {"test": 150, "train": 300, "validate": 120}
    return [split(name, rows, seed=i) for i, (name, rows) in enumerate(sizes.items())]


@pytest.fixture(scope="module")
def table(splits):
    return linear_probe.per_sample(*splits, CLASSES, seed=0)


def values(table):
    numbers = linear_probe.statistics(table)
    return {name: float(s.of(np.ones((1, len(table)), np.float32))[0]) for name, s in numbers.items()}


def known(case):
    label_NC = np.stack([case.label(name) for name in CLASSES], axis=1)
    rows = ~np.isnan(label_NC[:, 0])
    return case.image_ND[rows], label_NC[rows]


def test_all_patients_give_what_scikit_learn_gives(splits, table):
    (test_ND, test_NC), (train_ND, train_NC), (validate_ND, validate_NC) = map(known, splits)
    centre, size = train_ND.mean(0), np.sqrt(np.mean([np.var(column) for column in train_ND.T]))
    test_ND, train_ND, validate_ND = ((v - centre) / size for v in (test_ND, train_ND, validate_ND))
    fits = [
        LogisticRegression(C=c, max_iter=5000, tol=1e-6).fit(train_ND, train_NC.argmax(1)) for c in STRENGTHS
    ]
    by = [balanced_accuracy_score(validate_NC.argmax(1), fit.predict(validate_ND)) for fit in fits]
    expected = fits[int(np.argmax(by))].predict(test_ND)
    found = table["prediction@100%"][table["target"].notna()]
    assert (
        accuracy_score([CLASSES[c] for c in expected], found) > 0.97
    )  # where the optimiser stops differs a little
    numbers = values(table)
    assert numbers["accuracy@100%"] == pytest.approx(accuracy_score(test_NC.argmax(1), expected), abs=0.03)
    binary = [
        LogisticRegression(C=c, max_iter=5000, tol=1e-6).fit(train_ND, train_NC[:, 2]) for c in STRENGTHS
    ]
    areas = [roc_auc_score(validate_NC[:, 2], fit.decision_function(validate_ND)) for fit in binary]
    area = roc_auc_score(test_NC[:, 2], binary[int(np.argmax(areas))].decision_function(test_ND))
    assert numbers["auroc@100%/C"] == pytest.approx(area, abs=0.01)


def test_more_labels_are_better_and_far_better_than_chance(table):
    numbers = values(table)
    assert numbers["balanced_accuracy@100%"] > 0.45 > 1 / 3
    assert numbers["auroc@1%"] < numbers["auroc@100%"]
    assert numbers["accuracy@1-shot"] < numbers["accuracy@16-shot"]


def test_a_rotation_of_the_space_changes_nothing(splits, table):
    rotation, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(8, 8)))
    turned = [dataclasses.replace(s, image_ND=(s.image_ND @ rotation).astype(np.float32)) for s in splits]
    found = linear_probe.per_sample(*turned, CLASSES, seed=0)
    for column in (name for name in table if name.startswith("prediction@1")):
        assert (found[column].fillna("") == table[column].fillna("")).mean() > 0.97, column


def test_the_same_seed_draws_the_same_and_another_does_not(splits, table):
    assert linear_probe.per_sample(*splits, CLASSES, seed=0).equals(table)
    assert not linear_probe.per_sample(*splits, CLASSES, seed=1).equals(table)


def test_every_beginning_of_the_order_has_the_shares_of_the_whole():
    case = split("p", 400, seed=3, images_a_patient=2)
    label_NC = np.stack([case.label(name) for name in CLASSES], axis=1)
    target = np.array([None if np.isnan(row[0]) else CLASSES[int(row.argmax())] for row in label_NC], object)
    order = patients_in_order(case.patient_id, target, seed=0)
    assert sorted(order) == sorted(set(case.patient_id))
    kind = {}
    for patient, t in zip(case.patient_id, target, strict=True):
        kind[patient] = kind.get(patient) or t
    whole = Counter(kind[patient] for patient in order)
    for size in (20, 50, 120):
        first = Counter(kind[patient] for patient in order[:size])
        for name, count in whole.items():
            assert abs(first[name] - count * size / len(order)) <= 1, (size, name)


def test_shots_are_of_each_class_and_nested():
    target = np.array(["A"] * 30 + [None] * 5 + ["B"] * 9, dtype=object)
    few, many = (set(shots_of(target, ["A", "B"], k, seed=1, draw=2).tolist()) for k in (4, 16))
    assert few < many
    assert Counter(target[sorted(few)]) == {"A": 4, "B": 4}
    assert Counter(target[sorted(many)]) == {"A": 16, "B": 9}  # there are not more
    assert few != set(shots_of(target, ["A", "B"], 4, seed=1, draw=3).tolist())


def test_a_patient_that_was_learned_from_stops_with_the_id(splits):
    judged, training, validation = splits
    leaking = dataclasses.replace(training, patient_id=["test3", *training.patient_id[1:]])
    with pytest.raises(
        InputError, match=r"1 patients of the judged split are in the training split .*\(test3\)"
    ):
        linear_probe.per_sample(judged, leaking, validation, CLASSES, seed=0)


def test_shares_are_means_over_the_same_classes(splits):
    """A class that the first hundredth has no example of counts as guessed."""
    judged, training, validation = splits
    order = patients_in_order(training.patient_id, linear_probe.targets(training, CLASSES)[1], seed=0)
    first = [training.patient_id.index(patient) for patient in order[:3]]
    label_NC = training.label_NC.copy()
    label_NC[first, 2] = 0
    found = values(
        linear_probe.per_sample(
            judged, dataclasses.replace(training, label_NC=label_NC), validation, CLASSES, seed=0
        )
    )
    assert found["auroc@1%/C"] == 0.5
    for at in ("@1%", "@10%", "@100%"):
        assert found[f"auroc{at}"] == pytest.approx(np.mean([found[f"auroc{at}/{name}"] for name in CLASSES]))


def test_a_patient_by_whom_is_chosen_is_not_judged(splits):
    judged, training, validation = splits
    leaking = dataclasses.replace(validation, patient_id=["test3", *validation.patient_id[1:]])
    with pytest.raises(InputError, match=r"in the validation split, .*\(test3\)"):
        linear_probe.per_sample(judged, training, leaking, CLASSES, seed=0)


def test_one_class_alone_cannot_be_learned(splits):
    judged, training, validation = splits
    only = np.where(np.isnan(training.label_NC), np.nan, np.array([1.0, 0.0, 0.0], np.float32))
    found = linear_probe.per_sample(
        judged, dataclasses.replace(training, label_NC=only), validation, CLASSES, seed=0
    )
    assert values(found) == {}
    nothing = dataclasses.replace(training, label_NC=np.full_like(training.label_NC, np.nan))
    with pytest.raises(InputError, match="no training image has labels"):
        linear_probe.per_sample(judged, nothing, validation, CLASSES, seed=0)
