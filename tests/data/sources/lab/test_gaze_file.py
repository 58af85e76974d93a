"""Oracles: coordinates computed by hand; any file gives finite fixations or rejections."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broken_files import TRIED, broken
from eclip.data.sources.lab.gaze_file import GazeFile
from lab_annotations import IMAGE, apart


def gaze(root, content, image=IMAGE):
    (root / "g.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    return apart(GazeFile(path=root / "g.csv", kind="gaze", reader="R")(image))


def test_fixations_in_pixels_or_fractions(tmp_path):
    (pixels,), _ = gaze(tmp_path, "start,end,x,y,sigma_x,sigma_y\n1,2,100,225,20,18\n3,3.5,-40,330,,0\n")
    assert [(f.x, f.y, f.start, f.end, f.sigma_x, f.sigma_y) for f in pixels.fixations] == [
        (0.25, 0.75, 1, 2, 0.05, 0.06),
        (-0.1, 1.1, 3, 3.5, None, None),
    ]
    (fractions,), _ = gaze(tmp_path, "x_fraction,y_fraction,start,end,sigma_x\n0.25,0.75,1,2,0.05\n")
    assert fractions.fixations[0].sigma_x == 0.05
    assert (fractions.fixations[0].x, fractions.fixations[0].y) == (0.25, 0.75)
    assert (fractions.kind, fractions.reader) == ("gaze", "R")


def test_samples_become_fixations(tmp_path):
    rest = [f"{i * 0.01:.2f},{200 + i % 2},150" for i in range(31)]
    lost = ["0.31,,", "0.32,.,.", "0.33,nan,1"]
    fast = [f"{0.34 + i * 0.01:.2f},{i * 80},{i * 60}" for i in range(5)]
    (annotation,), rejected = gaze(tmp_path, "\n".join(["time,x,y", *rest, *lost, *fast, "later,1,1"]))
    (fixation,) = annotation.fixations
    assert (fixation.start, fixation.end) == (0.0, pytest.approx(0.3))
    assert fixation.x == pytest.approx((200 + 15 / 31) / 400, abs=1e-9)
    assert fixation.y == pytest.approx(0.5, abs=1e-9)
    assert [(r.row, "expected a number" in r.reason) for r in rejected] == [("line 41", True)]


def test_a_wrong_line_costs_no_other(tmp_path):
    (annotation,), rejected = gaze(
        tmp_path, "x,y,start,end\n1,2,3,4\n1,?,3,4\n1,2,4,3\n1,2\n1,inf,3,4\n5,6,7,8\n"
    )
    assert [f.start for f in annotation.fixations] == [3, 7]
    assert sorted(r.row for r in rejected) == ["line 3", "line 4", "line 5", "line 6"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("x,y,start\n1,2,3\n", "no column 'end'"),
        ("x,start,end\n1,2,3\n", "no column 'y'"),
        ("time,x_fraction\n1,2\n", "no column 'y_fraction'"),
        ("", "no column 'x'"),
        ("x,y,start,end\n", "no fixation"),
        ("x,y,time\n9,9,1\n", "no fixation"),
        ("x,y,start,end\n9,9,3,3\n8,8,4,4\n", "no fixation that lasts"),
        ("x;y;start;end\n1;2;3;4\n", "with commas between them; there are: x;y;start;end"),
        ("X,Y,start,end\n1,2,3,4\n", "there are: X, Y, start, end"),
        ("x,y,start,end\n0.5,0.5,3,4\n1,0,4,5\n", "name the columns x_fraction and y_fraction"),
        ("x,y,time\n0.5,0.5,3\n,,4\n", "name the columns x_fraction and y_fraction"),
        ("x,y,time\nnan,nan,3\n,,3.01\n", "no fixation"),
        ("x,y,start,end\n9,9,0,220\n9,9,240,400\n", "fixations of 190 s; expected start and end in seconds"),
        ("x,y,time\n9,9,0\n9,9,16\n9,9,32\n", "samples that are 16 s apart"),
        ("x,y,time\n9,9,2\n9,9,1\n9,9,0\n", "samples that are -1 s apart; expected times that rise"),
    ],
)
def test_files_without_a_fixation_are_told(tmp_path, content, reason):
    annotations, (rejection,) = gaze(tmp_path, content)
    assert not annotations
    assert rejection.file.endswith("g.csv")
    assert reason in rejection.reason


def test_one_long_fixation_is_no_wrong_unit(tmp_path):
    (annotation,), rejected = gaze(tmp_path, "x,y,start,end\n9,9,0,90\n9,9,90,90.2\n9,9,91,91.2\n")
    assert not rejected
    assert [f.end for f in annotation.fixations] == [90, 90.2, 91.2]


FIXATIONS = b"x,y,start,end,sigma_x\n1,2,3,4,5\n10,20,4,5,\n30,40,6,7,8\n"
SAMPLES = b"time,x,y\n" + b"".join(
    b"%d.%02d,100,%d\n" % (i // 50, i % 50 * 2, 50 + i // 30) for i in range(60)
)


@settings(max_examples=250)
@given(st.sampled_from([FIXATIONS, SAMPLES]).flatmap(broken))
def test_any_gaze_file_gives_finite_fixations_or_rejections(tmp_path_factory, content):
    TRIED["csv: gaze files"] += 1
    annotations, rejected = gaze(tmp_path_factory.getbasetemp(), content)
    assert annotations or rejected
    for fixation in (f for a in annotations for f in a.fixations):
        assert np.isfinite([fixation.x, fixation.y, fixation.start, fixation.end]).all()
        assert fixation.end >= fixation.start
