"""Oracles: paths and reports written by hand."""

import pandas as pd
import pytest

from eclip.data.sources.chexpert_tables import Report, image_names, read_reports, read_test_set
from eclip.errors import InputError
from fabricated import chexpert


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg", "train/patient00001/study1/view1_frontal.jpg"),
        ("train/patient00001/study1/view1_frontal.jpg", "train/patient00001/study1/view1_frontal.jpg"),
        (" /data/CheXpert-v1.0-small/valid/patient64541/study1/view2_lateral.jpg",
         "valid/patient64541/study1/view2_lateral.jpg"),
        ("", ""),
        ("CheXpert-v1.0/train/patient00001/study1", ""),
        ("CheXpert-v1.0/train/patient00001/study1/../view1_frontal.jpg", ""),
        ("train/patient00001/study1/view1_frontal.jpg\n/etc/passwd", ""),
        ("retrain/patient00001/study1/view1_frontal.jpg", ""),
        ("train/patient" + "9" * 400 + "/study1/view1_frontal.jpg", ""),
    ],
)  # fmt: skip
def test_only_the_path_of_an_image_is_one(path, name):
    found = image_names(pd.Series([path], dtype=object)).iloc[0]
    assert found["image"] == name
    assert found["image_id"] == name.partition("/")[2].removesuffix(".jpg")


def test_the_first_image_called_view1_stands_for_a_test_study(tmp_path):
    chexpert.write(tmp_path, single=1)
    study = tmp_path / "test" / "patient64741" / "study1"
    (study / "view1_frontal.jpg").rename(study / "view1_lateral.jpg")
    (study / "view0_frontal.jpg").touch()
    rejected = []
    rows = read_test_set(tmp_path / "groundtruth.csv", tmp_path, reject=rejected.append)
    assert rows["image"].tolist() == [
        "test/patient64741/study1/view1_lateral.jpg", "test/patient64742/study1/view1_frontal.jpg",
    ]  # fmt: skip
    assert rows["Frontal/Lateral"].tolist() == ["Lateral", "Frontal"]
    assert rows["row"].tolist() == ["row 2", "row 3"]
    (study / "view1_frontal.jpg").touch()
    rows = read_test_set(tmp_path / "groundtruth.csv", tmp_path, reject=rejected.append)
    assert rows["image"][2] == "test/patient64741/study1/view1_frontal.jpg"
    assert rejected == []


def reports(tmp_path, text):
    file, rejected = tmp_path / "reports.csv", []
    file.write_text(text)
    return read_reports(file, reject=rejected.append), [(r.row, r.reason) for r in rejected]


A, B = (f"train/patient0000{n}/study1/view1_frontal.jpg" for n in (1, 2))


@pytest.mark.parametrize(
    ("text", "report"),
    [
        (f"Path,Report Impression\nCheXpert-v1.0/{A},no  change\n", Report("", "", "no change")),
        (f"path_to_image,section_impression\n{A},normal\n", Report("", "", "normal")),
        (f"path_to_image,report\n{A},all of\tit\n", Report("all of\tit", "", "")),
        (
            f"section_findings,report,x,path_to_image,section_impression\nf, r ,y,{A},i\n",
            Report(" r ", "f", "i"),
        ),
    ],
)
def test_reports_of_either_form(tmp_path, text, report):
    assert reports(tmp_path, text) == ({"patient00001/study1/view1_frontal": report}, [])


@pytest.mark.parametrize(
    ("report", "text"),
    [
        (Report("r", "f", "i"), "f i"), (Report("r", "", "i"), "i"), (Report("r", "f", ""), "f"),
        (Report("r\n r", "", ""), "r r"), (Report(), ""),
    ],
)  # fmt: skip
def test_the_text_is_findings_and_impression_else_the_report(report, text):
    assert report.text == text


def test_second_reports_and_reports_of_no_image_are_listed(tmp_path):
    found, rejected = reports(
        tmp_path, f"Path,Report Impression\n{A},one\n{B},two\n{A},three\n../x.jpg,four\n"
    )
    assert {image_id[:12]: report.impression for image_id, report in found.items()} == {
        "patient00001": "one",
        "patient00002": "two",
    }
    assert rejected == [
        ("row 4", "second report of patient00001/study1/view1_frontal; the first is taken"),
        ("row 5", "Path is '../x.jpg'; expected …/train/patient00001/study1/view1_frontal.jpg"),
    ]


@pytest.mark.parametrize("header", ["Path,text", "file,report", "Path", ""])
def test_a_table_without_reports_is_told(tmp_path, header):
    with pytest.raises(
        InputError, match=r"reports.csv: no reports; expected columns Path and Report Impression"
    ):
        reports(tmp_path, f"{header}\n")
