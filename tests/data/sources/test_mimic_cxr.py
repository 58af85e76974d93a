"""Oracle: what was written into a tree with MIMIC-CXR-JPG's own columns."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import small_trees as trees
from eclip.data.build import build
from eclip.data.images import decode
from eclip.data.store import Store
from eclip.errors import InputError

NUMBERS = range(10)
LABELS = {0: {"Edema": "1.0", "Fracture": "0.0", "Pneumonia": "-1.0"}, 2: {"No Finding": "1.0"}}


@pytest.fixture
def root(tmp_path):
    (tmp_path / "mimic").mkdir()
    return trees.write_mimic(tmp_path / "mimic", NUMBERS, laterals=(10, 11), labels=LABELS)


def built(root, **options):
    manifest = build("mimic-cxr", root, root.parent / "store", workers=1, **options)
    return manifest, {study.image_id: study for study in Store.open(root.parent / "store")}


def edit(path, change):
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    change(frame).to_csv(path, index=False)


@pytest.mark.parametrize("zipped", [True, False])
def test_all_frontal_images_come_with_all_that_is_known(tmp_path, zipped):
    root = tmp_path / "mimic"
    root.mkdir()
    trees.write_mimic(root, NUMBERS, laterals=(10, 11), labels=LABELS, zipped=zipped)
    manifest, studies = built(root)
    assert list(studies) == [trees.dicom_id(n) for n in NUMBERS]
    for number, study in enumerate(studies.values()):
        assert study.patient_id == trees.patient(number)
        assert study.study_id == trees.study(number)
        assert study.split == trees.split(number)
        assert study.view == ("PA", "AP")[number % 2]
        assert study.findings == f"The lungs are clear in study {number}."
        assert study.impression == "No acute process."
        assert study.text == f"{study.findings} {study.impression}"
        assert study.report == trees.REPORT.format(study=number)
        assert (study.height, study.width, study.original_height, study.original_width) == (60, 80, 60, 80)
        assert study.labels == {name: int(float(cell)) for name, cell in LABELS.get(number, {}).items()}
        difference = np.abs(decode(study.image).astype(int) - trees.gray(number))
        assert difference.mean() < 6  # two JPEG encodings of noise
    assert manifest["skipped"] == {"not a frontal view (AP, PA)": 2}
    assert manifest["rejected"] == []


@pytest.mark.parametrize("below", ["files", "."])
def test_reports_may_lie_in_another_folder(root, below):
    reports = root.parent / "mimic-cxr-reports"
    for file in root.glob("files/**/*.txt"):
        target = reports / below / file.relative_to(root / "files")
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)
    _, studies = built(root, reports=reports)
    assert len(studies) == len(NUMBERS)


def test_rows_that_cannot_be_used_are_listed_with_file_row_and_reason(root):
    def path(number, suffix):
        return Path(root, trees.folder(number) + suffix)

    path(0, ".txt").unlink()
    path(1, ".txt").write_text(" \n \n")
    path(2, f"/{trees.dicom_id(2)}.jpg").write_bytes(b"not an image")
    path(3, f"/{trees.dicom_id(3)}.jpg").unlink()
    edit(root / "mimic-cxr-2.0.0-split.csv.gz", lambda f: f[f["dicom_id"] != trees.dicom_id(4)])
    edit(
        root / "mimic-cxr-2.0.0-chexpert.csv.gz",
        lambda f: f.assign(Edema=f["Edema"].where(f["study_id"] != trees.study(5), "maybe")),
    )
    edit(root / "mimic-cxr-2.0.0-metadata.csv.gz", lambda f: pd.concat([f, f.iloc[[6]]]))
    manifest, studies = built(root)
    assert list(studies) == [trees.dicom_id(n) for n in (6, 7, 8, 9)]
    reasons = {rejection["row"]: rejection["reason"] for rejection in manifest["rejected"]}
    for number, reason in enumerate(
        [
            "no report",
            "empty report",
            "not an image",
            "no such file",
            "split is ''",
            "'Edema' is 'maybe'",
            "came before",
        ]
    ):
        assert reason in reasons[trees.dicom_id(number)]
    assert {rejection["file"] for rejection in manifest["rejected"]} == {
        str(root / "mimic-cxr-2.0.0-metadata.csv.gz")
    }


def test_readings_join_the_images_they_belong_to(root):
    egd, reflacx = root.parent / "egd", root.parent / "reflacx"
    egd.mkdir()
    trees.write_egd(egd, {2: [(40, 15, 0.5, 0.25)], trees.dicom_id(3)[:-5]: [(1, 1, 0, 1)]})
    trees.write_reflacx(reflacx, [(2, [(20, 30, 1.0, 1.5)]), (2, [(8, 6, 0.0, 0.5)]), (99, [(1, 1, 0, 1)])])
    manifest, studies = built(root, gaze={"egd-cxr": egd, "reflacx": reflacx})
    gaze = [a for a in studies[trees.dicom_id(2)].annotations if a.kind == "gaze"]
    places = [(a.fixations[0].x, a.fixations[0].y, a.fixations[0].start, a.fixations[0].end) for a in gaze]
    np.testing.assert_allclose(
        places, [(0.5, 0.25, 0.5, 0.75), (0.25, 0.5, 1.0, 1.5), (0.1, 0.1, 0.0, 0.5)], atol=1e-6
    )
    assert manifest["counts"]["annotated"] == 1
    unknown = [rejection for rejection in manifest["rejected"] if rejection["row"] == trees.dicom_id(99)]
    assert len(unknown) == 1
    assert "not among the frontal images" in unknown[0]["reason"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: (root / "mimic-cxr-2.0.0-metadata.csv.gz").unlink(), "no mimic-cxr-2.0.0-metadata"),
        (lambda root: (root / "mimic-cxr-2.0.0-split.csv.gz").unlink(), "no mimic-cxr-2.0.0-split"),
        (
            lambda root: edit(root / "mimic-cxr-2.0.0-split.csv.gz", lambda f: f.drop(columns="split")),
            "split.csv.gz: no column 'split'",
        ),
        (
            lambda root: (root / "mimic-cxr-2.0.0-chexpert.csv.gz").write_bytes(
                gzip.compress(b"a" * 500)[:20]
            ),
            "chexpert.csv.gz: not a table",
        ),
    ],
)
def test_a_missing_or_broken_table_is_told_in_one_line(root, damage, message):
    damage(root)
    with pytest.raises(InputError, match=message) as error:
        built(root)
    assert "\n" not in str(error.value)
    assert not (root.parent / "store").exists()


def test_wrong_folders_and_kinds_are_told(root):
    for options, message in (
        ({"gaze": {"egd-cxr": root / "gone"}}, "gone: no such folder"),
        ({"gaze": {"eyes": root}}, "'eyes' is not a kind of recording"),
        ({"reports": root / "gone"}, "gone: no such folder"),
    ):
        with pytest.raises(InputError, match=message):
            built(root, **options)
