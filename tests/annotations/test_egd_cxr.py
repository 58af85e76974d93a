"""EGD-CXR's reader, on a tiny tree with the release's own columns and each of its traps, and on the phantom."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broken_files import TRIED, broken
from eclip.annotations import Fixation, Region, Sentence
from eclip.annotations.egd_cxr import read_egd_cxr
from eclip.annotations.reading import Rejection
from eclip.errors import InputError

IMAGE = "0a1b2c3d-0a1b2c3d-0a1b2c3d-0a1b2c3d-0a1b2c3d"
OTHER = "ffffffff-0a1b2c3d-0a1b2c3d-0a1b2c3d-0a1b2c3d"
WIDTH, HEIGHT = 2000, 2500
TRANSCRIPT = Path("audio_segmentation_transcripts") / IMAGE / "transcript.json"


def header(line):
    return next(csv.reader([line]))


MASTER = header(
    "dicom_id,path,study_id,patient_id,stay_id,gender,anchor_age,image_top_pad,image_bottom_pad,"
    "image_left_pad,image_right_pad,dx1,dx1_icd,normal_reports,Normal,CHF,pneumonia,consolidation,"
    "atelectasis__chx,cardiomegaly__chx,enlarged_cardiomediastinum__chx,no_finding__chx,"
    "pleural_effusion__chx,cxr_exam_indication"
)
FIXATIONS = header(
    "SESSION_ID,MEDIA_ID,DICOM_ID,CNT,Time (in secs),TIMETICK(f=10000000),FPOGX,FPOGY,FPOGS,FPOGD,"
    "FPOGID,FPOGV,BPOGX,BPOGY,BPOGV,LPCX,LPCY,LPD,LPS,LPV,RPCX,RPCY,RPD,RPS,RPV,BKID,BKDUR,"
    "BKPMIN,LPMM,LPMMV,RPMM,RPMMV,SACCADE_MAG,SACCADE_DIR,VID_FRAME,X_ORIGINAL,Y_ORIGINAL"
)


def study(**cells):
    of_one = {"dicom_id": IMAGE, "path": f"files/p10/p10000032/s50414267/{IMAGE}.dcm", "study_id": "50414267"}
    return dict.fromkeys(MASTER, "") | of_one | {"patient_id": "10000032", "anchor_age": "20 - 30"} | cells


def fixation(x, y, start, seconds, *, image=IMAGE, valid=1, **cells):
    of_one = {"DICOM_ID": image, "FPOGS": start, "FPOGD": seconds, "FPOGV": valid, "FPOGX": 0.5, "FPOGY": 0.5}
    return dict.fromkeys(FIXATIONS, 0) | of_one | {"X_ORIGINAL": x, "Y_ORIGINAL": y} | cells


def write_table(path, columns, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def write_transcript(root, content):
    (root / TRANSCRIPT).parent.mkdir(parents=True, exist_ok=True)
    (root / TRANSCRIPT).write_text(content if isinstance(content, str) else json.dumps(content))


def phrases(*timed):
    timed = [{"phrase": phrase, "begin_time": begin, "end_time": end} for phrase, begin, end in timed]
    return {"full_text": "Heart is large. Clear.", "time_stamped_text": timed}


@pytest.fixture
def root(tmp_path):
    """One study, three good fixations, a box, two sentences."""
    write_table(tmp_path / "master_sheet.csv", MASTER, [study()])
    rows = [fixation(500, 1250, 0.25, 0.5), fixation(0, 0, 1.0, 0.25), fixation(1999, 2499, 2.0, 1.0)]
    write_table(tmp_path / "fixations.csv", FIXATIONS, rows)
    box = {"dicom_id": IMAGE, "bbox_name": "left lung", "x1": 1000.0, "x2": 1500.0, "y1": 250.0, "y2": 2000.0}
    write_table(tmp_path / "bounding_boxes.csv", list(box), [box])
    words = (("Heart", 0.5, 0.8), ("is", 0.8, 0.9), ("large.", 0.9, 1.4), ("Clear.", 2.0, 2.5))
    write_transcript(tmp_path, phrases(*words))
    return tmp_path


def read(root, *, size=lambda image_id: (WIDTH, HEIGHT)):
    rejected = []
    readings = list(read_egd_cxr(root, image_size=size, reject=rejected.append))
    assert all(isinstance(rejection, Rejection) and "\n" not in rejection.reason for rejection in rejected)
    return readings, rejected


def survives(root, name):
    """What is read, or nothing after an InputError of one line that names the file."""
    try:
        return read(root)[0]
    except InputError as error:
        message = str(error)
    assert name in message
    assert "\n" not in message
    return []


def test_a_study_comes_with_its_gaze_its_sentences_and_its_boxes(root):
    (reading,), rejected = read(root)
    assert rejected == []
    assert (reading.image_id, reading.study_id, reading.patient_id) == (IMAGE, "50414267", "10000032")
    assert reading.split == ""
    assert reading.text == "Heart is large. Clear."
    gaze, box = reading.annotations
    assert gaze.kind == "gaze"
    assert [(f.x, f.y, f.start, f.end) for f in gaze.fixations] == [
        (0.25, 0.5, 0.25, 0.75),
        (0.0, 0.0, 1.0, 1.25),
        (1999 / 2000, 2499 / 2500, 2.0, 3.0),
    ]
    assert gaze.sentences == (Sentence("Heart is large.", 0.5, 1.4), Sentence("Clear.", 2.0, 2.5))
    assert (box.kind, box.label) == ("box", "left lung")
    assert box.region == Region(((0.5, 0.1), (0.75, 0.8)))  # the columns stand as x1, x2, y1, y2


def test_fixations_have_no_sigma_and_see_the_whole_image(root):
    (reading,), _ = read(root)
    assert {(f.sigma_x, f.sigma_y) for f in reading.annotations[0].fixations} <= {
        (None, None),
        (0.05, 0.05 * WIDTH / HEIGHT),
    }
    assert all(f.visible == Fixation(0, 0, 0, 0).visible for f in reading.annotations[0].fixations)


def test_fixations_beside_the_image_invalid_or_on_a_calibration_slide_are_left_out(root):
    rows = [
        fixation(-1, 100, 0, 1),
        fixation(100, -2, 1, 1),
        fixation(WIDTH, 100, 2, 1),
        fixation(100, HEIGHT, 3, 1),
        fixation(100, 100, 4, 1, valid=0),
        fixation(100, 100, 5, 0.0),
        fixation(100, 100, 5, 1, image=IMAGE[:-5]),
        fixation(1000, 1250, 6, 1),
    ]
    write_table(root / "fixations.csv", FIXATIONS, rows)
    (reading,), rejected = read(root)
    assert [(f.x, f.y, f.start) for f in reading.annotations[0].fixations] == [(0.5, 0.5, 6.0)]
    assert rejected == []  # none of this is broken


def test_a_study_without_a_usable_fixation_or_a_known_size_is_rejected_and_the_rest_is_used(root):
    write_table(root / "master_sheet.csv", MASTER, [study(), study(dicom_id=OTHER), study(dicom_id="third")])
    write_table(
        root / "fixations.csv",
        FIXATIONS,
        [fixation(10, 10, 0, 1), fixation(-1, -1, 0, 1, image=OTHER), fixation(10, 10, 0, 1, image="third")],
    )
    readings, rejected = read(root, size=lambda image_id: None if image_id == "third" else (WIDTH, HEIGHT))
    assert [reading.image_id for reading in readings] == [IMAGE]
    assert [rejection.row for rejection in rejected] == [OTHER, "third"]
    assert rejected[0].reason != rejected[1].reason


def test_cells_over_several_lines_and_age_ranges_do_no_harm(root):
    write_table(root / "master_sheet.csv", MASTER, [study(cxr_exam_indication='Cough,\n"fever"\nand pain')])
    (reading,), rejected = read(root)
    assert reading.image_id == IMAGE
    assert rejected == []


def test_labels_have_the_names_and_values_of_chexpert(root):
    cells = {"atelectasis__chx": "1.0", "cardiomegaly__chx": "-1", "enlarged_cardiomediastinum__chx": "0"}
    write_table(root / "master_sheet.csv", MASTER, [study(**cells, pleural_effusion__chx="-1.0", Normal="1")])
    (reading,), _ = read(root)
    assert reading.labels == {
        "Atelectasis": 1,
        "Cardiomegaly": -1,
        "Enlarged Cardiomediastinum": 0,
        "Pleural Effusion": -1,
    }


def test_a_label_that_is_no_label_rejects_its_study(root):
    write_table(root / "master_sheet.csv", MASTER, [study(atelectasis__chx="maybe")])
    readings, (rejection,) = read(root)
    assert readings == []
    assert "atelectasis__chx" in rejection.reason
    assert "maybe" in rejection.reason


@pytest.mark.parametrize("suffix", ["_pad", ""])
def test_without_pixels_the_place_on_the_screen_and_the_pads_tell_where(root, suffix):
    columns = [name.removesuffix("_pad") + suffix if name.endswith("_pad") else name for name in MASTER]
    pads = {"image_top": 0, "image_bottom": 0, "image_left": 528, "image_right": 528}
    write_table(root / "master_sheet.csv", columns, [study(**{name + suffix: v for name, v in pads.items()})])
    rows = [fixation(0, 0, 0, 1, FPOGX=0.5, FPOGY=0.25), fixation(0, 0, 1, 1, FPOGX=0.1, FPOGY=0.25)]
    write_table(root / "fixations.csv", FIXATIONS[:-2], rows)
    (reading,), _ = read(root)
    (seen,) = reading.annotations[0].fixations
    assert (seen.x, seen.y) == pytest.approx(((0.5 * 1920 - 528) / (1920 - 2 * 528), 0.25))


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("master_sheet.csv", "dicom_id"),
        ("master_sheet.csv", "patient_id"),
        ("fixations.csv", "DICOM_ID"),
        ("fixations.csv", "FPOGD"),
        ("bounding_boxes.csv", "bbox_name"),
    ],
)
def test_a_missing_column_is_named_with_its_file(root, table, column):
    (root / table).write_text((root / table).read_text().replace(column, "gone", 1))
    with pytest.raises(InputError, match=f"{table}.*{column}"):
        read(root)


@pytest.mark.parametrize("table", ["master_sheet.csv", "fixations.csv"])
def test_a_missing_table_is_named(root, table):
    (root / table).unlink()
    with pytest.raises(InputError, match=table):
        read(root)


@pytest.mark.parametrize("table", ["master_sheet.csv", "fixations.csv"])
def test_an_empty_table_is_named(root, table):
    (root / table).write_text("")
    with pytest.raises(InputError, match=table):
        read(root)


def test_boxes_and_transcripts_may_be_missing(root):
    (root / "bounding_boxes.csv").unlink()
    (root / TRANSCRIPT).unlink()
    (reading,), rejected = read(root)
    (gaze,) = reading.annotations
    assert (len(gaze.fixations), gaze.sentences, reading.text) == (3, (), "")
    assert all("transcript" in rejection.file + rejection.reason for rejection in rejected)


def test_a_broken_row_is_rejected_by_its_line_and_the_rest_is_used(root):
    lines = (root / "fixations.csv").read_text().splitlines()
    lines[2] = lines[2].replace(",0.25,", ",quarter,")  # the second fixation, on line 3
    lines[3] = lines[3][:60]  # the last line, cut off in the middle
    (root / "fixations.csv").write_text("\n".join(lines))
    (reading,), rejected = read(root)
    assert [f.start for f in reading.annotations[0].fixations] == [0.25]
    assert sorted(rejection.row for rejection in rejected) == ["line 3", "line 4"]
    assert all(rejection.file.endswith("fixations.csv") for rejection in rejected)
    assert any("FPOGD" in rejection.reason and "quarter" in rejection.reason for rejection in rejected)


def test_a_rejected_row_after_a_cell_of_several_lines_is_found_on_its_line(root):
    write_table(root / "master_sheet.csv", MASTER, [study(cxr_exam_indication="two\nlines"), study()])
    text = (root / "master_sheet.csv").read_text().splitlines()
    assert text[3].startswith(IMAGE)
    (root / "master_sheet.csv").write_text("\n".join([*text[:3], "cut,off"]))
    _, (rejection,) = read(root)
    assert rejection.row == "line 4"


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999", ""])
def test_numbers_that_are_none_do_not_pass(root, number):
    write_table(root / "fixations.csv", FIXATIONS, [fixation(number, 1, 0, 1), fixation(9, 9, 0, 1)])
    (reading,), rejected = read(root)
    assert len(reading.annotations[0].fixations) == 1
    assert [rejection.row for rejection in rejected] == ["line 2"]


def test_a_study_listed_twice_is_read_once(root):
    write_table(root / "master_sheet.csv", MASTER, [study(), study()])
    readings, _ = read(root)
    assert [reading.image_id for reading in readings] == [IMAGE]


def test_boxes_of_an_image_that_nobody_lists_are_rejected(root):
    table = root / "bounding_boxes.csv"
    table.write_text(table.read_text() + f"{OTHER},left lung,1,2,1,2\n{OTHER},right lung,3,4,1,2\n")
    (reading,), (rejection,) = read(root)
    assert [annotation.kind for annotation in reading.annotations] == ["gaze", "box"]
    assert (rejection.file, rejection.row) == (str(table), OTHER)
    assert "master_sheet.csv does not list" in rejection.reason


def test_an_id_that_leads_elsewhere_names_no_folder(root):
    (root / "bounding_boxes.csv").unlink()
    for image_id in ("../" + IMAGE, f"{IMAGE}/../{IMAGE}"):
        write_table(root / "master_sheet.csv", MASTER, [study(dicom_id=image_id)])
        write_table(root / "fixations.csv", FIXATIONS, [fixation(9, 9, 0, 1, image=image_id)])
        readings, (rejection,) = read(root)
        assert readings == []
        assert (rejection.row, rejection.reason) == (image_id, "not an id of an image")


def test_times_in_a_transcript_may_be_text_and_the_last_period_missing(root):
    words = [("Clear.", "0.5", "0.9"), ("No", "1", "1.25"), ("mass", 1.25, 2)]
    write_transcript(root, phrases(*words))
    (reading,), rejected = read(root)
    assert reading.annotations[0].sentences == (Sentence("Clear.", 0.5, 0.9), Sentence("No mass", 1.0, 2.0))
    assert rejected == []


def test_an_empty_transcript_has_no_sentences(root):
    write_transcript(root, {"full_text": "", "time_stamped_text": []})
    (reading,), rejected = read(root)
    assert (reading.annotations[0].sentences, reading.text) == ((), "")
    assert rejected == []


BROKEN_TRANSCRIPTS = [
    "",
    "{",
    "[]",
    "null",
    "7",
    '"text"',
    "[" * 100_000,
    '{"full_text": "a"}',
    '{"time_stamped_text": 3}',
    '{"time_stamped_text": [1]}',
    '{"time_stamped_text": [{"phrase": "a"}]}',
    '{"time_stamped_text": [{"phrase": "a", "begin_time": "x", "end_time": 1}]}',
    '{"time_stamped_text": [{"phrase": "a", "begin_time": NaN, "end_time": 1}]}',
    '{"time_stamped_text": [{"phrase": "a", "begin_time": 1' + "0" * 400 + ', "end_time": 1}]}',
    '{"time_stamped_text": [{"phrase": null, "begin_time": 0, "end_time": 1}]}',
]


@pytest.mark.parametrize("content", BROKEN_TRANSCRIPTS, ids=range(len(BROKEN_TRANSCRIPTS)))
def test_a_broken_transcript_is_rejected_and_the_gaze_kept(root, content):
    write_transcript(root, content)
    (reading,), rejected = read(root)
    assert len(reading.annotations[0].fixations) == 3
    assert reading.annotations[0].sentences == ()
    (rejection,) = rejected
    assert rejection.file.endswith("transcript.json")


def test_sex_and_age_are_those_of_the_master_sheet(root):
    write_table(root / "master_sheet.csv", MASTER, [study(gender="F")])
    (reading,), _ = read(root)
    assert (reading.sex, reading.age) == ("F", "20 - 30")


def sample(seconds, x, y, *, image=IMAGE, valid=1, **cells):
    """A row of eye_gaze.csv: X_ORIGINAL of each sample; FPOGS and FPOGD are the tracker's own, running."""
    row = fixation(x, y, 99, 99, image=image, valid=valid)
    return row | {"Time (in secs)": seconds, "FPOGX": 0.5, "FPOGY": 0.25} | cells


def rest(start, count, x, y, **cells):
    """Samples at 60 Hz that tremble by 4 pixels, at (x, y) on average."""
    return [sample(start + i / 60, x + 2 - 4 * (i % 2), y, **cells) for i in range(count)]


@pytest.fixture
def raw(root):
    """The same study with samples alone: two rests, a saccade, a loss, rows that tell nothing, an unlisted image."""
    (root / "fixations.csv").unlink()
    rows = [
        *rest(0.5, 13, 500, 1250, image=IMAGE[:-5]),  # a calibration slide
        *rest(0.25, 30, 500, 1250),
        sample(0.25 + 30 / 60, 900, 1700),
        *rest(1.0, 12, 1500, 1000),
        *rest(1.2, 12, 1500, 1000, valid=0),
        *rest(1.4, 12, -2, -1),
        *rest(1.6, 12, 1500, 1000),
        *rest(0.0, 12, 1500, 1000, image="nobody"),
    ]
    write_table(root / "eye_gaze.csv", FIXATIONS, rows)
    return root


RESTS = [(0.25, 0.5, 0.25, 0.25 + 29 / 60), (0.75, 0.4, 1.0, 1.0 + 11 / 60), (0.75, 0.4, 1.6, 1.6 + 11 / 60)]


def scan_path(reading):
    return np.array([(f.x, f.y, f.start, f.end) for f in reading.annotations[0].fixations])


def test_without_fixations_they_are_found_in_the_samples(raw):
    (reading,), (rejection,) = read(raw)
    np.testing.assert_allclose(scan_path(reading), RESTS, rtol=0, atol=1e-9)
    assert {(f.sigma_x, f.visible) for f in reading.annotations[0].fixations} == {(None, (0, 0, 1, 1))}
    assert (rejection.row, rejection.file) == ("nobody", str(raw / "eye_gaze.csv"))
    assert reading.text == "Heart is large. Clear."


def test_samples_do_not_count_where_there_are_fixations(root):
    write_table(root / "eye_gaze.csv", FIXATIONS, rest(0, 30, 20, 20))
    (reading,), _ = read(root)
    assert [f.start for f in reading.annotations[0].fixations] == [0.25, 1.0, 2.0]


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_samples_come_in_parts_and_the_parts_do_not_show(raw, rows, monkeypatch):
    monkeypatch.setattr("eclip.annotations.recording_table.PART", rows)
    (reading,), rejected = read(raw)
    np.testing.assert_allclose(scan_path(reading), RESTS, rtol=0, atol=1e-9)
    assert [rejection.row for rejection in rejected] == ["nobody"]


def test_samples_without_pixels_are_placed_by_the_screen_and_the_pads(raw):
    pads = {"image_top_pad": 0, "image_bottom_pad": 0, "image_left_pad": 528, "image_right_pad": 528}
    write_table(raw / "master_sheet.csv", MASTER, [study(**pads)])
    write_table(raw / "eye_gaze.csv", FIXATIONS[:-2], rest(0.5, 13, 0, 0))
    (reading,), _ = read(raw)
    assert scan_path(reading)[0] == pytest.approx(((0.5 * 1920 - 528) / (1920 - 2 * 528), 0.25, 0.5, 0.7))


def test_samples_of_two_images_are_kept_apart(raw):
    write_table(raw / "master_sheet.csv", MASTER, [study(), study(dicom_id=OTHER)])
    mixed = zip(rest(0, 12, 500, 1250), rest(0, 12, 1500, 1250, image=OTHER), strict=True)
    write_table(raw / "eye_gaze.csv", FIXATIONS, [row for pair in mixed for row in pair])
    readings, _ = read(raw, size=lambda image_id: (WIDTH, HEIGHT) if image_id == IMAGE else (3000, 2500))
    assert [scan_path(reading)[:, :2].round(9).tolist() for reading in readings] == [
        [[0.25, 0.5]],
        [[0.5, 0.5]],
    ]


def test_a_broken_sample_is_rejected_by_its_line_and_the_rest_is_used(raw):
    rows = rest(0.5, 13, 500, 1250)
    rows[3] |= {"Time (in secs)": "soon"}
    rows[5] |= {"X_ORIGINAL": ""}
    rows[7] |= {"X_ORIGINAL": "", "FPOGV": 0}  # lost: nothing is expected of it
    write_table(raw / "eye_gaze.csv", FIXATIONS, rows)
    lines = (raw / "eye_gaze.csv").read_text().splitlines()
    (raw / "eye_gaze.csv").write_text("\n".join([*lines, "cut,off"]))
    (reading,), rejected = read(raw)
    assert scan_path(reading)[0, 2:] == pytest.approx((0.5, 0.7))
    assert sorted(rejection.row for rejection in rejected) == ["line 15", "line 5", "line 7"]
    assert all(rejection.file.endswith("eye_gaze.csv") for rejection in rejected)


def test_samples_that_never_rest_give_no_study(raw):
    write_table(raw / "eye_gaze.csv", FIXATIONS, [sample(i / 60, 20 + 150 * i, 20) for i in range(13)])
    readings, (rejection,) = read(raw)
    assert readings == []
    assert (rejection.row, rejection.reason) == (IMAGE, "no valid fixation on the image")


@pytest.mark.parametrize("column", ["DICOM_ID", "Time (in secs)", "FPOGV"])
def test_a_missing_column_of_the_samples_is_named_with_its_file(raw, column):
    (raw / "eye_gaze.csv").write_text((raw / "eye_gaze.csv").read_text().replace(column, "gone", 1))
    with pytest.raises(InputError, match=rf"eye_gaze.*{re.escape(column)}"):
        read(raw)


def stands_broken(root, name, data):
    """Spoil a file of a sound tree and read the tree; whatever is read has numbers that can be drawn."""
    good = (root / name).read_bytes()
    (root / name).write_bytes(data.draw(broken(good)))
    TRIED["egd-cxr"] += 1
    try:
        readings = survives(root, Path(name).stem)
    finally:
        (root / name).write_bytes(good)
    for reading in readings:
        assert np.isfinite(scan_path(reading)).all()
        assert all(fixation.duration > 0 for fixation in reading.annotations[0].fixations)


MANY = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=100,
)


@pytest.mark.parametrize("name", ["master_sheet.csv", "fixations.csv", "bounding_boxes.csv", str(TRANSCRIPT)])
@MANY
@given(data=st.data())
def test_broken_files_give_no_traceback(root, name, data):
    stands_broken(root, name, data)


@MANY
@given(data=st.data())
def test_broken_samples_give_no_traceback(raw, data):
    stands_broken(raw, "eye_gaze.csv", data)


def test_the_phantom_is_read_as_a_loop_over_its_tables_reads_it(phantom):
    sizes = pd.read_csv(phantom / "mimic-cxr-jpg" / "mimic-cxr-2.0.0-metadata.csv.gz").set_index("dicom_id")
    readings, rejected = read(
        phantom / "egd-cxr", size=lambda name: (int(sizes.Columns[name]), int(sizes.Rows[name]))
    )
    assert rejected == []
    master = pd.read_csv(phantom / "egd-cxr" / "master_sheet.csv")
    assert [reading.image_id for reading in readings] == master["dicom_id"].tolist()
    table = pd.read_csv(phantom / "egd-cxr" / "fixations.csv")
    for reading in readings:
        expected = []
        width, height = sizes.loc[reading.image_id, ["Columns", "Rows"]]
        for row in table[table["DICOM_ID"] == reading.image_id].to_dict("records"):
            x, y = row["X_ORIGINAL"] / width, row["Y_ORIGINAL"] / height
            if row["FPOGV"] and 0 <= x < 1 and 0 <= y < 1 and row["FPOGD"] > 0:
                expected.append((x, y, row["FPOGS"], row["FPOGS"] + row["FPOGD"]))
        gaze, *boxes = reading.annotations
        assert np.allclose([(f.x, f.y, f.start, f.end) for f in gaze.fixations], expected, rtol=0, atol=1e-12)
        assert len(boxes) == 17
        assert " ".join(sentence.text for sentence in gaze.sentences) == reading.text
