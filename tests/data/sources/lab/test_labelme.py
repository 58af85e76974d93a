"""Oracles: the file that was written; any file gives studies and rejections, or one line."""

import json
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broken_files import broken, drain, stands
from eclip.data.images import decode
from eclip.errors import InputError
from fabricated import lab

CONTENT = json.dumps(lab.labelme(), indent=1).replace(",\n", " ,\n").encode()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("labelme") / "lab"
    lab.write(root)
    return root


def read(root, content, image_size=60):
    """(annotations of image b2, {row: reason})."""
    (root / "labelme/b2.json").write_text(json.dumps(content))
    studies, rejected = drain(lab.source(root, labelme=root / "labelme"), image_size=image_size)
    assert not any(study.annotations for study in studies if study.image_id != "b2")
    return studies[2].annotations, {rejection.row: rejection.reason for rejection in rejected}


def test_shapes_are_where_they_were_drawn(root):
    (box, circle, polygon, pair), rejected = read(root, lab.labelme())
    assert not rejected
    assert [(a.kind, a.label) for a in (box, circle, polygon, pair)] == [
        ("box", "box"), ("ellipse", "round"), ("mask", "odd"), ("mask", "pair"),
    ]  # fmt: skip
    np.testing.assert_allclose(box.region.points, [(0.1, 0.1), (0.5, 0.5)], atol=1e-6)
    np.testing.assert_allclose(circle.region.points, [(35 / 80, 25 / 60), (45 / 80, 35 / 60)], atol=1e-6)
    np.testing.assert_allclose(polygon.region.points, [(0.1, 0.1), (0.5, 0.1), (0.3, 0.5)], atol=1e-6)
    both = lab.block(0, 0, 20, 15) | lab.block(40, 30, 80, 60)
    np.testing.assert_array_equal(decode(pair.region.mask) > 0, both > 0)


def test_pixels_are_those_of_the_image_that_the_tool_showed(root):
    content = lab.labelme() | {"imageWidth": 800, "imageHeight": 600, "imageData": None}
    content["shapes"] = [{"label": "a", "points": [[80, 60], [400, 300]], "shape_type": "rectangle"}]
    ((box,), _) = read(root, content)
    np.testing.assert_allclose(box.region.points, [(0.1, 0.1), (0.5, 0.5)], atol=1e-6)


def test_what_cannot_be_used_is_listed_and_the_rest_kept(root):
    content = lab.labelme()
    wrong = [
        ({"shape_type": "linestrip", "points": [[1, 2], [3, 4]]}, "'linestrip'; expected polygon"),
        ({"shape_type": "mask", "points": [[1, 2], [3, 4]]}, "'mask'; expected polygon"),
        ({"shape_type": "circle", "points": [[1, 2]]}, "circle of 1 points; expected two"),
        ({"shape_type": "circle", "points": [[1, 2], [1, 2]]}, "expected x0 < x1"),
        ({"shape_type": "polygon", "points": [[1, 2], [3, 4]]}, "2 corners"),
        ({"shape_type": "rectangle", "points": [[1, 2], [3, None]]}, "is no number"),
        ({"shape_type": "rectangle", "points": None}, "is no JSON list"),
        ({"shape_type": ["rectangle"], "points": [[1, 2], [3, 4]]}, "expected polygon"),
        ({"shape_type": "rectangle", "points": [[1, 2], [3, 4]], "label": ["a"]}, "is no name"),
        (7, "is no JSON object"),
    ]
    good = len(content["shapes"])
    content["shapes"] += [shape for shape, _ in wrong]
    annotations, rejected = read(root, content)
    assert len(annotations) == good - 1  # two are one
    assert list(rejected) == [f"shapes[{place}]" for place in range(good, good + len(wrong))]
    for (_, expected), reason in zip(wrong, rejected.values(), strict=True):
        assert re.search(expected, reason)


def test_files_of_no_image_and_images_of_another_shape_are_listed(root):
    (root / "labelme/zz.json").write_text("{}")
    annotations, rejected = read(root, lab.labelme() | {"imageWidth": 60, "imageHeight": 80})
    (root / "labelme/zz.json").unlink()
    assert not annotations
    assert set(rejected) == {""}
    studies, rejections = drain(lab.source(root, labelme=root / "labelme"))
    assert len(studies) == len(lab.NUMBERS)
    assert [(r.file, "shape of the image" in r.reason) for r in rejections] == [
        (str(root / "labelme/b2.json"), True)
    ]
    with pytest.raises(InputError, match="no such folder"):
        drain(lab.source(root, labelme=root / "gone"))


def test_files_may_lie_behind_a_link_and_end_in_capitals(root, tmp_path):
    (root / "labelme/b2.json").write_text(json.dumps(lab.labelme()))
    (tmp_path / "elsewhere").mkdir()
    (root / "labelme/b2.json").rename(tmp_path / "elsewhere/b2.JSON")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/reader").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    studies, rejected = drain(lab.source(root, labelme=tmp_path / "linked"), image_size=60)
    assert not rejected
    assert [annotation.label for annotation in studies[2].annotations] == ["box", "round", "odd", "pair"]


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_file_is_stood(root, data):
    (root / "labelme/b2.json").write_bytes(data.draw(broken(CONTENT)))
    studies, _ = stands(lab.source(root, labelme=root / "labelme"), name="csv: labelme")
    assert len(studies) == len(lab.NUMBERS)
    for annotation in studies[2].annotations:
        assert annotation.region.mask or np.isfinite(annotation.region.points).all()
