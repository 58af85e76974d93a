"""Oracle: the tree that was written."""

from pathlib import Path

import pandas as pd
import pytest

import small_trees as trees
from eclip.annotations.reading import Reading, Rejection
from eclip.data.sources.cells import split_of
from eclip.data.sources.mimic_tree import MimicTree
from eclip.errors import InputError


@pytest.fixture
def root(tmp_path):
    return trees.write_mimic(tmp_path, range(4), labels={1: {"Edema": "1.0"}})


def draft(tree, number, **options):
    return tree.draft(
        trees.dicom_id(number),
        patient_id=trees.patient(number),
        study_id=trees.study(number),
        file=Path("table.csv"),
        **options,
    )


def reading(split="test"):
    return Reading(
        image_id=trees.dicom_id(1),
        study_id=trees.study(1),
        patient_id=trees.patient(1),
        split=split,
        annotations=(),
        text="the lungs\nare clear.",
        labels={"Fracture": 0},
    )


def test_sizes_come_from_the_table_else_from_the_images(root):
    assert MimicTree(root).image_size(trees.dicom_id(1)) == (80, 60)
    (root / "mimic-cxr-2.0.0-metadata.csv.gz").unlink()
    assert MimicTree(root).image_size(trees.dicom_id(1)) == (80, 60)
    assert MimicTree(root).image_size("nobody") is None
    assert MimicTree(root).view(trees.dicom_id(1)) == ""


@pytest.mark.parametrize("cell", ["²", "-80", "0", "9" * 5000, ""])
def test_a_size_that_is_none_comes_from_the_image(root, cell):
    path = root / "mimic-cxr-2.0.0-metadata.csv.gz"
    pd.read_csv(path, dtype=str).assign(Rows=cell).to_csv(path, index=False)
    assert MimicTree(root).image_size(trees.dicom_id(1)) == (80, 60)


@pytest.mark.parametrize("below", ["", "files"])
def test_a_draft_points_at_the_dicom_file(root, below, tmp_path):
    (tmp_path / "dicom" / below).mkdir(parents=True)
    made = draft(MimicTree(root, dicom=tmp_path / "dicom"), 1)
    place = tmp_path / "dicom" / below / trees.folder(1).removeprefix("files/")
    assert made.image_file == place / f"{trees.dicom_id(1)}.dcm"


def test_a_draft_points_at_its_files(root):
    made = draft(MimicTree(root), 1, view="AP")
    assert made.image_file.is_file()
    assert made.report_file.is_file()
    assert (made.study.split, made.study.view, made.study.labels) == ("train", "AP", {"Edema": 1})
    assert (made.file, made.row) == ("table.csv", trees.dicom_id(1))


def test_the_tables_come_before_what_the_reading_says(root):
    study = draft(MimicTree(root), 1, stand_in=reading()).study
    assert (study.split, study.labels, study.text) == ("train", {"Edema": 1}, "the lungs are clear.")


def test_the_reading_tells_what_the_tables_do_not(root):
    for name in ("split", "chexpert"):
        (root / f"mimic-cxr-2.0.0-{name}.csv.gz").unlink()
    study = draft(MimicTree(root), 1, stand_in=reading()).study
    assert (study.split, study.labels) == ("test", {"Fracture": 0})
    assert draft(MimicTree(root), 1, stand_in=reading("")).study.split == split_of(trees.patient(1))
    assert isinstance(draft(MimicTree(root), 1), Rejection)


def test_a_missing_folder_or_table_is_told(root):
    with pytest.raises(InputError, match="no such folder"):
        MimicTree(root / "gone")
    (root / "mimic-cxr-2.0.0-split.csv.gz").unlink()
    with pytest.raises(
        InputError, match=r"no mimic-cxr-2\.0\.0-split\.csv\.gz; expected a MIMIC-CXR-JPG folder"
    ):
        MimicTree(root).need("split")
