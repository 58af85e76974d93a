"""Reliability curves: means of a loop over bins."""

import re

import numpy as np
import pandas as pd

from eclip.evaluation.classification import calibration_bins
from eclip.evaluation.reliability import reliability_curve
from evaluation.test_roc import Folder


def points_of(drawing, style):
    """Corners of a curve, scaled to [0, 1] by the diagonal."""
    curves = dict(re.findall(r'<polyline class="line ([^"]*)" points="([^"]*)"', drawing))
    corners = {
        name: np.array([p.split(",") for p in points.split()], float) for name, points in curves.items()
    }
    low, high = corners["sq validation"]
    return (corners[style] - low) / (high - low)


def test_a_decision_is_drawn_bin_by_bin():
    draw = np.random.default_rng(0)
    confidence = draw.uniform(0.2, 0.9, 90)
    confidence[:4] = np.nan
    right = draw.random(90) < 0.6
    prediction = np.where(right, "a", "b")
    table = pd.DataFrame({
        "target": ["a"] * 90, "prediction": prediction, "probability": confidence, "score/a": confidence,
    })  # fmt: skip
    bins = calibration_bins(confidence)
    expected = []
    for number in range(bins.max() + 1):
        rows = [i for i in range(90) if bins[i] == number]
        expected.append([np.mean([confidence[i] for i in rows]), np.mean([right[i] for i in rows])])
    np.testing.assert_allclose(points_of(reliability_curve(Folder(table)), "s0"), expected, atol=0.003)


def test_pairs_have_a_curve_each_and_names_stay_text():
    probability = np.linspace(0.05, 0.95, 20)
    label = (probability > 0.5).astype(float)
    label[3] = np.nan
    columns = {}
    for name in ("Edema", "<script>"):
        columns |= {f"score/{name}": probability, f"label/{name}": label, f"probability/{name}": probability}
    drawing = reliability_curve(Folder(pd.DataFrame(columns)))
    assert "<script>" not in drawing
    points = points_of(drawing, "s1")
    assert (np.diff(points[:, 0]) > 0).all()
    assert set(points[:, 1].round(2)) <= {0.0, 1.0}


def test_without_probabilities_or_labels_there_is_none():
    assert reliability_curve(Folder(pd.DataFrame({"score/a": [0.1, 0.2]}))) is None
    nothing = pd.DataFrame({"score/a": [0.1], "label/a": [np.nan], "probability/a": [0.5]})
    assert reliability_curve(Folder(nothing)) is None
