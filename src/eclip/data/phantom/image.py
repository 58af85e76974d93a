"""The phantom radiograph: anatomy, findings and distractors as densities, then detector and display."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eclip.annotations.annotation import Region
from eclip.data.phantom.anatomy import LEFT, RIGHT, Anatomy, landmarks, outlines
from eclip.data.phantom.canvas import Field, Frame, clouds, curve, ellipse, mirrored, moved
from eclip.data.phantom.distractors import distractors
from eclip.data.phantom.findings import FINDING_NAMES, Finding
from eclip.data.phantom.pathology import Change, Scene, apply
from eclip.data.phantom.skeleton import skeleton
from eclip.data.phantom.vessels import vessels

SHORTER_SIDE = 320
_AIR = 0.46  # what a full thickness of lung takes away from the density
_VISIBLE = 0.015  # density; about two grey values


@dataclass(frozen=True, slots=True, eq=False)
class Chest:
    """A frontal radiograph and what is known about it.

    Attributes:
        image_HW: Grey values, 8 bit, shorter side 320.
        view: "PA" or "AP".
        regions: A box for each finding, in their order: top left and bottom right, as fractions.
        landmarks: Where things lie, as fractions: "right upper", "left apex", "heart", …
    """

    image_HW: NDArray[np.uint8]
    view: Literal["PA", "AP"]
    regions: tuple[Region, ...]
    landmarks: dict[str, tuple[float, float]]


def draw_chest(findings: Sequence[Finding], anatomy: Anatomy, rng: np.random.Generator) -> Chest:
    """Draw one study of a patient.

    Pose, exposure, noise and distractors come from `rng`, the findings' own randomness from generators seeded
    by it: the same state of `rng` gives the same picture, and the same but for a finding that is left out.
    """
    finding_seed = int(rng.integers(2**63))
    view: Literal["PA", "AP"] = "PA" if rng.random() < 0.6 else "AP"
    frame = _pose(anatomy, rng, view)
    shift = float(rng.normal(0, 0.025))
    shape = outlines(anatomy, findings, shift=shift)
    lungs = frame.fill([(lung, 1.0) for lung in shape.lungs])
    scene = Scene(frame, frame.coarser(), anatomy, shape, lungs, shift)
    changes = [
        apply(scene, finding, np.random.default_rng([finding_seed, FINDING_NAMES.index(finding.name)]))
        for finding in findings
    ]
    air, tree = _air(scene, rng), vessels(frame, anatomy) * lungs * rng.uniform(0.75, 1.35)
    density = _tissue(scene, rng) + _lungs(air, tree, changes)
    scapula_shift = rng.uniform(0.10, 0.22) if view == "PA" else rng.uniform(-0.06, 0.08)
    density += skeleton(frame, anatomy, scapula_shift=float(scapula_shift))
    density += distractors(frame, anatomy, rng, bedside=view == "AP")
    for change in changes:
        density += change.added
    regions = tuple(_region(frame, change, _AIR * air, 0.2 * tree) for change in changes)
    marks = landmarks(anatomy, findings, shift=shift)
    places = frame.fractions(np.array(list(marks.values()))).tolist()
    return Chest(
        _expose(frame, density, rng), view, regions,
        {name: (place[0], place[1]) for name, place in zip(marks, places, strict=True)},
    )  # fmt: skip


def _pose(anatomy: Anatomy, rng: np.random.Generator, view: str) -> Frame:
    """Size of the picture, and how the patient stands in it: scale, place, rotation."""
    longer = int(rng.integers(SHORTER_SIDE, 401))
    height, width = (longer, SHORTER_SIDE) if rng.random() < 0.7 else (SHORTER_SIDE, longer)
    depth_of_breath = rng.normal(1.04, 0.03) if view == "PA" else rng.normal(0.95, 0.045)
    stretch = anatomy.slenderness * depth_of_breath
    scale_x = min(0.5 * SHORTER_SIDE * rng.uniform(0.80, 0.93), height / (2.08 * stretch))
    scale_y = scale_x * stretch
    angle = np.deg2rad(rng.normal(0, 1.6 if view == "PA" else 3.0))
    shear = rng.normal(0, 0.015)
    linear = np.array([[np.cos(angle), -np.sin(angle) + shear], [np.sin(angle), np.cos(angle)]])
    linear = linear @ np.diag([scale_x, scale_y])
    centre = np.array([width * rng.normal(0.5, 0.02), height * rng.normal(0.5, 0.022)])
    offset = centre - linear @ (0.0, 0.83)
    return Frame.place(height, width, np.concatenate([linear, offset[:, None]], axis=1))


_TORSO = curve(
    [(0.0, -0.9), (0.27, -0.9), (0.30, -0.42), (0.44, -0.26), (0.85, -0.17), (1.13, 0.0), (1.14, 0.5),
     (1.12, 1.0), (1.12, 1.6), (1.10, 2.6), (0.0, 2.6)]
)  # fmt: skip
_AIRWAY = curve(
    [(-0.05, -0.8), (-0.05, 0.2), (-0.055, 0.5), (-0.24, 0.76), (-0.20, 0.80), (0.0, 0.60), (0.20, 0.76),
     (0.23, 0.72), (0.055, 0.5), (0.05, 0.2), (0.05, -0.8)]
)  # fmt: skip
_ARM = curve(
    [
        (0.90, -0.16),
        (1.22, -0.14),
        (1.42, 0.05),
        (1.52, 0.6),
        (1.6, 2.4),
        (1.27, 2.4),
        (1.20, 0.9),
        (1.12, 0.4),
    ]
)


def _tissue(scene: Scene, rng: np.random.Generator) -> Field:
    """Body wall, mediastinum, heart, abdomen, breasts and the windpipe, without the lungs; coarse."""
    frame, anatomy, shape = scene.coarse, scene.anatomy, scene.outlines
    wide = (0.94 + 0.06 * anatomy.girth, 1.0)
    body = [(mirrored(part * wide, sign), 1.0) for part in (_TORSO, _ARM) for sign in (RIGHT, LEFT)]
    density = frame.fill(body, blur=0.035)
    density *= 0.60 * anatomy.girth + 0.03 * clouds(frame, rng, lump=32)
    density += 0.07 * np.clip(frame.y - 0.6, 0, 1.2)
    belly = [
        (np.concatenate([dome, [(-0.1 * sign, 1.6), (-0.1 * sign, 2.6), (1.02 * sign, 2.6)]]), 0.75)
        for dome, sign in zip(shape.domes, (RIGHT, LEFT), strict=True)
    ]
    centre = [(shape.mediastinum, 0.8), (shape.heart, 0.85)]
    density += 0.22 * frame.fill([*belly, *centre], blur=0.016)
    density += 0.17 * frame.fill([*centre, *belly], blur=0.05)
    density -= 0.13 * frame.fill([(moved(_AIRWAY, scene.shift), 1.0)], blur=0.02)
    if anatomy.breast:
        density += _breasts(frame, anatomy, rng)
    return scene.frame.enlarged(density)


def _breasts(frame: Frame, anatomy: Anatomy, rng: np.random.Generator) -> Field:
    """Two veils whose lower edges cross the lung bases."""
    x, y = rng.uniform(0.56, 0.66), rng.normal(1.12, 0.06)
    radius = 0.42 * anatomy.breast**0.5
    veil = frame.fill([(ellipse(sign * x, y, radius, radius), 1.0) for sign in (RIGHT, LEFT)], blur=0.02)
    return 0.14 * anatomy.breast * veil * np.clip((frame.y - y + 0.35) / 0.8, 0, 1)


def _air(scene: Scene, rng: np.random.Generator) -> Field:
    """How much air lies in the way: most in the middle of a lung, little before and behind the heart."""
    frame, coarse = scene.frame, scene.coarse
    lungs = coarse.fill([(lung, 1.0) for lung in scene.outlines.lungs], blur=0.10)
    hidden = coarse.fill([(scene.outlines.mediastinum, 1.0), (scene.outlines.heart, 0.72)], blur=0.014)
    texture = (
        rng.uniform(0.80, 1.08) + 0.07 * clouds(coarse, rng, lump=16) + 0.06 * clouds(coarse, rng, lump=3)
    )
    return scene.lungs * frame.enlarged((0.42 + 0.62 * lungs) * (1 - hidden) * texture)


def _lungs(air: Field, tree: Field, changes: Sequence[Change]) -> Field:
    """Air (negative) and vessels of both lungs, with what the findings leave of them."""
    for change in changes:
        air = air * (1 - np.minimum(change.fill, 1))
        tree = tree * change.vessels
    return 0.26 * tree * (0.25 + 0.75 * air) - _AIR * air


def _expose(frame: Frame, density: Field, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Detector and display: an S-shaped curve, uneven exposure, noise that grows with density."""
    centre, slope = rng.normal(0.55, 0.06), rng.uniform(0.17, 0.27)
    tilt = rng.normal(0, 0.03, 2)
    shaded = density + float(tilt[0]) * frame.x + float(tilt[1]) * (frame.y - 1)
    grey = 0.5 + 0.5 * np.tanh((shaded - centre) * (0.5 / slope))
    grain = rng.uniform(0.008, 0.03) * (0.5 + 0.5 * np.clip(density, 0, 1.5))
    grey += clouds(frame, rng, lump=1) * grain
    black, white = rng.uniform(0.0, 0.14), rng.uniform(0.78, 1.0)
    if rng.random() < 0.12:  # a flat, grey print
        black, white = black + 0.2, white - 0.12
    levels = 255 * black + 255 * (white - black) * grey
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def _region(frame: Frame, change: Change, air: Field, tree: Field) -> Region:
    """The box around all that a finding changes by a visible amount of density."""
    amount = np.abs(change.added) + air * change.fill + tree * np.abs(change.vessels - 1)
    seen = amount > min(_VISIBLE, 0.5 * float(amount.max()))  # the faintest one has a region too
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    corners = [np.array([(columns[0], rows[0]), (columns[-1] + 1, rows[-1] + 1)])] if len(rows) else []
    corners += [frame.pixels(outline) for outline in change.extent]
    points = np.clip(np.concatenate(corners) / (frame.width, frame.height), 0, 1)
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return Region(points=((left, top), (right, bottom)))
