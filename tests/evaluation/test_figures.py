"""Drawings: well-formed, to scale, described in words, and harmless whatever the names."""

import base64
import io
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from eclip.evaluation.figures import (
    Line,
    flat_map,
    interval_chart,
    intervals,
    line_chart,
    overlay,
    picture,
    scatter,
    smoothed,
)
from eclip.evaluation.statistics import Metric

parsed = ET.fromstring  # of our own drawings
NASTY = "<script>\"&'"


def test_a_chart_holds_its_curves_and_says_where_they_end():
    x = np.arange(50.0)
    lines = [
        Line(name=NASTY, x=x, y=x / 10, style="s0"),
        Line(name="b", x=x[:9], y=-x[:9], style="s1 validation"),
    ]
    tree = parsed(line_chart(lines, title="Loss", x_label="step"))
    assert tree.get("role") == "img"
    assert "ends at 4.9" in tree.get("aria-label")
    assert NASTY in tree.get("aria-label")
    curves = [e for e in tree if e.tag == "polyline"]
    assert [c.get("class") for c in curves] == ["line s0", "line s1 validation"]
    _, _, width, height = map(float, tree.get("viewBox").split())
    for curve in curves:
        points = np.array([point.split(",") for point in curve.get("points").split()], float)
        assert ((points >= 0) & (points <= (width, height))).all()
    first = np.array([point.split(",") for point in curves[0].get("points").split()], float)
    np.testing.assert_allclose(np.diff(first[:, 0]), np.diff(first[:, 0])[0], atol=0.11)  # x is linear
    assert (np.diff(first[:, 1]) <= 0).all()  # rising values rise on the page


def test_a_band_goes_along_its_low_ends_and_back_along_its_high_ones():
    x, y = np.arange(4.0), np.array([1.0, 3.0, 2.0, 2.5])
    band = np.stack([y - 0.5, y + np.array([1.0, 0.2, 0.7, 0.0])])
    tree = parsed(line_chart([Line(name="a", x=x, y=y, style="s0", band_2n=band)], title="t", x_label="x"))
    (polygon,), (curve,) = ([e for e in tree if e.tag == tag] for tag in ("polygon", "polyline"))
    around, points = (
        np.array([point.split(",") for point in e.get("points").split()], float) for e in (polygon, curve)
    )
    np.testing.assert_allclose(around[:, 0], np.r_[points[:, 0], points[::-1, 0]], atol=0.01)
    scale = (points[1, 1] - points[0, 1]) / (y[1] - y[0])  # of the page's height, per unit
    expected = points[0, 1] + scale * (np.r_[band[0], band[1, ::-1]] - y[0])
    np.testing.assert_allclose(around[:, 1], expected, atol=0.3)
    assert [*tree].index(polygon) < [*tree].index(curve)  # behind the curves


@pytest.mark.parametrize("y", [[1.0, 1.0, 1.0], [0.0, 1e9, 0.0], [-1e-9, 0, 1e-9]])
def test_odd_ranges_are_drawn(y):
    chart = line_chart([Line(name="a", x=np.arange(3.0), y=np.array(y), style="s0")], title="t", x_label="x")
    assert "nan" not in chart
    parsed(chart)


def test_smoothing_keeps_the_mean_and_short_curves():
    x, y = np.arange(10_000.0), np.random.default_rng(0).normal(size=10_000)
    few_x, few_y = smoothed(x, y)
    assert len(few_x) == 240
    assert few_y.mean() == pytest.approx(y.mean(), abs=0.01)
    np.testing.assert_array_equal(smoothed(x[:9], y[:9])[1], y[:9])


def test_a_scatter_has_a_mark_a_point_and_its_name():
    points = np.random.default_rng(0).normal(size=(6, 2))
    drawing = scatter(points, [0, 1] * 3, [NASTY] * 6, [False] * 3 + [True] * 3, label="map")
    marks = [e for e in parsed(drawing) if e.tag == "circle"]
    assert [mark.get("class").split()[0] for mark in marks] == ["disc"] * 3 + ["ring"] * 3
    assert marks[0].find("title").text == NASTY
    x = [float(mark.get("cx")) for mark in marks]
    assert np.argsort(x).tolist() == np.argsort(points[:, 0]).tolist()


def test_whiskers_stand_where_the_numbers_are():
    first = Metric(value=0.5, low=0.4, high=0.6, n=9, direction="higher", chance=0.1)
    second = Metric(value=0.8, low=0.7, high=0.9, n=9, direction="higher", chance=0.1)
    tree = parsed(intervals([first, second]))
    dots = [float(e.get("cx")) for e in tree if e.tag == "circle"]
    whiskers = [
        (float(e.get("x1")), float(e.get("x2"))) for e in tree if e.get("class", "").startswith("whisker")
    ]
    chance = next(float(e.get("x1")) for e in tree if e.get("class") == "chance")
    assert chance < whiskers[0][0] < dots[0] < whiskers[0][1] < whiskers[1][0] < dots[1] < whiskers[1][1]
    assert (dots[1] - dots[0]) / (dots[0] - chance) == pytest.approx(0.3 / 0.4, abs=0.02)


@pytest.mark.parametrize(("rows", "dimensions"), [(3, 4), (30, 2), (60, 16)])
def test_a_map_is_the_same_twice(rows, dimensions):
    vectors = np.random.default_rng(0).normal(size=(rows, dimensions)).astype(np.float32)
    first = flat_map(vectors)
    assert first.shape == (rows, 2)
    np.testing.assert_array_equal(first, flat_map(vectors))


def test_a_map_keeps_groups_apart():
    centres = np.eye(3, 12)[np.arange(60) % 3] * 10
    points = flat_map(centres + np.random.default_rng(0).normal(size=(60, 12)) * 0.1)
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (distance.argmin(1) % 3 == np.arange(60) % 3).all()


def test_pictures_are_jpegs_inside_the_page():
    image = np.full((20, 30), 77, np.uint8)
    address = picture(image)
    assert address.startswith("data:image/jpeg;base64,")
    with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as read:
        assert read.size == (30, 20)
        assert abs(int(np.asarray(read)[0, 0]) - 77) < 3


def test_a_heatmap_colours_only_where_it_is():
    image = np.full((4, 4), 100, np.uint8)
    heat = np.zeros((4, 4), np.float32)
    heat[1, 2] = 1
    shown = overlay(image, heat)
    assert shown.shape == (4, 4, 3)
    assert (shown[heat == 0] == 100).all()
    red, _, blue = shown[1, 2]
    assert red > 150 > 60 > blue


def test_an_interval_chart_is_to_scale_and_says_its_values():
    def of(value, low, high, chance=None):
        return Metric(value=value, low=low, high=high, n=9, direction="higher", chance=chance)

    rows = [(NASTY, of(0.5, 0.25, 0.75, 0.5)), ("b", of(0.6, 0.5, 0.7))]
    tree = parsed(interval_chart(rows, title="AUC"))
    assert "b 0.6" in tree.get("aria-label")
    assert NASTY in tree.get("aria-label")
    whiskers = [[float(e.get(x)) for x in ("x1", "x2")] for e in tree if e.get("class") == "whisker s0"]
    dots = [float(e.get("cx")) for e in tree if e.get("class") == "dot s0"]
    (chance,) = (float(e.get("x1")) for e in tree if e.get("class") == "chance")
    scale = (whiskers[0][1] - whiskers[0][0]) / 0.5
    assert dots[0] == chance == pytest.approx(np.mean(whiskers[0]), abs=0.1)
    assert dots[1] - dots[0] == pytest.approx(0.1 * scale, abs=0.2)
    assert whiskers[1][1] - whiskers[1][0] == pytest.approx(0.2 * scale, abs=0.2)
    parsed(interval_chart([("one", of(1.0, 1.0, 1.0))], title="t"))
