"""Where the eye rested, from the samples of an eye tracker: fixations by dispersion and duration (I-DT).

Salvucci and Goldberg, "Identifying fixations and saccades in eye-tracking protocols", ETRA 2000.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from eclip.annotations.annotation import Fixation
from eclip.annotations.heatmap import DEFAULT_SIGMA

SHORTEST = 0.1
"""Seconds that a fixation lasts at least; the authors' lower bound, 100 to 200 ms."""

LONGEST_GAP = 0.075
"""Seconds without a sample within a fixation: shorter than a blink (Olsen, "The Tobii I-VT fixation filter", 2012)."""

_ROUNDING = 1e-9  # seconds: 0.3 - 0.2 is 0.1 as well
_WHOLE = (0.0, 0.0, 1.0, 1.0)

Floats = NDArray[np.float64]


def find_fixations(
    seconds_N: Floats,
    x_N: Floats,
    y_N: Floats,
    *,
    aspect: float,
    sigma_N2: Floats | None = None,
    visible_N4: Floats | None = None,
    dispersion: float | None = None,
    shortest: float = SHORTEST,
    longest_gap: float = LONGEST_GAP,
) -> tuple[Fixation, ...]:
    """Gather samples that lie together for long enough; the time taken grows with N alone.

    Samples lie together if (max x - min x) + (max y - min y) is at most the dispersion, with y on the scale of x.
    A fixation takes in as many samples as lie together with its first; where they do not last long enough, the
    search goes on from the next sample. A gap, or a step back in time, ends a fixation.

    Args:
        seconds_N: When samples were taken, in their order.
        x_N: Fractions of the image width. A sample with a number that is not finite is lost: it leaves a gap.
        y_N: Fractions of the image height.
        aspect: Width of the image divided by its height.
        sigma_N2: Of each sample, one degree of visual angle as fractions of the image width and height, where the
            recording tells it.
        visible_N4: Of each sample, what of the image was on the screen.
        dispersion: Fraction of the image width. If None, about one degree of visual angle, as far as an eye at rest
            moves (the authors: ½° to 1°) and the spread with which fixations are drawn: sigma_x of the first
            sample, or `DEFAULT_SIGMA`.
        shortest: Seconds from the first to the last sample of a fixation, at least.
        longest_gap: Seconds between two samples of a fixation, at most.

    Returns:
        Fixations from their first to their last sample, at the mean of their samples, with the median of their
        sigmas and of what was visible.
    """
    seen = np.flatnonzero(np.isfinite([seconds_N, x_N, y_N]).all(axis=0))
    seconds, x, y = seconds_N[seen], x_N[seen], y_N[seen]
    if dispersion is not None or sigma_N2 is None:
        limit = np.full(len(seen), DEFAULT_SIGMA if dispersion is None else dispersion)
    else:
        limit = sigma_N2[seen, 0]
    with np.errstate(over="ignore"):
        rests = _rests(seconds, x, y / aspect, limit, shortest=shortest, longest_gap=longest_gap)
    found = []
    for first, stop in rests:
        samples = seen[first:stop]
        sigma_x, sigma_y = (None, None) if sigma_N2 is None else np.median(sigma_N2[samples], axis=0).tolist()
        x0, y0, x1, y1 = _WHOLE if visible_N4 is None else np.median(visible_N4[samples], axis=0).tolist()
        found.append(
            Fixation(
                x=_mean(x[first:stop]),
                y=_mean(y[first:stop]),
                start=float(seconds[first]),
                end=float(seconds[stop - 1]),
                sigma_x=sigma_x,
                sigma_y=sigma_y,
                visible=(x0, y0, x1, y1),
            )
        )
    return tuple(found)


def _rests(
    seconds_N: Floats, x_N: Floats, y_N: Floats, limit_N: Floats, *, shortest: float, longest_gap: float
) -> list[tuple[int, int]]:
    """(first, stop) of the samples of each fixation; x and y on one scale, the limit that of its first sample."""
    seconds, limit = seconds_N.tolist(), limit_N.tolist()
    step_N = np.diff(seconds_N, prepend=seconds_N[:1])
    gap = ((step_N < 0) | (step_N > longest_gap)).tolist()
    # The front of each queue is the sample of the window from `first` on that lies farthest to its side; behind it
    # stand those that take over when it has left the window. Each sample enters and leaves a queue once.
    sides = [side.tolist() for side in (x_N, -x_N, y_N, -y_N)]
    queues: list[deque[int]] = [deque() for _ in sides]
    (right, left, bottom, top), (x, _, y, _) = queues, sides
    found, first = [], 0

    def lasts(stop: int) -> bool:
        return seconds[stop - 1] - seconds[first] >= shortest - _ROUNDING

    for now in range(len(seconds)):
        if gap[now]:
            if lasts(now):
                found.append((first, now))
            first = now
            for queue in queues:
                queue.clear()
        for side, queue in zip(sides, queues, strict=True):
            while queue and side[queue[-1]] <= side[now]:
                queue.pop()
            queue.append(now)
        while first < now and not (x[right[0]] - x[left[0]]) + (y[bottom[0]] - y[top[0]]) <= limit[first]:
            if lasts(now):
                found.append((first, now))
                first = now
            else:
                first += 1
            for queue in queues:
                while queue[0] < first:
                    queue.popleft()
    if seconds and lasts(len(seconds)):
        found.append((first, len(seconds)))
    return found


def _mean(near_N: Floats) -> float:
    """The mean of numbers that lie together, however large."""
    return float(near_N[0] + (near_N - near_N[0]).mean())
