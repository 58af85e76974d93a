"""Oracles: coordinates computed by hand; any text in a cell gives annotations or one line."""

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from eclip.data.images import Shrunk, decode
from eclip.data.sources.annotation_cells import AnnotationCells
from eclip.errors import InputError

IMAGE = Shrunk(np.zeros((30, 40), np.uint8), original_height=300, original_width=400)


def read(root, *, boxes="", masks=(), fixations=""):
    return AnnotationCells(root, boxes, tuple(masks), fixations)(IMAGE)


def test_a_mask_is_stored_at_the_size_of_the_image(tmp_path):
    inside = np.zeros((300, 400), np.uint8)
    inside[100:200, 40:360] = 255
    Image.fromarray(inside).save(tmp_path / "m.png")
    (mask,) = read(tmp_path, masks=[("reader", "m.png")])
    expected = np.zeros((30, 40), bool)
    expected[10:20, 4:36] = True
    np.testing.assert_array_equal(decode(mask.region.mask) > 0, expected)


def test_what_is_thinner_than_a_pixel_does_not_vanish(tmp_path):
    line = np.zeros((300, 400), np.uint8)
    line[:, 205] = 255  # a tube
    Image.fromarray(line).save(tmp_path / "m.png")
    (mask,) = read(tmp_path, masks=[("reader", "m.png")])
    assert (decode(mask.region.mask) > 0).any(0).nonzero()[0].tolist() == [20]


def test_fractions_are_taken_as_they_are(tmp_path):
    (tmp_path / "g.csv").write_text(
        "x_fraction,y_fraction,start,end,sigma_x,sigma_y\n0.25,0.75,1,2,0.05,0.06\n"
    )
    (gaze,) = read(tmp_path, fixations="g.csv")
    fixation = gaze.fixations[0]
    assert (fixation.x, fixation.y, fixation.sigma_x, fixation.sigma_y) == (0.25, 0.75, 0.05, 0.06)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ("[[1, 2, 3]]", "expected .x0, y0, x1, y1. in pixels"),
        ('[{"label": "a"}]', "expected .x0, y0, x1, y1."),
        ('[["1", 2, 3, 4]]', "expected .x0, y0, x1, y1."),
        ("[[1, 2, NaN, 4]]", "expected .x0, y0, x1, y1."),
        ("[[10, 20, 5, 40]]", "expected x0 < x1"),
        ("[[500, 20, 600, 40]]", "image of 400 × 300 pixels"),
        ("[1, 2, 3, 4]", "expected .x0, y0, x1, y1."),
        ("left lung", "not JSON"),
        ("7", "expected a JSON list"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_wrong_boxes_are_told(tmp_path, boxes, message):
    with pytest.raises(InputError, match=message) as error:
        read(tmp_path, boxes=boxes)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x,y,start\n1,2,3\n", "no column 'end'"),
        ("x,start,end\n1,2,3\n", "no column 'y'"),
        ("x,y,start,end\n1,2,3,4\n1,?,3,4\n", r"row 3: expected numbers"),
        ("x,y,start,end\n1,2,4,3\n", r"row 2: .*end not before start"),
        ("x,y,start,end\n1,inf,3,4\n", r"row 2"),
    ],
)
def test_wrong_fixations_are_told(tmp_path, content, message):
    (tmp_path / "g.csv").write_text(content)
    with pytest.raises(InputError, match=rf"g\.csv: .*{message}"):
        read(tmp_path, fixations="g.csv")


def test_masks_of_another_shape_or_that_are_not_there_are_told(tmp_path):
    Image.new("L", (512, 512)).save(tmp_path / "square.png")
    with pytest.raises(
        InputError, match=r"square\.png: mask of 512 × 512 pixels does not have the shape.*400 × 300"
    ):
        read(tmp_path, masks=[("reader", '{"a": "square.png"}')])
    with pytest.raises(InputError, match=r"gone\.png.*no such file"):
        read(tmp_path, masks=[("reader", "gone.png")])


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["label", "xyxy", "a"]), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=40), json_values.map(json.dumps)), st.sampled_from(["boxes", "mask"]))
def test_any_cell_gives_annotations_or_an_input_error(tmp_path_factory, cell, kind):
    root = tmp_path_factory.getbasetemp()
    with contextlib.suppress(InputError):
        for annotation in read(root, boxes=cell) if kind == "boxes" else read(root, masks=[("r", cell)]):
            assert np.isfinite(annotation.region.points).all()


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from(["1", "-3.5", "1e400", "", "x", "nan", "9" * 400]), min_size=4, max_size=5)
    )
)
def test_any_fixation_file_gives_finite_fixations_or_an_input_error(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text("\n".join(["x,y,start,end", *map(",".join, rows)]))
    with contextlib.suppress(InputError):
        (gaze,) = read(path.parent, fixations="any.csv")
        assert all(np.isfinite([f.x, f.y, f.start, f.end]).all() and f.end >= f.start for f in gaze.fixations)
