"""Oracle: the scan paths that were written, and the MIMIC-CXR-JPG tree beside them."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import small_trees as trees
from broken_files import broken, drain, stands
from eclip.data.build import build
from eclip.data.sources.mimic_cxr import MimicCxr
from eclip.data.sources.readings import GazeIntent, GazeSearch
from eclip.data.store import Store
from eclip.errors import InputError
from fabricated import gazeintent, gazesearch

UNKNOWN = gazesearch.item(99, "edema", [(1, 2, 0.1)])
BROKEN = gazesearch.item(2, "edema", [(1, 2, 0.1)]) | {"X": [1, 2]}


@pytest.fixture
def search(tmp_path):
    gazesearch.write(tmp_path / "gazesearch")
    return tmp_path / "gazesearch"


@pytest.fixture
def intent(tmp_path):
    gazeintent.write(tmp_path / "gazeintent")
    return tmp_path / "gazeintent"


def built(source, out):
    manifest = build(source, out, workers=1)
    return manifest, {study.image_id: study for study in Store.open(out)}


def drained(source):
    studies, rejections = drain(source)
    return {study.image_id: study for study in studies}, rejections


def assert_shows(annotation, item):
    found = [(f.x, f.y, f.start, f.end) for f in annotation.fixations]
    ends = np.cumsum(item["T"])
    expected = [np.array(item["X"]) / 224, np.array(item["Y"]) / 224, ends - item["T"], ends]
    np.testing.assert_allclose(found, np.transpose(expected), atol=1e-6)


def test_gazesearch_alone_gives_each_searched_image_once_with_all_its_searches(search, tmp_path):
    manifest, studies = built(GazeSearch(root=search, images=search / "mimic-cxr-jpg"), tmp_path / "store")
    assert list(studies) == [trees.dicom_id(number) for number in (0, 4, 6, 2)]  # as they first come
    for number in (0, 2, 4, 6):
        study = studies[trees.dicom_id(number)]
        items = [item for item in gazesearch.ITEMS if item["name"] == f"{trees.dicom_id(number)}.jpg"]
        assert [a.label.lower() for a in study.annotations] == [item["task"] for item in items]
        for annotation, item in zip(study.annotations, items, strict=True):
            assert_shows(annotation, item)
        assert (study.patient_id, study.study_id) == (trees.patient(number), trees.study(number))
        assert (study.split, study.view) == (trees.split(number), "PA")
        assert study.findings == f"The lungs are clear in study {number}."
    assert manifest["rejected"] == []
    assert manifest["counts"]["annotated"] == 4


def test_gazeintent_reads_one_set_or_all(intent):
    images = intent / "mimic-cxr-jpg"
    studies, rejections = drained(GazeIntent(root=intent, images=images))
    assert rejections == []
    assert set(studies) == {trees.dicom_id(number) for number in (0, 2, 6)}
    first, second = studies[trees.dicom_id(0)].annotations
    assert_shows(first, gazeintent.EGD_ITEMS[0])
    assert_shows(second, gazeintent.REFLACX_ITEMS[0])
    assert (first.reader, second.reader) == ("gazeintent-1", "gazeintent-3")
    assert [(s.text, s.start, s.end) for s in second.sentences] == [("lung opacity", 0.3, 1.0)]
    (one,) = drained(GazeIntent(root=intent / gazeintent.FILES[1], images=images))[0][
        trees.dicom_id(0)
    ].annotations
    assert one == second


def test_scan_paths_join_the_images_of_mimic_cxr(search, intent, tmp_path):
    gaze = (f"gazesearch={search / gazesearch.FILE}", f"gazeintent={intent}")
    manifest, studies = built(MimicCxr(root=search / "mimic-cxr-jpg", gaze=gaze), tmp_path / "store")
    assert len(studies) == len(gazesearch.NUMBERS)
    readers = [annotation.reader for annotation in studies[trees.dicom_id(0)].annotations]
    assert readers == ["gazesearch-1", "gazesearch-1", "gazeintent-1", "gazeintent-3"]
    assert manifest["counts"]["annotated"] == 4
    assert manifest["rejected"] == []


def test_splits_are_mimics_own_else_the_items(search):
    images = search / "mimic-cxr-jpg"
    other = [item | {"split": "test"} for item in gazesearch.ITEMS]
    (search / gazesearch.FILE).write_text(json.dumps(other))
    source = GazeSearch(root=search, images=images)
    assert drained(source)[0][trees.dicom_id(4)].split == "validate"
    (images / "mimic-cxr-2.0.0-split.csv.gz").unlink()
    assert {study.split for study in drained(source)[0].values()} == {"test"}
    other[1] |= {"split": "valid"}
    other[3] |= {"split": "holdout"}
    (search / gazesearch.FILE).write_text(json.dumps(other))
    studies, rejections = drained(source)
    assert studies[trees.dicom_id(4)].split == "validate"
    assert [(r.file, r.row) for r in rejections] == [(str(search), trees.dicom_id(6))]
    assert "split is 'holdout'" in rejections[0].reason


@pytest.mark.parametrize("alone", [True, False])
def test_items_that_cannot_be_used_are_listed_and_the_others_are_built(search, alone):
    images, file = search / "mimic-cxr-jpg", search / gazesearch.FILE
    file.write_text(json.dumps([UNKNOWN, gazesearch.ITEMS[1], BROKEN, 5, gazesearch.ITEMS[4]]))
    source = GazeSearch(root=file, images=images)
    if not alone:
        source = MimicCxr(root=images, gaze=(f"gazesearch={file}",))
    studies, rejections = drained(source)
    annotated = {name for name, study in studies.items() if study.annotations}
    assert annotated == {trees.dicom_id(2), trees.dicom_id(4)}
    reasons = {rejection.row: rejection.reason for rejection in rejections}
    assert {rejection.file for rejection in rejections} == {str(file)}
    assert sorted(reasons) == ["item 1", "item 3", "item 4"]
    assert f"'{trees.dicom_id(99)}' is not among the images" in reasons["item 1"]
    assert "2 X, 1 Y, 1 T" in reasons["item 3"]
    assert "expected an object" in reasons["item 4"]


def test_an_image_that_is_missing_or_broken_is_listed(search):
    images = search / "mimic-cxr-jpg"
    (images / trees.folder(4) / f"{trees.dicom_id(4)}.jpg").unlink()
    (images / f"{trees.folder(6)}.txt").unlink()
    studies, rejections = drained(GazeSearch(root=search, images=images))
    assert set(studies) == {trees.dicom_id(0), trees.dicom_id(2)}
    reasons = {rejection.row: rejection.reason for rejection in rejections}
    assert "no such file" in reasons[trees.dicom_id(4)]
    assert "no report" in reasons[trees.dicom_id(6)]


def test_what_is_missing_is_told_in_one_line(search):
    images = search / "mimic-cxr-jpg"
    for source, message in (
        (GazeSearch(root=search / "gone.json", images=images), "gone.json: no such file"),
        (GazeIntent(root=images, images=images), r"no \.json file in this folder"),
        (GazeSearch(root=search, images=search / "gone"), "gone: no such folder"),
        (MimicCxr(root=images, gaze=("gazesearch",)), "gazesearch=FILE"),
        (MimicCxr(root=images, gaze=("gazesearch=gone.json",)), "gone.json: no such file"),
    ):
        with pytest.raises(InputError, match=message):
            source.select()
    (images / "mimic-cxr-2.0.0-metadata.csv.gz").unlink()
    with pytest.raises(InputError, match=r"no mimic-cxr-2\.0\.0-metadata"):
        GazeSearch(root=search, images=images).select()


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Both trees, and the sound bytes of their files."""
    root = tmp_path_factory.mktemp("sound")
    gazesearch.write(root / "gazesearch")
    gazeintent.write(root / "gazeintent")
    sources = {
        root / "gazesearch" / gazesearch.FILE: GazeSearch,
        root / "gazeintent" / gazeintent.FILES[0]: GazeIntent,
    }
    return [
        (file, file.read_bytes(), source(root=file, images=file.parent / "mimic-cxr-jpg"))
        for file, source in sources.items()
    ]


@settings(max_examples=250, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_broken_file_breaks_the_sources(sound, data):
    file, content, source = data.draw(st.sampled_from(sound))
    file.write_bytes(data.draw(broken(content)))
    found = stands(source, name="gazesearch, gazeintent")
    if found is not None:
        studies, rejections = found
        json.dumps([rejection.reason for rejection in rejections]).encode()
        assert all(study.annotations for study in studies)
