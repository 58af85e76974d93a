"""Oracles: I-DT as its authors wrote it down, a quadratic loop; and what must hold of any fixations."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eclip.annotations import Fixation
from eclip.annotations.fixation_filter import LONGEST_GAP, SHORTEST, find_fixations
from eclip.annotations.heatmap import DEFAULT_SIGMA


def by_the_book(seconds, x, y, *, aspect, dispersion, shortest=0.1, longest_gap=0.075):
    """(first, last) sample of each fixation: a window of the shortest duration, widened while it lies together."""
    left = [i for i, numbers in enumerate(zip(seconds, x, y, strict=True)) if np.isfinite(numbers).all()]
    runs = []
    for i in left:
        step = seconds[i] - seconds[runs[-1][-1]] if runs else math.inf
        if 0 <= step <= longest_gap:
            runs[-1].append(i)
        else:
            runs.append([i])

    def together(window):
        across = max(x[i] for i in window) - min(x[i] for i in window)
        down = max(y[i] / aspect for i in window) - min(y[i] / aspect for i in window)
        return across + down <= dispersion

    found = []
    for run in runs:
        while run:
            enough = next((n for n in range(1, len(run) + 1) if long(seconds, run[:n], shortest)), None)
            if enough is None:
                break
            if not together(run[:enough]):
                run = run[1:]
                continue
            while enough < len(run) and together(run[: enough + 1]):
                enough += 1
            found.append((run[0], run[enough - 1]))
            run = run[enough:]
    return found


def long(seconds, window, shortest):
    return seconds[window[-1]] - seconds[window[0]] >= shortest - 1e-9


def at(path):
    """(seconds, x, y) as float64."""
    return tuple(np.array(path, dtype=np.float64).reshape(-1, 3).T)


@st.composite
def recordings(draw):
    """Stretches of samples that rest or wander about a place, with lost samples, gaps and steps back in time."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    stretches = draw(
        st.lists(
            st.tuples(
                st.integers(1, 20),
                st.sampled_from([1 / 60, 1 / 60, 1 / 60, 0.01, 0.0]),
                st.sampled_from([0.01, 0.07, 0.09, -0.3, 4.0]),
                st.sampled_from([0.0, 0.002, 0.01, 0.03]),
                st.sampled_from([0.0, 0.0, 0.2]),
            ),
            max_size=6,
        )
    )
    parts, now = [], 0.0
    for count, step, gap, tremor, loss in stretches:
        seconds = now + gap + step * np.arange(count)
        place = random.choice([0.2, 0.25, 0.6], (2, 1)) + random.uniform(-tremor, tremor, (2, count))
        place[0, random.random(count) < loss] = random.choice([math.nan, math.inf])
        parts.append([seconds, *place])
        now = seconds[-1]
    return tuple(np.concatenate([np.zeros((3, 0)), *parts], axis=1))


@settings(max_examples=300)
@given(recordings(), st.sampled_from([0.02, 0.05, 0.3]), st.sampled_from([0.5, 1.0, 1.25]))
def test_finds_what_the_book_finds(samples, dispersion, aspect):
    seconds, x, y = samples
    found = find_fixations(seconds, x, y, aspect=aspect, dispersion=dispersion)
    expected = by_the_book(seconds, x, y, aspect=aspect, dispersion=dispersion)
    assert [(f.start, f.end) for f in found] == [(seconds[a], seconds[b]) for a, b in expected]
    for fixation, (first, last) in zip(found, expected, strict=True):
        seen = [i for i in range(first, last + 1) if np.isfinite([x[i], y[i]]).all()]
        assert (fixation.x, fixation.y) == pytest.approx((np.mean(x[seen]), np.mean(y[seen])), abs=1e-12)


@settings(max_examples=150)
@given(recordings(), st.integers(-3, 3))
def test_fixations_follow_each_other_last_and_lie_together_on_any_scale(samples, power):
    seconds, x, y = samples
    seconds = np.maximum.accumulate(seconds)  # no steps back, else times do not tell samples apart
    found = find_fixations(seconds, x, y, aspect=0.8)
    for fixation in found:
        assert fixation.duration >= SHORTEST - 1e-9
        inside = (seconds > fixation.start) & (seconds < fixation.end) & np.isfinite(x)
        if inside.any():
            assert np.ptp(x[inside]) + np.ptp(y[inside]) / 0.8 <= DEFAULT_SIGMA + 1e-12
            assert x[inside].min() - DEFAULT_SIGMA <= fixation.x <= x[inside].max() + DEFAULT_SIGMA
    for before, after in pairwise(found):
        assert before.end <= after.start
    scale = 2.0**power
    scaled = find_fixations(seconds, x * scale, y * scale, aspect=0.8, dispersion=DEFAULT_SIGMA * scale)
    assert [(f.start, f.end) for f in scaled] == [(f.start, f.end) for f in found]
    np.testing.assert_allclose([(f.x, f.y) for f in scaled], [(f.x * scale, f.y * scale) for f in found])


def test_one_long_rest_is_one_fixation_at_its_mean():
    draw = np.random.default_rng(0)
    seconds = np.arange(3000) / 1000
    x, y = 0.3 + draw.uniform(-0.01, 0.01, (2, 3000))
    (fixation,) = find_fixations(seconds, x, y, aspect=1.0)
    assert (fixation.start, fixation.end) == (0.0, 2.999)
    assert (fixation.x, fixation.y) == pytest.approx((x.mean(), y.mean()))
    assert fixation == Fixation(fixation.x, fixation.y, 0.0, 2.999)  # no sigma, and all of the image was seen


def test_y_counts_on_the_scale_of_x():
    """On an image twice as high as wide, 0.02 of its height are 0.04 of its width."""
    seconds = np.arange(12) / 60
    x, y = np.full(12, 0.5), np.where(np.arange(12) % 2, 0.5, 0.52)
    assert len(find_fixations(seconds, x, y, aspect=0.5, dispersion=0.0401)) == 1
    assert find_fixations(seconds, x, y, aspect=0.5, dispersion=0.0399) == ()


@pytest.mark.parametrize(("lost", "pieces"), [(1, 1), (3, 1), (4, 2), (30, 2)])
def test_a_short_loss_is_bridged_and_a_longer_one_ends_the_fixation(lost, pieces):
    """Three samples lost at 60 Hz leave 67 ms, four 83 ms."""
    seconds = np.arange(60) / 60
    x = np.full(60, 0.5)
    x[20 : 20 + lost] = np.nan
    found = find_fixations(seconds, x, np.full(60, 0.5), aspect=1.0)
    assert len(found) == pieces
    assert (found[0].start, found[-1].end) == (0.0, 59 / 60)
    without = np.isfinite(x)  # samples that are not there are as good as lost ones
    assert find_fixations(seconds[without], x[without], x[without], aspect=1.0) == found
    assert 4 / 60 < LONGEST_GAP < 5 / 60


def test_the_shortest_duration_counts_whatever_floats_make_of_it():
    seconds = np.linspace(0.2, 0.3, 7)
    assert seconds[-1] - seconds[0] < 0.1
    assert len(find_fixations(seconds, np.zeros(7), np.zeros(7), aspect=1.0)) == 1
    assert find_fixations(seconds[:-1], np.zeros(6), np.zeros(6), aspect=1.0) == ()


def test_one_degree_where_the_samples_tell_it_and_the_median_of_what_was_seen():
    """The same tremor is a rest when zoomed in, where a degree is less of the image, and none zoomed out."""
    seconds = np.arange(40) / 60
    x = np.where(np.arange(40) % 2, 0.50, 0.53)
    sigma = np.repeat([[0.02, 0.03], [0.04, 0.06]], 20, axis=0)
    visible = np.repeat([[0.1, 0.2, 0.7, 0.8], [0.0, 0.0, 1.0, 1.0]], [22, 18], axis=0)
    (fixation,) = find_fixations(seconds, x, np.full(40, 0.5), aspect=1.0, sigma_N2=sigma, visible_N4=visible)
    assert (fixation.start, fixation.end) == (seconds[20], seconds[39])
    assert (fixation.sigma_x, fixation.sigma_y) == (0.04, 0.06)
    assert fixation.visible == (0.0, 0.0, 1.0, 1.0)
    assert (
        len(find_fixations(seconds, x, np.full(40, 0.5), aspect=1.0, sigma_N2=sigma, dispersion=0.031)) == 1
    )


ANY = st.floats(width=64) | st.sampled_from([0.0, 1e308, -1e308, 0.5, 0.51])


@settings(max_examples=200)
@given(
    st.lists(st.tuples(ANY | st.integers(0, 20).map(lambda n: n / 20), ANY, ANY), max_size=40), st.booleans()
)
def test_whatever_the_numbers_fixations_are_finite_and_last(path, in_order):
    seconds, x, y = at(
        sorted(path, key=lambda sample: (sample[0] != sample[0], sample[0])) if in_order else path
    )
    sigma = np.column_stack([x, y])
    for options in ({}, {"sigma_N2": sigma}):
        for fixation in find_fixations(seconds, x, y, aspect=0.8, **options):
            assert np.isfinite([fixation.x, fixation.y, fixation.start, fixation.end]).all()
            assert fixation.duration > 0


def test_a_long_recording_does_not_take_quadratically_long():
    """Many samples that drift so slowly that every window is long; a quadratic filter would not come back."""
    drift = np.linspace(0, 40, 200_000)
    found = find_fixations(drift * 25, drift, np.zeros_like(drift), aspect=1.0)
    assert len(found) == pytest.approx(40 / DEFAULT_SIGMA, rel=0.01)
    assert find_fixations(np.zeros_like(drift), drift, drift, aspect=1.0) == ()
