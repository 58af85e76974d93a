"""Oracle: the table, and the lab's folder, that was written."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from broken_files import broken, drain, stands
from eclip.annotations.annotation import Sentence
from eclip.data.build import build
from eclip.data.images import decode
from eclip.data.sources.lab.table import Table
from eclip.data.store import Store
from eclip.errors import InputError
from fabricated import lab as fabricated


@pytest.fixture
def lab(tmp_path):
    """A folder with eight images of 80 × 60 and its table."""
    rows = []
    for i in range(8):
        Image.fromarray(fabricated.gray(i)).save(tmp_path / f"image{i}.png")
        rows.append({"file": f"image{i}.png", "report": f"Report\n number {i}.", "patient": f"p{i // 2}"})
    return Lab(tmp_path, pd.DataFrame(rows))


class Lab:
    def __init__(self, folder, frame):
        self.folder, self.frame = folder, frame

    def source(self, **options):
        self.frame.to_csv(self.folder / "table.csv", index=False)
        return Table(**{"table": self.folder / "table.csv", "image": "file", "text": "report"} | options)

    def read(self, **options):
        studies, _ = drain(self.source(**options))
        return studies

    def rejected(self, **options):
        _, rejected = drain(self.source(**options))
        return {rejection.row: rejection.reason for rejection in rejected}


def test_images_of_one_study_are_of_one_person_where_no_patient_is_told(lab):
    lab.frame["exam"] = [f"E{i // 2}" for i in range(8)]
    (lab.folder / "layout.yaml").write_text("columns: {study: exam}\n")
    studies = lab.read(mapping=lab.folder / "layout.yaml")
    assert [study.patient_id for study in studies] == [study.study_id for study in studies]
    by_study = {
        study.study_id: {s.split for s in studies if s.study_id == study.study_id} for study in studies
    }
    assert {len(splits) for splits in by_study.values()} == {1}


def test_an_image_and_a_text_column_are_enough(lab):
    manifest = build(lab.source(), lab.folder / "store", workers=1)
    assert manifest["counts"]["rows"] == 8
    studies = list(Store.open(lab.folder / "store"))
    assert [study.image_id for study in studies] == [f"image{i}" for i in range(8)]
    assert [study.text for study in studies] == [f"Report number {i}." for i in range(8)]
    assert studies[3].report == "Report\n number 3."
    assert studies[3].patient_id == studies[3].study_id == "image3"
    assert (studies[3].original_width, studies[3].original_height) == (80, 60)
    assert np.abs(decode(studies[3].image) - fabricated.gray(3).astype(float)).mean() < 5


def test_sections_are_used_where_the_report_has_them(lab):
    lab.frame.loc[0, "report"] = "x\n FINDINGS: Clear.\n IMPRESSION: Normal."
    lab.frame.loc[1, "report"] = "First paragraph.\n \n Second."
    studies = lab.read()
    first = studies[0]
    assert (first.findings, first.impression, first.text) == ("Clear.", "Normal.", "Clear. Normal.")
    assert studies[1].text == "First paragraph. Second."


def test_patients_and_splits_are_taken_over(lab):
    lab.frame["set"] = ["train"] * 4 + ["Val"] * 2 + ["test"] * 2
    studies = lab.read(patient="patient", split="set")
    assert [s.patient_id for s in studies] == [f"p{i // 2}" for i in range(8)]
    assert [s.split for s in studies] == ["train"] * 4 + ["validate"] * 2 + ["test"] * 2


def test_without_a_split_column_a_patient_stays_in_one(lab):
    studies = lab.read(patient="patient")
    for patient in ("p0", "p1", "p2", "p3"):
        assert len({s.split for s in studies if s.patient_id == patient}) == 1


def test_numbers_and_names_become_labels(lab):
    lab.frame["Edema"] = ["1", "0", "-1", "", "1.0", "0.0", "-1.0", ""]
    lab.frame["finding"] = ["Mass", "Mass|Nodule", " Nodule ", "", "No Finding", "Mass", "Mass", "Mass"]
    studies = lab.read(labels=("Edema", "finding"))
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
    assert [s.image_id for s in lab.read()] == ["a/frontal", "b/frontal"]


def test_paths_are_relative_to_the_root_if_one_is_given(lab):
    (lab.folder / "tables").mkdir()
    table = lab.folder / "tables" / "t.tsv"
    lab.frame.to_csv(table, index=False, sep="\t")
    assert len(lab.read(table=table, root=lab.folder)) == 8
    assert not lab.read(table=table)
    with pytest.raises(InputError, match="gone: no such folder"):
        lab.read(root=lab.folder / "gone")


def test_paths_may_be_written_as_in_windows(lab):
    (lab.folder / "images").mkdir()
    for i in range(8):
        (lab.folder / f"image{i}.png").rename(lab.folder / f"images/image{i}.png")
    lab.frame["file"] = [f"images\\image{i}.png" for i in range(8)]
    assert [study.image_id for study in lab.read()] == [f"image{i}" for i in range(8)]


def test_a_table_without_rows_is_told(lab):
    lab.frame = lab.frame[:0]
    with pytest.raises(InputError, match=r"table.csv: no row below the header"):
        lab.source().select()


def test_rows_that_cannot_be_used_are_listed(lab):
    lab.frame["set"], lab.frame["Edema"] = "train", "1"
    lab.frame.loc[0, "report"] = "  "
    lab.frame.loc[1, "file"] = "gone.png"
    (lab.folder / "image2.png").write_bytes(b"not an image")
    lab.frame.loc[3, "set"] = "holdout"
    lab.frame.loc[4, "Edema"] = "3"
    lab.frame.loc[5, "file"] = "../../etc/passwd"
    lab.frame.loc[6, "file"] = ""
    rejected = lab.rejected(split="set", labels=("Edema",))
    expected = [
        "no text in column 'report'", "no such file", "not an image", "split is 'holdout'", "label 'Edema' is '3'",
        "outside the folder", "'' is not the name of a file",
    ]  # fmt: skip
    assert list(rejected) == [f"row {row}" for row in range(2, 9)]
    for reason, told in zip(expected, rejected.values(), strict=True):
        assert reason in told


def test_rows_with_too_few_or_too_many_cells_cost_no_other(lab):
    source = lab.source()
    lines = source.table.read_text().replace("\n number", " number").splitlines()
    lines[2], lines[4] = "image1.png", lines[4] + ",more,and more"
    source.table.write_text("\n".join(lines))
    studies, rejected = drain(source)
    assert [s.image_id for s in studies] == [f"image{i}" for i in (0, 2, 4, 5, 6, 7)]
    assert [(r.row, r.reason) for r in rejected] == [
        ("row 3", "1 cells, expected 3 as in the header"), ("row 5", "5 cells, expected 3 as in the header"),
    ]  # fmt: skip


@pytest.mark.parametrize("option", ["patient", "split", "boxes", "fixations"])
def test_a_column_that_is_not_there_is_told_with_those_that_are(lab, option):
    with pytest.raises(
        InputError, match=r"table\.csv: no column 'nonsense'; there are: file, report, patient"
    ):
        lab.read(**{option: "nonsense"})


def test_what_is_missing_is_told(lab):
    with pytest.raises(InputError, match="csv needs --table and --image and --text, or a --mapping file"):
        Table().select()
    with pytest.raises(InputError, match="csv needs --text, or"):
        lab.read(text="")
    (lab.folder / "m.yaml").write_text("columns: {text: report}")
    with pytest.raises(InputError, match="csv needs --table and --image, or"):
        Table(mapping=lab.folder / "m.yaml").select()


def test_options_take_the_place_of_the_mappings_words_and_lists_come_together(lab):
    lab.frame["A"], lab.frame["B"], lab.frame["boxes"] = "1", "ja", "[0, 0, 8, 6]"
    (lab.folder / "m.yaml").write_text(
        "table: nowhere.csv\ncolumns: {image: nowhere, text: report, patient: patient}\n"
        "labels: {columns: B, present: ja}\nannotations: {boxes: boxes}\n"
    )
    study = lab.read(mapping=lab.folder / "m.yaml", text="", labels=("A",), boxes="boxes")[2]
    assert (study.patient_id, study.labels) == ("p1", {"A": 1, "B": 1})
    assert len(study.annotations) == 2


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("whole") / "lab"
    fabricated.write(root)
    return root


def test_a_mapping_tells_all_of_a_lab(whole, tmp_path):
    manifest = build(Table(mapping=whole / "lab.yaml"), tmp_path / "store", workers=2)
    assert not manifest["rejected"]
    assert manifest["counts"]["kinds"] == {"box": 3, "ellipse": 1, "gaze": 1, "mask": 4, "pointer": 2}
    studies = list(Store.open(tmp_path / "store"))
    assert [s.image_id for s in studies] == [f"b{i}" for i in range(8)]
    assert [s.study_id for s in studies] == [f"u{i}" for i in range(8)]
    assert [s.patient_id for s in studies] == [f"p{i // 2}" for i in range(8)]
    assert [s.split for s in studies] == ["train"] * 4 + ["validate"] * 2 + ["test"] * 2
    assert [s.view for s in studies] == ["PA", "AP", "LATERAL", ""] * 2
    assert [s.sex for s in studies] == ["F", "M", "F", ""] * 2
    assert [s.age for s in studies] == [58, 58, None, None] * 2
    assert [s.text for s in studies] == [f"Größe: {i} cm; kein Erguß." for i in range(8)]
    names = (
        {"Lung Lesion": 1, "Pneumonie": 0},
        {"Lung Lesion": 0, "Pneumonie": 1},
        dict.fromkeys(("Lung Lesion", "Pneumonie"), 1),
    )
    assert [s.labels for s in studies[:4]] == [
        {"Edema": 1, "Pleural Effusion": 1, "zone A": 0} | names[0],
        {"Edema": 0, "Pleural Effusion": 0, "zone A": 1} | names[1],
        {"Edema": -1, "Pleural Effusion": 1, "zone A": 1} | names[2],
        {"zone A": 1},
    ]
    mass, whole_box, left, right, gaze, pointer = studies[0].annotations
    assert (mass.kind, mass.reader, mass.label, whole_box.label) == ("box", "Dr. A", "Mass", "")
    np.testing.assert_allclose(mass.region.points, [(0.1, 0.1), (0.5, 0.5)], atol=1e-6)
    assert [(m.kind, m.reader, m.label) for m in (left, right)] == [
        ("mask", "Lungen", "left"), ("mask", "Lungen", "right"),
    ]  # fmt: skip
    np.testing.assert_array_equal(decode(left.region.mask) > 0, fabricated.block(40, 10, 70, 50) > 0)
    assert (gaze.kind, gaze.reader) == ("gaze", "Dr. B")
    assert [(f.x, f.y, f.start, f.end, f.sigma_x, f.sigma_y) for f in gaze.fixations] == [
        (0.5, 0.25, 0.25, 0.5, 0.1, 0.1), (-0.1, 1.1, 0.75, 1.0, None, None),
    ]  # fmt: skip
    assert pointer.kind == "pointer"
    found = [(f.x, f.y, f.start, f.end) for f in pointer.fixations]
    np.testing.assert_allclose(found, [(0.25, 0.5, 0, 0.2), (0.75, 0.25, 0.24, 0.44)], atol=1e-6)
    assert [(a.reader, a.label) for a in studies[1].annotations] == [
        ("Dr. C", name) for name in ("Nodule", "Opacity", "Opacity", "Nodule")
    ]
    assert [a.kind for a in studies[2].annotations] == ["box", "ellipse", "mask", "mask"]
    assert studies[3].annotations[0].sentences[1] == Sentence("Lungs clear.", 1.0, 1.8)
    assert sorted(a.label for a in studies[4].annotations) == ["", "Heart"]
    assert not any(s.annotations for s in studies[5:])


def test_drafts_are_the_same_whenever_they_are_asked_for(whole):
    first, second = ([repr(d) for d in Table(mapping=whole / "lab.yaml").select().drafts()] for _ in range(2))
    assert first == second
    assert len(first) == Table(mapping=whole / "lab.yaml").select().total


def test_a_broken_lab_gives_what_is_sound_and_lists_the_rest(tmp_path):
    fabricated.write(tmp_path / "lab")
    root = tmp_path / "lab"
    table = root / "tables/studien.csv"
    rows = table.read_bytes().replace(b"\n\n", b" ").split(b"\r\n")
    rows[2] = b"images/b1.png;short"
    rows[6] = rows[6].replace(b";val;", b";sometime;")
    table.write_bytes(b"\r\n".join(rows))
    (root / "images/b7.png").unlink()
    (root / "lungs/left.png").write_bytes(b"no image")
    (root / "gaze/fixations.csv").write_text("start,end,x,y\n0,1,8,6\n1,2,?,6\n")
    Image.new("L", (8, 6), 255).save(root / "masks/unknown.png")
    (root / "narratives.jsonl").write_text("{\n")
    studies, rejected = drain(Table(mapping=root / "lab.yaml"))
    assert [s.image_id for s in studies] == ["b0", "b2", "b3", "b4", "b6"]
    assert [a.kind for a in studies[0].annotations] == ["box", "box", "mask", "gaze", "pointer"]
    told = {(r.file.removeprefix(f"{root}/"), r.row): r.reason for r in rejected}
    assert told.pop(("tables/studien.csv", "row 3")) == "2 cells, expected 17 as in the header"
    assert "split is 'sometime'" in told.pop(("tables/studien.csv", "row 7"))
    assert "no such file" in told.pop(("tables/studien.csv", "row 9"))
    assert "not an image" in told.pop(("lungs/left.png", ""))
    assert "x is '?'" in told.pop(("gaze/fixations.csv", "line 3"))
    assert "'unknown.png' is no image of" in told.pop(("masks/unknown.png", ""))
    assert "is not JSON" in told.pop(("narratives.jsonl", "line 1"))
    assert "'b1.jpg' is no image of" in told.pop(("coco.json", "images[0]"))  # its row was broken
    assert not told


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory):
    root = tmp_path_factory.mktemp("spoiled") / "lab"
    fabricated.write(root)
    return root


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_table_is_stood(spoiled, data):
    good = b"\n".join((spoiled / "plain.csv").read_bytes().splitlines()[:5])
    (spoiled / "any.csv").write_bytes(data.draw(broken(good)))
    options = {"labels": ("boxes",), "masks": ("masks",), "fixations": "gaze", "patient": "file"}
    source = Table(table=spoiled / "any.csv", image="file", text="report", boxes="boxes", **options)
    for study in (stands(source, name="csv: table") or [()])[0]:
        json.dumps([study.text, study.labels, study.image_id]).encode()
        study.text.encode()


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_mapping_is_stood(spoiled, data):
    small = """\
table: plain.csv
columns: {image: file, text: report}
labels:
- names: report
annotations:
- boxes: boxes
- masks: masks
- coco: coco.json
"""
    (spoiled / "any.yaml").write_bytes(data.draw(broken(small.encode())))
    stands(Table(mapping=spoiled / "any.yaml"), name="csv: mapping")
