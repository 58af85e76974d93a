"""Oracles: the masks as they were drawn; codes decoded by hand and by a loop."""

import hashlib
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from broken_files import broken, drain, stands
from eclip.annotations.annotation import Annotation
from eclip.annotations.reading import Rejection
from eclip.data.images import Shrunk, decode
from eclip.data.sources.siim_acr import Pneumothorax, SiimAcr
from eclip.errors import InputError
from fabricated import siim_acr as tree

FULL_SIZE = Shrunk(np.zeros((1024, 1024), np.uint8), original_height=1024, original_width=1024)


def split(image_id):
    place = int(hashlib.sha256(image_id.encode()).hexdigest()[:16], 16) / 2**64
    return "train" if place < 0.8 else "validate" if place < 0.9 else "test"


def drawn(code, image=FULL_SIZE):
    """The mask of one code, or the reason why there is none."""
    (found,) = Pneumothorax(file="t.csv", runs=(("line 2", code),))(image)
    return found.reason if isinstance(found, Rejection) else decode(found.region.mask) > 0


@pytest.mark.parametrize(("table", "suffix"), [("train-rle.csv", ".dcm"), ("stage_2_train.csv", ".png")])
def test_the_studies_are_those_that_were_written(tmp_path, table, suffix):
    tree.write(tmp_path, table=table, suffix=suffix)
    source = SiimAcr(root=tmp_path)
    studies, rejections = drain(source, image_size=64)
    assert rejections == []
    assert source.select().skipped == {f"image without a sound row in {table}": 1}
    assert [study.image_id for study in studies] == [tree.image_id(number) for number in tree.NUMBERS]
    for number, study in enumerate(studies):
        assert study.patient_id == study.study_id == study.image_id
        assert study.split == split(study.image_id)
        assert study.labels == {"Pneumothorax": int(number % 3 > 0)}
        assert study.text == ""
        assert np.abs(decode(study.image).astype(int) - tree.gray(number)).mean() < 12  # JPEGs of noise
        if suffix == ".dcm":
            assert (study.view, study.sex, study.age) == ("PA", "M", 61)
        union = np.any([np.zeros((1024, 1024), bool), *tree.masks(number)], axis=0)
        covered = union.reshape(64, 16, 64, 16).mean((1, 3)) >= 0.5
        found = [decode(annotation.region.mask) > 0 for annotation in study.annotations]
        assert len(found) == (number % 3 > 0)
        for annotation, mask in zip(study.annotations, found, strict=True):
            assert (annotation.kind, annotation.label, annotation.reader) == ("mask", "Pneumothorax", "")
            np.testing.assert_array_equal(mask, covered)
    assert {study.split for study in studies} == {"train", "validate", "test"}


def test_a_code_is_decoded_down_the_columns_each_run_counted_from_the_last():
    expected = np.zeros((1024, 1024), bool)
    expected[1:4, 0] = True  # three pixels after the first one
    expected[1022:, 0] = True  # 1018 on: the last two of the column, and the first of the next
    expected[0, 1] = True
    np.testing.assert_array_equal(drawn("1 3 1018 3"), expected)
    np.testing.assert_array_equal(drawn("0 1048576"), np.ones((1024, 1024), bool))


@settings(max_examples=50)
@given(runs=st.lists(st.tuples(st.integers(0, 60_000), st.integers(1, 40_000)), min_size=1, max_size=10))
def test_any_code_is_decoded_as_by_a_loop(runs):
    expected, position = np.zeros(1024 * 1024, bool), 0
    for gap, length in runs:
        position += gap
        for pixel in range(position, position + length):
            if pixel < len(expected):
                expected[pixel] = True
        position += length
    found = drawn(" ".join(f"{gap} {length}" for gap, length in runs))
    np.testing.assert_array_equal(found, expected.reshape(1024, 1024).T)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("5", "run-length code of 1 numbers; expected pairs"),
        ("5 3 7", "run-length code of 3 numbers; expected pairs"),
        ("5 0", "run-length code with a run of 0 pixels"),
        ("0 1048577", "does not fit a mask of 1024 × 1024 pixels"),
        ("1048576 1", "does not fit a mask of 1024 × 1024 pixels"),
        ("9999999 9999999 " * 4000, "does not fit a mask of 1024 × 1024 pixels"),
    ],
)
def test_codes_that_cannot_be_are_told(code, reason):
    assert reason in drawn(code)


def test_a_mask_that_has_not_the_image_s_shape_is_told():
    squeezed = Shrunk(np.zeros((60, 80), np.uint8), original_height=600, original_width=800)
    assert "does not have the shape of the image, 800 × 600" in drawn("0 9", squeezed)


def test_the_sound_rows_of_an_image_make_its_mask():
    found = Pneumothorax(file="t.csv", runs=(("line 2", "0 9"), ("line 3", "1 2 3"), ("line 4", "4 9")))(
        FULL_SIZE
    )
    assert [type(item) for item in found] == [Rejection, Annotation]
    assert found[0].row == "line 3"
    assert np.flatnonzero((decode(found[1].region.mask) > 0).T).tolist() == list(range(13))


def test_drafts_survive_the_way_to_a_worker(tmp_path):
    tree.write(tmp_path, suffix=".png")
    drafts = list(SiimAcr(root=tmp_path).select().drafts())
    assert pickle.loads(pickle.dumps(drafts)) == drafts  # noqa: S301
    assert list(map(repr, SiimAcr(root=tmp_path).select().drafts())) == list(map(repr, drafts))


def test_the_later_table_counts(tmp_path):
    tree.write(tmp_path, suffix=".png")
    (tmp_path / "stage_2_train.csv").write_text(f"ImageId,EncodedPixels\n{tree.image_id(1)},-1\n")
    studies, _ = drain(SiimAcr(root=tmp_path))
    assert [(study.image_id, study.labels) for study in studies] == [(tree.image_id(1), {"Pneumothorax": 0})]


def test_what_cannot_be_used_is_listed_with_file_row_and_reason(tmp_path):
    for number in range(8):
        tree.write_image(tmp_path / "images", number, ".png")
    next(tmp_path.rglob(f"{tree.image_id(6)}.png")).write_bytes(b"not an image")
    Image.new("L", (80, 60)).save(next(tmp_path.rglob(f"{tree.image_id(7)}.png")))
    cells = [
        (0, " -1"), (0, "5 3"),  # 2, 3
        (1, "maybe"), (1, "0 9"),  # 4, 5
        (2, "-5 3"),  # 6
        (3, "5 3 1"),  # 7
        (4, ""), (4, "-1"),  # 8, 9
        (5, "9" * 400 + " 1"),  # 10
        (6, "-1"),  # 11
        (7, "0 9"),  # 12
        (8, "-1"),  # 13
    ]  # fmt: skip
    rows = [f"{tree.image_id(number)},{cell}" for number, cell in cells]
    rows += [",-1", "../../etc/passwd,-1", f"{tree.image_id(3)},1,2"]  # 14, 15, 16
    table = tmp_path / "train-rle.csv"
    table.write_text("\n".join(["ImageId, EncodedPixels", *rows]) + "\n")
    studies, rejections = drain(SiimAcr(root=tmp_path))
    found = {study.image_id: (study.labels["Pneumothorax"], len(study.annotations)) for study in studies}
    assert found == {
        tree.image_id(number): kept for number, kept in {1: (1, 1), 3: (1, 0), 4: (0, 0), 7: (1, 0)}.items()
    }
    assert {rejection.file for rejection in rejections} == {str(table)}
    reasons = {rejection.row: rejection.reason for rejection in rejections}
    expected = {
        "line 3": "-1 and a mask in the rows of one image",
        "line 4": "EncodedPixels is 'maybe'; expected -1 or pairs of numbers",
        "line 6": "EncodedPixels is '-5 3'",
        "line 7": "run-length code of 3 numbers",
        "line 8": "EncodedPixels is ''",
        "line 10": "EncodedPixels is '9999",
        tree.image_id(6): "not an image",
        "line 12": "does not have the shape of the image, 80 × 60",
        tree.image_id(8): "no image of this name",
        "line 14": "no ImageId",
        "../../etc/passwd": "no image of this name",
        "line 16": "3 cells, expected 2",
    }
    assert reasons.keys() == expected.keys()
    for row, reason in expected.items():
        assert reason in reasons[row]
    assert len(reasons["line 10"]) < 100
    # 0, 2 and 5: in the table, and yet without a row that can be used
    assert SiimAcr(root=tmp_path).select().skipped == {"image without a sound row in train-rle.csv": 3}


def test_what_is_missing_is_told_in_one_line(tmp_path):
    with pytest.raises(InputError, match="gone: no such folder"):
        SiimAcr(root=tmp_path / "gone").select()
    with pytest.raises(
        InputError, match=r"no stage_2_train.csv or train-rle.csv; expected a SIIM-ACR folder"
    ):
        SiimAcr(root=tmp_path).select()
    (tmp_path / "train-rle.csv").write_text("ImageId\n1\n")
    with pytest.raises(InputError, match=r"train-rle.csv: no column 'EncodedPixels'"):
        SiimAcr(root=tmp_path).select()


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    root = tmp_path_factory.mktemp("siim")
    tree.write(root, suffix=".png")
    lines = (root / "train-rle.csv").read_bytes().split(b"\n")[:9]
    shorter = [line if len(line) < 400 else line[: line.index(b" ", 200) + 2].rstrip() for line in lines]
    return root, b"\n".join(shorter)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_table_gives_studies_and_rejections_or_one_line(sound, data):
    root, table = sound
    (root / "train-rle.csv").write_bytes(data.draw(broken(table)))
    outcome = stands(SiimAcr(root=root), name="siim-acr")
    if outcome is not None:
        known = {tree.image_id(number) for number in [*tree.NUMBERS, 99]}
        assert {study.image_id for study in outcome[0]} <= known
        for study in outcome[0]:
            assert len(study.annotations) <= study.labels["Pneumothorax"]
