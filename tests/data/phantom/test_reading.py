from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from eclip.data.phantom.anatomy import sample_anatomy
from eclip.data.phantom.findings import Finding, sample_findings
from eclip.data.phantom.image import draw_chest
from eclip.data.phantom.reading import READERS, read_aloud
from eclip.data.phantom.report import write_report


@cache
def chest_of(findings, seed):
    return draw_chest(findings, sample_anatomy(np.random.default_rng(seed)), np.random.default_rng([seed, 1]))


def read(seed, findings=None, *, reader=READERS[0], zoom=False):
    shown = sample_findings(np.random.default_rng([5, seed])) if findings is None else findings
    chest = chest_of(shown, seed)
    report = write_report(shown, np.random.default_rng([6, seed]), view=chest.view)
    return (
        chest,
        shown,
        report,
        read_aloud(chest, shown, report, np.random.default_rng([7, seed]), reader=reader, zoom=zoom),
    )


@pytest.fixture(scope="module")
def readings():
    return [read(seed, zoom=seed % 2 == 1) for seed in range(60)]


def spoken(reading, number):
    """When a sentence begins and ends."""
    own = reading.sentence == number
    return reading.word_start[own][0], reading.word_end[own][-1]


def test_times_are_ordered(readings):
    for *_, reading in readings:
        for start, end in ((reading.start, reading.end), (reading.word_start, reading.word_end)):
            assert start[0] >= 0
            assert (end > start).all()
            assert (start[1:] >= end[:-1]).all()
        assert reading.word_end[-1] <= reading.end[-1] + 1e-9
        assert (np.diff(reading.sentence) >= 0).all()


def test_words_are_the_report(readings):
    for _, _, report, reading in readings:
        assert " ".join(reading.words) == " ".join(statement.text for statement in report.sentences)


def test_counts_durations_and_speed_are_human(readings):
    counts = [len(reading.x) for *_, reading in readings]
    assert min(counts) >= 40
    assert max(counts) <= 120
    durations = np.concatenate([reading.end - reading.start for *_, reading in readings])
    assert 0.22 < np.median(durations) < 0.29
    assert 0.3 < np.log(durations).std() < 0.6  # log-normal
    assert (
        abs(((np.log(durations) - np.log(durations).mean()) ** 3).mean()) / np.log(durations).std() ** 3 < 0.5
    )
    speed = [len(reading.words) / (reading.word_end[-1] - reading.word_start[0]) for *_, reading in readings]
    assert 1.5 < np.median(speed) < 3.0


def test_gaze_is_at_the_finding_while_it_is_dictated():
    """Within the region and a margin of two degrees: most of the time then, seldom at other times."""
    then, otherwise = [], []
    for seed, side in ((seed, side) for seed in range(12) for side in ("left", "right")):
        findings = (Finding("Lung Lesion", side, "upper", 0.5, 0.2),)
        chest, _, report, reading = read(seed, findings)
        (x0, y0), (x1, y1) = chest.regions[0].points
        inside = (
            (reading.x > x0 - 0.07)
            & (reading.x < x1 + 0.07)
            & (reading.y > y0 - 0.07)
            & (reading.y < y1 + 0.07)
        )
        about = np.zeros(len(reading.x), bool)
        for number, statement in enumerate(report.sentences):
            if statement.finding == 0:
                start, end = spoken(reading, number)
                about |= (reading.start >= start - 0.2) & (reading.end <= end)
        then.append(inside[about].mean())
        otherwise.append(inside[~about].mean())
    assert np.mean(then) > 0.6
    assert np.mean(otherwise) < 0.3
    assert np.mean(np.array(then) > np.array(otherwise)) > 0.95


def test_what_is_denied_is_looked_for():
    """'No pneumothorax' goes to the apices, 'the heart is normal' to the heart."""
    near, far = [], []
    for seed in range(40):
        chest, _, report, reading = read(seed, ())
        for number, statement in enumerate(report.sentences):
            if len(statement.zones) > 4 or not statement.zones:
                continue
            start, end = spoken(reading, number)
            during = (reading.start >= start) & (reading.end <= end)
            zones = np.array([chest.landmarks[zone] for zone in statement.zones])
            distance = np.hypot(reading.x[:, None] - zones[:, 0], reading.y[:, None] - zones[:, 1]).min(1)
            if during.any():
                near.append(np.median(distance[during]))
                far.append(np.median(distance[~during]))
    assert np.median(near) < 0.1
    assert np.median(far) > 1.5 * np.median(near)


def test_some_gaze_leaves_the_image(readings):
    outside = np.concatenate([(r.x < 0) | (r.x > 1) | (r.y < 0) | (r.y > 1) for *_, r in readings])
    assert 0.005 < outside.mean() < 0.1


def test_zoom_shows_the_finding_and_what_is_looked_at(readings):
    magnified = 0
    for *_, reading in readings:
        x0, y0, x1, y1 = reading.visible.T
        assert ((x0 >= 0) & (y0 >= 0) & (x1 <= 1 + 1e-9) & (y1 <= 1 + 1e-9) & (x0 < x1) & (y0 < y1)).all()
        close = x1 - x0 < 0.95
        magnified += close.any()
        if close.any():
            margin = 0.05
            inside = (
                (reading.x > x0 - margin)
                & (reading.x < x1 + margin)
                & (reading.y > y0 - margin)
                & (reading.y < y1 + margin)
            )
            assert inside[close].mean() > 0.85
    assert magnified
    assert all(
        (reading.visible == (0, 0, 1, 1)).all() for *_, reading in readings[::2]
    )  # those read without zoom


def test_readers_differ():
    still = replace(READERS[0], jitter=0.0, wander=0.0, off_image=0.0, words_per_second=5.0)
    findings = (Finding("Cardiomegaly", "none", "heart", 0.5, 0.1),)
    fast, slow = read(3, findings, reader=still)[-1], read(3, findings)[-1]
    assert fast.word_end[-1] - fast.word_start[0] < 0.7 * (slow.word_end[-1] - slow.word_start[0])
    assert ((fast.x > 0) & (fast.x < 1) & (fast.y > 0) & (fast.y < 1.05)).all()


def test_same_seed_same_reading():
    first, second = read(4)[-1], read(4)[-1]
    np.testing.assert_array_equal(first.x, second.x)
    np.testing.assert_array_equal(first.word_start, second.word_start)
