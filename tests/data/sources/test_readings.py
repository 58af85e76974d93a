"""Oracle: the recordings that were written, in the columns of EGD-CXR and REFLACX."""

import pytest

import small_trees as trees
from eclip.data.build import build
from eclip.data.store import Store
from eclip.errors import InputError


@pytest.fixture
def images(tmp_path):
    return trees.write_mimic(tmp_path / "mimic", range(6), labels={2: {"Edema": "1.0"}})


@pytest.fixture
def egd(tmp_path):
    (tmp_path / "egd").mkdir()
    return trees.write_egd(
        tmp_path / "egd", {2: [(40, 15, 0.5, 0.25), (8, 54, 1.0, 0.5)], 5: [(20, 30, 0.0, 1.0)]}
    )


@pytest.fixture
def reflacx(tmp_path):
    readings = [(2, [(40, 15, 0.5, 0.75)]), (4, [(8, 54, 0.0, 1.0)]), (2, [(20, 30, 2.0, 2.5)])]
    return trees.write_reflacx(tmp_path / "reflacx", readings)


def built(kind, root, images, **options):
    manifest = build(kind, root, root.parent / "store", images=images, workers=1, **options)
    return manifest, {study.image_id: study for study in Store.open(root.parent / "store")}


def gaze(study):
    return [
        [(f.x, f.y, f.start, f.end) for f in annotation.fixations]
        for annotation in study.annotations
        if annotation.kind == "gaze"
    ]


def test_egd_takes_the_annotated_studies_alone(egd, images):
    manifest, studies = built("egd-cxr", egd, images)
    assert sorted(studies) == sorted(map(trees.dicom_id, (2, 5)))
    study = studies[trees.dicom_id(2)]
    (path,) = gaze(study)
    assert path[0] == pytest.approx((0.5, 0.25, 0.5, 0.75), abs=1e-6)
    assert path[1] == pytest.approx((0.1, 0.9, 1.0, 1.5), abs=1e-6)
    assert (study.split, study.view, study.labels) == (trees.split(2), "PA", {"Edema": 1})
    assert study.impression == "No acute process."
    assert manifest["counts"]["annotated"] == 2


def test_several_readings_of_an_image_become_one_study_with_several_annotations(reflacx, images):
    _, studies = built("reflacx", reflacx, images)
    assert sorted(studies) == sorted(map(trees.dicom_id, (2, 4)))
    paths = gaze(studies[trees.dicom_id(2)])
    assert [path[0][2] for path in paths] == [0.5, 2.0]
    readers = [a.reader for a in studies[trees.dicom_id(2)].annotations if a.kind == "gaze"]
    assert len(set(readers)) == 2


@pytest.mark.parametrize("kind", ["egd-cxr", "reflacx"])
def test_images_alone_are_enough(kind, egd, reflacx, images):
    for table in images.glob("*.csv.gz"):
        table.unlink()
    for report in images.glob("files/**/*.txt"):
        report.unlink()
    root = {"egd-cxr": egd, "reflacx": reflacx}[kind]
    manifest, studies = built(kind, root, images)
    study = studies[trees.dicom_id(2)]
    assert "clear" in study.text if kind == "egd-cxr" else "edema" in study.text
    assert study.report == study.text
    assert study.labels
    assert kind == "egd-cxr" or study.split == trees.split(2)
    assert manifest["rejected"] == []


def test_the_images_folder_is_asked_for_and_told_when_missing(egd, images):
    with pytest.raises(InputError, match="source egd-cxr needs --images"):
        build("egd-cxr", egd, egd.parent / "store")
    with pytest.raises(InputError, match="gone: no such folder"):
        built("egd-cxr", egd, images / "gone")
