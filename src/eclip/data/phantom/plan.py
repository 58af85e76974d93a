"""The phantom's register: patients, studies, ids, splits, and who reads what. All else follows from it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eclip.data.phantom.findings import Finding, sample_findings
from eclip.data.phantom.reading import READERS

# Ten patients' splits: 70/10/20 per cent, and every prefix of it within one patient of that.
_SPLITS = ("test", "train", "train", "train", "train", "test", "train", "validate", "train", "train")
_VISITS = ((1, 0.6), (2, 0.25), (3, 0.15))  # studies a patient, and how often
_KEPT = 0.4  # how often a study shows again what the patient's last one showed

# Ids are 8 digits. Multiplying with a number prime to 10⁷ scatters them; each seed has a block of its own.
_IDS, _SCATTER = 10_000_000, 7_368_787
MAX_SEED, MAX_STUDIES = 250, 40_000

# Streams of random numbers; a study's number completes the seed.
PATIENT, FINDINGS, IMAGE, REPORT, READING, TABLES, SELECTION = range(1, 8)


def stream(seed: int, kind: int, number: int, part: int = 0) -> np.random.Generator:
    """The random numbers of one thing: the same whoever draws them, and in whatever order."""
    return np.random.default_rng([seed, kind, number, part])


@dataclass(frozen=True, slots=True, kw_only=True)
class ReflacxReading:
    """One REFLACX recording: its id, phase of the collection and reader, and whether eye tracking failed."""

    id: str
    phase: int
    reader: int
    discarded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStudy:
    """All that is settled of a study before it is drawn.

    Attributes:
        number: From 0 on; the seed of whatever is drawn for it.
        patient: Number of the patient.
        visit: 0 for the patient's first study.
        subject_id, study_id, dicom_id: As in MIMIC-CXR.
        split: train, validate or test.
        sex: F or M.
        age: Decade of the patient's age.
        findings: What the image shows.
        prior: What the patient's study before showed; None for the first.
        egd: Place in the order of the EGD-CXR recordings, or None.
        reflacx: Recordings of REFLACX.
    """

    number: int
    patient: int
    visit: int
    subject_id: int
    study_id: int
    dicom_id: str
    split: str
    sex: Literal["F", "M"]
    age: int
    findings: tuple[Finding, ...]
    prior: tuple[Finding, ...] | None
    egd: int | None = None
    reflacx: tuple[ReflacxReading, ...] = ()

    @property
    def folder(self) -> str:
        """Of the image, as in MIMIC-CXR."""
        return f"files/p{self.subject_id // 1_000_000}/p{self.subject_id}/s{self.study_id}"


def plan(*, studies: int, annotated: int, seed: int) -> list[PlannedStudy]:
    """Settle patients, splits, findings and readings for `studies` studies, `annotated` of them with gaze."""
    register = list(_register(studies, seed))
    rng = stream(seed, SELECTION, 0)
    chosen = _spread(register, annotated, rng)
    half = (len(chosen) + 1) // 2
    both = len(chosen) // 40  # EGD-CXR studies that REFLACX has too
    for place, number in enumerate(chosen[:half]):
        register[number] = replace(register[number], egd=place)
    for place, number in enumerate(np.concatenate([chosen[half:], chosen[:both]])):
        register[number] = replace(
            register[number], reflacx=_recordings(place, len(chosen) - half, number, seed)
        )
    # A few recordings failed: these studies have outlines but no gaze.
    unread = rng.permutation(np.setdiff1d(np.arange(studies), chosen))[: -(-(annotated - half) // 50)]
    for number in unread:
        failed = ReflacxReading(
            id=_reflacx_id(3, 0, number, 0, seed), phase=3, reader=int(rng.integers(5)), discarded=True
        )
        register[number] = replace(register[number], reflacx=(failed,))
    return register


def _register(studies: int, seed: int) -> Iterator[PlannedStudy]:
    rng = stream(seed, SELECTION, 1)
    visits = _visits(studies, rng)
    splits = _split(visits, rng)
    number = 0
    for patient, count in enumerate(visits.tolist()):
        about = stream(seed, PATIENT, patient, 1)
        sex: Literal["F", "M"] = "F" if about.random() < 0.5 else "M"
        age = 10 * int(about.integers(2, 9))
        prior: tuple[Finding, ...] | None = None
        for visit in range(count):
            draw = stream(seed, FINDINGS, number)
            findings = _findings(prior, draw)
            digits = draw.bytes(20).hex()
            yield PlannedStudy(
                number=number, patient=patient, visit=visit,
                subject_id=_IDS + _scattered(seed * MAX_STUDIES + patient),
                study_id=5 * _IDS + _scattered(seed * MAX_STUDIES + number),
                dicom_id="-".join(digits[i : i + 8] for i in range(0, 40, 8)),
                split=splits[patient], sex=sex, age=age, findings=findings, prior=prior,
            )  # fmt: skip
            prior, number = findings, number + 1


def _scattered(number: int) -> int:
    return number * _SCATTER % _IDS


def _visits(studies: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Number of studies of each patient; they sum up to `studies`."""
    counts, shares = zip(*_VISITS, strict=True)
    visits = rng.choice(counts, p=shares, size=studies)
    patients = int(np.searchsorted(np.cumsum(visits), studies)) + 1
    visits = visits[:patients]
    visits[-1] -= visits.sum() - studies
    return visits


def _split(visits: NDArray[np.int64], rng: np.random.Generator) -> list[str]:
    """A split for each patient: 70/10/20 per cent of the patients and, as near as can be, of the studies."""
    order = np.lexsort((rng.random(len(visits)), -visits))
    splits = np.empty(len(visits), dtype="<U8")
    splits[order] = np.resize(_SPLITS, len(visits))
    return splits.tolist()


def _findings(prior: tuple[Finding, ...] | None, rng: np.random.Generator) -> tuple[Finding, ...]:
    """Of a study; a later one may show what the last one did, about as severe or not."""
    if prior and rng.random() < _KEPT:
        severities = np.clip([f.severity + rng.normal(0, 0.2) for f in prior], 0.05, 1.0)
        return tuple(replace(f, severity=float(s)) for f, s in zip(prior, severities, strict=True))
    return sample_findings(rng)


def _spread(register: list[PlannedStudy], annotated: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Numbers of the annotated studies in random order, each split holding its share of them."""
    order = rng.permutation(len(register))
    split = np.array([study.split for study in register])[order]
    by_split = order[np.argsort(split, kind="stable")]
    evenly = (np.arange(annotated) + 0.5) * len(register) / max(annotated, 1)
    return rng.permutation(by_split[evenly.astype(np.int64)])


def _recordings(place: int, images: int, number: int, seed: int) -> tuple[ReflacxReading, ...]:
    """REFLACX recordings of an image: five readers in the small phases 1 and 2, one in phase 3."""
    small = min(images // 25, 99)  # images in each of the small phases; an id has two digits for them
    phase = 1 if place < small else 2 if place < 2 * small else 3
    readers = range(len(READERS)) if phase < 3 else [place % len(READERS)]
    trial = 1 + place % small if phase < 3 else 0
    failed = len(READERS) - 1 if phase == 2 and place == small else None  # one of several readers has no gaze
    return tuple(
        ReflacxReading(
            id=_reflacx_id(phase, trial, number, reader, seed),
            phase=phase,
            reader=reader,
            discarded=reader == failed,
        )
        for reader in readers
    )


def _reflacx_id(phase: int, trial: int, number: int, reader: int, seed: int) -> str:
    digits = (
        (number * len(READERS) + reader + 7919 * seed) * 379_721 % 1_000_000
    )  # prime to 10⁶: unique within a phantom
    return f"P{phase}{trial:02}R{digits:06}"
