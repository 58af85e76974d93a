"""Oracles: coordinates computed by hand; any text in a cell gives annotations and rejections."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from broken_files import TRIED
from eclip.data.images import decode
from eclip.data.sources.lab.annotation_cells import BoxCell, GazeCell, MaskCell, Parts
from lab_annotations import IMAGE, apart

ROW = {"file": "table.csv", "row": "row 2"}


def boxes(cell):
    return apart(BoxCell(cell=cell, reader="R", **ROW)(IMAGE))


def masks(root, cell):
    return apart(MaskCell(cell=cell, root=root, reader="R", **ROW)(IMAGE))


def test_boxes_are_fractions_of_the_original_image():
    (mass, whole), rejected = boxes('[{"label": "Mass", "xyxy": [40, 30, 200, 150]}, [0, 0, 400, 300.0]]')
    assert not rejected
    assert (mass.kind, mass.reader, mass.label) == ("box", "R", "Mass")
    assert mass.region.points == ((0.1, 0.1), (0.5, 0.5))
    assert whole.region.points == ((0, 0), (1, 1))
    ((single,), _) = boxes("[40, 30, 200, 150]")
    assert single.region == mass.region


def test_a_wrong_box_costs_no_other():
    (box,), (first, third) = boxes('[[1, 2, 3], [40, 30, 200, 150], {"label": 1.5, "xyxy": [0, 0, 1, 1]}]')
    assert box.region.points == ((0.1, 0.1), (0.5, 0.5))
    assert (first.file, first.row, first.reason) == (
        "table.csv",
        "row 2, box 1",
        "expected [x0, y0, x1, y1] in pixels",
    )
    assert third.row == "row 2, box 3"


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ('[{"label": "a"}]', "no 'xyxy' in {'label': 'a'}"),
        ('[{"xyxy": 5}]', "expected [x0, y0, x1, y1]"),
        ("[[0.1, 0.2, 0.5, 1]]", "expected pixels, not fractions"),
        ('[["1", 2, 3, 4]]', "is no number"),
        ("[[1, 2, NaN, 4]]", "is no number"),
        (f"[[1, 2, {'9' * 400}, 4]]", "is no number"),
        ("[[10, 20, 5, 40]]", "expected x0 < x1"),
        ("[[500, 20, 600, 40]]", "image of 400 × 300 pixels"),
        ("left lung", "is not JSON"),
        ("7", "is no JSON list"),
        ("[" * 100_000, "is not JSON"),
    ],
    ids=range(11),
)
def test_wrong_boxes_are_told(cell, reason):
    annotations, (rejection,) = boxes(cell)
    assert not annotations
    assert reason in rejection.reason


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
def test_what_is_transparent_is_not_inside(tmp_path, mode):
    inside = np.zeros((300, 400), np.uint8)
    inside[100:200, 40:360] = 255
    white = Image.new("RGBA", (400, 300), "white")
    white.putalpha(Image.fromarray(inside))
    white.convert(mode).save(tmp_path / "m.png")
    ((annotation,), rejected) = masks(tmp_path, "m.png")
    assert not rejected
    expected = np.zeros((30, 40), bool)
    expected[10:20, 4:36] = True
    np.testing.assert_array_equal(decode(annotation.region.mask) > 0, expected)


def test_the_blur_of_a_jpeg_is_not_inside(tmp_path):
    inside = np.zeros((30, 40), np.uint8)
    inside[10:21, 5:36] = 255
    Image.fromarray(inside).save(tmp_path / "m.JPG", "JPEG", quality=60)
    assert (decode(tmp_path / "m.JPG")[inside == 0] > 0).any()
    ((annotation,), _) = masks(tmp_path, "m.JPG")
    np.testing.assert_array_equal(decode(annotation.region.mask) > 0, inside > 0)


def test_files_may_be_named_as_in_windows(tmp_path):
    (tmp_path / "lungs").mkdir()
    Image.new("L", (40, 30), 255).save(tmp_path / "lungs/m.png")
    ((annotation,), rejected) = masks(tmp_path, "lungs\\m.png")
    assert not rejected
    assert (decode(annotation.region.mask) > 0).all()
    assert masks(tmp_path, "..\\m.png")[1][0].reason.startswith("'../m.png' is outside the folder")


def test_a_mask_is_stored_at_the_size_of_the_image(tmp_path):
    inside = np.zeros((300, 400), np.uint8)
    inside[100:200, 40:360] = 1  # not only 255 is inside
    Image.fromarray(inside).save(tmp_path / "m.png")
    (left, right), _ = masks(tmp_path, '{"left": "m.png", "right": "m.png"}')
    assert (left.kind, left.reader, left.label, right.label) == ("mask", "R", "left", "right")
    expected = np.zeros((30, 40), bool)
    expected[10:20, 4:36] = True
    np.testing.assert_array_equal(decode(left.region.mask) > 0, expected)
    assert [mask.label for mask in masks(tmp_path, "m.png; m.png;")[0]] == ["", ""]


def test_what_is_thinner_than_a_pixel_does_not_vanish(tmp_path):
    line = np.zeros((300, 400), np.uint8)
    line[:, 205] = 255  # a tube
    Image.fromarray(line).save(tmp_path / "m.png")
    ((mask,), _) = masks(tmp_path, "m.png")
    assert (decode(mask.region.mask) > 0).any(0).nonzero()[0].tolist() == [20]


def test_a_mask_that_cannot_be_used_costs_no_other(tmp_path):
    Image.new("L", (400, 300), 255).save(tmp_path / "good.png")
    Image.new("L", (512, 512), 255).save(tmp_path / "square.png")
    Image.new("L", (400, 300), 0).save(tmp_path / "empty.png")
    (tmp_path / "text.png").write_text("no image")
    annotations, rejected = masks(
        tmp_path, "square.png;empty.png;text.png;gone.png;good.png;../../etc/passwd"
    )
    assert len(annotations) == 1
    expected = [
        ("square.png", "512 × 512 pixels does not have the shape"), ("empty.png", "empty"),
        ("text.png", "not an image"), ("gone.png", "no such file"), ("table.csv", "outside the folder"),
    ]  # fmt: skip
    for (file, reason), rejection in zip(expected, rejected, strict=True):
        assert rejection.file.endswith(file)
        assert reason in rejection.reason
    assert "is not JSON" in masks(tmp_path, "{left")[1][0].reason


def test_several_readers_stay_several_annotations(tmp_path):
    (tmp_path / "a.csv").write_text("x,y,start,end\n1,2,3,4\n")
    options = {"root": tmp_path, "kind": "pointer", "reader": "R", **ROW}
    annotations, rejected = apart(GazeCell(cell='{"Ann": "a.csv", "Bob": "../a.csv"}', **options)(IMAGE))
    assert [(a.kind, a.reader) for a in annotations] == [("pointer", "Ann")]
    assert "outside the folder" in rejected[0].reason
    assert [a.reader for a in apart(GazeCell(cell="a.csv; a.csv", **options)(IMAGE))[0]] == ["R", "R"]


def test_parts_come_in_order():
    parts = Parts((BoxCell(cell="[[0, 0, 9, 9]]", reader="a", **ROW), BoxCell(cell="x", reader="b", **ROW)))
    box, rejection = parts(IMAGE)
    assert (box.reader, rejection.row) == ("a", "row 2")


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5) | st.just(10**400),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["label", "xyxy", "a"]), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(st.one_of(st.text(max_size=40), json_values.map(json.dumps)), st.sampled_from(["boxes", "masks"]))
def test_any_cell_gives_annotations_and_rejections(tmp_path_factory, cell, kind):
    TRIED["csv: cells"] += 1
    root = tmp_path_factory.getbasetemp()
    annotations, _ = boxes(cell) if kind == "boxes" else masks(root, cell)
    assert all(np.isfinite(annotation.region.points).all() for annotation in annotations)
