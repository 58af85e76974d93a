"""ROC curves: those of a loop over thresholds."""

from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from eclip.evaluation.results import Evaluation
from eclip.evaluation.roc import roc_curves

parsed = ET.fromstring  # of our own drawings


class Folder(Evaluation):
    """Of a table that was never written."""

    def __init__(self, table):
        object.__setattr__(self, "table", table)

    def task(self, name):
        return self.table


def table_of(labels, scores):
    columns = {f"score/{name}": scores[name] for name in scores} | {
        f"label/{name}": labels[name] for name in labels
    }
    return Folder(pd.DataFrame(columns))


def test_curves_pass_through_every_threshold():
    draw = np.random.default_rng(0)
    label, score = draw.integers(0, 2, 40).astype(float), draw.integers(0, 6, 40) / 6  # with ties
    label[:3] = np.nan
    drawing = parsed(f"<div>{roc_curves(table_of({'Edema': label}, {'Edema': score}))}</div>")
    curve = next(e for e in drawing.iter("polyline") if e.get("class") == "line s0")
    points = {tuple(point.split(",")) for point in curve.get("points").split()}
    told = ~np.isnan(label)
    corners = np.array([point.split(",") for point in curve.get("points").split()], float)
    (left, bottom), (right, top) = corners[0], corners[-1]
    for threshold in np.unique(score):
        taken = score[told] >= threshold
        rates = [(taken & (label[told] == kind)).sum() / (label[told] == kind).sum() for kind in (0, 1)]
        expected = left + rates[0] * (right - left), bottom + rates[1] * (top - bottom)
        on_curve = min(_distance(expected, corners[i], corners[i + 1]) for i in range(len(corners) - 1))
        assert on_curve < 0.1
    assert len(points) <= 8
    pairs = [(a > b) + (a == b) / 2 for a in score[told & (label == 1)] for b in score[told & (label == 0)]]
    assert f"Edema {np.mean(pairs):.3f}" in "".join(drawing.itertext())


def _distance(point, start, end):
    """Of a point to a segment."""
    point, start, along = np.array(point), np.array(start), np.array(end) - np.array(start)
    t = np.clip((point - start) @ along / max(along @ along, 1e-12), 0, 1)
    return np.linalg.norm(start + t * along - point)


@pytest.mark.parametrize("label", [[1.0, 1, 1], [0.0, 0, 0], [np.nan] * 3])
def test_a_class_of_one_kind_has_no_curve(label):
    assert roc_curves(table_of({"<b>": label}, {"<b>": [0.1, 0.2, 0.3]})) is None


def test_names_stay_text():
    assert "<script>" not in roc_curves(table_of({"<script>": [0.0, 1, 1]}, {"<script>": [0.1, 0.2, 0.3]}))
