"""Oracles: the file that was written, a mask drawn in NumPy; any file gives studies and rejections, or one line."""

import json
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broken_files import broken, drain, stands
from eclip.data.images import decode
from fabricated import lab

CONTENT = json.dumps(lab.coco(), indent=1).replace(",\n", " ,\n").encode()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("coco") / "lab"
    lab.write(root)
    return root


def read(root, content, image_size=60):
    """(annotations of image b1, {row: reason})."""
    (root / "other.json").write_text(json.dumps(content))
    studies, rejected = drain(lab.source(root, coco=root / "other.json"), image_size=image_size)
    assert len(studies) == len(lab.NUMBERS)
    assert not any(study.annotations for study in studies if study.image_id != "b1")
    return studies[1].annotations, {rejection.row: rejection.reason for rejection in rejected}


def test_objects_are_where_they_were_drawn(root):
    (box, polygon, several, runs), rejected = read(root, lab.coco())
    assert not rejected
    assert [(a.kind, a.label) for a in (box, polygon, several, runs)] == [
        ("box", "Nodule"), ("mask", "Opacity"), ("mask", "Opacity"), ("mask", "Nodule"),
    ]  # fmt: skip
    np.testing.assert_allclose(box.region.points, [(0.1, 0.1), (0.5, 0.5)], atol=1e-6)
    np.testing.assert_allclose(polygon.region.points, [(0.1, 0.1), (0.5, 0.1), (0.3, 0.5)], atol=1e-6)
    quarters = lab.block(0, 0, 40, 30) | lab.block(40, 30, 80, 60)
    np.testing.assert_array_equal(decode(several.region.mask) > 0, quarters > 0)
    np.testing.assert_array_equal(decode(runs.region.mask) > 0, lab.block(8, 12, 40, 48) > 0)


def test_pixels_are_the_images_own_where_no_size_is_told(root):
    content = lab.coco()
    content["images"] = [{"id": 7, "file_name": "anywhere\\b1.png"}]
    content["annotations"] = [{"image_id": 7, "category_id": 1, "bbox": [8, 6, 32, 24]}]
    ((box,), _) = read(root, content)
    np.testing.assert_allclose(box.region.points, [(0.1, 0.1), (0.5, 0.5)], atol=1e-6)


def test_what_cannot_be_used_is_listed_and_the_rest_kept(root):
    content = lab.coco()
    wrong = [
        ({"bbox": [1, 2, 3]}, "expected a bbox"),
        ({"bbox": [500, 2, 3, 3]}, "expected x0 < x1"),
        ({"bbox": [1, 2, 3, 10**400]}, "is no number"),
        ({"segmentation": [[1, 2, 3, 4]]}, "2 corners; expected three"),
        ({"segmentation": [[1, 2, 3]]}, "3 numbers; expected x, y"),
        ({"segmentation": {"size": [120, 160], "counts": "abc"}}, "compressed run-length code"),
        ({"segmentation": {"size": [120, 160], "counts": [5]}}, "do not add up to 120 × 160"),
        ({"segmentation": {"size": [10**9, 10**9], "counts": [10**18]}}, "expected .height, width."),
        ({"segmentation": {"size": [120, 160], "counts": [-5, 120 * 160 + 5]}}, "does not fit"),
        (
            {"segmentation": {"size": [160, 120], "counts": [0, 19200]}},
            "does not have the shape of the image",
        ),
        ({"segmentation": {"size": [120, 160], "counts": [19200]}}, "the mask is empty"),
        ({"category_id": 99, "bbox": [1, 2, 3, 4]}, "category 99 is not listed"),
        ({"image_id": 99, "bbox": [1, 2, 3, 4]}, "image 99 is not listed"),
        ({"image_id": [7]}, "is no name"),
        ([], "is no JSON object"),
    ]
    good = len(content["annotations"])
    content["annotations"] += [
        entry if entry == [] else {"image_id": 7, "category_id": 1} | entry for entry, _ in wrong
    ]
    content["images"].append({"id": 8, "file_name": "unknown.jpg", "width": 1, "height": 1})
    content["annotations"].append({"image_id": 8, "category_id": 1, "bbox": [0, 0, 1, 1]})
    annotations, rejected = read(root, content)
    assert len(annotations) == good
    for place, (_, reason) in enumerate(wrong, good):
        assert re.search(reason, rejected[f"annotations[{place}]"]), place
    assert "'unknown.jpg' is no image of" in rejected["images[1]"]
    assert "its 1 annotations are left out" in rejected["images[1]"]
    assert len(rejected) == len(wrong) + 1


def test_ids_that_come_twice_mean_nobody(root):
    content = lab.coco()
    content["images"] += [
        {"id": 8, "file_name": "b2.jpg"},
        {"id": "8", "file_name": "b1.jpg"},
        {"file_name": "b3"},
    ]
    content["categories"] += [{"id": 3, "name": "Left"}, {"id": 3, "name": "Right"}]
    content["annotations"] = [
        {"image_id": 8, "category_id": 1, "bbox": [8, 6, 32, 24]},
        {"image_id": 7, "category_id": 3, "bbox": [8, 6, 32, 24]},
        {"category_id": 1, "bbox": [8, 6, 32, 24]},
    ]
    annotations, rejected = read(root, content)
    assert not annotations
    assert rejected == {
        "images[1]": "id 8 comes 2 times",
        "images[2]": "id 8 comes 2 times",
        "images[3]": "no id",
        "categories[2]": "id 3 comes 2 times",
        "categories[3]": "id 3 comes 2 times",
        "annotations[0]": "image 8 is not listed in the file, or twice",
        "annotations[1]": "category 3 is not listed in the file, or twice",
        "annotations[2]": "image None is not listed in the file, or twice",
    }


def test_a_frame_of_another_shape_is_another_image(root):
    content = lab.coco()
    content["images"][0] |= {"width": 60, "height": 80}
    annotations, rejected = read(root, content)
    assert not annotations
    assert "does not have the shape of the image, 80 × 60" in rejected["image 7"]


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_file_is_stood(root, data):
    (root / "any.json").write_bytes(data.draw(broken(CONTENT)))
    stands(lab.source(root, coco=root / "any.json"), name="csv: coco")


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3) | st.just(10**400),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["size", "counts", "id"]), inner)
    ),
    max_leaves=6,
)


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_values_of_any_type_are_stood(root, data):
    content = lab.coco()
    where = data.draw(st.sampled_from(["images", "annotations", "categories"]))
    entry = data.draw(st.sampled_from(content[where]))
    entry[data.draw(st.sampled_from([*entry, "segmentation"]))] = data.draw(VALUES)
    (root / "any.json").write_text(json.dumps(content))
    studies, _ = stands(lab.source(root, coco=root / "any.json"), name="csv: coco")
    for annotation in studies[1].annotations:
        assert annotation.region.mask or np.isfinite(annotation.region.points).all()
