"""Bones of the phantom chest: ribs, clavicles, scapulae, spine."""

import numpy as np

from eclip.data.phantom.anatomy import LEFT, RIGHT, Anatomy, wall_at
from eclip.data.phantom.canvas import Field, Frame, Points, curve, ellipse, mirrored, moved

_RIBS = 10
_NUMBER = np.arange(_RIBS)
# A rib is a tilted ring: from the spine down to the side (posterior part), then further down to the front.
_POSTERIOR = np.linspace(0.05, 0.5, 14) * np.pi
_ANTERIOR = np.linspace(0.5, 0.80, 10) * np.pi


def skeleton(frame: Frame, anatomy: Anatomy, *, scapula_shift: float) -> Field:
    """Added density of all bones; `scapula_shift` moves the shoulder blades out of the lungs (PA)."""
    ribs = frame.bands(_ribs(anatomy, _POSTERIOR), inside=0.50, edge=0.85)
    ribs += frame.bands(_ribs(anatomy, _ANTERIOR), inside=0.28, edge=0.46)
    girdle = frame.bands(_girdle(scapula_shift), inside=0.5, edge=0.9)
    return anatomy.bone * (0.21 * ribs + 0.17 * girdle + 0.11 * _spine(frame, anatomy))


def _ribs(anatomy: Anatomy, angle: Points) -> list[tuple[Points, Points]]:
    """Upper and lower edges of one part of every rib, both sides."""
    root = 0.02 + 0.158 * _NUMBER
    tilt = anatomy.rib_slope * (0.30 + 0.055 * np.minimum(_NUMBER, 6))
    reach = np.where(_NUMBER == 0, 0.60, wall_at(root + tilt / 2) + 0.015)
    width = 0.036 + 0.003 * np.minimum(_NUMBER, 5)
    x = reach[:, None] * np.sin(angle)
    y = root[:, None] + tilt[:, None] * (1 - np.cos(angle)) / 2 - 0.06 * np.sin(angle) ** 3 + 0.02
    middle = np.stack([x, y], axis=-1)
    along = np.gradient(middle, axis=1)
    along /= np.linalg.norm(along, axis=-1, keepdims=True)
    across = np.stack([-along[..., 1], along[..., 0]], axis=-1) * width[:, None, None]
    return [(mirrored(middle - across, sign), mirrored(middle + across, sign)) for sign in (RIGHT, LEFT)]


_CLAVICLE = (
    curve([(0.09, 0.20), (0.28, 0.14), (0.52, 0.10), (0.75, -0.02), (1.05, -0.07)]),
    curve([(0.10, 0.30), (0.29, 0.215), (0.53, 0.165), (0.77, 0.05), (1.05, 0.00)]),
)
_SCAPULA = (
    curve([(0.80, 0.02), (0.77, 0.25), (0.80, 0.60), (0.90, 0.98)]),
    curve([(1.16, 0.06), (1.04, 0.30), (0.99, 0.60), (0.92, 1.00)]),
)
_HUMERUS = (
    curve([(1.12, 0.02), (1.16, -0.07), (1.28, -0.08), (1.38, 0.0)]),
    curve([(1.13, 0.06), (1.17, 0.22), (1.25, 0.60), (1.30, 1.2)]),
)


def _girdle(scapula_shift: float) -> list[tuple[Points, Points]]:
    return [
        (mirrored(moved(upper, shift), sign), mirrored(moved(lower, shift), sign))
        for sign in (RIGHT, LEFT)
        for (upper, lower), shift in (
            (_SCAPULA, scapula_shift), (_HUMERUS, scapula_shift), (_CLAVICLE, 0.0),
        )
    ]  # fmt: skip


_TOPS = np.arange(-0.6, 2.4, 0.168)  # of the vertebrae
_BODY = curve(
    [(-1.0, 0.0), (0.0, 0.008), (1.0, 0.0), (0.86, 0.07), (1.0, 0.145), (0.0, 0.137), (-1.0, 0.145),
     (-0.86, 0.07)],
    closed=True, steps=3,
)  # fmt: skip


def _spine(frame: Frame, anatomy: Anatomy) -> Field:
    """Vertebral bodies with pedicles and spinous processes."""
    bend = anatomy.scoliosis * np.sin(np.pi * (_TOPS - 0.2))
    places = np.stack([bend, _TOPS], axis=1)[:, None]
    half = np.stack([0.095 + 0.014 * _TOPS, np.ones_like(_TOPS)], axis=1)[:, None]
    pedicles = [ellipse(side * 0.6, 0.045, 0.22, 0.032) for side in (-1, 1)]
    process = ellipse(0.0, 0.12, 0.18, 0.04)
    parts = [(_BODY, 0.62), (pedicles[0], 0.9), (pedicles[1], 0.9), (process, 0.85)]
    return frame.fill([(part * half + places, value) for part, value in parts])
