import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from eclip.data.phantom.egd_tree import pads, to_image
from eclip.data.phantom.trees import write_phantom
from eclip.data.reports import sections
from eclip.errors import InputError

# Copied from data_formats.md, sections 1.3, 1.4, 2.2, 2.3 and 4.2.
MASTER_SHEET = """
dicom_id, path, study_id, patient_id, stay_id, gender, anchor_age, image_top_pad, image_bottom_pad,
image_left_pad, image_right_pad, dx1, dx1_icd, dx2, dx2_icd, dx3, dx3_icd, dx4, dx4_icd, dx5,
dx5_icd, dx6, dx6_icd, dx7, dx7_icd, dx8, dx8_icd, dx9, dx9_icd, normal_reports, Normal, CHF,
pneumonia, consolidation, enlarged_cardiac_silhouette, linear__patchy_atelectasis,
lobar__segmental_collapse, not_otherwise_specified_opacity___pleural__parenchymal_opacity__,
pleural_effusion_or_thickening, pulmonary_edema__hazy_opacity, normal_anatomically,
elevated_hemidiaphragm, hyperaeration, vascular_redistribution, atelectasis__chx,
cardiomegaly__chx, consolidation__chx, edema__chx, enlarged_cardiomediastinum__chx, fracture__chx,
lung_lesion__chx, lung_opacity__chx, no_finding__chx, pleural_effusion__chx, pleural_other__chx,
pneumonia__chx, pneumothorax__chx, support_devices__chx, cxr_exam_indication"""
EGD_FIXATIONS = """
SESSION_ID, MEDIA_ID, DICOM_ID, CNT, Time (in secs), TIMETICK(f=10000000), FPOGX, FPOGY, FPOGS,
FPOGD, FPOGID, FPOGV, BPOGX, BPOGY, BPOGV, LPCX, LPCY, LPD, LPS, LPV, RPCX, RPCY, RPD, RPS, RPV,
BKID, BKDUR, BKPMIN, LPMM, LPMMV, RPMM, RPMMV, SACCADE_MAG, SACCADE_DIR, VID_FRAME, X_ORIGINAL,
Y_ORIGINAL"""
METADATA = """
dicom_id, subject_id, study_id, PerformedProcedureStepDescription, ViewPosition, Rows, Columns,
StudyDate, StudyTime, ProcedureCodeSequence_CodeMeaning, ViewCodeSequence_CodeMeaning,
PatientOrientationCodeSequence_CodeMeaning"""
CHEXPERT = """
subject_id, study_id, Atelectasis, Cardiomegaly, Consolidation, Edema, Enlarged Cardiomediastinum,
Fracture, Lung Lesion, Lung Opacity, No Finding, Pleural Effusion, Pleural Other, Pneumonia,
Pneumothorax, Support Devices"""
REFLACX_METADATA = (
    "id, split, eye_tracking_data_discarded, image, dicom_id, subject_id, image_size_x, image_size_y"
)
REFLACX_LABELS = {
    1: """
Airway wall thickening, Atelectasis, Consolidation, Emphysema, Enlarged cardiac silhouette,
Fibrosis, Fracture, Groundglass opacity, Mass, Nodule, Pleural effusion, Pleural thickening,
Pneumothorax, Pulmonary edema, Quality issue, Support devices, Wide mediastinum""",
    2: """
Abnormal mediastinal contour, Acute fracture, Atelectasis, Consolidation,
Enlarged cardiac silhouette, Enlarged hilum, Groundglass opacity, Hiatal hernia,
High lung volume / emphysema, Interstitial lung disease, Lung nodule or mass, Pleural abnormality,
Pneumothorax, Pulmonary edema, Support devices""",
}
REFLACX_FIXATIONS = """
timestamp_start_fixation, timestamp_end_fixation, x_position, y_position, pupil_area_normalized,
angular_resolution_x_pixels_per_degree, angular_resolution_y_pixels_per_degree, window_width,
window_level, xmin_shown_from_image, ymin_shown_from_image, xmax_shown_from_image,
ymax_shown_from_image, xmin_in_screen_coordinates, ymin_in_screen_coordinates,
xmax_in_screen_coordinates, ymax_in_screen_coordinates"""
STUDIES = 160  # of the shared phantom, 60 of them annotated


def names(text):
    return [name.strip() for name in text.replace("\n", " ").split(",")]


@pytest.fixture(scope="module")
def mimic(phantom):
    root = phantom / "mimic-cxr-jpg"
    return {
        name: pd.read_csv(root / f"mimic-cxr-2.0.0-{name}.csv.gz")
        for name in ("metadata", "split", "chexpert", "negbio")
    }


@pytest.fixture(scope="module")
def egd(phantom):
    root = phantom / "egd-cxr"
    return {
        name: pd.read_csv(root / f"{name}.csv") for name in ("master_sheet", "fixations", "bounding_boxes")
    }


@pytest.fixture(scope="module")
def reflacx(phantom):
    return {
        phase: pd.read_csv(phantom / f"reflacx/main_data/metadata_phase_{phase}.csv") for phase in (1, 2, 3)
    }


def tree(root):
    """Every file of a tree and the hash of its bytes."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def sizes_of(mimic):
    return mimic["metadata"].set_index("dicom_id")[["Columns", "Rows"]]


def test_mimic_tables_have_the_real_columns(mimic):
    assert list(mimic["metadata"]) == names(METADATA)
    assert list(mimic["split"]) == ["dicom_id", "study_id", "subject_id", "split"]
    assert list(mimic["chexpert"]) == list(mimic["negbio"]) == names(CHEXPERT)
    assert all(len(table) == STUDIES for table in mimic.values())
    values = mimic["chexpert"].iloc[:, 2:].to_numpy()
    assert set(values[~np.isnan(values)]) == {1.0, 0.0, -1.0}
    assert set(mimic["chexpert"]["No Finding"].dropna()) == {1.0}


def test_every_image_and_report_is_where_the_tables_say(phantom, mimic):
    root = phantom / "mimic-cxr-jpg"
    for row in mimic["metadata"].itertuples():
        folder = root / f"files/p{str(row.subject_id)[:2]}/p{row.subject_id}/s{row.study_id}"
        with Image.open(folder / f"{row.dicom_id}.jpg") as image:
            assert image.mode == "L"
            assert image.size == (row.Columns, row.Rows)
        assert sections(folder.with_suffix(".txt").read_text()).text
        assert re.fullmatch(r"2[12]\d{6}", str(row.StudyDate))
    assert len(list(root.rglob("*.jpg"))) == STUDIES
    stamp = (root / "mimic-cxr-2.0.0-split.csv.gz").read_bytes()[4:8]
    assert stamp == b"\0\0\0\0"


def test_later_studies_are_later(mimic):
    days = mimic["metadata"].groupby("subject_id", sort=False)["StudyDate"]
    assert days.apply(lambda dates: dates.is_monotonic_increasing).all()


def test_truth_agrees_with_the_labels(phantom, mimic):
    truth = pd.read_csv(phantom / "mimic-cxr-jpg/phantom-regions.csv")
    columns = ["dicom_id", "label", "side", "zone", "severity", "subtlety", "x0", "y0", "x1", "y1"]
    assert list(truth) == columns
    labels = (
        mimic["metadata"][["dicom_id", "study_id"]]
        .merge(mimic["chexpert"], on="study_id")
        .set_index("dicom_id")
    )
    for row in truth.itertuples():
        assert labels.loc[row.dicom_id, row.label] in (1.0, -1.0)
        width, height = sizes_of(mimic).loc[row.dicom_id]
        assert 0 <= row.x0 < row.x1 <= width
        assert 0 <= row.y0 < row.y1 <= height
    nothing = labels.index[labels["No Finding"] == 1]
    assert not set(nothing) & set(truth["dicom_id"])
    assert set(nothing) | set(truth["dicom_id"]) == set(labels.index)


def test_egd_tables_have_the_real_columns(egd, phantom):
    assert list(egd["master_sheet"]) == names(MASTER_SHEET)
    assert len(names(MASTER_SHEET)) == 59
    assert list(egd["fixations"]) == names(EGD_FIXATIONS)
    assert list(egd["bounding_boxes"]) == names("dicom_id, bbox_name, x1, x2, y1, y2")
    assert (egd["master_sheet"][["Normal", "CHF", "pneumonia"]].sum(axis=1) == 1).all()
    lines = (phantom / "egd-cxr/master_sheet.csv").read_text().count("\n")
    assert lines > len(egd["master_sheet"]) + 1  # cells of several lines
    assert egd["master_sheet"]["anchor_age"].str.fullmatch(r"\d0 - \d0").all()


def test_egd_paths_lead_to_the_images(phantom, egd):
    for path in egd["master_sheet"]["path"]:
        assert (phantom / "mimic-cxr-jpg" / path.replace(".dcm", ".jpg")).is_file()


def test_egd_pixels_follow_from_screen_and_pads(egd, mimic):
    """The formula of data_formats §1.5, row by row, on what the files say."""
    master, sizes = egd["master_sheet"].set_index("dicom_id"), sizes_of(mimic)
    known = egd["fixations"][egd["fixations"]["DICOM_ID"].isin(master.index)]
    outside = 0
    for row in known.itertuples():
        width, height = sizes.loc[row.DICOM_ID]
        pad = master.loc[row.DICOM_ID]
        left, right, top, bottom = (pad[f"image_{edge}_pad"] for edge in ("left", "right", "top", "bottom"))
        x, y = row.FPOGX * 1920, row.FPOGY * 1080
        if left < x < 1920 - right and top < y < 1080 - bottom:
            assert int(width / (1920 - left - right) * (x - left)) == row.X_ORIGINAL
            assert int(height / (1080 - top - bottom) * (y - top)) == row.Y_ORIGINAL
        else:
            assert row.X_ORIGINAL < 0
            assert row.Y_ORIGINAL < 0
            outside += 1
    assert 0.005 < outside / len(known) < 0.15


def test_egd_scale_of_minus_one():
    """An original of 3056 x 2544 pixels gives -2 beside the image, as in the real files."""
    width, height = 2544, 3056
    x, y = to_image(np.array([0.01, 0.5]), np.array([0.5, 0.5]), width, height)
    assert x[0] == y[0] == -2
    assert abs(x[1] - width / 2) < 5
    top, bottom, left, right = pads(width, height)
    assert (top, bottom) == (0, 0)
    assert abs(left - right) <= 1


def test_egd_times_and_calibration(egd):
    table = egd["fixations"]
    np.testing.assert_allclose(table["Time (in secs)"], table["FPOGS"] + table["FPOGD"], atol=1e-5)
    known = set(egd["master_sheet"]["dicom_id"])
    stray = set(table["DICOM_ID"]) - known
    assert stray
    assert stray <= {name[:-5] for name in known}
    for _, own in table[table["DICOM_ID"].isin(known)].groupby("DICOM_ID"):
        assert (np.diff(own["FPOGS"]) > 0).all()
        assert 40 <= len(own) <= 120
    assert set(table["FPOGV"]) == {0, 1}


def test_egd_transcripts(phantom, egd):
    end = egd["fixations"].groupby("DICOM_ID")["Time (in secs)"].max()
    for dicom_id in egd["master_sheet"]["dicom_id"]:
        path = phantom / "egd-cxr/audio_segmentation_transcripts" / dicom_id / "transcript.json"
        transcript = json.loads(path.read_text())
        words = transcript["time_stamped_text"]
        assert [set(word) for word in words] == [{"phrase", "begin_time", "end_time"}] * len(words)
        assert not any(" " in word["phrase"] for word in words)
        assert " ".join(word["phrase"] for word in words) == transcript["full_text"]
        assert words[-1]["phrase"].endswith(".")
        times = [time for word in words for time in (word["begin_time"], word["end_time"])]
        assert times == sorted(times)
        assert times[-1] <= end[dicom_id] + 0.01


def test_egd_boxes_are_on_the_image(egd, mimic):
    boxes = egd["bounding_boxes"].join(sizes_of(mimic), on="dicom_id")
    assert ((boxes["x1"] < boxes["x2"]) & (boxes["x2"] <= boxes["Columns"]) & (boxes["x1"] >= 0)).all()
    assert ((boxes["y1"] < boxes["y2"]) & (boxes["y2"] <= boxes["Rows"]) & (boxes["y1"] >= 0)).all()
    assert (boxes.groupby("dicom_id").size() == 17).all()
    centre = boxes.assign(x=(boxes["x1"] + boxes["x2"]) / 2).pivot_table(
        index="dicom_id", columns="bbox_name", values="x"
    )
    assert (
        centre["right lung"] < centre["left lung"]
    ).all()  # the patient's right is at the left of the image


def test_reflacx_metadata(phantom, reflacx, mimic):
    split = mimic["split"].set_index("dicom_id")["split"]
    for phase, table in reflacx.items():
        labels = names(REFLACX_LABELS[min(phase, 2)])
        assert list(table) == [*names(REFLACX_METADATA), *labels, "Other"]
        assert table["id"].str.fullmatch(rf"P{phase}\d\dR\d{{6}}").all()
        assert (table["split"] == table["dicom_id"].map(split)).all()
        graded = table[[label for label in labels if label not in ("Support devices", "Quality issue")]]
        assert graded.isin(range(6)).all(axis=None)
        assert table["Support devices"].dtype == bool
        sizes = sizes_of(mimic).loc[table["dicom_id"]].to_numpy()
        assert (table[["image_size_x", "image_size_y"]].to_numpy() == sizes).all()
        for path in table["image"]:
            assert (
                phantom
                / "mimic-cxr-jpg/files"
                / path.split("files/mimic-cxr/2.0.0/files/")[1].replace(".dcm", ".jpg")
            ).is_file()
    readers = pd.concat([reflacx[1], reflacx[2]]).groupby("dicom_id").size()
    assert (readers == 5).all()
    every = pd.concat(reflacx.values())
    assert 1 <= every["eye_tracking_data_discarded"].sum() <= 5


def test_reflacx_recordings(phantom, reflacx):
    zoomed = windowed = 0
    for phase, table in reflacx.items():
        labels = names(REFLACX_LABELS[min(phase, 2)])
        for row in table.itertuples():
            folder = phantom / "reflacx/main_data" / row.id
            ellipses = pd.read_csv(folder / "anomaly_location_ellipses.csv")
            assert list(ellipses) == ["xmin", "ymin", "xmax", "ymax", "certainty", *labels]
            assert (ellipses[labels].sum(axis=1) == 1).all()
            assert (ellipses["xmin"] < ellipses["xmax"]).all()
            chest = pd.read_csv(folder / "chest_bounding_box.csv")
            assert list(chest) == ["xmin", "ymin", "xmax", "ymax"]
            assert len(chest) == 1
            if row.eye_tracking_data_discarded:
                assert {path.name for path in folder.iterdir()} == {
                    "anomaly_location_ellipses.csv",
                    "chest_bounding_box.csv",
                }
                continue
            fixations = pd.read_csv(folder / "fixations.csv")
            assert list(fixations) == names(REFLACX_FIXATIONS)
            assert 40 <= len(fixations) <= 120
            times = fixations[["timestamp_start_fixation", "timestamp_end_fixation"]].to_numpy().ravel()
            assert (np.diff(times) >= 0).all()
            width = fixations["xmax_shown_from_image"] - fixations["xmin_shown_from_image"]
            on_screen = fixations["xmax_in_screen_coordinates"] - fixations["xmin_in_screen_coordinates"]
            # One degree is a fixed length on the screen: image pixels per degree follow the magnification.
            degree = fixations["angular_resolution_x_pixels_per_degree"] * on_screen / width
            assert degree.std() / degree.mean() < 0.03
            assert (fixations["xmin_in_screen_coordinates"] >= 659).all()
            assert (fixations["xmax_in_screen_coordinates"] <= 3181).all()
            zoomed += (width < row.image_size_x - 1).any()
            windowed += fixations["window_width"].min() < fixations["window_width"].max()
    assert zoomed
    assert windowed


def test_reflacx_transcriptions(phantom, reflacx):
    no_length = 0
    for name in pd.concat(reflacx.values()).query("not eye_tracking_data_discarded")["id"]:
        folder = phantom / "reflacx/main_data" / name
        raw = (folder / "timestamps_transcription.csv").read_bytes()
        assert raw.count(b"\r\n") == raw.count(b"\n")
        words = pd.read_csv(folder / "timestamps_transcription.csv", keep_default_na=False)
        assert list(words) == ["word", "timestamp_start_word", "timestamp_end_word"]
        assert words["word"].iloc[-1] == "."
        assert (
            not words["word"]
            .str.contains(r"[.,/]")
            .loc[lambda has: has]
            .index.difference(words.index[words["word"].isin([".", ",", "/"])])
            .size
        )
        assert (np.diff(words["timestamp_start_word"]) >= -1e-9).all()
        no_length += (words["timestamp_start_word"] == words["timestamp_end_word"]).sum()
        text = (folder / "transcription.txt").read_text()
        assert text.endswith(".")
        assert text.replace(" ", "") == "".join(words["word"])
    assert no_length


def test_same_bytes_with_other_workers_and_other_bytes_with_another_seed(tmp_path):
    for name, seed, workers in (("one", 3, 1), ("two", 3, 2), ("other", 4, 1)):
        write_phantom(tmp_path / name, studies=20, annotated=12, seed=seed, workers=workers)
    one, two, other = (tree(tmp_path / name) for name in ("one", "two", "other"))
    assert one == two
    assert not {path for path in one if path.endswith(".jpg")} & set(other)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"studies": 0}, "--studies 0"),
        ({"annotated": 9}, "--annotated 9"),
        ({"annotated": -1}, "--annotated -1"),
        ({"seed": -1}, "--seed -1"),
        ({"workers": 0}, "--workers 0"),
    ],
)
def test_numbers_that_cannot_be(tmp_path, wrong, message):
    with pytest.raises(InputError, match=message):
        write_phantom(tmp_path / "out", **({"studies": 8, "annotated": 0} | wrong))
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="not an empty folder"):
        write_phantom(tmp_path / "out", studies=2, annotated=0)
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    write_phantom(tmp_path / "empty", studies=2, annotated=0, workers=1)
    assert (tmp_path / "empty/mimic-cxr-jpg").is_dir()


def test_a_killed_run_leaves_no_tree_and_does_not_stop_the_next(tmp_path):
    code = (
        "from pathlib import Path; from eclip.data.phantom.trees import write_phantom;"
        f"write_phantom(Path({str(tmp_path / 'out')!r}), studies=2000, annotated=0, workers=1)"
    )
    run = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("*.jpg")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    assert not (tmp_path / "out").exists()
    write_phantom(tmp_path / "out", studies=2, annotated=0, workers=1)
    assert len(list(tmp_path.rglob("*.jpg"))) == 2
