"""The patient: what stays the same from one phantom study to the next, and the outlines that follow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eclip.data.phantom.canvas import Points, curve, mirrored, moved
from eclip.data.phantom.findings import Finding

RIGHT, LEFT = -1.0, 1.0  # the patient's sides as signs of the chest's x


@dataclass(frozen=True, slots=True)
class Anatomy:
    """A patient's fixed shape. Lengths in chest units (see `canvas`), factors around 1.

    Attributes:
        slenderness: Height of the chest over its width.
        girth: Soft tissue around and before the chest.
        bone: Density of the bones.
        heart_ratio: Cardiothoracic ratio without cardiomegaly; below 0.5.
        heart_tilt: From a vertical (0) to a lying heart (1).
        aorta: How far the aortic knob stands out.
        domes: How high the (right, left) diaphragm stands.
        rib_slope: How steeply the ribs run.
        breast: Size of the breast shadows; 0 for none.
        scoliosis: Sideways bend of the spine.
        vessel_seed: Grows the vessel trees.
    """

    slenderness: float
    girth: float
    bone: float
    heart_ratio: float
    heart_tilt: float
    aorta: float
    domes: tuple[float, float]
    rib_slope: float
    breast: float
    scoliosis: float
    vessel_seed: int


def sample_anatomy(rng: np.random.Generator) -> Anatomy:
    """Draw a patient."""
    right_dome = float(rng.normal(0.03, 0.035))
    return Anatomy(
        slenderness=float(np.clip(rng.normal(1.0, 0.06), 0.87, 1.14)),
        girth=float(np.clip(rng.normal(1.0, 0.13), 0.72, 1.4)),
        bone=float(np.clip(rng.normal(1.0, 0.18), 0.55, 1.5)),
        heart_ratio=float(np.clip(rng.normal(0.44, 0.028), 0.37, 0.485)),
        heart_tilt=float(rng.uniform(0, 1)),
        aorta=float(np.clip(rng.normal(0.5, 0.3), 0, 1.2)),
        domes=(right_dome, right_dome - float(rng.normal(0.05, 0.025))),
        rib_slope=float(rng.normal(1.0, 0.09)),
        breast=float(rng.uniform(0.6, 1.3)) if rng.random() < 0.45 else 0.0,
        scoliosis=float(rng.normal(0, 0.025)),
        vessel_seed=int(rng.integers(2**32)),
    )


class Outlines(NamedTuple):
    """The organs' outlines in chest coordinates."""

    lungs: tuple[Points, Points]  # right, left
    domes: tuple[Points, Points]  # from the costophrenic angle to the midline
    heart: Points
    mediastinum: Points


# The inner chest wall of the left side, from the mediastinum over the apex down to the costophrenic angle.
WALL = curve(
    [(0.13, 0.50), (0.15, 0.26), (0.24, 0.08), (0.40, 0.00), (0.57, 0.06), (0.72, 0.24), (0.85, 0.55),
     (0.94, 0.90), (0.99, 1.25), (1.00, 1.55), (0.985, 1.80)]
)  # fmt: skip
_APEX = int(WALL[:, 1].argmin())
_DOME = curve(
    [
        (0.985, 1.80),
        (0.95, 1.71),
        (0.86, 1.60),
        (0.71, 1.51),
        (0.53, 1.46),
        (0.34, 1.465),
        (0.16, 1.52),
        (0.05, 1.57),
    ]
)


def wall_at(y: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Half-width of the inner chest at heights y."""
    return np.interp(np.asarray(y), WALL[_APEX:, 1], WALL[_APEX:, 0])


def outlines(anatomy: Anatomy, findings: Sequence[Finding] = (), *, shift: float = 0.0) -> Outlines:
    """Outlines of a chest with the findings that change shapes: cardiomegaly and atelectasis.

    `shift` moves the mediastinum sideways, as turning the patient does.
    """
    domes = []
    for sign, height in zip((RIGHT, LEFT), anatomy.domes, strict=True):
        raised = height + sum(volume_loss(finding) for finding in findings if on_side(finding, sign))
        bump = np.clip((0.985 - _DOME[:, 0]) / 0.3, 0, 1)
        domes.append(mirrored(_DOME - np.stack([0 * bump, raised * bump], axis=1), sign))
    lungs = tuple(
        np.concatenate([mirrored(WALL, sign), dome]) for sign, dome in zip((RIGHT, LEFT), domes, strict=True)
    )
    right, left = heart_extent(anatomy, findings)
    knob = 0.235 + 0.05 * anatomy.aorta
    mediastinum = curve(
        [(-0.06, -0.30), (-0.10, 0.05), (-0.165, 0.45), (-0.18, 0.70), (-0.20, 0.90), (-0.18, 1.30),
         (-0.14, 1.65), (0.14, 1.65), (0.22, 1.20), (0.24, 0.85), (0.235, 0.68), (0.19, 0.575), (knob, 0.45),
         (0.9 * knob, 0.35), (0.14, 0.24), (0.10, 0.05), (0.06, -0.30)],
        closed=True,
    )  # fmt: skip
    drop = 0.06 * (0.5 - anatomy.heart_tilt)
    heart = curve(
        [(-0.15, 0.88), (-0.85 * right, 1.03), (-right, 1.21), (-0.93 * right, 1.38), (-0.5 * right, 1.53),
         (0.2, 1.60), (0.78 * left, 1.555 + drop), (0.97 * left, 1.45 + drop), (left, 1.36 + drop),
         (0.93 * left, 1.20), (0.72 * left, 1.0), (0.26 + 0.12 * (left - 0.5), 0.80), (0.1, 0.72)],
        closed=True,
    )  # fmt: skip
    # The spline may overshoot its knots: make the widest points exactly the wanted ones.
    heart[:, 0] *= np.where(heart[:, 0] < 0, right / -heart[:, 0].min(), left / heart[:, 0].max())
    return Outlines(
        (lungs[0], lungs[1]), (domes[0], domes[1]), moved(heart, shift), moved(mediastinum, shift)
    )


def heart_extent(anatomy: Anatomy, findings: Sequence[Finding] = ()) -> tuple[float, float]:
    """How far the heart reaches to the (right, left); their sum over 2 is the cardiothoracic ratio."""
    ratio = anatomy.heart_ratio
    for finding in findings:
        if finding.name == "Cardiomegaly":
            ratio = 0.505 + 0.15 * finding.severity * (1 - 0.5 * finding.subtlety)
    return 0.6 * ratio, 1.4 * ratio


def volume_loss(finding: Finding) -> float:
    """How far a diaphragm dome is pulled up: lobar atelectasis, that is, more than a plate of it."""
    lobar = finding.name == "Atelectasis" and finding.zone == "basal" and finding.severity > 0.45
    return 0.05 + 0.30 * (finding.severity - 0.45) if lobar else 0.0


def on_side(finding: Finding, sign: float) -> bool:
    """Whether a finding lies in the lung on that side."""
    return finding.side in ("bilateral", "right" if sign == RIGHT else "left")


# Where a reader's eye goes, in chest coordinates.
_LANDMARKS_OF_A_SIDE = {
    "upper": (0.52, 0.35), "mid": (0.56, 0.80), "lower": (0.58, 1.25), "apex": (0.42, 0.10),
    "base": (0.55, 1.42), "costophrenic": (0.93, 1.68),
}  # fmt: skip
_LANDMARKS_OF_THE_MIDDLE = {"mediastinum": (0.03, 0.50), "trachea": (0.0, 0.15), "abdomen": (0.0, 1.75)}


def landmarks(
    anatomy: Anatomy, findings: Sequence[Finding] = (), *, shift: float = 0.0
) -> dict[str, tuple[float, float]]:
    """Names and chest coordinates of the places that a reader looks at."""
    right, left = heart_extent(anatomy, findings)
    places = {
        f"{side} {name}": (sign * x, y)
        for side, sign in (("right", RIGHT), ("left", LEFT))
        for name, (x, y) in _LANDMARKS_OF_A_SIDE.items()
    }
    places |= {name: (x + shift, y) for name, (x, y) in _LANDMARKS_OF_THE_MIDDLE.items()}
    places["heart"] = ((left - right) / 2 + shift, 1.25)
    return places
