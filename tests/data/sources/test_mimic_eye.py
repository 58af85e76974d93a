"""Oracle: the recordings that were written, as `fabricated.mimic_eye` sorted them by patient."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import small_trees as trees
from broken_files import broken, drain, stands
from eclip.data.build import build
from eclip.data.images import decode
from eclip.data.sources.cells import split_of
from eclip.data.sources.mimic_eye import MimicEye
from eclip.data.store import Store
from eclip.errors import InputError
from fabricated import mimic_eye

READ = [0, 2, 4, 5, 7]


@pytest.fixture
def root(tmp_path):
    mimic_eye.write(tmp_path / "mimic-eye")
    return tmp_path / "mimic-eye"


def scan_paths(study):
    gaze = [annotation for annotation in study.annotations if annotation.kind == "gaze"]
    return {a.reader: [(f.x, f.y, f.start, f.end) for f in a.fixations] for a in gaze}


def drained(root):
    studies, rejections = drain(MimicEye(root=root))
    return {study.image_id: study for study in studies}, rejections


def test_views_are_those_that_the_same_table_gives_in_mimic_cxr(root):
    table = root / "spreadsheets" / "cxr_meta.csv"
    cells = {0: "LL", 2: "XTABLE LATERAL"}
    frame = pd.read_csv(table, dtype=str, keep_default_na=False).set_index("dicom_id", drop=False)
    frame.loc[[trees.dicom_id(n) for n in cells], "ViewPosition"] = list(cells.values())
    frame.to_csv(table, index=False)
    studies, _ = drained(root)
    assert [studies[trees.dicom_id(n)].view for n in (0, 2, 4)] == ["LL", "", "PA"]


def test_the_read_images_are_built_with_all_that_was_written(root):
    manifest = build(MimicEye(root=root), root.parent / "store", workers=1)
    studies = {study.image_id: study for study in Store.open(root.parent / "store")}
    assert list(studies) == [
        trees.dicom_id(number) for number in (0, 2, 5, 4, 7)
    ]  # by patient, EGD-CXR first
    for number in READ:
        study = studies[trees.dicom_id(number)]
        assert (study.patient_id, study.study_id) == (trees.patient(number), trees.study(number))
        assert study.view == ("PA", "AP")[number % 2]
        assert study.findings == f"The lungs are clear in study {number}."
        assert study.report == trees.REPORT.format(study=number)
        assert np.abs(decode(study.image).astype(int) - trees.gray(number)).mean() < 6
        written = [
            [(x / 80, y / 60, start, start + seconds) for x, y, start, seconds in mimic_eye.EGD[number]]
            for _ in [0]
            if number in mimic_eye.EGD
        ] + [
            [(x / 80, y / 60, start, end) for x, y, start, end in path]
            for image, path in mimic_eye.REFLACX
            if image == number
        ]
        assert len(written) == len(scan_paths(study))
        for found, expected in zip(scan_paths(study).values(), written, strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-6)
    assert manifest["rejected"] == []
    assert sum(manifest["skipped"].values()) == len(mimic_eye.NUMBERS) + 1 - len(READ)


def test_readings_of_both_kinds_join_in_one_study(root):
    study = drained(root)[0][trees.dicom_id(2)]
    assert list(scan_paths(study)) == ["egd-cxr", "P201R000001", "P203R000003"]
    boxes = [(a.reader, a.label, a.region.points) for a in study.annotations if a.kind == "box"]
    assert boxes[0] == ("egd-cxr", "cardiac silhouette", ((0.25, 0.25), (0.75, 0.75)))
    assert [box[1] for box in boxes[1:]] == ["chest", "chest"]
    said = [sentence for a in study.annotations for sentence in a.sentences]
    assert [(s.text, s.start, s.end) for s in said] == [
        ("the lungs are clear.", 0.0, 1.9), ("mild edema.", 0.0, 0.8), ("mild edema.", 0.0, 0.8),
    ]  # fmt: skip
    assert study.age == 25  # "20 - 30"
    assert study.labels == {"Edema": -1, "No Finding": 1}  # those of MIMIC's reports go before the readers'


def test_splits_are_those_of_reflacx_for_the_whole_patient_else_by_the_patient(root):
    studies, _ = drained(root)
    for number in (0, 2, 4, 5):  # 5 was read for EGD-CXR alone, 4, of the same patient, for REFLACX
        assert studies[trees.dicom_id(number)].split == trees.split(number)
    assert studies[trees.dicom_id(7)].split == split_of(trees.patient(7))


def test_tables_without_an_ending_and_a_tree_without_spreadsheets_are_read_the_same(root):
    before, _ = drained(root)
    for file in root.glob("patient_*/EyeGaze/*.csv"):
        if file.stem != "master_sheet":
            file.rename(file.with_suffix(""))
    shutil.rmtree(root / "spreadsheets")
    after, rejections = drained(root)
    assert rejections == []
    assert {name: study.annotations for name, study in after.items()} == {
        name: study.annotations for name, study in before.items()
    }
    assert {study.view for study in after.values()} == {""}


def test_what_cannot_be_used_is_listed_and_the_rest_is_built(root):
    def folder(number):
        return mimic_eye.patient_folder(root, number)

    recording = folder(0) / "REFLACX" / "main_data" / "P200R000000"
    (recording / "fixations.csv").unlink()
    transcript = folder(2).joinpath(
        "EyeGaze", "audio_segmentation_transcripts", trees.dicom_id(2), "transcript.json"
    )
    transcript.write_text("{")
    next(folder(4).glob(f"CXR-JPG/*/{trees.dicom_id(4)}.jpg")).write_bytes(b"no image")
    (folder(5) / "CXR-DICOM" / f"s{trees.study(5)}.txt").write_text(" \n")
    (folder(7) / "EyeGaze" / "master_sheet.csv").write_text("dicom_id,path\n")
    metadata = root / "spreadsheets" / "cxr_meta.csv"
    metadata.write_text(metadata.read_text() + "one,two\n")
    sheet = folder(2) / "REFLACX" / "metadata.csv"
    table = pd.read_csv(sheet, dtype=str, keep_default_na=False)
    strange = table.iloc[0].to_dict() | {"id": "P300R000007", "dicom_id": trees.dicom_id(3)}
    shutil.copytree(sheet.parent / "main_data/P201R000001", sheet.parent / "main_data/P300R000007")
    for change, reason in (
        ({"subject_id": "10009999"}, "of patient '10009999', in the folder of"),
        ({"dicom_id": "../../secret"}, "not in the patient's CXR-JPG"),
        ({"split": "holdout"}, "split is 'holdout'"),
    ):
        pd.concat([table, pd.DataFrame([strange | change])]).to_csv(sheet, index=False)
        _, rejections = drained(root)
        (rejection,) = [r for r in rejections if r.file == str(sheet.parent)]
        assert rejection.row == (strange | change)["dicom_id"]
        assert reason in rejection.reason
    studies, rejections = drained(root)
    assert sorted(studies) == sorted(map(trees.dicom_id, (2, 5)))
    assert (
        studies[trees.dicom_id(5)].text == "the lungs are clear."
    )  # what was dictated, for want of a report
    reasons = {(rejection.file, rejection.row): rejection.reason for rejection in rejections}
    assert "no such file" in reasons[str(recording / "fixations.csv"), "P200R000000"]
    assert "not a transcript" in reasons[str(transcript), ""]
    assert "2 cells, expected" in reasons[str(metadata), f"row {len(mimic_eye.NUMBERS) + 3}"]
    assert "not an image" in reasons[str(folder(4)), trees.dicom_id(4)]
    assert "no column 'study_id'" in reasons[str(folder(7) / "EyeGaze"), ""]


def test_a_wrong_folder_and_a_wrong_table_are_told_in_one_line(root):
    for folder in (root / "gone", root / "spreadsheets"):
        with pytest.raises(InputError, match=r"no folders patient_…; expected a MIMIC-Eye folder"):
            MimicEye(root=folder).select()
    (root / "spreadsheets" / "cxr_meta.csv").write_text("dicom_id\n")
    with pytest.raises(InputError, match=r"cxr_meta.csv: no column 'ViewPosition'"):
        MimicEye(root=root).select()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """One patient, one image read for both, and the sound bytes of all files that are parsed."""
    root = tmp_path_factory.mktemp("small") / "mimic-eye"
    mimic_eye.write(root, numbers=(2,), egd={2: mimic_eye.EGD[2]}, reflacx=[(2, [(8, 54, 0.0, 1.0)])])
    files = [path for path in root.rglob("*") if path.suffix in {".csv", ".json", ".txt"}]
    return root, {path: path.read_bytes() for path in sorted(files)}


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_broken_file_breaks_the_source(small, data):
    root, sound = small
    path = data.draw(st.sampled_from(list(sound)))
    path.write_bytes(data.draw(broken(sound[path])))
    try:
        found = stands(MimicEye(root=root), name="mimic-eye")
    finally:
        path.write_bytes(sound[path])
    if (
        path.name != "cxr_meta.csv"
    ):  # without it the source may refuse; all else is one reading's or one image's
        studies, rejections = found
        assert len(studies) + len(rejections) >= 1
        json.dumps([rejection.reason for rejection in rejections]).encode()
