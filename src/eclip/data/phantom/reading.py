"""The phantom's reading: where a radiologist looks while dictating a report, and when each word is said.

The scan path is planned as a sequence of windows, each with places to look at: first a survey of the lungs,
then for every sentence from 0.5 to 1.5 s before it is begun until the next one draws the eye. Fixations are
then laid over that plan in one go.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eclip.annotations.annotation import Region
from eclip.data.phantom.findings import Finding
from eclip.data.phantom.image import Chest
from eclip.data.phantom.report import Report
from eclip.data.phantom.statements import Statement

Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]

DEGREE = 0.035  # one degree of visual angle as a fraction of what is shown: a 27-inch screen at arm's length
FEWEST, MOST = 42, 118  # fixations of a reading
_MEAN_STEP = 0.32  # seconds a fixation and the saccade after it
_ZONE_EXTENT = 0.05  # a landmark is a place as large as this, as a fraction of the image
_WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
_SURVEY = (
    "trachea", "right apex", "right upper", "right mid", "right lower", "right costophrenic", "heart",
    "left costophrenic", "left lower", "left mid", "left upper", "left apex", "mediastinum", "abdomen",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reader:
    """A radiologist's habits.

    Attributes:
        name: For telling readers apart.
        words_per_second: Speed of dictation.
        jitter: Standard deviation of gaze around what is looked at, in degrees.
        off_image: Share of fixations beside the image.
        wander: Share of fixations elsewhere on the image while a finding is dictated.
        zoom: How often a finding is magnified.
    """

    name: str
    words_per_second: float
    jitter: float
    off_image: float
    wander: float
    zoom: float


READERS: tuple[Reader, ...] = (
    Reader("A", 2.5, 1.0, 0.03, 0.15, 0.20),
    Reader("B", 2.8, 0.8, 0.02, 0.10, 0.35),
    Reader("C", 2.2, 1.2, 0.05, 0.20, 0.10),
    Reader("D", 2.6, 1.1, 0.04, 0.25, 0.00),
    Reader("E", 2.4, 0.9, 0.02, 0.15, 0.30),
)


@dataclass(frozen=True, slots=True)
class PhantomReading:
    """One reading of one image, as arrays. Times in seconds from the start, places in fractions of the image.

    Attributes:
        start, end, x, y: One value a fixation, (N,).
        visible: What was on the screen at each fixation as x0, y0, x1, y1; (N, 4).
        words: What was dictated, word by word; a sentence's last word carries its period.
        word_start, word_end: One value a word, (W,).
        sentence: Number of the report's sentence each word belongs to, (W,).
    """

    start: Floats
    end: Floats
    x: Floats
    y: Floats
    visible: Floats
    words: tuple[str, ...]
    word_start: Floats
    word_end: Floats
    sentence: NDArray[np.int64]


def read_aloud(
    chest: Chest,
    findings: Sequence[Finding],
    report: Report,
    rng: np.random.Generator,
    *,
    reader: Reader = READERS[0],
    zoom: bool = False,
) -> PhantomReading:
    """Look at a chest while dictating its report."""
    words, sentence, word_start, word_end = _dictate(report.sentences, rng, reader)
    survey = max(rng.uniform(2.5, 5.0), FEWEST * _MEAN_STEP - word_end[-1])
    word_start, word_end = word_start + survey, word_end + survey
    said_from = word_start[np.searchsorted(sentence, np.arange(len(report.sentences)))]
    lead = rng.uniform(0.5, 1.5, len(said_from))
    window_start = np.concatenate([[0.0], np.maximum.accumulate(said_from - lead)])

    start, end = _fixation_times(word_end[-1] + rng.uniform(0.3, 1.5), rng)
    middle = (start + end) / 2
    window = np.searchsorted(window_start, middle, side="right") - 1
    window_end = np.append(window_start[1:], end[-1])
    progress = (middle - window_start[window]) / (window_end - window_start)[window]

    places = [
        _survey_places(chest, rng),
        *(_places(chest, findings, statement) for statement in report.sentences),
    ]
    rounds = np.array(
        [max(1, round(survey / (len(places[0]) * _MEAN_STEP * 2))), *[1] * len(report.sentences)]
    )
    visible = np.array([_WHOLE, *(_shown(chest, s, rng, reader.zoom * zoom) for s in report.sentences)])[
        window
    ]
    target = _look_at(places, window, progress * rounds[window], rng)
    about_finding = np.array([False, *(s.finding is not None for s in report.sentences)])[window]
    whole = (visible == _WHOLE).all(1)
    wanders = about_finding & whole & (rng.random(len(start)) < reader.wander)
    elsewhere = np.array(list(chest.landmarks.values()))[rng.integers(len(chest.landmarks), size=len(start))]
    place = np.where(wanders[:, None], elsewhere, target)
    shown = visible[:, 2:] - visible[:, :2]
    place = place + rng.normal(size=place.shape) * reader.jitter * DEGREE * shown
    place = np.where(
        (whole & (rng.random(len(start)) < reader.off_image))[:, None], _beside(len(start), rng), place
    )
    return PhantomReading(
        start, end, place[:, 0], place[:, 1], visible, words, word_start, word_end, sentence
    )


def _dictate(
    statements: Sequence[Statement], rng: np.random.Generator, reader: Reader
) -> tuple[tuple[str, ...], NDArray[np.int64], Floats, Floats]:
    """Words, their sentence's number, when each is said, from 0 on; pauses after commas and sentences."""
    spoken = [statement.text.split() for statement in statements]
    words = tuple(word for sentence in spoken for word in sentence)
    sentence = np.repeat(np.arange(len(spoken)), [len(s) for s in spoken])
    length = np.array([len(word) for word in words])
    duration = (0.4 + 0.6 * length / 6) * rng.lognormal(0, 0.2, len(words)) / reader.words_per_second
    duration *= 0.9  # the rest is the gap after it
    last = np.append(sentence[1:] != sentence[:-1], False)
    comma = np.array([word.endswith((",", ";", ":")) for word in words])
    pause = (
        0.1 * duration + comma * rng.uniform(0.1, 0.4, len(words)) + last * rng.uniform(0.3, 1.2, len(words))
    )
    start = np.concatenate([[0.0], np.cumsum(duration + pause)[:-1]])
    return words, sentence, start, start + duration


def _fixation_times(total: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Log-normal durations (median about 0.25 s) and saccades between them, together `total` seconds."""
    count = int(np.clip(round(total / _MEAN_STEP), FEWEST, MOST))
    duration, saccade = rng.lognormal(np.log(0.25), 0.45, count), rng.uniform(0.02, 0.06, count)
    start = np.concatenate([[0.0], np.cumsum(duration + saccade)[:-1]])
    scale = total / (start[-1] + duration[-1])
    return start * scale, (start + duration) * scale


def _survey_places(chest: Chest, rng: np.random.Generator) -> Floats:
    """The survey as boxes (P, 4): around the chest from a zone of the reader's choice, either way round."""
    around = np.roll(np.array(_SURVEY), rng.integers(len(_SURVEY)))[:: rng.choice([-1, 1])]
    return np.array([_around(chest.landmarks[name]) for name in around])


def _places(chest: Chest, findings: Sequence[Finding], statement: Statement) -> Floats:
    """What one looks at for a sentence, as boxes (P, 4): the finding's region, or zones one after another."""
    if statement.finding is not None:
        return np.array(areas(findings[statement.finding], chest.regions[statement.finding]))
    zones = statement.zones or _SURVEY
    return np.array([_around(chest.landmarks[name]) for name in zones])


def _shown(chest: Chest, statement: Statement, rng: np.random.Generator, zoom: float) -> Box:
    """What is on the screen during a sentence: the whole image or, now and then, the finding magnified."""
    if rng.random() >= zoom or statement.finding is None:
        return _WHOLE
    x0, y0, x1, y1 = _extent(chest.regions[statement.finding])
    side = max(0.45, 1.3 * max(x1 - x0, y1 - y0))
    if side > 0.9:
        return _WHOLE
    left, top = np.clip([(x0 + x1 - side) / 2, (y0 + y1 - side) / 2], 0, 1 - side)
    return float(left), float(top), float(left + side), float(top + side)


def _look_at(
    places: Sequence[Floats], window: NDArray[np.int64], progress: Floats, rng: np.random.Generator
) -> Floats:
    """A point (N, 2) for each fixation: places of a window take their turns as it passes."""
    first = np.cumsum([0, *(len(p) for p in places)])
    count = np.diff(first)[window]
    box = np.concatenate(places)[first[window] + (progress * count).astype(np.int64) % count]
    spread = rng.uniform(0.2, 0.8, (len(window), 2))
    return box[:, :2] + spread * (box[:, 2:] - box[:, :2])


def _beside(count: int, rng: np.random.Generator) -> Floats:
    """Points (N, 2) to the left or right of the image, where the controls are."""
    distance, side = rng.uniform(0.03, 0.25, count), rng.random(count) < 0.5
    return np.stack([np.where(side, -distance, 1 + distance), rng.uniform(0.05, 0.95, count)], axis=1)


def _around(point: tuple[float, float]) -> Box:
    x, y = point
    return x - _ZONE_EXTENT, y - _ZONE_EXTENT, x + _ZONE_EXTENT, y + _ZONE_EXTENT


def areas(finding: Finding, region: Region) -> list[Box]:
    """The region of a finding; of one on both sides its two parts, without the mediastinum between them."""
    x0, y0, x1, y1 = _extent(region)
    if finding.side != "bilateral":
        return [(x0, y0, x1, y1)]
    part = 0.4 * (x1 - x0)
    return [(x0, y0, x0 + part, y1), (x1 - part, y0, x1, y1)]


def _extent(region: Region) -> Box:
    (x0, y0), (x1, y1) = region.points
    return x0, y0, x1, y1
