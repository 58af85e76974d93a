"""How each finding changes the picture.

A finding replaces air by tissue (`fill`), adds density (`added`), and strengthens or removes vessels
(`vessels`); where it does so is its region. Those that change shapes (the heart, a raised diaphragm) do so in
`anatomy.outlines`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eclip.data.phantom.anatomy import (
    LEFT,
    RIGHT,
    WALL,
    Anatomy,
    Outlines,
    on_side,
    outlines,
    volume_loss,
    wall_at,
)
from eclip.data.phantom.canvas import MILLIMETRE, Field, Frame, Points, clouds, curve, mirrored, moved
from eclip.data.phantom.findings import Finding
from eclip.data.phantom.vessels import HILUM, branches


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What a finding is drawn into.

    Attributes:
        frame: Where the chest lies on the picture.
        coarse: The same with half the pixels along each side.
        anatomy: The patient.
        outlines: Their organs with all findings' changes of shape.
        lungs: Mask of both lungs in [0, 1].
        shift: Of the mediastinum.
    """

    frame: Frame
    coarse: Frame
    anatomy: Anatomy
    outlines: Outlines
    lungs: Field
    shift: float

    def lung(self, sign: float) -> Field:
        """The mask of one lung."""
        return self.lungs * (sign * self.frame.x > 0)


@dataclass(slots=True, eq=False)
class Change:
    """What a finding does to the picture.

    Attributes:
        fill: Share of the air that is replaced by tissue, (H, W) in [0, 1].
        added: Density added, (H, W).
        vessels: Factor on the vessels, (H, W).
        extent: Outlines that belong to its region besides.
    """

    fill: Field
    added: Field
    vessels: Field
    extent: list[Points]


def apply(scene: Scene, finding: Finding, rng: np.random.Generator) -> Change:
    """Draw one finding."""
    shape = scene.frame.x.shape
    change = Change(np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.ones(shape, np.float32), [])
    _DRAW[finding.name](scene, finding, rng, change)
    return change


def sides(finding: Finding) -> list[float]:
    """The sides of a finding as signs."""
    return [sign for sign in (RIGHT, LEFT) if on_side(finding, sign)]


def plainness(finding: Finding, *, hardest: float) -> float:
    """Factor on the contrast: 1 at subtlety 0, `hardest` at subtlety 1."""
    return 1 - (1 - hardest) * finding.subtlety


def _cardiomegaly(scene: Scene, finding: Finding, rng: np.random.Generator, change: Change) -> None:
    """Only the region: the outlines have the large heart already, and its soft edge lies a little outside."""
    heart = scene.outlines.heart
    middle = heart.mean(axis=0)
    change.extent.append(middle + 1.06 * (heart - middle))


def _effusion(scene: Scene, finding: Finding, rng: np.random.Generator, change: Change) -> None:
    """Fluid with a meniscus that climbs along the wall."""
    frame = scene.frame
    for sign in sides(finding):
        height = (0.09 + 0.75 * finding.severity) * rng.uniform(0.9, 1.1)
        lateral = np.clip(sign * frame.x / float(wall_at(1.5)), 0, 1)
        climb = np.square(np.square(lateral)) * lateral
        surface = 1.80 - height - 0.22 * (height + 0.1) * (climb - 0.5)
        surface += 0.10 * np.clip(0.5 - lateral, 0, 1) * (height < 0.45)
        softness = 0.014 + 0.05 * finding.subtlety
        fluid = 1 / (1 + np.exp(-np.clip((frame.y - surface) / softness, -30, 30)))
        fluid *= plainness(finding, hardest=0.35) * scene.lung(sign)
        change.fill += 0.97 * fluid
        change.added += 0.18 * fluid  # as dense as the abdomen: the dome is lost in it


def _pneumothorax(scene: Scene, finding: Finding, rng: np.random.Generator, change: Change) -> None:
    """The lung falls away from the wall: a fine pleural line and no vessels beyond it."""
    depth = 0.10 + 0.34 * finding.severity
    bottom = 0.55 + 1.15 * finding.severity
    for sign in sides(finding):
        wall = WALL[4:]
        along = np.clip(wall[:, 1] / bottom, 0, 1)
        ripple = 1 + 0.06 * np.sin(rng.uniform(5, 9) * wall[:, 1] + rng.uniform(0, 6))
        retreat = depth * (1 - along**1.6) * ripple
        inner = wall + (np.array([0.30, 0.85]) - wall) * retreat[:, None]
        inner = mirrored(inner[along < 1], sign)
        outer = moved(mirrored(wall[along < 1], 1.02 * sign), 0, -0.02)
        beyond = scene.frame.fill([(np.concatenate([outer, inner[::-1]]), 1.0)])
        change.vessels *= 1 - beyond
        line = scene.frame.stroke([(inner, 0.012, 1.0)]) * scene.lung(sign)
        change.added += 0.26 * plainness(finding, hardest=0.35) * line
        change.added -= 0.12 * plainness(finding, hardest=0.4) * beyond * scene.lung(sign)


def _nodule(scene: Scene, finding: Finding, rng: np.random.Generator, change: Change) -> None:
    """A ball: density follows the length of the path through it."""
    radius = (4.0 + 7.0 * finding.severity) * MILLIMETRE
    for sign in sides(finding):
        x, y = _site(finding, sign, rng)
        squash = rng.uniform(0.85, 1.15)
        distance = ((scene.frame.x - x) * squash) ** 2 + ((scene.frame.y - y) / squash) ** 2
        ball = np.sqrt(np.clip(1 - distance / radius**2, 0, 1))
        change.added += 0.46 * plainness(finding, hardest=0.35) * np.minimum(1.35 * ball, 1)


def _consolidation(scene: Scene, finding: Finding, rng: np.random.Generator, change: Change) -> None:
    """An ill-defined patch of filled airspaces in which the air-filled bronchi stay dark."""
    frame = scene.frame
    size = 0.20 + 0.20 * finding.severity
    for sign in sides(finding):
        x, y = _site(finding, sign, rng)
        stretch = rng.uniform(0.8, 1.3)
        distance = np.sqrt(((frame.x - x) * stretch) ** 2 + ((frame.y - y) / stretch) ** 2) / size
        lumps = 0.20 * clouds(frame, rng, lump=32) + 0.12 * clouds(frame, rng, lump=16)
        patch = _step((1 - distance + lumps * np.clip(1.6 - distance, 0, 1)) / 0.42)
        patch *= np.clip((1.75 - distance) * 3, 0, 1)
        density = 0.85 * plainness(finding, hardest=0.4) * (1 - 0.55 * _airways(frame, x, y, size, sign, rng))
        change.fill += density * patch * scene.lung(sign)


def _airways(frame: Frame, x: float, y: float, size: float, sign: float, rng: np.random.Generator) -> Field:
    """A few bronchi that fork away from the hilum through a patch of this size."""
    count = 3
    start = moved(rng.normal(0, 0.3 * size, (count, 2)), x - 0.35 * size * sign, y)
    hilum = HILUM[sign]
    angle = np.arctan2(y - hilum[1], sign * (x - hilum[0])) + rng.normal(0, 0.35, count)
    length, width, value = np.full(count, 0.55 * size), np.full(count, 0.024), np.full(count, 0.75)
    return frame.segments(*branches(rng, start, angle, length, width, value, sign=sign, levels=3))


def _edema(scene: Scene, finding: Finding, rng: np.random.Generator, change: Change) -> None:
    """Haze around the hila, vessels strong to the top and blurred, Kerley lines at the sides."""
    frame = scene.frame
    strength = plainness(finding, hardest=0.3)
    haze = 0.18 + 0.58 * finding.severity
    lumps = 1 + 0.16 * clouds(frame, rng, lump=32) + 0.14 * clouds(frame, rng, lump=8)
    for sign in (RIGHT, LEFT):
        x, y = HILUM[sign]
        wing = np.square((frame.x - (x + 0.18 * sign)) / 0.46) + np.square((frame.y - (y + 0.16)) / 0.60)
        change.fill += haze * strength * np.exp(-wing * np.sqrt(wing)) * lumps * scene.lung(sign)
        count = round(7 + 9 * finding.severity)
        y0 = rng.uniform(1.0, 1.62, count)
        x0 = wall_at(y0) - rng.uniform(0.02, 0.05, count)
        length = rng.uniform(0.07, 0.14, count)
        lines = np.stack([sign * x0, y0, sign * (x0 - length), y0 + rng.normal(0, 0.008, count)], axis=1)
        drawn = frame.segments(lines, np.full(count, 0.009), np.ones(count))
        change.added += 0.17 * strength * drawn * scene.lung(sign)
    upper = np.clip((1.1 - frame.y) / 0.8, 0, 1)
    change.vessels *= 1 + (0.4 + 0.9 * finding.severity) * strength * upper


def _atelectasis(scene: Scene, finding: Finding, rng: np.random.Generator, change: Change) -> None:
    """Plates (bands) when mild; when severe the collapsed base under a raised diaphragm."""
    for sign in sides(finding):
        if finding.zone == "retrocardiac":
            _collapse_behind_heart(scene, finding, rng, change)
            continue
        _plates(scene, finding, rng, change, sign)
        if volume_loss(finding) > 0:
            _collapsed_base(scene, finding, rng, change, sign)


def _plates(scene: Scene, finding: Finding, rng: np.random.Generator, change: Change, sign: float) -> None:
    count = 1 + round(2 * finding.severity) if finding.zone == "basal" else 1
    bands = []
    middle = 1.0 if finding.zone == "mid" else 1.33 - volume_loss(finding)
    for k in range(count):
        x = rng.uniform(0.45, 0.66)
        y = middle - 0.09 * k + rng.normal(0, 0.02)
        half = rng.uniform(0.15, 0.25) + 0.06 * finding.severity
        slope, sag = rng.normal(0.05, 0.16), rng.normal(0, 0.012)
        path = curve([(x - half, y - slope * half), (x, y + sag), (x + half, y + slope * half)])
        thickness = rng.uniform(0.02, 0.032) + 0.018 * finding.severity
        taper = np.sin(np.linspace(0.1, np.pi - 0.1, len(path)))[:, None] * (0, thickness / 2)
        bands.append((np.concatenate([path - taper, (path + taper)[::-1]]), 1.0))
    drawn = scene.frame.fill([(mirrored(band, sign), value) for band, value in bands])
    change.added += 0.30 * plainness(finding, hardest=0.4) * drawn * scene.lung(sign)


def _collapsed_base(
    scene: Scene, finding: Finding, rng: np.random.Generator, change: Change, sign: float
) -> None:
    """Dense lung on top of the dome, which stands higher than in the same chest without the finding."""
    dome = scene.outlines.domes[0 if sign == RIGHT else 1]
    without = outlines(scene.anatomy).domes[0 if sign == RIGHT else 1]
    raised = np.abs(dome[:, 1] - without[:, 1]) > 0.004
    change.extent += [dome[raised], without[raised]]
    top = np.interp(sign * scene.frame.x, (sign * dome[::-1, 0]), dome[::-1, 1]).astype(np.float32)
    above = np.clip((top - scene.frame.y) / (0.10 + 0.22 * finding.severity), 0, None)
    density = np.exp(-above * np.sqrt(above)) * (1 + 0.2 * clouds(scene.frame, rng, lump=32))
    density *= np.clip(sign * scene.frame.x / 0.4, 0, 1) * np.clip((3 - above) * 2, 0, 1)
    amount = 0.62 * plainness(finding, hardest=0.4) * min(1.0, 0.15 + finding.severity)
    change.fill += amount * density * scene.lung(sign)


def _collapse_behind_heart(scene: Scene, finding: Finding, rng: np.random.Generator, change: Change) -> None:
    """The left lower lobe as a sail behind the heart, its lateral edge straight and sharp."""
    reach = 0.40 + 0.22 * finding.severity
    sail = curve([(0.10, 0.78), (0.16, 0.80), (0.5 * reach + 0.1, 1.15), (reach, 1.62), (0.1, 1.65)], steps=4)
    shape = scene.frame.fill([(moved(sail, scene.shift), 1.0)])
    amount = 0.24 * (0.6 + 0.4 * finding.severity) * plainness(finding, hardest=0.45)
    change.added += amount * shape * (1 + 0.08 * clouds(scene.frame, rng, lump=16)) * scene.lung(LEFT)


_HEIGHT_OF_ZONE = {
    "upper": (0.25, 0.55),
    "mid": (0.65, 1.0),
    "lower": (1.1, 1.35),
    "retrocardiac": (1.15, 1.35),
}


def _site(finding: Finding, sign: float, rng: np.random.Generator) -> tuple[float, float]:
    """Where in its zone a patch or nodule sits."""
    y = rng.uniform(*_HEIGHT_OF_ZONE[finding.zone])
    if finding.zone == "retrocardiac":
        return sign * rng.uniform(0.28, 0.36), y
    inner = 0.30 if y < 1.05 or sign == RIGHT else 0.60
    outer = float(wall_at(y)) - 0.16
    return sign * rng.uniform(inner, outer), y


def _step(field: Field) -> Field:
    """0 below 0, 1 above 1, smooth between."""
    t = np.clip(field, 0, 1)
    return t * t * (3 - 2 * t)


_Draw = Callable[[Scene, Finding, np.random.Generator, Change], None]
_DRAW: dict[str, _Draw] = {
    "Atelectasis": _atelectasis,
    "Cardiomegaly": _cardiomegaly,
    "Consolidation": _consolidation,
    "Edema": _edema,
    "Lung Lesion": _nodule,
    "Pleural Effusion": _effusion,
    "Pneumothorax": _pneumothorax,
}
