"""The vessel trees of the lungs, and the branching that airways share with them."""

import numpy as np
from numpy.typing import NDArray

from eclip.data.phantom.anatomy import LEFT, RIGHT, Anatomy
from eclip.data.phantom.canvas import Field, Frame

HILUM = {RIGHT: (-0.20, 0.76), LEFT: (0.20, 0.71)}
_STEMS = 11
_LEVELS = 5


def vessels(frame: Frame, anatomy: Anatomy) -> Field:
    """Density of both lungs' vessels and hila, 0 to 1."""
    rng = np.random.default_rng(anatomy.vessel_seed)
    trees = [_tree(rng, sign) for sign in (RIGHT, LEFT)]
    ends, widths, values = (np.concatenate(parts) for parts in zip(*trees, strict=True))
    thickest_last = np.argsort(values, kind="stable")
    return frame.segments(ends[thickest_last], widths[thickest_last], values[thickest_last])


def _tree(rng: np.random.Generator, sign: float) -> tuple[NDArray[np.float64], ...]:
    """Segments, widths and values of one lung's tree; vessels seen end-on are short thick segments."""
    angle = np.linspace(-1.4, 1.45, _STEMS) + rng.normal(0, 0.15, _STEMS)
    start = np.array(HILUM[sign]) + np.stack(
        [0.02 * sign * np.ones(_STEMS), 0.10 * np.sin(angle) + rng.normal(0, 0.02, _STEMS)], axis=1
    )
    # Blood follows gravity: the lower stems are thicker and longer.
    length = (0.22 + 0.04 * np.sin(angle)) * rng.uniform(0.8, 1.25, _STEMS)
    width = (0.030 + 0.010 * np.sin(angle)) * rng.uniform(0.7, 1.2, _STEMS)
    value = rng.uniform(0.6, 0.85, _STEMS)
    tree = branches(rng, start, angle, length, width, value, sign=sign, levels=_LEVELS)
    pulmonary = branches(
        rng, np.array([HILUM[sign]]), np.array([1.25]), np.array([0.14]), np.array([0.10]), np.array([0.9]),
        sign=sign, levels=3, spread=0.12,
    )  # fmt: skip
    count = 5
    dots = np.array(HILUM[sign]) + rng.normal(0, 1, (count, 2)) * (0.10, 0.16) + (0.13 * sign, 0)
    radius = rng.uniform(0.008, 0.017, count)
    end_on = np.concatenate([dots - radius[:, None] * (0.9, 0), dots + radius[:, None] * (0.9, 0)], axis=1)
    return (
        np.concatenate([tree[0], pulmonary[0], end_on]),
        np.concatenate([tree[1], pulmonary[1], 2 * radius]),
        np.concatenate([tree[2], pulmonary[2], rng.uniform(0.7, 1.0, count)]),
    )


def branches(
    rng: np.random.Generator,
    start_N2: NDArray[np.float64],
    angle_N: NDArray[np.float64],
    length_N: NDArray[np.float64],
    width_N: NDArray[np.float64],
    value_N: NDArray[np.float64],
    *,
    sign: float,
    levels: int,
    spread: float = 0.36,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Grow forking branches: segments (N, 4), widths (N,), values (N,).

    Angles are from the lateral direction, positive downwards; `sign` is the side that lateral means.
    """
    ends, widths, values = [], [], []
    start, angle, length, width, value = start_N2, angle_N, length_N, width_N, value_N
    for level in range(levels):
        pieces = 2 if level < 3 else 1  # the longer ones bend
        for _ in range(pieces):
            angle = angle + rng.normal(0, 0.13, len(angle))
            step = np.stack([sign * np.cos(angle), 1.15 * np.sin(angle)], axis=1) * (length / pieces)[:, None]
            ends.append(np.concatenate([start, start + step], axis=1))
            widths.append(width)
            values.append(value)
            start = start + step
            width = 0.93 * width
        fork = rng.normal(spread, 0.11, (2, len(angle))) * ((-1,), (1,))
        angle = (angle + fork).ravel()
        length = (length * rng.uniform(0.62, 0.98, (2, len(length)))).ravel()
        width = (width * rng.uniform(0.6, 0.86, (2, len(width)))).ravel()
        start, value = np.tile(start, (2, 1)), np.tile(0.86 * value, 2)
    return np.concatenate(ends), np.concatenate(widths), np.concatenate(values)
