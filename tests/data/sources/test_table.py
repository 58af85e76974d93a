"""Oracle: the table that was written."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from eclip.data.build import build
from eclip.data.images import decode
from eclip.data.store import Store
from eclip.errors import InputError

COLUMNS = {"image": "file", "text": "report"}


@pytest.fixture
def lab(tmp_path):
    """A folder with eight images of 80 × 60 and its table."""
    rows = []
    for i in range(8):
        Image.fromarray(np.full((60, 80), 30 * i, np.uint8)).save(tmp_path / f"image{i}.png")
        rows.append({"file": f"image{i}.png", "report": f"Report\n number {i}.", "patient": f"p{i // 2}"})
    return Lab(tmp_path, pd.DataFrame(rows))


class Lab:
    def __init__(self, folder, frame):
        self.folder, self.frame = folder, frame

    def build(self, frame=None, **options):
        (self.frame if frame is None else frame).to_csv(self.folder / "table.csv", index=False)
        out = self.folder / "out" / "store"
        manifest = build("csv", None, out, table=self.folder / "table.csv", workers=1, **COLUMNS, **options)
        return manifest, list(Store.open(out))

    def rejected(self, **options):
        manifest, _ = self.build(**options)
        return {rejection["row"]: rejection["reason"] for rejection in manifest["rejected"]}


def test_an_image_and_a_text_column_are_enough(lab):
    _, studies = lab.build()
    assert [study.image_id for study in studies] == [f"image{i}" for i in range(8)]
    assert [study.text for study in studies] == [f"Report number {i}." for i in range(8)]
    assert studies[3].report == "Report\n number 3."
    assert studies[3].patient_id == studies[3].study_id == "image3"
    assert (studies[3].original_width, studies[3].original_height) == (80, 60)
    assert decode(studies[3].image).mean() == pytest.approx(90, abs=1)


def test_sections_are_used_where_the_report_has_them(lab):
    lab.frame.loc[0, "report"] = "x\n FINDINGS: Clear.\n IMPRESSION: Normal."
    lab.frame.loc[1, "report"] = "First paragraph.\n \n Second."
    _, studies = lab.build()
    assert (studies[0].findings, studies[0].impression, studies[0].text) == (
        "Clear.",
        "Normal.",
        "Clear. Normal.",
    )
    assert studies[1].text == "First paragraph. Second."


def test_patients_and_splits_are_taken_over(lab):
    lab.frame["set"] = ["train"] * 4 + ["Val"] * 2 + ["test"] * 2
    _, studies = lab.build(patient="patient", split="set")
    assert [s.patient_id for s in studies] == [f"p{i // 2}" for i in range(8)]
    assert [s.split for s in studies] == ["train"] * 4 + ["validate"] * 2 + ["test"] * 2


def test_without_a_split_column_a_patient_stays_in_one(lab):
    _, studies = lab.build(patient="patient")
    assert all(
        len({s.split for s in studies if s.patient_id == patient}) == 1
        for patient in ("p0", "p1", "p2", "p3")
    )


def test_numbers_and_names_become_labels(lab):
    lab.frame["Edema"] = ["1", "0", "-1", "", "1.0", "0.0", "-1.0", ""]
    lab.frame["finding"] = ["Mass", "Mass|Nodule", " Nodule ", "", "No Finding", "Mass", "Mass", "Mass"]
    _, studies = lab.build(labels=["Edema", "finding"])
    assert [s.labels.get("Edema") for s in studies] == [1, 0, -1, None, 1, 0, -1, None]
    named = [{k: v for k, v in s.labels.items() if k != "Edema"} for s in studies[:5]]
    assert named == [
        {"Mass": 1, "No Finding": 0, "Nodule": 0},
        {"Mass": 1, "No Finding": 0, "Nodule": 1},
        {"Mass": 0, "No Finding": 0, "Nodule": 1},
        {},
        {"Mass": 0, "No Finding": 1, "Nodule": 0},
    ]


def test_ids_are_paths_where_stems_are_not_unique(lab):
    for patient in ("a", "b"):
        (lab.folder / patient).mkdir()
        Image.new("L", (20, 30)).save(lab.folder / patient / "frontal.png")
    lab.frame = pd.DataFrame({"file": ["a/frontal.png", "b/frontal.png"], "report": ["one", "two"]})
    _, studies = lab.build()
    assert [s.image_id for s in studies] == ["a/frontal", "b/frontal"]


def test_paths_are_relative_to_the_root_if_one_is_given(lab):
    (lab.folder / "tables").mkdir()
    table = lab.folder / "tables" / "t.tsv"
    lab.frame.to_csv(table, index=False, sep="\t")
    manifest = build("csv", lab.folder, lab.folder / "out", table=table, workers=1, **COLUMNS)
    assert manifest["counts"]["rows"] == 8


def test_rows_that_cannot_be_used_are_listed(lab):
    lab.frame["set"], lab.frame["Edema"] = "train", "1"
    lab.frame.loc[0, "report"] = "  "
    lab.frame.loc[1, "file"] = "gone.png"
    (lab.folder / "image2.png").write_bytes(b"not an image")
    lab.frame.loc[3, "set"] = "holdout"
    lab.frame.loc[4, "Edema"] = "3"
    lab.frame.loc[5, "file"] = "image7.png"  # so that row 9 comes second
    rejected = lab.rejected(split="set", labels=["Edema"])
    expected = [
        "no text",
        "no such file",
        "not an image",
        "split is 'holdout'",
        "label 'Edema' is '3'",
        "",
        "",
        "came before",
    ]
    for row, reason in enumerate(expected):
        assert (reason in rejected[f"row {row + 2}"]) if reason else (f"row {row + 2}" not in rejected)


@pytest.mark.parametrize("column", ["patient", "file"])
def test_a_patient_or_image_in_two_splits_is_named(lab, column):
    lab.frame["set"] = ["train"] * 4 + ["train", "test"] + ["test"] * 2
    if column == "file":
        lab.frame.loc[5, "file"], lab.frame.loc[5, "patient"] = "image4.png", "p9"
    name = {"patient": "p2", "file": "image4.png"}[column]
    with pytest.raises(
        InputError, match=rf"table\.csv: {column} '{name}' is in several splits \(test, train\)"
    ):
        lab.build(patient="patient", split="set")


@pytest.mark.parametrize("option", ["patient", "split", "boxes", "fixations"])
def test_a_column_that_is_not_there_is_told_with_those_that_are(lab, option):
    with pytest.raises(
        InputError, match=r"table\.csv: no column 'nonsense'; there are: file, report, patient"
    ):
        lab.build(**{option: "nonsense"})


def test_boxes_masks_and_fixations_of_a_row_all_come(lab):
    mask = np.zeros((60, 80), np.uint8)
    mask[15:30, 20:60] = 1  # not only 255 is inside
    Image.fromarray(mask).save(lab.folder / "mask.png")
    (lab.folder / "gaze.csv").write_text("start,end,x,y,sigma_x\n0.0,0.5,40,15,8\n0.6,0.8,-8,66,\n")
    lab.frame["boxes"], lab.frame["lungs"], lab.frame["tubes"], lab.frame["gaze"] = "", "", "", ""
    lab.frame.loc[0, "boxes"] = json.dumps([{"label": "Mass", "xyxy": [8, 6, 40, 30]}, [0, 0, 80, 60.0]])
    lab.frame.loc[0, "lungs"] = json.dumps({"Left": "mask.png"})
    lab.frame.loc[0, "tubes"] = "mask.png; mask.png"
    lab.frame.loc[0, "gaze"] = "gaze.csv"
    manifest, studies = lab.build(boxes="boxes", masks=["lungs", "tubes"], fixations="gaze")
    gaze, mass, whole, left, *tubes = studies[0].annotations
    assert [(f.x, f.y, f.start, f.end, f.sigma_x, f.sigma_y) for f in gaze.fixations] == [
        (0.5, 0.25, 0.0, 0.5, 0.1, None),
        (-0.1, 1.1, 0.6, 0.8, None, None),
    ]
    assert (mass.kind, mass.label, mass.region.points) == ("box", "Mass", ((0.1, 0.1), (0.5, 0.5)))
    assert whole.region.points == ((0, 0), (1, 1))
    assert (left.kind, left.reader, left.label) == ("mask", "lungs", "Left")
    assert [(tube.reader, tube.label) for tube in tubes] == [("tubes", "")] * 2
    np.testing.assert_array_equal(decode(left.region.mask) > 0, mask > 0)
    assert [bool(study.annotations) for study in studies] == [True] + [False] * 7
    assert manifest["counts"]["kinds"] == {"box": 1, "gaze": 1, "mask": 1}


@pytest.mark.real
def test_real_radiographs_with_masks_and_boxes(real_cxr, tmp_path):
    manifest = build(
        "csv", None, tmp_path / "store", table=real_cxr / "metadata.csv", image="filename", text="text",
        patient="split_group", labels=["finding"], boxes="lung_boxes", workers=2,
        masks=["masks_gb_radiologist", "masks_v7_human"],
    )  # fmt: skip
    frame = pd.read_csv(real_cxr / "metadata.csv", keep_default_na=False, dtype=str)
    told = frame[frame["text"] != ""]
    assert manifest["counts"]["rows"] == len(told) == 84
    assert len(manifest["rejected"]) == len(frame) - len(told)
    outlined = told[["lung_boxes", "masks_gb_radiologist", "masks_v7_human"]].ne("").any(axis=1)
    store = Store.open(tmp_path / "store")
    assert len(store.rows(annotated=True)) == outlined.sum()
    first = json.loads(told.iloc[0]["lung_boxes"])[0]
    (x0, y0), (x1, y1) = store[0].annotations[0].region.points
    size = np.array([int(told.iloc[0]["width"]), int(told.iloc[0]["height"])] * 2)
    np.testing.assert_allclose(np.array([x0, y0, x1, y1]) * size, first["xyxy"], atol=1e-6)
    for study in store:
        masks = [decode(a.region.mask) for a in study.annotations if a.kind == "mask"]
        assert all(mask.shape == (study.height, study.width) for mask in masks)
