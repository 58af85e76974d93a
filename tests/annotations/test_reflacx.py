"""REFLACX's reader, on a tiny tree with the release's own columns and each of its traps, and on the phantom."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eclip.annotations import Region, Sentence
from eclip.annotations.reflacx import CHEXPERT_NAMES
from eclip.errors import InputError
from small_reflacx import (
    ABOUT,
    CHEST_BOX,
    ELLIPSES,
    FOLDER,
    IMAGE,
    LABELS,
    LABELS_1,
    LABELS_3,
    MANY,
    RECORDING,
    gaze_of,
    read,
    row_of,
    seen,
    stands_broken,
    write_ellipses,
    write_metadata,
    write_recording,
    write_table,
)


@pytest.fixture
def root(tmp_path):
    write_metadata(tmp_path, row_of(RECORDING))
    write_recording(tmp_path)
    return tmp_path


def test_a_recording_comes_with_gaze_sentences_ellipses_and_the_box_of_the_chest(root):
    (reading,), rejected = read(root)
    assert rejected == []
    assert (reading.image_id, reading.study_id, reading.patient_id) == (IMAGE, "50414267", "10000032")
    assert reading.split == "validate"
    assert reading.text == f"{RECORDING}: heart enlarged."
    by_kind = {annotation.kind: annotation for annotation in reading.annotations}
    assert [annotation.reader for annotation in reading.annotations] == [RECORDING] * 3
    assert by_kind["gaze"].sentences == (
        Sentence("heart enlarged.", 0.5, 1.2),
        Sentence("effusion/atelectasis.", 2.0, 3.1),
    )
    assert (by_kind["ellipse"].label, by_kind["ellipse"].region) == (
        "Consolidation",
        Region(((0.1, 0.2), (0.5, 0.8))),
    )
    assert (by_kind["box"].label, by_kind["box"].region) == ("chest", Region(((0.05, 0.1), (0.95, 0.9))))


def test_both_spellings_of_the_transcription_are_found(root):
    folder = root / "main_data" / RECORDING
    (folder / "timestamps_transcription.csv").rename(folder / "timestamps_transcriptions.csv")
    (reading,), rejected = read(root)
    assert [sentence.text for sentence in gaze_of(reading)[0].sentences] == [
        "heart enlarged.",
        "effusion/atelectasis.",
    ]
    assert rejected == []


def test_discarded_recordings_are_rejected_with_the_reason(root):
    write_metadata(root, row_of(RECORDING), row_of("P300R000002", eye_tracking_data_discarded="True"))
    readings, (rejection,) = read(root)
    assert len(readings) == 1
    assert rejection.row == "P300R000002"
    assert "discarded" in rejection.reason


def test_several_readers_of_an_image_stay_apart_on_one_reading(root):
    recordings = ["P102R000001", "P102R000002", "P102R000003", "P300R000009"]
    other = "11111111-0a1b2c3d-0a1b2c3d-0a1b2c3d-0a1b2c3d"
    write_metadata(root, *map(row_of, recordings[:3]), row_of(recordings[3], image=other))
    for i, recording in enumerate(recordings):
        write_recording(root, recording, fixations=[seen(i, i + 0.5, 500, 1250)])
    readings, _ = read(root)
    assert [reading.image_id for reading in readings] == [IMAGE, other]
    assert [(gaze.reader, gaze.fixations[0].start) for gaze in gaze_of(readings[0])] == [
        (recording, float(i)) for i, recording in enumerate(recordings[:3])
    ]
    assert readings[0].text == "P102R000001: heart enlarged."


@pytest.mark.parametrize(
    ("column", "cell", "label", "value"),
    [
        ("Atelectasis", "5", "Atelectasis", 1),
        ("Atelectasis", "3", "Atelectasis", 1),
        ("Atelectasis", "2", "Atelectasis", -1),
        ("Atelectasis", "1", "Atelectasis", -1),
        ("Atelectasis", "0", "Atelectasis", 0),
        ("Atelectasis", "4.0", "Atelectasis", 1),
        ("Pulmonary edema", "4", "Edema", 1),
        ("Enlarged cardiac silhouette", "4", "Cardiomegaly", 1),
        ("Lung nodule or mass", "2", "Lung Lesion", -1),
        ("Pleural abnormality", "5", "Pleural abnormality", 1),
        ("Support devices", "True", "Support Devices", 1),
        ("Support devices", "False", "Support Devices", 0),
    ],
)
def test_certainties_become_labels_by_the_names_of_chexpert(root, column, cell, label, value):
    write_metadata(root, row_of(RECORDING, **{column: cell}))
    (reading,), _ = read(root)
    assert reading.labels[label] == value
    assert not {"Other", "id", "split", column} & set(reading.labels) - {label}


@pytest.mark.parametrize(("mass", "nodule"), [("0", "4"), ("4", "0")])
def test_a_nodule_or_a_mass_is_a_lung_lesion(root, mass, nodule):
    write_metadata(root, row_of("P101R000001", Mass=mass, Nodule=nodule, **{"Pleural effusion": "1"}))
    write_recording(root, "P101R000001")
    (reading,), _ = read(root)
    assert (reading.labels["Lung Lesion"], reading.labels["Pleural Effusion"]) == (1, -1)


def test_labels_of_several_readers_are_those_of_the_median(root):
    cells = [("0", "5"), ("4", "1"), ("5", "0")]
    rows = [
        row_of(f"P201R00000{i}", Atelectasis=a, Consolidation=b) for i, (a, b) in enumerate(cells, start=1)
    ]
    write_metadata(root, *rows)
    for row in rows:
        write_recording(root, row["id"])
    (reading,), _ = read(root)
    assert (reading.labels["Atelectasis"], reading.labels["Consolidation"]) == (1, -1)


def ellipses_of(reading):
    return [annotation for annotation in reading.annotations if annotation.kind == "ellipse"]


def test_all_ellipses_are_kept_with_their_certainty_and_two_labels_are_two(root):
    """The authors: 1 below 10 %, 2 about 25 %, 3 about 50 %, 4 about 75 %, 5 above 90 %."""
    extents = [(200 * i, 500, 1000 + 200 * i, 2000) for i in range(1, 6)]
    marks = [{"Consolidation": True}, {"Consolidation": True}, {"Atelectasis": True, "Pulmonary edema": True}]
    marks += [{"Lung nodule or mass": True}, {"Pneumothorax": True}]
    rows = [
        (extent, sure, marked) for sure, (extent, marked) in enumerate(zip(extents, marks, strict=True), 1)
    ]
    write_ellipses(root / "main_data" / RECORDING, LABELS_3, *rows)
    (reading,), rejected = read(root)
    assert rejected == []
    assert [(a.label, a.certainty, a.region.points[0][0]) for a in ellipses_of(reading)] == [
        ("Consolidation", 0.05, 0.1),
        ("Consolidation", 0.25, 0.2),
        ("Atelectasis", 0.5, 0.3),
        ("Edema", 0.5, 0.3),
        ("Lung Lesion", 0.75, 0.4),
        ("Pneumothorax", 0.95, 0.5),
    ]
    assert ellipses_of(reading)[2].region == Region(((0.3, 0.2), (0.8, 0.8)))
    assert all(a.certainty is None for a in reading.annotations if a.kind != "ellipse")


@pytest.mark.parametrize("certainty", ["0", "6", "2.5", "", "sure", "nan"])
def test_an_ellipse_of_no_such_certainty_is_rejected_by_its_line(root, certainty):
    extent, marked = (200, 500, 1000, 2000), {"Consolidation": True}
    folder = root / "main_data" / RECORDING
    write_ellipses(folder, LABELS_3, (extent, certainty, marked), (extent, 4, marked))
    (reading,), (rejection,) = read(root)
    assert [a.certainty for a in ellipses_of(reading)] == [0.75]
    assert (rejection.row, rejection.file) == ("line 2", str(folder / ELLIPSES))
    assert "certainty is" in rejection.reason


def test_an_ellipse_without_a_label_is_rejected_by_its_line(root):
    extent, folder = (200, 500, 1000, 2000), root / "main_data" / RECORDING
    write_ellipses(folder, LABELS_3, (extent, 4, {}), (extent, 4, {"Consolidation": True}))
    (reading,), (rejection,) = read(root)
    assert [a.label for a in ellipses_of(reading)] == ["Consolidation"]
    assert (rejection.file, rejection.row) == (str(folder / ELLIPSES), "line 2")
    assert rejection.reason == "no label is True"


def test_all_three_phases_are_read_with_their_own_labels(root):
    images = {1: IMAGE, 2: "second", 3: "third"}
    rows = [
        row_of("P103R000001", image=images[1], **{"Quality issue": "True", "Mass": "4", "Fracture": "1"}),
        row_of("P103R000002", image=images[1], **{"Quality issue": "True", "Mass": "5", "Fracture": "2"}),
        row_of("P202R000003", image=images[2], **{"Pleural abnormality": "3", "Acute fracture": "5"}),
        row_of("P300R000004", image=images[3], **{"Abnormal mediastinal contour": "2"}),
    ]
    write_metadata(root, *rows)
    marks = {1: "Wide mediastinum", 2: "Pleural abnormality", 3: "Enlarged hilum"}
    for row in rows:
        phase = int(row["id"][1])
        write_recording(root, row["id"])
        ellipse = ((200, 500, 1000, 2000), 2, {marks[phase]: "True"})
        write_ellipses(root / "main_data" / row["id"], LABELS[phase], ellipse)
    readings, rejected = read(root)
    assert rejected == []
    assert [(reading.image_id, len(gaze_of(reading))) for reading in readings] == [
        (IMAGE, 2),
        ("second", 1),
        ("third", 1),
    ]
    first, second, third = ({name: v for name, v in r.labels.items() if v} for r in readings)
    assert first == {"Quality issue": 1, "Lung Lesion": 1, "Fracture": -1}
    assert second == {"Pleural abnormality": 1, "Fracture": 1}
    assert third == {"Abnormal mediastinal contour": -1}
    assert {len(reading.labels) for reading in readings} == {16, 15}  # mass and nodule are one
    assert [(a.reader, a.label) for reading in readings for a in ellipses_of(reading)] == [
        ("P103R000001", "Enlarged Cardiomediastinum"),
        ("P103R000002", "Enlarged Cardiomediastinum"),
        ("P202R000003", "Pleural abnormality"),
        ("P300R000004", "Enlarged hilum"),
    ]


def test_times_before_zero_and_words_without_length_are_kept(root):
    write_recording(
        root,
        fixations=[seen(-0.5, 0.25, 500, 1250)],
        words=[("clear", -0.25, -0.25), (",", -0.25, -0.25), ("large", 0.0, 0.5), (".", 0.5, 0.5)],
    )
    (reading,), rejected = read(root)
    (gaze,) = gaze_of(reading)
    assert (gaze.fixations[0].start, gaze.fixations[0].end) == (-0.5, 0.25)
    assert gaze.sentences == (Sentence("clear, large.", -0.25, 0.5),)
    assert rejected == []


def test_the_word_null_is_a_word(root):
    write_recording(root, words=[("null", 0, 1), ("nan", 1, 2), (".", 2, 2)])
    (reading,), _ = read(root)
    assert [sentence.text for sentence in gaze_of(reading)[0].sentences] == ["null nan."]


def test_the_image_lies_behind_the_last_folder_called_files(root):
    image = f"files/physionet.org/files/mimic-cxr/2.0.0/{FOLDER}/{IMAGE}.dcm"
    write_metadata(root, row_of(RECORDING) | {"image": image})
    (reading,), _ = read(root)
    assert reading.study_id == "50414267"


def test_what_goes_with_the_gaze_may_be_missing(root):
    folder = root / "main_data" / RECORDING
    for name in ("timestamps_transcription.csv", "transcription.txt", ELLIPSES, CHEST_BOX):
        (folder / name).unlink()
    (reading,), _ = read(root)
    (gaze,) = reading.annotations
    assert (len(gaze.fixations), gaze.sentences, reading.text) == (1, (), "")


def test_the_text_is_that_of_the_first_reader_who_has_one(root):
    recordings = ["P102R000001", "P102R000002"]
    write_metadata(root, *map(row_of, recordings))
    for recording in recordings:
        write_recording(root, recording)
    folder = root / "main_data" / recordings[0]
    for name in ("timestamps_transcription.csv", "transcription.txt"):
        (folder / name).unlink()
    (reading,), _ = read(root)
    assert reading.text == "P102R000002: heart enlarged."
    assert len(gaze_of(reading)) == 2


def test_without_the_text_the_words_are_joined(root):
    (root / "main_data" / RECORDING / "transcription.txt").unlink()
    (reading,), _ = read(root)
    assert reading.text == "heart enlarged. effusion/atelectasis."


def test_a_recording_without_fixations_is_rejected_and_the_others_used(root):
    write_metadata(
        root, row_of(RECORDING), row_of("P300R000002", image="x"), row_of("P300R000003", image="y")
    )
    write_recording(root, "P300R000003", fixations=[])
    readings, rejected = read(root)
    assert [reading.image_id for reading in readings] == [IMAGE]
    assert [rejection.row for rejection in rejected] == ["P300R000002", "P300R000003"]
    assert "no such file" in rejected[0].reason


def test_a_phase_may_be_missing_but_not_all(root):
    (root / "main_data/metadata_phase_1.csv").unlink()
    assert len(read(root)[0]) == 1
    for phase in (2, 3):
        (root / f"main_data/metadata_phase_{phase}.csv").unlink()
    with pytest.raises(InputError, match=r"metadata_phase_1\.csv"):
        read(root)


@pytest.mark.parametrize("column", ABOUT)
def test_a_missing_column_of_the_metadata_is_named_with_its_file(root, column):
    file = root / "main_data/metadata_phase_3.csv"
    file.write_text(re.sub(rf"\b{column}\b", "gone", file.read_text(), count=1))
    with pytest.raises(InputError, match=rf"metadata_phase_3\.csv.*'{column}'"):
        read(root)


@pytest.mark.parametrize(
    "cells",
    [
        {"image_size_x": "0"},
        {"image_size_y": "-5"},
        {"image_size_x": "wide"},
        {"image_size_x": "inf"},
        {"Atelectasis": "6"},
        {"Atelectasis": "some"},
        {"id": "../../../etc"},
    ],
)
def test_a_row_of_the_metadata_that_makes_no_sense_is_rejected(root, cells):
    write_metadata(root, row_of(RECORDING))
    rows = [row_of(RECORDING), row_of("P300R000002") | cells]
    write_table(root / "main_data/metadata_phase_3.csv", [*ABOUT, *LABELS_3, "Other"], rows)
    write_recording(root, "P300R000002")
    readings, (rejection,) = read(root)
    assert [len(gaze_of(reading)) for reading in readings] == [1]
    assert rejection.file.endswith(("metadata_phase_3.csv", "fixations.csv"))


EVERY_FILE = [
    "metadata_phase_3.csv",
    *(
        f"{RECORDING}/{name}"
        for name in ("fixations.csv", "timestamps_transcription.csv", "transcription.txt")
    ),
    f"{RECORDING}/{ELLIPSES}",
    f"{RECORDING}/{CHEST_BOX}",
]


@pytest.mark.parametrize("name", EVERY_FILE)
@MANY
@given(data=st.data())
def test_broken_files_give_no_traceback(root, name, data):
    stands_broken(root, root / "main_data" / name, data)


def test_every_label_that_is_renamed_is_one_of_the_dataset():
    assert set(CHEXPERT_NAMES) <= {*LABELS_1, *LABELS_3}


def test_the_phantom_is_read_as_a_loop_over_its_tables_reads_it(phantom):
    readings, rejected = read(phantom / "reflacx")
    main = phantom / "reflacx" / "main_data"
    metadata = pd.concat([pd.read_csv(main / f"metadata_phase_{phase}.csv") for phase in (1, 2, 3)])
    discarded = metadata["eye_tracking_data_discarded"].astype(bool)
    assert sorted(rejection.row for rejection in rejected) == sorted(metadata["id"][discarded])
    usable = metadata[~discarded]
    gazes = {gaze.reader: (gaze, reading) for reading in readings for gaze in gaze_of(reading)}
    assert set(gazes) == set(usable["id"])
    assert len(readings) == usable["dicom_id"].nunique()
    for row in usable.to_dict("records"):
        gaze, reading = gazes[row["id"]]
        assert reading.image_id == row["dicom_id"]
        table = pd.read_csv(main / row["id"] / "fixations.csv")
        expected = [
            (
                f.x_position / row["image_size_x"],
                f.y_position / row["image_size_y"],
                f.timestamp_start_fixation,
            )
            for f in table.itertuples()
            if f.timestamp_end_fixation > f.timestamp_start_fixation
        ]
        assert np.allclose([(f.x, f.y, f.start) for f in gaze.fixations], expected, rtol=0, atol=1e-12)
        text = (main / row["id"] / "transcription.txt").read_text()
        assert " ".join(sentence.text for sentence in gaze.sentences) == text


@pytest.mark.parametrize("name", ["P3/../../elsewhere", "P3", "P300R000001/..", "P300R0000011"])
def test_an_id_that_is_no_recording_names_no_folder(tmp_path, name):
    write_metadata(tmp_path, row_of(RECORDING) | {"id": name})
    readings, (rejection,) = read(tmp_path)
    assert readings == []
    assert "not an id of a recording" in rejection.reason
