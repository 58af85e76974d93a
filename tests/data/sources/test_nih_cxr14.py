"""Oracle: what was written into a tree with ChestX-ray14's own files."""

import hashlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broken_files import broken, drain, stands
from eclip.data.images import decode
from eclip.data.sources.nih_cxr14 import NihCxr14
from eclip.errors import InputError
from fabricated import nih_cxr14

NAMES = {
    "Effusion": "Pleural Effusion",
    "Pleural_Thickening": "Pleural Thickening",
    "Infiltrate": "Infiltration",
}
AGES = {"058Y": 58, "411Y": None, "010M": 0, "074Y": 74, "045Y": 45}


@pytest.fixture
def root(tmp_path):
    nih_cxr14.write(tmp_path / "nih-cxr14", single=1)
    return tmp_path / "nih-cxr14"


def expected(row):
    """(image id, patient, sex, age, view, labels)."""
    image, labels, patient, age, sex, view, _ = row
    values = {
        NAMES.get(name, name): int(name in labels.split("|")) for name in [*nih_cxr14.CLASSES, "Hernia"]
    }
    return image.removesuffix(".png"), str(patient), sex, AGES[age], view, values


def told(study):
    assert study.study_id == study.image_id
    return study.image_id, study.patient_id, study.sex, study.age, study.view, study.labels


@pytest.mark.parametrize("older", [True, False])
def test_all_images_come_with_all_that_is_known(tmp_path, older):
    nih_cxr14.write(tmp_path, single=1, older=older)
    studies, rejections = drain(NihCxr14(root=tmp_path))
    written = [*nih_cxr14.IMAGES, *nih_cxr14.singles(1)]
    assert rejections == []
    assert len(studies) == 19
    for study, row in zip(studies, written, strict=True):
        image_id, patient, sex, age, view, labels = expected(row)
        age = 10 if row[3] == "010M" and not older else age  # the newer file has no unit
        assert told(study) == (image_id, patient, sex, age, view, labels)
        if row[-1] == "test":
            assert study.split == "test"
        else:
            place = int.from_bytes(hashlib.sha256(patient.encode()).digest()[:8]) / 2**64
            assert study.split == ("train" if place < 0.9 else "validate")
        np.testing.assert_array_less(
            np.abs(decode(study.image).astype(int) - nih_cxr14.pixels(row[0])).mean(), 6
        )
        assert study.text == ""
    assert all(len(study.labels) == 15 for study in studies)


def test_boxes_are_fractions_of_1024_pixels_whatever_the_table_says_of_the_original(root):
    studies, _ = drain(NihCxr14(root=root))
    found = {
        s.image_id: [(a.kind, a.label, a.region.points) for a in s.annotations]
        for s in studies
        if s.annotations
    }
    wanted = {}
    for image, label, *numbers in nih_cxr14.BOXES:
        x, y, w, h = map(float, numbers)
        points = ((x / 1024, y / 1024), ((x + w) / 1024, (y + h) / 1024))
        wanted.setdefault(image.removesuffix(".png"), []).append(("box", NAMES.get(label, label), points))
    assert found.keys() == wanted.keys()
    for image_id, boxes in wanted.items():
        assert [box[:2] for box in found[image_id]] == [box[:2] for box in boxes]
        np.testing.assert_allclose([b[2] for b in found[image_id]], [b[2] for b in boxes], rtol=0, atol=1e-6)
    (root / "BBox_List_2017.csv").unlink()
    studies, rejections = drain(NihCxr14(root=root))
    assert rejections == []
    assert not any(study.annotations for study in studies)


def test_the_newer_table_is_taken_where_both_are_there(root):
    nih_cxr14.write_table(root, nih_cxr14.IMAGES, older=False)
    source = NihCxr14(root=root)
    assert len(drain(source)[0]) == len(nih_cxr14.IMAGES)
    assert source.select().skipped == {"name in a list without a row in the table": 14}
    assert list(source.select().drafts()) == list(source.select().drafts())


@pytest.mark.parametrize("seed", [0, 1])
def test_14x100_draws_test_images_with_a_single_label(tmp_path, seed):
    nih_cxr14.write(tmp_path, single=5)
    source = NihCxr14(root=tmp_path, subset="14x100", per_class=3, seed=seed)
    pools = {}
    for image, labels, *_, part in (*nih_cxr14.IMAGES, *nih_cxr14.singles(5)):
        if part == "test" and labels in nih_cxr14.CLASSES:
            pools.setdefault(NAMES.get(labels, labels), []).append(image.removesuffix(".png"))
    assert len(pools) == 14
    assert "Hernia" not in pools

    def place(image_id):
        return hashlib.sha256(f"{seed}:{image_id}".encode()).digest()

    selection = source.select()
    assert selection.subset == {name: sorted(ids, key=place)[:3] for name, ids in pools.items()}
    assert selection.total == 14 * 3
    assert selection.skipped["not drawn for 14x100"] == len(nih_cxr14.IMAGES) + 14 * 2
    studies, rejections = drain(source)
    assert rejections == []
    assert {s.image_id for s in studies} == {
        image_id for ids in selection.subset.values() for image_id in ids
    }
    assert all(s.split == "test" and sum(s.labels.values()) == 1 for s in studies)


WRONG = [
    ("00000011_000.png", "Measles", 11, "058Y", "M", "PA", "test"),
    ("00000012_000.png", "No Finding|Mass", 12, "058Y", "M", "PA", "test"),
    ("00000013_000.png", "", 13, "058Y", "M", "PA", "test"),
    ("00000014_000.png", "Mass", 14, "058Y", "M", "PA", ""),
    ("00000015_000.png", "Mass", 15, "058Y", "M", "PA", "test"),  # no such image
    ("../../etc/passwd", "Mass", 16, "058Y", "M", "PA", "test"),
    ("00000017_000.png", "Mass", "", "058Y", "M", "PA", "test"),
    ("00000018_000.png", "Mass", 18, "058Y", "M", "PA", "test"),  # in both lists
    ("00000019_000.png", "Mass", 19, "058Y", "M,F,F", "PA", "test"),
]


def test_rows_that_cannot_be_used_are_listed_with_file_row_and_reason(root):
    nih_cxr14.write_table(root, [*nih_cxr14.IMAGES, *WRONG])
    with (root / "test_list.txt").open("a") as file:
        file.write("\r\n".join(["", *(row[0] for row in WRONG if row[-1] == "test"), ""]))
    with (root / "train_val_list.txt").open("a") as file:
        file.write(f"\n{WRONG[7][0]}\n")
    next(root.rglob("00000001_001.png")).write_bytes(b"not an image")
    nih_cxr14.write_boxes(root, [
        nih_cxr14.BOXES[0], ("00000001_000.png", "Measles", "1", "1", "1", "1"),
        ("00000099_000.png", "Mass", "1", "1", "1", "1"), ("00000001_000.png", "Mass", "1", "x", "1", "1"),
        ("00000001_000.png", "Mass", "1000", "1", "100", "1"), ("00000001_000.png", "Mass"),
    ])  # fmt: skip
    studies, rejections = drain(NihCxr14(root=root))
    assert [s.image_id for s in studies] == [
        row[0][:12] for row in nih_cxr14.IMAGES if row[0] != "00000001_001.png"
    ]
    assert len(studies[0].annotations) == 1
    wanted = [
        ("Data_Entry_2017.csv", 3, "not an image"),
        ("Data_Entry_2017.csv", 7, "'Measles'; expected labels of ChestX-ray14"),
        ("Data_Entry_2017.csv", 8, "'No Finding|Mass'; expected No Finding alone"),
        ("Data_Entry_2017.csv", 9, "Finding Labels is ''"),
        ("Data_Entry_2017.csv", 10, "in neither train_val_list.txt nor test_list.txt"),
        ("Data_Entry_2017.csv", 11, "no image called 00000015_000.png"),
        ("Data_Entry_2017.csv", 12, "no image called ../../etc/passwd.png"),
        ("Data_Entry_2017.csv", 13, "no patient id"),
        ("Data_Entry_2017.csv", 14, "in both train_val_list.txt and test_list.txt"),
        ("Data_Entry_2017.csv", 15, "14 cells, expected 12"),
        ("BBox_List_2017.csv", 3, "Finding Label is 'Measles'"),
        ("BBox_List_2017.csv", 4, "no row for image '00000099_000'"),
        ("BBox_List_2017.csv", 5, "y is 'x', expected a number"),
        ("BBox_List_2017.csv", 6, "the image of 1024 × 1024"),
        ("BBox_List_2017.csv", 7, "Bbox [x is '', expected a number"),
    ]
    found = sorted((r.file, int(r.row.split()[1]), r.reason) for r in rejections)
    assert len(found) == len(wanted)
    for (file, row, reason), (name, number, words) in zip(
        found, sorted((str(root / n), *o) for n, *o in wanted), strict=True
    ):
        assert (file, row) == (name, number)
        assert words in reason


def test_a_draw_lists_broken_rows_too(root):
    nih_cxr14.write_table(root, [*nih_cxr14.singles(1), *WRONG[:3]])
    with (root / "test_list.txt").open("a") as file:
        file.write("".join(f"\n{row[0]}" for row in WRONG[:3]))
    studies, rejections = drain(NihCxr14(root=root, subset="14x100", per_class=1))
    assert len(studies) == 14
    broken_rows = [rejection.row for rejection in rejections if "Finding Labels" in rejection.reason]
    assert broken_rows == ["row 16", "row 17", "row 18"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda root: (root / "Data_Entry_2017.csv").unlink(),
            "no Data_Entry_2017_v2020.csv; expected the folder",
        ),
        (
            lambda root: (root / "test_list.txt").unlink(),
            "test_list.txt: cannot be read; expected the official list",
        ),
        (lambda root: (root / "train_val_list.txt").unlink(), "train_val_list.txt: cannot be read"),
        (lambda root: (root / "Data_Entry_2017.csv").write_text("a,b\n"), "no column 'Image Index'"),
        (lambda root: (root / "BBox_List_2017.csv").write_text("a,b\n"), "no column 'Image Index'"),
        (lambda root: [f.unlink() for f in root.rglob("*.png")], "no images; unpack them there"),
    ],
)
def test_what_is_missing_is_told_in_one_line(root, change, message):
    change(root)
    with pytest.raises(InputError, match=message) as error:
        NihCxr14(root=root).select()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 3}, "--subset 14x100 only"),
        ({"per_class": 3}, "--subset 14x100 only"),
        ({"subset": "14x100"}, "1 images have No Finding as their only finding; 100 a class"),
    ],
)
def test_options_that_do_not_fit_are_told(root, options, message):
    with pytest.raises(InputError, match=message):
        NihCxr14(root=root, **options).select()
    with pytest.raises(InputError, match="gone: no such folder"):
        NihCxr14(root=root / "gone").select()


NOT_TOUCHED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    root = tmp_path_factory.mktemp("nih-cxr14")
    nih_cxr14.write(root, single=1)
    return root


@pytest.mark.parametrize("subset", ["", "14x100"])
@pytest.mark.parametrize(
    "name", ["Data_Entry_2017.csv", "BBox_List_2017.csv", "test_list.txt", "train_val_list.txt"]
)
@settings(max_examples=60, suppress_health_check=NOT_TOUCHED)
@given(data=st.data())
def test_a_broken_file_gives_studies_and_rejections_or_one_clear_error(sound, name, subset, data):
    file = sound / name
    content = file.read_bytes()
    try:
        file.write_bytes(data.draw(broken(content)))
        stands(NihCxr14(root=sound, subset=subset, per_class=1 if subset else 100), name="nih-cxr14")
    finally:
        file.write_bytes(content)
