"""The findings a phantom chest can have. Image, report and reading are told from these."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

# Names as MIMIC-CXR's CheXpert table spells them; "Lung Lesion" is the phantom's nodule.
FindingName = Literal[
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion", "Pneumothorax", "Lung Lesion"
]
FINDING_NAMES: tuple[FindingName, ...] = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Lung Lesion", "Pleural Effusion",
    "Pneumothorax",
)  # fmt: skip
NO_FINDING = "No Finding"

Side = Literal[
    "right", "left", "bilateral", "none"
]  # the patient's side: "right" is at the left of the image
Zone = Literal["upper", "mid", "lower", "apical", "basal", "retrocardiac", "diffuse", "heart"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of one phantom chest.

    Attributes:
        name: What it is.
        side: The patient's side ("right" lies at the left of the image); "none" for the heart.
        zone: Where in the lung.
        severity: 0 (small, mild) to 1 (large, severe).
        subtlety: 0 (plain to see) to 1 (hardly visible).
    """

    name: FindingName
    side: Side
    zone: Zone
    severity: float
    subtlety: float


# Where each finding occurs, as (side, zone, how often); only the heart hides a retrocardiac finding: left.
_PLACES: dict[FindingName, tuple[tuple[Side, Zone, float], ...]] = {
    "Atelectasis": (
        ("right", "basal", 0.27), ("left", "basal", 0.23), ("bilateral", "basal", 0.20),
        ("right", "mid", 0.10), ("left", "mid", 0.08), ("left", "retrocardiac", 0.12),
    ),
    "Cardiomegaly": (("none", "heart", 1.0),),
    "Consolidation": (
        ("right", "upper", 0.16), ("right", "mid", 0.16), ("right", "lower", 0.22), ("left", "upper", 0.12),
        ("left", "mid", 0.12), ("left", "lower", 0.15), ("left", "retrocardiac", 0.07),
    ),
    "Edema": (("bilateral", "diffuse", 1.0),),
    "Lung Lesion": (
        ("right", "upper", 0.22), ("right", "mid", 0.17), ("right", "lower", 0.13),
        ("left", "upper", 0.19), ("left", "mid", 0.17), ("left", "lower", 0.12),
    ),
    "Pleural Effusion": (("right", "basal", 0.36), ("left", "basal", 0.36), ("bilateral", "basal", 0.28)),
    "Pneumothorax": (("right", "apical", 0.55), ("left", "apical", 0.45)),
}  # fmt: skip
_THIRD: dict[Zone, str] = {
    "upper": "upper", "apical": "upper", "mid": "mid",
    "lower": "lower", "basal": "lower", "retrocardiac": "lower",
}  # fmt: skip
# Edema veils both lungs: of the others only those that stay readable beside it go with it.
_BESIDE_EDEMA = ("Cardiomegaly", "Pleural Effusion")


def compatible(first: Finding, second: Finding) -> bool:
    """Whether one chest can show both: other names, and not in the same third of the same lung."""
    if first.name == second.name:
        return False
    for one, other in ((first, second), (second, first)):
        if one.name == "Edema":
            return other.name in _BESIDE_EDEMA
    if "none" in (first.side, second.side):
        return True
    same_side = first.side == second.side or "bilateral" in (first.side, second.side)
    return not (same_side and _THIRD[first.zone] == _THIRD[second.zone])


def sample_findings(rng: np.random.Generator) -> tuple[Finding, ...]:
    """Findings of one study: about 25 % none, 55 % one, 20 % two compatible ones; names balanced."""
    count = int(rng.choice(3, p=(0.25, 0.55, 0.20)))
    findings: list[Finding] = []
    while len(findings) < count:
        candidate = _sample_finding(rng)
        if all(compatible(candidate, finding) for finding in findings):
            findings.append(candidate)
    return tuple(findings)


def _sample_finding(rng: np.random.Generator) -> Finding:
    name = FINDING_NAMES[rng.integers(len(FINDING_NAMES))]
    places = _PLACES[name]
    side, zone, _ = places[rng.choice(len(places), p=[often for *_, often in places])]
    return Finding(name, side, zone, float(rng.uniform(0.05, 1.0)), float(rng.beta(1.4, 2.6)))
