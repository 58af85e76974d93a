"""The gaze of REFLACX: recorded fixations, and those found in the samples; broken rows cost only themselves."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eclip.annotations.reading import Rejection
from small_reflacx import (
    FIXATIONS,
    HEIGHT,
    MANY,
    RECORDING,
    WIDTH,
    gaze_of,
    read,
    row_of,
    seen,
    stands_broken,
    write_metadata,
    write_recording,
    write_table,
)


@pytest.fixture
def root(tmp_path):
    write_metadata(tmp_path, row_of(RECORDING))
    write_recording(tmp_path)
    return tmp_path


def test_fixations_bring_one_degree_as_sigma_and_what_was_on_the_screen(root):
    zoomed = seen(1.0, 1.5, 400, 1000, degree=(40, 25), shown=(200, 500, 1000, 2000))
    panned = seen(2.0, 2.5, -100, 2600, shown=(-500, -250, 1000, 3000))
    write_recording(root, fixations=[seen(0.25, 1.0, 500, 1250), zoomed, panned])
    (reading,), rejected = read(root)
    whole, part, beside = gaze_of(reading)[0].fixations
    assert (whole.x, whole.y, whole.start, whole.end) == (0.25, 0.5, 0.25, 1.0)
    assert (whole.sigma_x, whole.sigma_y) == (100 / WIDTH, 50 / HEIGHT)
    assert whole.visible == (0.0, 0.0, 1.0, 1.0)
    assert (part.sigma_x, part.sigma_y, part.visible) == (40 / WIDTH, 25 / HEIGHT, (0.1, 0.2, 0.5, 0.8))
    assert (beside.x, beside.y) == (-0.05, 1.04)  # beside the image, from where it still reaches in
    assert beside.visible == (0.0, 0.0, 0.5, 1.0)
    assert rejected == []


def test_fixations_that_end_before_they_start_are_told(root):
    write_recording(
        root, fixations=[seen(0.5, 1.0, 500, 1250), seen(2.0, 1.5, 500, 1250), seen(3.0, 3.0, 500, 1250)]
    )
    (reading,), (rejection,) = read(root)
    assert len(gaze_of(reading)[0].fixations) == 1
    assert rejection.reason == "1 fixations end before they start"


def test_the_older_names_of_the_position_are_understood(root):
    file = root / "main_data" / RECORDING / "fixations.csv"
    file.write_bytes(re.sub(rb"\b([xy]_position)", rb"average_\1", file.read_bytes()))
    (reading,), _ = read(root)
    assert (gaze_of(reading)[0].fixations[0].x, gaze_of(reading)[0].fixations[0].y) == (0.25, 0.5)


SAMPLES = ["timestamp_sample", *FIXATIONS[2:]]
LOST = dict.fromkeys(SAMPLES, "")


def rest(start, count, x, y, **options):
    """Samples at 1,000 Hz that tremble by 4 pixels, at (x, y) on average."""
    rows = [seen(0, 0, x + 2 - 4 * (i % 2), y, **options) for i in range(count)]
    return [row | {"timestamp_sample": start + i / 1000} for i, row in enumerate(rows)]


def write_samples(root, rows, recording=RECORDING):
    write_table(root / "gaze_data" / recording / "gaze.csv", SAMPLES, rows)
    return root / "gaze_data" / recording / "gaze.csv"


@pytest.fixture
def raw(root):
    """The same recording with samples alone: a rest, a blink, a rest that is zoomed, a saccade, gaze off the image."""
    (root / "main_data" / RECORDING / "fixations.csv").unlink()
    zoomed = {"degree": (40, 25), "shown": (200, 500, 1000, 2000)}
    saccade = [row for i in range(30) for row in rest(1.0 + i / 1000, 1, 500 - 20 * i, 1250 + 45 * i)]
    rows = [
        *rest(-0.25, 400, 500, 1250),
        *(LOST | {"timestamp_sample": 0.15 + i / 1000} for i in range(150)),
        *rest(0.3, 200, 400, 1000, **zoomed),
        *saccade,
        *rest(1.03, 300, -100, 2600, shown=(-500, -250, 1000, 3000)),
    ]
    write_samples(root, rows)
    return root


RESTS = [
    (0.25, 0.5, -0.25, 0.149, 0.05, 0.02, (0.0, 0.0, 1.0, 1.0)),
    (0.2, 0.4, 0.3, 0.499, 0.02, 0.01, (0.1, 0.2, 0.5, 0.8)),
    (-0.05, 1.04, 1.03, 1.329, 0.05, 0.02, (0.0, 0.0, 0.5, 1.0)),
]


def test_without_fixations_they_are_found_in_the_samples(raw):
    (reading,), rejected = read(raw)
    assert rejected == []
    (gaze,) = gaze_of(reading)
    for fixation, (x, y, start, end, *about) in zip(gaze.fixations, RESTS, strict=True):
        # the samples at the end of a saccade that are within a degree of the rest belong to it
        assert (fixation.x, fixation.y) == pytest.approx((x, y), abs=2e-3)
        assert (fixation.start, fixation.end) == pytest.approx((start, end), abs=4e-3)
        assert [fixation.sigma_x, fixation.sigma_y, fixation.visible] == about
    assert len(gaze.sentences) == 2


@pytest.mark.parametrize("from_main", [False, True])
def test_samples_lie_beside_main_data(raw, from_main):
    assert len(read(raw / "main_data" if from_main else raw)[0]) == 1


def test_samples_do_not_count_where_there_are_fixations(root):
    write_samples(root, rest(0, 300, 20, 20))
    (reading,), _ = read(root)
    assert [f.start for f in gaze_of(reading)[0].fixations] == [0.5]


@pytest.mark.parametrize("rows", [7, 400])
def test_samples_come_in_parts_and_the_parts_do_not_show(raw, rows, monkeypatch):
    whole = read(raw)
    monkeypatch.setattr("eclip.annotations.recording_table.PART", rows)
    assert read(raw) == whole


def test_a_broken_sample_is_rejected_by_its_line_and_the_rest_is_used(raw):
    rows = rest(0.5, 200, 500, 1250)
    rows[3] |= {"x_position": "left"}
    rows[5] |= {"angular_resolution_x_pixels_per_degree": 0}
    rows[7] |= {"xmin_shown_from_image": ""}
    rows[9] |= {"x_position": "", "y_position": ""}
    file = write_samples(raw, rows)
    (reading,), rejected = read(raw)
    (fixation,) = gaze_of(reading)[0].fixations
    assert (fixation.start, fixation.end) == pytest.approx((0.5, 0.699))
    assert sorted((rejection.row, rejection.file) for rejection in rejected) == [
        ("line 5", str(file)),
        ("line 7", str(file)),
        ("line 9", str(file)),
    ]


def test_samples_that_never_rest_reject_the_recording(raw):
    file = write_samples(raw, [LOST | {"timestamp_sample": 0.5}])
    assert read(raw) == ([], [Rejection(str(file), RECORDING, "no valid fixation on the image")])


@pytest.mark.parametrize("column", ["timestamp_sample", "x_position", "ymax_shown_from_image"])
def test_a_missing_column_of_the_samples_rejects_the_recording_by_name(raw, column):
    file = raw / "gaze_data" / RECORDING / "gaze.csv"
    file.write_text(file.read_text().replace(column, "gone", 1))
    readings, (rejection,) = read(raw)
    assert readings == []
    assert column in rejection.reason
    assert rejection.file == str(file)


@pytest.mark.parametrize(
    "column", [c for c in FIXATIONS if "screen" not in c and "window" not in c and "pupil" not in c]
)
def test_a_missing_column_of_the_fixations_rejects_the_recording_by_name(root, column):
    file = root / "main_data" / RECORDING / "fixations.csv"
    file.write_text(file.read_text().replace(column, "gone", 1))
    readings, (rejection,) = read(root)
    assert readings == []
    assert column in rejection.reason


def test_a_broken_row_is_rejected_by_its_line_and_the_rest_is_used(root):
    folder = write_recording(root, fixations=[seen(i, i + 0.5, 500, 1250) for i in range(4)])
    lines = (folder / "fixations.csv").read_bytes().split(b"\r\n")
    lines[2] = lines[2].replace(b"1250", b"low")
    lines[3] = lines[3].replace(b"500", b"")
    lines[4] = lines[4][:20]
    (folder / "fixations.csv").write_bytes(b"\r\n".join(lines[:5]))
    (reading,), rejected = read(root)
    assert [fixation.start for fixation in gaze_of(reading)[0].fixations] == [0.0]
    assert sorted(rejection.row for rejection in rejected) == ["line 3", "line 4", "line 5"]
    assert all(rejection.file.endswith("fixations.csv") for rejection in rejected)


def test_every_sigma_is_positive(root):
    rows = [seen(0, 1, 500, 1250, degree=degree) for degree in ((0, 50), (100, -50), (100, 50))]
    write_recording(root, fixations=rows)
    (reading,), rejected = read(root)
    fixations = gaze_of(reading)[0].fixations
    assert all(f.sigma_x is None or f.sigma_x > 0 for f in fixations)
    assert all(f.sigma_y is None or f.sigma_y > 0 for f in fixations)
    assert len(fixations) + len(rejected) == 3


@MANY
@given(data=st.data())
def test_broken_samples_give_no_traceback(raw, data):
    stands_broken(raw, raw / "gaze_data" / RECORDING / "gaze.csv", data)
