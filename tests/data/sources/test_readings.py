"""Oracle: the recordings that were written, in the columns of EGD-CXR and REFLACX."""

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import small_trees as trees
from broken_files import broken, drain, stands
from eclip.data.build import build
from eclip.data.sources.readings import EgdCxr, Reflacx
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


SOURCES = {"egd-cxr": EgdCxr, "reflacx": Reflacx}


def built(kind, root, images):
    manifest = build(SOURCES[kind](root=root, images=images), root.parent / "store", workers=1)
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


def test_sex_and_age_are_those_that_the_recordings_tell(egd, reflacx, images):
    _, studies = built("egd-cxr", egd, images)
    ages = {image_id: (study.sex, study.age) for image_id, study in studies.items()}
    assert ages == {trees.dicom_id(2): ("F", 25), trees.dicom_id(5): ("M", 25)}
    _, studies = built("reflacx", reflacx, images)
    assert {(study.sex, study.age) for study in studies.values()} == {("", None)}


def rest(start, count, x, y, hertz):
    """Samples that tremble by 2 pixels, at (x, y) on average."""
    return [(start + i / hertz, x - 1 + 2 * (i % 2), y) for i in range(count)]


def test_egd_samples_become_fixations(egd, images):
    samples = {
        2: [*rest(0.5, 20, 40, 15, 60), *rest(1.5, 12, 8, 54, 60)],
        5: [*rest(0.0, 12, -3, -1, 60), *rest(0.2, 16, 20, 30, 60)],
    }
    trees.write_egd_samples(egd, samples)
    manifest, studies = built("egd-cxr", egd, images)
    assert manifest["rejected"] == []
    assert gaze(studies[trees.dicom_id(2)]) == [
        [
            pytest.approx((0.5, 0.25, 0.5, 0.5 + 19 / 60), abs=1e-6),
            pytest.approx((0.1, 0.9, 1.5, 1.5 + 11 / 60), abs=1e-6),
        ]
    ]
    assert gaze(studies[trees.dicom_id(5)]) == [[pytest.approx((0.25, 0.5, 0.2, 0.45), abs=1e-6)]]


def test_reflacx_samples_become_fixations(reflacx, images):
    lost = [(0.9 + i / 1000, None, None) for i in range(100)]
    samples = [
        [*rest(0.5, 400, 40, 15, 1000), *lost, *rest(1.0, 200, 8, 54, 1000)],
        rest(0.0, 150, 8, 54, 1000),
        rest(2.0, 500, 100, 30, 1000),  # beside the image, from where it still reaches in
    ]
    trees.write_reflacx_samples(reflacx, samples)
    manifest, studies = built("reflacx", reflacx, images)
    assert manifest["rejected"] == []
    assert gaze(studies[trees.dicom_id(2)]) == [
        [
            pytest.approx((0.5, 0.25, 0.5, 0.899), abs=1e-6),
            pytest.approx((0.1, 0.9, 1.0, 1.199), abs=1e-6),
        ],
        [pytest.approx((1.25, 0.5, 2.0, 2.499), abs=1e-6)],
    ]
    fixation = studies[trees.dicom_id(4)].annotations[0].fixations[0]
    assert (fixation.sigma_x, fixation.sigma_y, fixation.visible) == (0.05, 0.05, (0, 0, 1, 1))


def test_ellipses_lie_in_the_store_with_their_certainty(reflacx, images):
    rows = [
        {"xmin": 8, "ymin": 6, "xmax": 40, "ymax": 30, "certainty": sure, "Atelectasis": True}
        for sure in (2, 5)
    ]
    columns = ["xmin", "ymin", "xmax", "ymax", "certainty", *trees.REFLACX_LABELS]
    file = reflacx / "main_data/P201R000001/anomaly_location_ellipses.csv"
    pd.DataFrame(rows, columns=columns).fillna(False).to_csv(file, index=False, lineterminator="\r\n")
    _, studies = built("reflacx", reflacx, images)
    ellipses = [a for a in studies[trees.dicom_id(4)].annotations if a.kind == "ellipse"]
    assert [(a.label, a.certainty) for a in ellipses] == [("Atelectasis", 0.25), ("Atelectasis", 0.95)]
    assert ellipses[0].region.points == ((0.1, 0.1), (0.5, 0.5))


def test_what_is_broken_in_egd_is_listed_and_the_rest_is_built(egd, images):
    trees.write_egd_samples(
        egd, {2: rest(0.5, 20, 40, 15, 60), 5: rest(0.0, 4, 20, 30, 60), 3: rest(0, 9, 9, 9, 60)}
    )
    table = (egd / "eye_gaze.csv").read_text().splitlines()
    table[4] += ",0"
    table[6] = table[6].rpartition(",")[0]
    (egd / "eye_gaze.csv").write_text("\n".join(table))
    (egd / "audio_segmentation_transcripts" / trees.dicom_id(2) / "transcript.json").write_text("{")
    (study,), rejected = drain(EgdCxr(root=egd, images=images))
    assert gaze(study) == [[pytest.approx((0.5, 0.25, 0.5, 0.5 + 19 / 60), abs=0.01)]]
    assert sorted((rejection.file.rsplit("/", 1)[1], rejection.row) for rejection in rejected) == [
        ("eye_gaze.csv", trees.dicom_id(3)),
        ("eye_gaze.csv", "line 5"),
        ("eye_gaze.csv", "line 7"),
        ("master_sheet.csv", trees.dicom_id(5)),
        ("transcript.json", ""),
    ]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=60,
)
@given(data=st.data())
@pytest.mark.parametrize("name", ["master_sheet.csv", "fixations.csv"])
def test_broken_tables_of_egd_give_studies_and_rejections_or_one_line(egd, images, name, data):
    good = (egd / name).read_bytes()
    (egd / name).write_bytes(data.draw(broken(good)))
    try:
        stands(EgdCxr(root=egd, images=images), name="egd-cxr")
    finally:
        (egd / name).write_bytes(good)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=60,
)
@given(data=st.data())
@pytest.mark.parametrize("name", ["metadata_phase_2.csv", "P202R000002/fixations.csv"])
def test_broken_tables_of_reflacx_give_studies_and_rejections_or_one_line(reflacx, images, name, data):
    file = reflacx / "main_data" / name
    good = file.read_bytes()
    file.write_bytes(data.draw(broken(good)))
    try:
        stands(Reflacx(root=reflacx, images=images), name="reflacx")
    finally:
        file.write_bytes(good)


def test_missing_folders_are_told(egd, images):
    with pytest.raises(InputError, match="gone: no such folder"):
        built("egd-cxr", egd, images / "gone")
    with pytest.raises(InputError, match="gone: no such folder; expected egd-cxr recordings"):
        built("egd-cxr", egd / "gone", images)
