"""Oracles: stores with one known fault each, and a loop over fixations."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from eclip.annotations.annotation import Annotation, Fixation
from eclip.data.checks import check_store, gaze_off_the_image
from eclip.data.store import write_store
from eclip.data.study import SCHEMA, to_row
from small_stores import small_study


def checked(folder, studies, rejected=()):
    write_store(folder, studies, source="test", shard_rows=3)
    return check_store(sorted(folder.glob("*.parquet")), rejected)


def studies(count=8):
    splits = ["train", "train", "validate", "test"]
    return [
        replace(small_study(i, split=splits[i % 4]), image_hash=f"{i + 1:02x}" * 32) for i in range(count)
    ]


def test_a_sound_store_has_nothing(tmp_path):
    assert {name: check.count for name, check in checked(tmp_path / "s", studies()).items()} == {
        "duplicate_image_ids": 0,
        "patients_in_several_splits": 0,
        "near_duplicate_images_across_splits": 0,
        "texts_in_several_splits": 0,
        "gaze_off_the_image": 0,
        "empty_reports": 0,
    }


@pytest.mark.parametrize(
    ("name", "row", "changes", "leak"),
    [
        ("duplicate_image_ids", 6, {"image_id": "image-0"}, False),
        ("patients_in_several_splits", 7, {"patient_id": "patient-0"}, True),
        ("near_duplicate_images_across_splits", 7, {"image_hash": "01" * 31 + "00"}, True),
        ("near_duplicate_images_across_splits", 2, {"image_hash": "01" * 32}, True),
        ("texts_in_several_splits", 7, {"text": "There is atelectasis, study 0."}, False),
    ],
)
def test_each_fault_is_found_and_no_other(tmp_path, name, row, changes, leak):
    spoiled = studies()
    spoiled[row] = replace(spoiled[row], **changes)
    found = {key: check for key, check in checked(tmp_path / "s", spoiled).items() if check.count}
    assert list(found) == [name]
    assert found[name].count == 1
    assert found[name].leak == leak


@pytest.mark.parametrize(
    ("changes", "row"),
    [
        ({"patient_id": "patient-0"}, 1),
        ({"image_hash": "01" * 32}, 1),
        ({"text": "There is atelectasis, study 0."}, 1),
    ],
)
def test_what_stays_in_one_split_is_no_fault(tmp_path, changes, row):
    same = studies()
    same[row] = replace(same[row], **changes)
    assert not any(check.count for check in checked(tmp_path / "s", same).values())


def test_rows_left_out_are_counted_by_their_reason(tmp_path):
    reasons = [
        "empty report",
        "no report",
        "no text in column 'x'",
        "image id that came before",
        "no such file",
    ]
    rejected = [{"file": "t.csv", "row": f"row {i}", "reason": reason} for i, reason in enumerate(reasons)]
    checks = checked(tmp_path / "s", studies(), rejected)
    assert checks["empty_reports"].count == 3
    assert checks["empty_reports"].examples[0] == "row 0 of t.csv"
    assert checks["duplicate_image_ids"].count == 1


def gaze(points, kind="gaze"):
    return Annotation(kind, fixations=tuple(Fixation(x, y, i, i + 1) for i, (x, y) in enumerate(points)))


def off_by_a_loop(annotations):
    for annotation in annotations:
        points = [(f.x, f.y) for f in annotation.fixations]
        if not points:
            continue
        beside = sum(not (0 <= x <= 1 and 0 <= y <= 1) for x, y in points)
        extent = max(max(v) - min(v) for v in zip(*points, strict=True))
        if beside > len(points) / 2 or (len(points) >= 10 and extent < 0.1):
            return True
    return False


def test_gaze_off_the_image_is_what_a_loop_finds():
    draw = np.random.default_rng(0)
    rows = []
    for _ in range(200):
        annotations = []
        for _ in range(draw.integers(0, 4)):
            low, high = (
                sorted(draw.uniform(-1, 2, 2)) if draw.random() < 0.5 else (0.5, 0.5 + draw.uniform(0, 0.2))
            )
            annotations.append(gaze(draw.uniform(low, high, (draw.integers(0, 20), 2)).tolist()))
        rows.append(tuple(annotations))
    table = pa.Table.from_pylist(
        [to_row(replace(small_study(0), annotations=a)) for a in rows], schema=SCHEMA
    )
    column = table.column("annotations").combine_chunks()
    expected = [i for i, annotations in enumerate(rows) if off_by_a_loop(annotations)]
    assert 20 < len(expected) < 180
    assert gaze_off_the_image(column) == expected
    assert gaze_off_the_image(column[50:]) == [i - 50 for i in expected if i >= 50]


def test_pixels_of_another_frame_are_found(tmp_path):
    points = np.random.default_rng(0).uniform(0, 1, (30, 2))
    fine, large, small = studies(3)
    rows = [
        replace(fine, annotations=(gaze(points),)),
        replace(large, annotations=(gaze(points * 4),)),
        replace(small, annotations=(gaze(points / 12),)),
    ]
    check = checked(tmp_path / "s", rows)["gaze_off_the_image"]
    assert check.examples == ("image-1", "image-2")
