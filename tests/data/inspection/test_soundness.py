"""Oracles: faults that were put in."""

from dataclasses import replace

from eclip.data.inspection.soundness import assess
from eclip.data.store import Store, write_store
from small_stores import small_store, small_study


def test_a_sound_store_has_only_sound_checks(tmp_path):
    store = small_store(tmp_path / "s", plain=4, annotated=2, validate=1, test=1)
    assert [(a.state, a.count, a.examples) for a in assess(store)] == [("sound", 0, ())] * 3


def test_faults_are_found(tmp_path):
    studies = [small_study(0), small_study(0), replace(small_study(1), split="test", patient_id="patient-0")]
    write_store(tmp_path / "s", studies, source="test")
    Store.open(tmp_path / "s")  # makes the copy that is read from then on
    shard = tmp_path / "s" / "studies-00000.parquet"
    content = bytearray(shard.read_bytes())
    content[60] ^= 1
    shard.write_bytes(content)
    found = assess(Store.open(tmp_path / "s"))
    assert [(a.state, a.count) for a in found] == [("wrong", 1)] * 3
    assert [a.examples[0] for a in found] == [shard.name, "image-0", "patient-0"]
    assert str(found[2]) == "patients in more than one split: 1, such as patient-0"


def test_what_the_build_found_is_told(tmp_path):
    def check(count, leak, *examples):
        return {"count": count, "examples": list(examples), "leak": leak}

    checks = {
        "patients_in_several_splits": check(3, True, "measured anew"),
        "near_duplicate_images_across_splits": check(2, True, "a and b", "c and d"),
        "texts_in_several_splits": check(9, False),
        "gaze_off_the_image": check(0, False),
        "something_new": check(0, True),
    }
    write_store(tmp_path / "s", [small_study(0)], source="test", checks=checks)
    found = assess(Store.open(tmp_path / "s"))
    assert [(a.state, a.count) for a in found] == [("sound", 0)] * 3 + [
        ("wrong", 2),
        ("note", 9),
        ("sound", 0),
        ("sound", 0),
    ]
    assert found[3].examples == ("a and b", "c and d")
    assert found[6].title == "something new"
