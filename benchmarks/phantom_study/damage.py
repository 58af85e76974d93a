"""Worse gaze: the readings that a worse tracker, or a worse reader, would have left."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from eclip.annotations.annotation import Annotation, Fixation

JITTER = 0.05
"""Standard deviation of the displacement, as a fraction of the side: some 1.5 degrees, several times a tracker's."""

Fixations = Sequence[Fixation]


def jittered(fixations: Fixations, draw: np.random.Generator) -> Fixations:
    """Each displaced by itself."""
    moved = draw.normal(scale=JITTER, size=(len(fixations), 2))
    return [replace(f, x=f.x + dx, y=f.y + dy) for f, (dx, dy) in zip(fixations, moved.tolist(), strict=True)]


def half_missing(fixations: Fixations, draw: np.random.Generator) -> Fixations:
    """Every second one lost, at random."""
    kept = np.sort(draw.permutation(len(fixations))[: -(-len(fixations) // 2)])
    return [fixations[i] for i in kept]


def careless(fixations: Fixations, draw: np.random.Generator) -> Fixations:
    """Half of them anywhere on the image."""
    places, strays = draw.random((len(fixations), 2)).tolist(), draw.random(len(fixations)) < 0.5
    return [
        replace(f, x=x, y=y) if stray else f
        for f, (x, y), stray in zip(fixations, places, strays, strict=True)
    ]


def unsynchronised(fixations: Fixations, draw: np.random.Generator) -> Fixations:
    """All places of the reading at each other's times: the same heatmap but for dwell, and no sentence has its own."""
    order = draw.permutation(len(fixations))
    return [replace(f, x=fixations[i].x, y=fixations[i].y) for f, i in zip(fixations, order, strict=True)]


DAMAGE: dict[str, Callable[[Fixations, np.random.Generator], Fixations]] = {
    "jittered": jittered,
    "half missing": half_missing,
    "careless": careless,
    "unsynchronised": unsynchronised,
}


def damaged(
    annotations: Sequence[Annotation], kind: str, draw: np.random.Generator
) -> tuple[Annotation, ...]:
    """The annotations of a study with their gaze made worse; outlines stay."""
    return tuple(replace(one, fixations=tuple(DAMAGE[kind](one.fixations, draw))) for one in annotations)
