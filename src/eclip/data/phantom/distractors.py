"""What is on a radiograph and in no report: wires, tubes, a pacemaker, letters, skin folds, nipples, gas."""

import numpy as np

from eclip.data.phantom.anatomy import LEFT, RIGHT, Anatomy
from eclip.data.phantom.canvas import Field, Frame, Points, curve, ellipse, mirrored

_LETTERS = {
    LEFT: [np.array([(-0.5, -1.0), (-0.5, 1.0), (0.5, 1.0)])],
    RIGHT: [
        np.array(
            [(-0.5, 1.0), (-0.5, -1.0), (0.2, -1.0), (0.5, -0.75), (0.5, -0.25), (0.2, 0.0), (-0.5, 0.0)]
        ),
        np.array([(0.0, 0.0), (0.5, 1.0)]),
    ],
}
_Line = tuple[Points, float, float]  # points, width, value


def distractors(frame: Frame, anatomy: Anatomy, rng: np.random.Generator, *, bedside: bool) -> Field:
    """Added density of all that is no finding; `bedside` (AP) has more lines and tubes."""
    often = 2.2 if bedside else 1.0
    lines: list[_Line] = []
    shapes: list[tuple[Points, float]] = []
    if rng.random() < 0.16 * often:
        _leads(rng, lines, shapes)
    if rng.random() < 0.15 * often:
        lines += _tubes(rng)
    if rng.random() < 0.12 * often:
        lines.append(_central_line(rng))
    if rng.random() < 0.07:
        _pacemaker(rng, lines, shapes)
    if rng.random() < 0.75:
        lines += _letter(frame, rng)
    added = 0.55 * frame.stroke(lines) if lines else np.zeros_like(frame.x)
    if shapes:
        added = np.maximum(added, 0.6 * frame.fill(shapes))
    if rng.random() < 0.18 * often:
        added += _skin_fold(frame, rng)
    if rng.random() < 0.22:
        added += _nipples(frame, rng)
    if rng.random() < 0.6:
        added -= _stomach_gas(frame, anatomy, rng)
    return added


def _leads(rng: np.random.Generator, lines: list[_Line], shapes: list[tuple[Points, float]]) -> None:
    """Monitoring wires that run over the chest to round electrodes."""
    for _ in range(rng.integers(2, 5)):
        end = np.array([rng.uniform(-0.95, 0.95), rng.uniform(0.15, 1.7)])
        start = np.array([rng.uniform(-1.2, 1.2), rng.choice([-0.4, 2.1])])
        bend = (start + end) / 2 + rng.normal(0, 0.25, 2)
        lines.append((curve(np.stack([start, bend, end])), 0.012, rng.uniform(0.35, 0.7)))
        shapes.append((ellipse(end[0], end[1], 0.045, 0.045), 0.35))
        shapes.append((ellipse(end[0], end[1], 0.022, 0.022), 0.75))


def _tubes(rng: np.random.Generator) -> list[_Line]:
    """An endotracheal or a gastric tube."""
    if rng.random() < 0.5:
        x = rng.normal(0, 0.012)
        return [(curve([(x - 0.02, -0.5), (x, 0.0), (x + 0.01, rng.uniform(0.25, 0.42))]), 0.02, 0.55)]
    x = rng.normal(0.02, 0.02)
    path = [(x - 0.03, -0.5), (x, 0.3), (x + 0.03, 1.0), (x + 0.08, 1.5), (0.35, 1.75), (0.55, 1.72)]
    return [(curve(path), 0.018, 0.6)]


def _central_line(rng: np.random.Generator) -> _Line:
    """A catheter from the neck or the arm into the superior vena cava."""
    tip = (-0.13 + rng.normal(0, 0.01), rng.uniform(0.55, 0.85))
    if rng.random() < 0.5:
        return curve([(-0.30, -0.45), (-0.24, -0.1), (-0.16, 0.25), tip]), 0.013, 0.6
    sign = float(rng.choice([RIGHT, LEFT]))
    entry = [
        (sign * 1.25, 0.30),
        (sign * 0.8, 0.14),
        (sign * 0.35, 0.17),
        (-0.12 if sign == RIGHT else 0.0, 0.28),
    ]
    return curve([*entry, tip]), 0.013, 0.6


def _pacemaker(rng: np.random.Generator, lines: list[_Line], shapes: list[tuple[Points, float]]) -> None:
    """A box under the left clavicle with leads to the right heart."""
    x, y = rng.uniform(0.62, 0.78), rng.uniform(0.22, 0.36)
    box = curve(
        [(x - 0.12, y - 0.08), (x + 0.10, y - 0.09), (x + 0.12, y + 0.08), (x - 0.10, y + 0.09)], closed=True
    )
    shapes.append((box, 0.95))
    path = [(x - 0.05, y - 0.08), (0.35, 0.16), (0.0, 0.30), (-0.13, 0.55), (-0.15, 1.0)]
    lines.append((curve([*path, (-0.08, 1.15)]), 0.014, 0.75))
    if rng.random() < 0.6:
        lines.append((curve([*path, (0.05, 1.40), (0.3, 1.48)]), 0.014, 0.75))


def _letter(frame: Frame, rng: np.random.Generator) -> list[_Line]:
    """A lead letter L or R on its own side."""
    sign = LEFT if rng.random() < 0.6 else RIGHT
    size = rng.uniform(0.035, 0.07)
    place = (sign * rng.uniform(0.92, 1.1), rng.choice([rng.uniform(-0.25, 0.0), rng.uniform(0.1, 0.5)]))
    return [(stroke * (0.8 * size, size) + place, 0.25 * size, 1.0) for stroke in _LETTERS[sign]]


def _skin_fold(frame: Frame, rng: np.random.Generator) -> Field:
    """An edge that looks like a pleural line, but vessels go on beyond it and it fades to one side only."""
    sign = float(rng.choice([RIGHT, LEFT]))
    x, y, slope = sign * rng.uniform(0.5, 0.85), rng.uniform(0.2, 0.9), sign * rng.normal(0.25, 0.2)
    across = sign * (frame.x - x - slope * (frame.y - y))
    along = np.exp(-np.square(np.square((frame.y - y - 0.3) / 0.45)))
    fold = np.exp(-np.clip(-across, 0, None) / 0.10) * (across < 0)
    return rng.uniform(0.05, 0.10) * fold * along


def _nipples(frame: Frame, rng: np.random.Generator) -> Field:
    """Two faint round shadows at about the same height."""
    x, y, radius = rng.uniform(0.52, 0.66), rng.uniform(1.15, 1.4), rng.uniform(0.028, 0.042)
    added = np.zeros_like(frame.x)
    for sign in (RIGHT, LEFT):
        distance = (frame.x - sign * (x + rng.normal(0, 0.03))) ** 2 + (
            frame.y - y - rng.normal(0, 0.03)
        ) ** 2
        added += rng.uniform(0.05, 0.11) * np.exp(-np.square(distance / radius**2))
    return added


def _stomach_gas(frame: Frame, anatomy: Anatomy, rng: np.random.Generator) -> Field:
    """Gas under the left dome."""
    x, y = rng.uniform(0.42, 0.65), 1.62 - anatomy.domes[1] + rng.normal(0, 0.02)
    radius = rng.uniform(0.08, 0.22)
    bubble = curve(
        ellipse(x, y, radius, 0.4 * radius)[::4] + rng.normal(0, 0.012, (8, 2)), closed=True, steps=4
    )
    return rng.uniform(0.10, 0.26) * frame.fill([(mirrored(bubble, LEFT), 1.0)])
