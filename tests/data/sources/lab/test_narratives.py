"""Oracles: the line that was written, times computed by hand; any file gives studies and rejections, or one line."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broken_files import broken, drain, stands
from eclip.annotations.annotation import Sentence
from eclip.errors import InputError
from fabricated import lab

LINE = json.dumps(lab.narrative())


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("narratives") / "lab"
    lab.write(root)
    return root


def read(root, *lines):
    """(annotations of image b3, {row: reason})."""
    (root / "other.jsonl").write_text("\n".join(lines), encoding="utf-8")
    studies, rejected = drain(lab.source(root, narratives=root / "other.jsonl"))
    assert len(studies) == len(lab.NUMBERS)
    return studies[3].annotations, {rejection.row: rejection.reason for rejection in rejected}


def test_each_point_rests_until_the_next_and_the_last_for_the_usual_step(root):
    ((annotation,), rejected) = read(root, LINE)
    assert not rejected
    assert (annotation.kind, annotation.reader) == ("pointer", "12")
    median_of_first = 0.125  # of 0.125, 0.125, 0.5
    expected = [
        (0.25, 0.5, 0.0, 0.125),
        (0.26, 0.5, 0.125, 0.25),
        (-0.01, 1.02, 0.25, 0.75),
        (0.3, 0.5, 0.75, 0.75 + median_of_first),
        (0.75, 0.25, 1.5, 1.5 + median_of_first),
    ]
    np.testing.assert_allclose(
        [(f.x, f.y, f.start, f.end) for f in annotation.fixations], expected, atol=1e-9
    )
    assert annotation.sentences == (Sentence("Heart enlarged.", 0.0, 0.8), Sentence("Lungs clear.", 1.0, 1.8))


def test_the_usual_step_is_the_strokes_own_or_else_that_of_all(root):
    def stroke(*times):
        return [{"x": 0.5, "y": 0.5, "t": time} for time in times]

    content = lab.narrative() | {"traces": [stroke(0, 0.1, 0.2), stroke(1, 1.4, 1.8, 2.2), stroke(3)]}
    ((annotation,), _) = read(root, json.dumps(content))
    lasts = [f for f in annotation.fixations if f.start in (0.2, 2.2, 3)]
    np.testing.assert_allclose([f.duration for f in lasts], [0.1, 0.4, 0.4], atol=1e-9)


def test_several_narratives_of_an_image_stay_several_annotations(root):
    other = json.dumps(lab.narrative() | {"annotator_id": "é", "timed_caption": None}, ensure_ascii=False)
    annotations, rejected = read(root, other, "", LINE, LINE)
    assert [a.reader for a in annotations] == ["é", "12", "12"]
    assert not annotations[0].sentences
    assert not rejected


def test_what_cannot_be_used_is_listed_and_the_rest_kept(root):
    content = lab.narrative()
    content["traces"] += [[], [{"x": 1, "y": 2}], [{"x": 0, "y": 0, "t": 2}, {"x": 0, "y": 0, "t": 1}], 7]
    content["timed_caption"] += [{"utterance": "a", "start_time": 3, "end_time": 2}, {"utterance": "b"}, None]
    (annotation, *more), rejected = read(
        root,
        json.dumps(content),
        json.dumps(lab.narrative() | {"image_id": "unknown"}),
        "{broken",
        json.dumps(lab.narrative() | {"traces": []}),
        json.dumps(lab.narrative() | {"traces": [[{"x": 0.5, "y": 0.5, "t": 1}]]}),
        LINE,
    )
    assert len(annotation.fixations) == 5
    assert len(annotation.sentences) == 2
    assert len(more) == 1
    for row, reason in {
        "line 1, traces[2]": "without points",
        "line 1, traces[3]": "t: None is no number",
        "line 1, traces[4]": "times go back",
        "line 1, traces[5]": "is no JSON list",
        "line 1, timed_caption[4]": "end_time is before",
        "line 1, timed_caption[5]": "start_time: None",
        "line 1, timed_caption[6]": "is no JSON object",
        "line 2": "'unknown' is no image of",
        "line 3": "is not JSON",
        "line 4": "no trace that lasts",
        "line 5": "no trace that lasts",
    }.items():
        assert reason in rejected.pop(row)
    assert not rejected


def test_a_file_that_is_not_there_is_told(root):
    with pytest.raises(InputError, match=r"gone\.jsonl: cannot be read"):
        drain(lab.source(root, narratives=root / "gone.jsonl"))


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_file_is_stood(root, data):
    content = f"{LINE}\n{json.dumps(lab.narrative(), indent=0).replace(chr(10), '')}\n".encode()
    (root / "any.jsonl").write_bytes(data.draw(broken(content)))
    studies, _ = stands(lab.source(root, narratives=root / "any.jsonl"), name="csv: narratives")
    for annotation in studies[3].annotations:
        assert np.isfinite([(f.x, f.y, f.start, f.end) for f in annotation.fixations]).all()
        assert all(f.end >= f.start for f in annotation.fixations)
