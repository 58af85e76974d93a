"""Zero-shot against scikit-learn, on labels with every kind of gap."""

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    matthews_corrcoef,
    roc_auc_score,
)

from eclip.errors import InputError
from eclip.evaluation import zero_shot
from eclip.evaluation.prompts import PromptSet
from small_evaluations import embeddings, unit_rows

CLASSES = ["Edema", "Effusion", "No Finding", "Fracture"]
NAN = float("nan")


def random_case(rows=120, seed=0, *, noise=1.5):
    """Images near their class; labels present, absent, uncertain, not mentioned; some rows without any."""
    draw = np.random.default_rng(seed)
    class_CD = unit_rows(len(CLASSES), 6, seed=seed + 1)
    kinds = draw.integers(0, 3, rows)  # Fracture never occurs
    image_ND = class_CD[kinds] + noise * unit_rows(rows, 6, seed=seed + 2)
    image_ND /= np.linalg.norm(image_ND, axis=1, keepdims=True)
    label_NC = np.where(draw.random((rows, 4)) < 0.5, 0.0, NAN)
    label_NC[np.arange(rows), kinds] = 1
    label_NC[draw.random(rows) < 0.15, 1] = 1
    label_NC[draw.random(rows) < 0.1, 0] = -1
    label_NC[:, 3] = np.where(draw.random(rows) < 0.5, 0, NAN)
    label_NC[draw.random(rows) < 0.1] = NAN
    labels = dict(zip(CLASSES, label_NC.T, strict=True))
    return embeddings(image_ND.astype(np.float32), image_ND, labels=labels), class_CD, label_NC


def values(table):
    numbers = zero_shot.statistics(table)
    return {name: float(s.of(np.ones((1, len(table)), np.float32))[0]) for name, s in numbers.items()}


@pytest.mark.parametrize("seed", range(4))
def test_equals_scikit_learn(seed):
    case, class_CD, label_NC = random_case(seed=seed)
    table = zero_shot.per_sample(case, case.image_ND @ class_CD.T, CLASSES)
    score_NC = case.image_ND @ class_CD.T
    single, target, guess = [], [], []
    for row, labels in enumerate(label_NC):
        if np.sum(labels == 1) == 1 and not np.any(labels == -1):
            single.append(row)
            target.append(CLASSES[int(np.flatnonzero(labels == 1)[0])])
            guess.append(CLASSES[int(np.argmax(score_NC[row]))])
    assert table.index[table["target"].notna()].tolist() == single
    found, occurring = values(table), sorted(set(target))
    assert "Fracture" in guess  # taken for a class that never occurs: recall falls, no NaN
    assert found["accuracy"] == pytest.approx(accuracy_score(target, guess))
    assert found["macro_f1"] == pytest.approx(f1_score(target, guess, labels=occurring, average="macro"))
    with pytest.warns(UserWarning, match="y_pred contains classes"):
        assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(target, guess))
    counts = zero_shot.confusion(table)
    np.testing.assert_array_equal(counts, confusion_matrix(target, guess, labels=CLASSES))
    areas = []
    for c, name in enumerate(CLASSES[:3]):
        known = ~np.isnan(label_NC).all(1) & (label_NC[:, c] != -1)
        areas.append(roc_auc_score(label_NC[known, c] == 1, score_NC[known, c]))
        assert found[f"auroc/{name}"] == pytest.approx(areas[-1])
    assert found["auroc"] == pytest.approx(np.mean(areas))
    assert "auroc/Fracture" not in found


def test_bootstrap_weights_are_those_of_repeated_rows():
    case, class_CD, _ = random_case()
    table = zero_shot.per_sample(case, case.image_ND @ class_CD.T, CLASSES)
    counts = np.random.default_rng(99).integers(0, 3, len(table))
    repeated = values(table.loc[np.repeat(table.index, counts)].reset_index(drop=True))
    for name, statistic in zero_shot.statistics(table).items():
        weighted = float(statistic.of(counts[None].astype(np.float32))[0])
        assert weighted == pytest.approx(repeated[name], abs=1e-6), name


def test_a_draw_without_a_class_is_averaged_over_the_others():
    case, class_CD, _ = random_case()
    table = zero_shot.per_sample(case, case.image_ND @ class_CD.T, CLASSES)
    left = table["label/Edema"] != 1
    without = values(table[left].reset_index(drop=True))
    for name, statistic in zero_shot.statistics(table).items():
        weighted = float(statistic.of(left.to_numpy(np.float32)[None])[0])
        assert (
            np.isnan(weighted)
            if name.endswith("/Edema")
            else weighted == pytest.approx(without[name], abs=1e-6)
        )


def test_chance_and_counts_are_told():
    case, class_CD, _ = random_case()
    numbers = zero_shot.statistics(zero_shot.per_sample(case, case.image_ND @ class_CD.T, CLASSES))
    assert numbers["accuracy"].chance == numbers["balanced_accuracy"].chance == 0.25
    assert numbers["auroc"].chance == 0.5
    of_classes = [numbers[f"auprc/{name}"].chance for name in CLASSES[:3]]
    assert numbers["auprc"].chance == pytest.approx(np.mean(of_classes))
    assert len(set(of_classes)) > 1
    assert numbers["accuracy"].n == numbers["macro_f1"].n < numbers["auroc"].n <= len(case)


def test_the_order_of_images_does_not_matter():
    case, class_CD, _ = random_case()
    table = zero_shot.per_sample(case, case.image_ND @ class_CD.T, CLASSES)
    shuffled = table.sample(frac=1, random_state=0).reset_index(drop=True)
    assert values(shuffled) == pytest.approx(values(table))


def test_no_labels_an_unknown_class_and_no_single_class_are_told_in_one_line():
    image_ND, class_CD = unit_rows(3, 4), unit_rows(2, 4, seed=1)
    with pytest.raises(InputError, match="no labels") as told:
        zero_shot.per_sample(embeddings(image_ND, image_ND), image_ND @ class_CD.T, ["A", "B"])
    assert "\n" not in str(told.value)
    with pytest.raises(InputError, match="label 'B' of the prompt set"):
        zero_shot.per_sample(
            embeddings(image_ND, image_ND, labels={"A": [1, 0, 0]}), image_ND @ class_CD.T, ["A", "B"]
        )
    both = embeddings(image_ND, image_ND, labels={"A": [1, 0, NAN], "B": [1, 0, NAN]})
    with pytest.raises(InputError, match="no image shows exactly one of A, B"):
        zero_shot.per_sample(both, image_ND @ class_CD.T, ["A", "B"])


SET = PromptSet(
    name="x",
    description="",
    source="",
    classes={"Edema": ["a", "b"], "Effusion": ["c"]},
    negatives={"Edema": ["d", "e"], "Effusion": ["f", "a"]},
)


@pytest.mark.parametrize("ensemble", ["embeddings", "logits", "max"])
@pytest.mark.parametrize("pairs", [False, True])
def test_scores_are_those_of_a_loop_over_prompts(ensemble, pairs):
    prompts = SET if pairs else dataclasses.replace(SET, negatives={})
    vectors = dict(zip("abcdef", unit_rows(6, 5, seed=3), strict=True))
    image_ND = unit_rows(7, 5, seed=4)

    def one(image_D, sentences):
        if ensemble == "embeddings":
            mean_D = sum(vectors[s] for s in sentences) / len(sentences)
            return image_D @ mean_D / np.sqrt(mean_D @ mean_D)
        cosines = [image_D @ vectors[s] for s in sentences]
        return max(cosines) if ensemble == "max" else sum(cosines) / len(cosines)

    found = zero_shot.scores(image_ND, vectors, prompts, ensemble=ensemble)
    for n, image_D in enumerate(image_ND):
        for c, name in enumerate(SET.classes):
            absent = one(image_D, SET.negatives[name]) if pairs else 0
            assert found[n, c] == pytest.approx(one(image_D, SET.classes[name]) - absent, abs=1e-6)


def test_thresholds_come_from_other_data_and_decide():
    validation, class_CD, _ = random_case(seed=1)
    case, _, label_NC = random_case(seed=2)
    score_NC = case.image_ND @ class_CD.T
    threshold = zero_shot.thresholds(validation, validation.image_ND @ class_CD.T, CLASSES)
    assert "Fracture" not in threshold  # no positive to choose by
    table = zero_shot.per_sample(case, score_NC, CLASSES, threshold=threshold, scale=10.0, pairs=True)
    found = values(table)
    known = ~np.isnan(label_NC).all(1) & (label_NC[:, 0] != -1)
    said, true = score_NC[known, 0] >= threshold["Edema"], label_NC[known, 0] == 1
    assert found["f1/Edema"] == pytest.approx(f1_score(true, said))
    assert found["mcc/Edema"] == pytest.approx(matthews_corrcoef(true, said))
    assert found["mcc"] == pytest.approx(np.mean([found[f"mcc/{name}"] for name in CLASSES[:3]]))
    probability = 1 / (1 + np.exp(-10 * score_NC[:, 0]))
    np.testing.assert_allclose(table["probability/Edema"], probability, rtol=1e-5)
    assert "calibration_error/Edema" in found


def test_probability_of_the_decision_is_the_softmax_of_scaled_cosines():
    case, class_CD, _ = random_case()
    score_NC = case.image_ND @ class_CD.T
    table = zero_shot.per_sample(case, score_NC, CLASSES, scale=7.0)
    e_NC = np.exp(7.0 * score_NC)
    expected_N = e_NC.max(1) / e_NC.sum(1)
    decided = table["target"].notna()
    np.testing.assert_allclose(table["probability"][decided], expected_N[decided], rtol=1e-5)
    assert table["probability"][~decided].isna().all()
    assert "calibration_error" in values(table)


def test_a_pair_of_one_class_has_no_decision_among_classes():
    image_ND = unit_rows(6, 4)
    case = embeddings(image_ND, image_ND, labels={"A": [1, 0, 0, 1, 1, 0]})
    table = zero_shot.per_sample(case, image_ND[:, :1], ["A"], pairs=True)
    assert set(values(table)) == {"auroc", "auroc/A", "auprc", "auprc/A"}
    with pytest.raises(InputError, match="nothing is decided among A alone"):
        zero_shot.right(table)
