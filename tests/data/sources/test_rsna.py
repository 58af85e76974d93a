"""Oracles: the tree as it was written; scikit-learn's own split."""

import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from broken_files import broken, drain, stands
from eclip.data.images import decode
from eclip.data.sources.rsna import Rsna, gloria_splits
from eclip.errors import InputError
from fabricated import rsna as tree

TABLES = ["stage_2_train_labels.csv", "stage_2_detailed_class_info.csv"]
LABELS = {
    "Normal": {"Pneumonia": 0, "Lung Opacity": 0, "No Finding": 1},
    "No Lung Opacity / Not Normal": {"Pneumonia": 0, "Lung Opacity": 0, "No Finding": 0},
    "Lung Opacity": {"Pneumonia": 1, "Lung Opacity": 1, "No Finding": 0},
}


def edit(path, line, text):
    """Put another line in place of a line, counted from 1."""
    lines = path.read_text().split("\n")
    lines[line - 1] = text
    path.write_text("\n".join(lines))


def line_of(path, start):
    lines = path.read_text().split("\n")
    return next(number for number, line in enumerate(lines, 1) if line.startswith(start))


@pytest.mark.parametrize(
    ("suffix", "folder"),
    [
        (".dcm", "stage_2_train_images"),
        (".png", "stage_2_train_images"),
        (".jpg", "images"),
        (".jpeg", "images"),
    ],
)
def test_the_studies_are_those_that_were_written(tmp_path, suffix, folder):
    tree.write(tmp_path, suffix=suffix, folder=folder)
    studies, rejections = drain(Rsna(root=tmp_path), image_size=64)
    assert rejections == []
    assert [study.image_id for study in studies] == [tree.patient(number) for number in tree.NUMBERS]
    for number, study in enumerate(studies):
        assert study.patient_id == study.study_id == study.image_id
        assert study.labels == LABELS[tree.kind(number)]
        assert study.text == ""
        boxes = [(x / 1024, y / 1024, (x + w) / 1024, (y + h) / 1024) for x, y, w, h in tree.boxes(number)]
        found = [np.ravel(annotation.region.points) for annotation in study.annotations]
        np.testing.assert_allclose(np.reshape(found, (-1, 4)), np.reshape(boxes, (-1, 4)), atol=1e-6)
        assert {(a.kind, a.label, a.reader) for a in study.annotations} <= {("box", "Lung Opacity", "")}
        assert np.abs(decode(study.image).astype(int) - tree.gray(number)).mean() < 12  # JPEGs of noise
        if suffix == ".dcm":
            view, sex = ("PA", "AP")[number % 2], "FM"[number % 2]
            assert (study.view, study.sex, study.age) == (view, sex, 30 + number)
    assert {study.split for study in studies} == {"train", "validate", "test"}
    assert {len(study.annotations) for study in studies} == {0, 1, 2, 3}


@pytest.mark.parametrize("count", [26_684, 14, 7, 4])
def test_the_split_is_scikit_learns(count):
    patients = [f"p{number}" for number in range(count)]
    train, held_out = train_test_split(patients, test_size=0.3, random_state=0)
    test, validate = train_test_split(held_out, test_size=0.5, random_state=0)
    expected = (
        dict.fromkeys(train, "train") | dict.fromkeys(test, "test") | dict.fromkeys(validate, "validate")
    )
    assert gloria_splits(patients) == expected


def test_the_split_of_as_many_patients_as_there_are_has_glorias_sizes(tmp_path):
    patients = [f"{number:08x}" for number in range(26_684)]
    assert Counter(gloria_splits(patients).values()) == {"train": 18_678, "validate": 4_003, "test": 4_003}
    rows = [f"{patient},1,2,3,4,1\n" * (1 + place % 3) for place, patient in enumerate(reversed(patients))]
    (tmp_path / TABLES[0]).write_text("patientId,x,y,width,height,Target\n" + "".join(rows))
    (tmp_path / "images").mkdir()
    for patient in patients[::1000]:
        (tmp_path / "images" / f"{patient}.png").touch()
    selection = Rsna(root=tmp_path).select()
    drafts = [draft for draft in selection.drafts() if hasattr(draft, "study")]
    assert selection.total == 26_684
    assert len(drafts) == 27
    assert {draft.study.image_id: draft.study.split for draft in drafts}.items() <= gloria_splits(
        patients
    ).items()


def test_without_classes_there_is_pneumonia_alone(tmp_path):
    tree.write(tmp_path, suffix=".png")
    (tmp_path / TABLES[1]).unlink()
    studies, rejections = drain(Rsna(root=tmp_path))
    assert rejections == []
    assert [study.labels for study in studies] == [{"Pneumonia": int(n % 3 == 1)} for n in tree.NUMBERS]


def test_a_table_without_rows_gives_nothing(tmp_path):
    tree.write(tmp_path, suffix=".png")
    for name in TABLES:
        (tmp_path / name).write_text((tmp_path / name).read_text().split("\n")[0])
    assert drain(Rsna(root=tmp_path)) == ([], [])


def test_the_dicom_is_taken_where_there_is_a_png_too(tmp_path):
    tree.write(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / f"{tree.patient(0)}.png").write_bytes(b"not an image")
    studies, rejections = drain(Rsna(root=tmp_path))
    assert (len(studies), rejections) == (14, [])


def test_drafts_survive_the_way_to_a_worker(tmp_path):
    tree.write(tmp_path, suffix=".png")
    drafts = list(Rsna(root=tmp_path).select().drafts())
    assert pickle.loads(pickle.dumps(drafts)) == drafts  # noqa: S301
    assert list(map(repr, Rsna(root=tmp_path).select().drafts())) == list(map(repr, drafts))


def test_what_cannot_be_used_is_listed_with_file_row_and_reason(tmp_path):
    tree.write(tmp_path, suffix=".png")
    labels, classes = (tmp_path / name for name in TABLES)
    lines = {number: line_of(labels, tree.patient(number)) for number in tree.NUMBERS}
    edit(labels, lines[0], f"{tree.patient(0)},,,,,maybe")
    edit(labels, lines[13], f"{tree.patient(13)},101,152,zero,379,1")
    edit(labels, lines[2], f"{tree.patient(2)},1,2,3,4,0")
    edit(labels, lines[4], f"{tree.patient(4)},900,152,213,379,1")
    edit(labels, lines[4] + 1, f"{tree.patient(4)},900,152,-3,379,1")
    edit(labels, lines[7], f"{tree.patient(7)},,,,,0")
    edit(labels, lines[9], f",,,,,0\n{tree.patient(9)},,,,,0")  # the following rows move down
    edit(labels, lines[11] + 1, f"{tree.patient(11)},,,,0")
    with labels.open("a") as file:
        file.write("../../../etc/passwd,,,,,0\n")
    (tmp_path / "stage_2_train_images" / f"{tree.patient(3)}.png").write_bytes(b"not an image")
    (tmp_path / "stage_2_train_images" / f"{tree.patient(5)}.png").unlink()
    first = line_of(classes, tree.patient(6))
    edit(classes, first, f"{tree.patient(6)},Abnormal")
    second = line_of(classes, tree.patient(8))
    edit(classes, second, f"{tree.patient(8)},Normal\n{tree.patient(8)},Lung Opacity\nnobody,Normal")

    studies, rejections = drain(Rsna(root=tmp_path))
    numbers = {int(study.image_id[:8], 16) for study in studies}
    assert numbers == {1, 2, 4, 6, 8, 9, 10, 12, 13}
    by_number = {int(study.image_id[:8], 16): study for study in studies}
    assert by_number[6].labels == {"Pneumonia": 0}
    assert by_number[8].labels == {"Pneumonia": 0, "Lung Opacity": 0, "No Finding": 1}
    assert [len(by_number[number].annotations) for number in (2, 4, 10, 13)] == [0, 0, 1, 1]
    expected = {
        (TABLES[0], f"line {lines[0]}", "Target is 'maybe'; expected 0 or 1"),
        (TABLES[0], f"line {lines[13] + 1}", "width is 'zero', expected a number"),
        (TABLES[0], f"line {lines[2]}", "a box, although Target is 0"),
        (TABLES[0], f"line {lines[4]}", "reaches out of the image of 1024 × 1024 pixels"),
        (TABLES[0], f"line {lines[4] + 1}", "has no area"),
        (TABLES[0], f"line {lines[7] + 1}", "Target is '1', unlike in an earlier row"),
        (TABLES[0], f"line {lines[7] + 2}", "Target is '1', unlike in an earlier row"),
        (TABLES[0], f"line {lines[9]}", "no patientId"),
        (TABLES[0], f"line {lines[11] + 1}", "5 cells, expected 6"),
        (TABLES[0], "../../../etc/passwd", "no image of this name"),
        (TABLES[0], tree.patient(3), "not an image that can be read"),
        (TABLES[0], tree.patient(5), "no image of this name"),
        (TABLES[1], f"line {first}", "class is 'Abnormal'; expected 'Lung Opacity'"),
        (TABLES[1], f"line {second + 1}", "class is 'Lung Opacity', but 'Normal' in an earlier row"),
        (TABLES[1], f"line {second + 2}", "patient 'nobody' has no sound row in stage_2_train_labels.csv"),
        (TABLES[1], f"line {line_of(classes, tree.patient(11))}", "has no sound row in"),
    }
    for file, row, reason in expected:
        matching = [r for r in rejections if (r.file, r.row) == (str(tmp_path / file), row)]
        assert any(reason in rejection.reason for rejection in matching), (file, row, reason)
    assert len(rejections) == len(expected)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: (root / TABLES[0]).unlink(), "stage_2_train_labels.csv: no such file"),
        (lambda root: edit(root / TABLES[0], 1, "patientId,x,y,width,height"), "no column 'Target'"),
        (lambda root: edit(root / TABLES[1], 1, "patientId,klass"), "class_info.csv: no column 'class'"),
        (
            lambda root: (root / "stage_2_train_images").rename(root / "pictures"),
            "expected the images there or in",
        ),
    ],
)
def test_what_is_missing_is_told_in_one_line(tmp_path, damage, message):
    tree.write(tmp_path, suffix=".png")
    damage(tmp_path)
    with pytest.raises(InputError, match=message):
        Rsna(root=tmp_path).select()
    with pytest.raises(InputError, match="gone: no such folder"):
        Rsna(root=tmp_path / "gone").select()


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    root = tmp_path_factory.mktemp("rsna")
    tree.write(root, suffix=".png")
    return root, {name: (root / name).read_bytes() for name in TABLES}


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=120, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_table_gives_studies_and_rejections_or_one_line(sound, name, data):
    root, tables = sound
    for table, content in tables.items():
        (root / table).write_bytes(content)
    (root / name).write_bytes(data.draw(broken(tables[name])))
    outcome = stands(Rsna(root=root), name="rsna")
    if outcome is not None:
        known = {tree.patient(number) for number in tree.NUMBERS}
        assert {study.image_id for study in outcome[0]} <= known
        for study in outcome[0]:
            for annotation in study.annotations:
                assert (np.abs(np.array(annotation.region.points) - 0.5) <= 0.5 + 2 / 1024).all()
