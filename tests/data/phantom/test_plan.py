import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eclip.data.phantom.findings import FINDING_NAMES
from eclip.data.phantom.plan import MAX_STUDIES, plan


@pytest.fixture(scope="module")
def register():
    return plan(studies=2000, annotated=200, seed=0)


@given(st.integers(1, 150), st.floats(0, 1), st.integers(0, 249))
@settings(max_examples=40)
def test_any_size_is_split_by_patient(studies, share, seed):
    annotated = int(share * studies)
    register = plan(studies=studies, annotated=annotated, seed=seed)
    assert [study.number for study in register] == list(range(studies))
    of_patient = {}
    for study in register:
        assert of_patient.setdefault(study.subject_id, study.split) == study.split
    patients = Counter(of_patient.values())
    for split, wanted in (("train", 0.7), ("validate", 0.1), ("test", 0.2)):
        assert abs(patients[split] - wanted * len(of_patient)) <= 1
    read = [s for s in register if s.egd is not None or any(not r.discarded for r in s.reflacx)]
    assert len(read) == annotated


def test_splits_share_the_studies_too(register):
    counts = Counter(study.split for study in register)
    assert counts["test"] >= 400
    assert abs(counts["train"] - 1400) < 10
    read = Counter(s.split for s in register if s.egd is not None or any(not r.discarded for r in s.reflacx))
    for split, share in (("train", 140), ("validate", 20), ("test", 40)):
        assert abs(read[split] - share) <= 2


def test_patients_come_one_to_three_times(register):
    visits = Counter(study.subject_id for study in register)
    assert set(visits.values()) == {1, 2, 3}
    for study in register:
        assert (study.prior is None) == (study.visit == 0)
    by_number = {study.number: study for study in register}
    assert all(study.prior == by_number[study.number - 1].findings for study in register if study.visit)


def test_ids_look_like_those_of_mimic_and_are_unique(register):
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{8}){4}", study.dicom_id) for study in register)
    assert all(re.fullmatch(r"files/p1\d/p1\d{7}/s5\d{7}", study.folder) for study in register)
    assert len({study.dicom_id for study in register}) == len({study.study_id for study in register}) == 2000
    _assert_recordings_have_ids_of_reflacx(register)


def test_a_large_phantom_has_ids_of_reflacx_too():
    """Of 4,000 images a 25th were 160, and the id's two digits for the place in a small phase had three."""
    _assert_recordings_have_ids_of_reflacx(plan(studies=8000, annotated=8000, seed=100))


def _assert_recordings_have_ids_of_reflacx(register):
    recordings = [recording.id for study in register for recording in study.reflacx]
    assert len(set(recordings)) == len(recordings) > 0
    assert all(
        re.fullmatch(r"P[123]\d{2}R\d{6}", name) and (name[1] != "3" or name[:5] == "P300R")
        for name in recordings
    )


def test_other_seeds_have_other_patients(register):
    for seed in (1, 2, 249):
        other = plan(studies=2000, annotated=0, seed=seed)
        for field in ("subject_id", "study_id", "dicom_id"):
            assert not {getattr(s, field) for s in register} & {getattr(s, field) for s in other}
    assert MAX_STUDIES * 250 == 10**7  # every seed has a block of its own among the 8-digit ids


def test_readings_are_shared_out(register):
    egd = sorted(study.egd for study in register if study.egd is not None)
    assert egd == list(range(100))
    phases = Counter(r.phase for study in register for r in study.reflacx)
    images = Counter(phase for study in register for phase in {r.phase for r in study.reflacx})
    assert phases[1] == 5 * images[1] > 0
    assert phases[2] == 5 * images[2] > 0
    assert phases[3] == images[3] > 50
    assert 1 <= sum(bool(study.egd is not None and study.reflacx) for study in register) <= 10
    assert 2 <= sum(r.discarded for study in register for r in study.reflacx) <= 6


def test_findings_are_balanced(register):
    counts = Counter(finding.name for study in register for finding in study.findings)
    assert set(counts) == set(FINDING_NAMES)
    assert max(counts.values()) < 1.5 * min(counts.values())
    assert 0.2 < np.mean([not study.findings for study in register]) < 0.32
