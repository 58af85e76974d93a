from dataclasses import astuple

import numpy as np
import pytest

from eclip.data.phantom.anatomy import WALL, heart_extent, landmarks, outlines, sample_anatomy, volume_loss
from eclip.data.phantom.findings import Finding

PATIENTS = [sample_anatomy(np.random.default_rng(seed)) for seed in range(40)]


def ratio(anatomy, findings=()):
    """Measured on the outlines as a radiologist does: widest heart over widest inner chest."""
    shape = outlines(anatomy, findings)
    chest = np.concatenate(shape.lungs)[:, 0]
    return np.ptp(shape.heart[:, 0]) / np.ptp(chest)


def cardiomegaly(severity, subtlety=0.3):
    return Finding("Cardiomegaly", "none", "heart", severity, subtlety)


@pytest.mark.parametrize("anatomy", PATIENTS[:10])
def test_heart_is_large_only_with_cardiomegaly(anatomy):
    assert 0.35 < ratio(anatomy) < 0.49
    grown = [ratio(anatomy, (cardiomegaly(severity),)) for severity in (0.0, 0.3, 0.6, 1.0)]
    assert grown[0] > 0.5
    assert all(np.diff(grown) > 0)
    assert ratio(anatomy, (cardiomegaly(0.8, 1.0),)) < ratio(anatomy, (cardiomegaly(0.8, 0.0),))
    assert sum(heart_extent(anatomy)) / 2 == pytest.approx(ratio(anatomy), abs=0.005)


def test_severe_basal_atelectasis_raises_its_own_dome():
    anatomy = PATIENTS[0]
    plain = outlines(anatomy).domes
    heights = []
    for severity in (0.2, 0.6, 1.0):
        finding = Finding("Atelectasis", "left", "basal", severity, 0.2)
        raised = outlines(anatomy, (finding,)).domes
        assert np.array_equal(raised[0], plain[0])
        heights.append(plain[1][:, 1].min() - raised[1][:, 1].min())
        assert heights[-1] == pytest.approx(volume_loss(finding), abs=0.01)
    assert heights[0] == 0 < heights[1] < heights[2]


def test_lungs_mirror_each_other_and_meet_the_wall():
    right, left = outlines(PATIENTS[0]).lungs
    assert (right[: len(WALL), 0] <= 0).all()
    assert np.array_equal(left[: len(WALL)], WALL)
    assert np.array_equal(right[: len(WALL)] * (-1, 1), WALL)


def test_landmarks_lie_on_their_side():
    places = landmarks(PATIENTS[0])
    assert set(places) == {
        f"{side} {name}"
        for side in ("right", "left")
        for name in ("upper", "mid", "lower", "apex", "base", "costophrenic")
    } | {"heart", "mediastinum", "trachea", "abdomen"}
    for name, (x, _) in places.items():
        if name.startswith(("right", "left")):
            assert (x > 0) == name.startswith("left")
    for side in ("right", "left"):
        heights = [
            places[f"{side} {zone}"][1] for zone in ("apex", "upper", "mid", "lower", "base", "costophrenic")
        ]
        assert heights == sorted(heights)


def test_patients_differ_and_are_reproducible():
    assert sample_anatomy(np.random.default_rng(3)) == PATIENTS[3]
    assert len({astuple(anatomy) for anatomy in PATIENTS}) == len(PATIENTS)
