"""Oracle: the tree as it was written; verdicts counted by hand."""

import hashlib
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broken_files import broken, drain, stands
from eclip.data.images import decode
from eclip.data.sources.vindr_cxr import VinDrCxr
from eclip.errors import InputError
from fabricated import vindr_cxr as tree

TABLES = [f"{kind}_{part}.csv" for kind in ("image_labels", "annotations") for part in ("train", "test")]
SPELLED = {"Pleural effusion": "Pleural Effusion", "No finding": "No Finding",
           "Pleural thickening": "Pleural Thickening"}  # fmt: skip
VERDICTS = [  # of readings(number) for number % 4: in train the readers vote, in test they have agreed
    ({"No Finding": 1}, {"No Finding": 1}),
    ({"Cardiomegaly": 1, "Pleural Effusion": 1}, {"Cardiomegaly": 1, "Pleural Effusion": 1}),
    ({"Cardiomegaly": 1, "Nodule/Mass": -1}, {"Cardiomegaly": 1, "Nodule/Mass": 1}),
    ({"No Finding": 1, "Nodule/Mass": -1}, {"Nodule/Mass": 1}),
]


def split(number):
    place = int(hashlib.sha256(tree.image_id(number).encode()).hexdigest()[:16], 16) / 2**64
    return "test" if number >= 100 else "train" if place < 0.9 else "validate"


@pytest.mark.parametrize("suffix", [".dicom", ".dcm", ".png"])
def test_the_studies_are_those_that_were_written(tmp_path, suffix):
    tree.write(tmp_path, suffix=suffix)
    source = VinDrCxr(root=tmp_path)
    studies, rejections = drain(source, image_size=128)
    assert rejections == []
    nothing = 3 * 3 + 3 * 2 + 1  # readers of train, and of test
    assert source.select().skipped == {"row of a reader who found nothing (no box)": nothing}
    numbers = [*tree.NUMBERS["train"], *tree.NUMBERS["test"]]
    assert [study.image_id for study in studies] == [tree.image_id(number) for number in numbers]
    for number, study in zip(numbers, studies, strict=True):
        height, width = tree.size(number)
        assert study.patient_id == study.study_id == study.image_id
        assert study.split == split(number)
        names = [SPELLED.get(name, name) for name in tree.FINDINGS]
        verdict = VERDICTS[number % 4][number >= 100]
        assert study.labels == dict.fromkeys(names, 0) | verdict
        assert (study.original_height, study.original_width) == (height, width)
        boxes = [
            ("box", reader, SPELLED.get(name, name), (x0 / width, y0 / height, x1 / width, y1 / height))
            for reader, found in tree.readings(number).items()
            for name, (x0, y0, x1, y1) in found
        ]
        assert [(a.kind, a.reader, a.label) for a in study.annotations] == [box[:3] for box in boxes]
        for annotation, box in zip(study.annotations, boxes, strict=True):
            np.testing.assert_allclose(np.ravel(annotation.region.points), box[3], atol=1e-6)
        if suffix != ".png":
            assert (study.sex, study.age) == ("F", 47)
        inverted = suffix != ".png" and number % 2
        gray = tree.gray(number) / 4095 * 255
        difference = decode(study.image) - (255 - gray if inverted else gray)
        assert np.abs(difference).mean() < 12  # JPEGs of noise
    assert {study.split for study in studies} == {"train", "validate", "test"}


@pytest.mark.parametrize(
    ("votes", "verdict"),
    [("000", 0), ("100", -1), ("110", 1), ("111", 1), ("10", -1), ("1", 1), ("0", 0), ("1100", -1)],
)
@pytest.mark.parametrize("reader", ["rad_id", "rad_ID", None])
def test_readers_vote(tmp_path, votes, verdict, reader):
    tree.write(tmp_path, suffix=".png")
    header = ["image_id", *([reader] if reader else []), "Edema"]
    rows = [[tree.image_id(0), *([f"R{place}"] if reader else []), vote] for place, vote in enumerate(votes)]
    table = "\n".join(",".join(row) for row in [header, *rows])
    (tmp_path / "annotations" / "image_labels_train.csv").write_text(table)
    draft = next(draft for draft in VinDrCxr(root=tmp_path).select().drafts() if hasattr(draft, "study"))
    assert draft.study.labels == {"Edema": verdict}


def test_a_part_without_images_is_left_out_and_counted(tmp_path):
    tree.write(tmp_path, suffix=".png")
    (tmp_path / "train").rename(tmp_path / "later")
    source = VinDrCxr(root=tmp_path)
    studies, rejections = drain(source)
    assert [study.split for study in studies] == ["test"] * 4
    assert rejections == []
    assert source.select().skipped["image of train/, which is not there"] == 12
    assert source.select().total == 4


def test_tables_without_rows_give_nothing(tmp_path):
    tree.write(tmp_path, suffix=".png")
    for name in TABLES:
        file = tmp_path / "annotations" / name
        file.write_text(file.read_text().split("\n")[0])
    assert drain(VinDrCxr(root=tmp_path)) == ([], [])


def test_drafts_survive_the_way_to_a_worker(tmp_path):
    tree.write(tmp_path, suffix=".png")
    drafts = list(VinDrCxr(root=tmp_path).select().drafts())
    assert pickle.loads(pickle.dumps(drafts)) == drafts  # noqa: S301
    assert list(map(repr, VinDrCxr(root=tmp_path).select().drafts())) == list(map(repr, drafts))


def test_what_cannot_be_used_is_listed_with_file_row_and_reason(tmp_path):
    tree.write(tmp_path, suffix=".png")
    folder, ids = tmp_path / "annotations", [tree.image_id(number) for number in range(12)]
    sound = ",".join("0" * len(tree.FINDINGS))
    labels = (folder / "image_labels_train.csv").read_text().split("\n")
    expected = {}

    def add(name, rows):
        with (folder / name).open("a") as file:
            first = len((folder / name).read_text().split("\n"))
            for line, (row, reason) in enumerate(rows, first):
                file.write(row + "\n")
                if reason:
                    expected[str(folder / name), f"line {line}"] = reason

    add(
        "image_labels_train.csv",
        [
            (f"{ids[0]},R9,maybe{sound[1:]}", "label 'Aortic enlargement' is 'maybe'; expected 0 or 1"),
            (f"{ids[0]},R9,{sound[:-1]}-1", "label 'No Finding' is '-1'; expected 0 or 1"),
            (labels[1], "second row of reader 'R1'"),
            (f",R9,{sound}", "no image_id"),
            (f"{ids[0]},R9,{sound},0", "31 cells, expected 30"),
            (f"../test/{tree.image_id(100)},R9,{sound}", ""),
        ],
    )
    expected[str(folder / "image_labels_train.csv"), f"../test/{tree.image_id(100)}"] = (
        "no image of this name"
    )
    add(
        "annotations_train.csv",
        [
            (f"{ids[0]},R9,Edema,1,2,,4", "x_max is '', expected a number"),
            (f"{ids[0]},R9,Edema,1,2,{'9' * 400},4", "x_max is '9999"),
            (f"{ids[0]},R9,Edema,1,2,81.5,4", "reaches out of the image of 80 × 60 pixels"),
            (f"{ids[0]},R9,Edema,9,2,1,4", "has no area"),
            (f"{ids[0]},R9,Edema,,,,", "x_min is '', expected a number"),
            (f"{tree.image_id(100)},R9,Edema,1,2,3,4", "has no sound row in image_labels_train.csv"),
            (f"{ids[0]},R9,Edema", "3 cells, expected 7"),
            (f"{ids[0]},R9,Edema,1,2,3,4", ""),
        ],
    )
    (tmp_path / "train" / f"{ids[4]}.png").unlink()
    (tmp_path / "train" / f"{ids[5]}.png").write_bytes(b"not an image")
    expected[str(folder / "image_labels_train.csv"), ids[4]] = "no image of this name"
    expected[str(folder / "image_labels_train.csv"), ids[5]] = "not an image that can be read"

    studies, rejections = drain(VinDrCxr(root=tmp_path))
    assert len(studies) == 14
    assert studies[0].labels == dict.fromkeys(studies[0].labels, 0) | {"No Finding": 1}
    assert [(a.label, a.reader) for a in studies[0].annotations] == [("Edema", "R9")]
    assert len(rejections) == len(expected)
    for rejection in rejections:
        assert expected[rejection.file, rejection.row] in rejection.reason


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: (root / "annotations" / TABLES[0]).unlink(), "image_labels_train.csv: no such file"),
        (lambda root: (root / "annotations" / TABLES[3]).unlink(), "annotations_test.csv: no such file"),
        (
            lambda root: (root / "annotations" / TABLES[0]).write_text("image_id,rad_id\n"),
            "no column of labels",
        ),
        (lambda root: (root / "annotations" / TABLES[2]).write_text("image_id\n"), "no column 'class_name'"),
        (
            lambda root: [(root / name).rename(root / f"{name}2") for name in tree.NUMBERS],
            "no train/ and no test/",
        ),
    ],
)
def test_what_is_missing_is_told_in_one_line(tmp_path, damage, message):
    tree.write(tmp_path, suffix=".png")
    damage(tmp_path)
    with pytest.raises(InputError, match=message):
        VinDrCxr(root=tmp_path).select()
    with pytest.raises(InputError, match="gone: no such folder"):
        VinDrCxr(root=tmp_path / "gone").select()


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    root = tmp_path_factory.mktemp("vindr")
    tree.write(root, suffix=".png", parts={"train": range(1, 4), "test": range(101, 103)})
    return root, {name: (root / "annotations" / name).read_bytes() for name in TABLES}


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=80, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_table_gives_studies_and_rejections_or_one_line(sound, name, data):
    root, tables = sound
    for table, content in tables.items():
        (root / "annotations" / table).write_bytes(content)
    (root / "annotations" / name).write_bytes(data.draw(broken(tables[name])))
    outcome = stands(VinDrCxr(root=root), name="vindr-cxr")
    if outcome is not None:
        known = {tree.image_id(number) for numbers in tree.NUMBERS.values() for number in numbers}
        assert {study.image_id for study in outcome[0]} <= known
        for study in outcome[0]:
            assert set(study.labels.values()) <= {-1, 0, 1}
