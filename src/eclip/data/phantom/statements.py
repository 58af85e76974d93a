"""What a radiologist says of a chest, sentence by sentence, and which labels follow from saying it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from eclip.data.phantom import phrases
from eclip.data.phantom.findings import Finding, FindingName
from eclip.data.phantom.phrases import Normal, pick, say

# The systems of the chest in the orders in which they are gone through; the first is the most common.
_ORDERS = (
    ("lungs", "pleura", "heart", "rest"),
    ("lungs", "pleura", "heart", "rest"),
    ("heart", "lungs", "pleura", "rest"),
    ("lungs", "heart", "pleura", "rest"),
)
_SYSTEMS: dict[str, tuple[FindingName, ...]] = {
    "lungs": ("Consolidation", "Lung Lesion", "Atelectasis", "Edema"),
    "pleura": ("Pleural Effusion", "Pneumothorax"),
    "heart": ("Cardiomegaly",),
}
_NORMAL_HEARTS: tuple[tuple[Normal, ...], ...] = (
    (phrases.NORMAL_SILHOUETTE,),
    (phrases.NORMAL_SILHOUETTE,),
    (phrases.NORMAL_SILHOUETTE,),
    (phrases.NORMAL_HEART, phrases.NORMAL_MEDIASTINUM),
    (phrases.NORMAL_HEART,),
    (),
)
_DENIED_LUNGS = ("Consolidation", "Pneumonia", "Edema", "Lung Lesion", "Atelectasis")
_ANGLES = ("right costophrenic", "left costophrenic")
_DENIED_ZONES: dict[str, tuple[str, ...]] = {
    "Pleural Effusion": _ANGLES,
    "Pneumothorax": ("right apex", "left apex"),
    "Cardiomegaly": ("heart",),
}
_UNCERTAIN = re.compile(
    r"may|could|possib|suspicious|concerning|worrisome|suggesting|appropriate|cannot|question", re.I
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence of a report.

    Attributes:
        text: The sentence, ending with its only period.
        finding: Number of the finding it tells of; None for what is normal or absent.
        zones: Landmarks of the chest that one looks at to say it, in order.
    """

    text: str
    finding: int | None
    zones: tuple[str, ...]


class Dictation:
    """Draws sentences and keeps count of what was said to be there and what was denied."""

    def __init__(
        self, findings: Sequence[Finding], rng: np.random.Generator, prior: Sequence[Finding] | None
    ) -> None:
        self.findings, self.rng = findings, rng
        self.present = {finding.name for finding in findings}
        self.hedged = [rng.random() < (0.03 + 0.3 * f.subtlety**2) * (1.2 - f.severity) for f in findings]
        self.trends = [_trend(finding, prior) if prior is not None else None for finding in findings]
        self.resolved = sorted({f.name for f in prior or ()} - self.present)
        self.slots = [_slots(finding) for finding in findings]
        self.labels: dict[str, int] = {}
        for finding, hedged in zip(findings, self.hedged, strict=True):
            self.labels[finding.name] = -1 if hedged else 1

    def findings_section(self) -> list[Statement]:
        """Go through the chest system by system."""
        statements: list[Statement] = []
        # Whether the pleura still has to be spoken of, with nothing to see in it.
        clear_pleura = not self.present & set(_SYSTEMS["pleura"])
        for system in pick(_ORDERS, self.rng):
            if system == "rest":
                statements += self._rest(enough=len(statements) > 2)
            elif system == "heart":
                statements += self._heart()
            elif system == "lungs":
                together = clear_pleura and "Consolidation" not in self.present and self.rng.random() < 0.4
                statements += self._lungs(but="Consolidation" if together else "")
                if together:
                    statements += [self._deny(("Consolidation", "Pleural Effusion", "Pneumothorax"))]
                    clear_pleura = False
            else:
                statements += self._positives("pleura")
                absent = [name for name in _SYSTEMS["pleura"] if name not in self.present]
                if absent and (len(absent) < 2 or clear_pleura) and self.rng.random() < 0.85:
                    statements += [self._deny(absent)]
        return statements

    def impression(self) -> list[Statement]:
        """The findings once more, shorter and the most severe first; or that there is none."""
        rng = self.rng
        order = sorted(range(len(self.findings)), key=lambda i: -self.findings[i].severity)
        statements = [self._tell(i, phrases.IMPRESSION_FRAMES, phrases.CONCLUSIONS) for i in order]
        if not statements:
            statements += [self._normal(pick(phrases.NORMAL_IMPRESSIONS, rng))]
        elif rng.random() < 0.3:
            absent = [
                name for name in ("Pneumothorax", "Pleural Effusion", "Edema") if name not in self.present
            ]
            statements += [self._deny(absent[: int(rng.integers(1, 3))])]
        statements += [self._resolve(name) for name in self.resolved if rng.random() < 0.7]
        if self.findings and rng.random() < 0.1:
            statements += [Statement(say(phrases.RECOMMENDATIONS, rng), None, ())]
        return statements

    def _lungs(self, *, but: str) -> list[Statement]:
        statements = self._positives("lungs")
        absent = [name for name in _DENIED_LUNGS if name not in self.present and name != but]
        if self.present & {"Consolidation", "Atelectasis"}:
            absent.remove("Pneumonia")  # that is what such an opacity may be
        if not statements and self.rng.random() < 0.6:
            statements += [self._normal(phrases.CLEAR_LUNGS)]
        if not statements or self.rng.random() < 0.4:
            count = int(self.rng.integers(1, 4))
            statements += [self._deny([absent[i] for i in sorted(self.rng.permutation(len(absent))[:count])])]
        return statements

    def _heart(self) -> list[Statement]:
        if "Cardiomegaly" in self.present:
            normal = [phrases.NORMAL_MEDIASTINUM] if self.rng.random() < 0.4 else []
            return self._positives("heart") + [self._normal(organ) for organ in normal]
        return [self._normal(organ) for organ in pick(_NORMAL_HEARTS, self.rng)]

    def _rest(self, *, enough: bool) -> list[Statement]:
        statements = [self._normal(phrases.NORMAL_BONES)] if self.rng.random() < 0.35 else []
        if not enough or self.rng.random() < 0.3:
            statements += [self._normal(pick(phrases.NORMAL_REST, self.rng))]
        return statements

    def _positives(self, system: str) -> list[Statement]:
        names = _SYSTEMS[system]
        numbers = [i for i, finding in enumerate(self.findings) if finding.name in names]
        return [self._tell(i, phrases.FRAMES, phrases.OBSERVATIONS) for i in numbers]

    def _tell(
        self, number: int, frames: tuple[str, ...], sentences: dict[FindingName, tuple[str, ...]]
    ) -> Statement:
        """One sentence about one finding: hedged, compared, or plain."""
        finding, rng = self.findings[number], self.rng
        trend = self.trends[number]
        if self.hedged[number]:
            template = pick(phrases.HEDGES, rng)
        elif trend and rng.random() < 0.6:
            template = pick(phrases.TRENDS[trend], rng)
        elif rng.random() < 0.35:
            template = pick(sentences[finding.name], rng)
        else:
            template = pick(frames, rng)
        return Statement(self._said(template, number), number, zones_of(finding))

    def _said(self, template: str, number: int) -> str:
        """The sentence, with its noun phrase if it wants one; notes what else it mentions."""
        slots = self.slots[number]
        if "{np}" in template or "{bare}" in template:
            slots = slots | _noun(self.findings[number], slots, self.rng)
        text = _capital(say(template.format_map(slots), self.rng))
        if "pneumonia" in text:
            self.labels["Pneumonia"] = -1 if _UNCERTAIN.search(text) or self.hedged[number] else 1
        if "pacit" in text or "pacif" in text:  # opacity, opacities, opacification
            self.labels["Lung Opacity"] = -1 if self.hedged[number] else 1
        return text

    def _deny(self, names: Sequence[str]) -> Statement:
        rng = self.rng
        nouns = [say(phrases.ABSENT[name], rng) for name in names]
        listed = (
            nouns[0] if len(nouns) == 1 else f"{', '.join(nouns[:-1])}{',' * (len(nouns) > 2)} or {nouns[-1]}"
        )
        zones = dict.fromkeys(z for name in names for z in _DENIED_ZONES.get(name, phrases.LUNG_ZONES))
        self._denied(names)
        return Statement(_capital(say(pick(phrases.DENIALS, rng), rng, {"list": listed})), None, tuple(zones))

    def _resolve(self, name: FindingName) -> Statement:
        self._denied([name])
        text = say(
            pick(phrases.RESOLVED, self.rng), self.rng, {"what": say(phrases.RESOLVED_NOUNS[name], self.rng)}
        )
        return Statement(_capital(text), None, _DENIED_ZONES.get(name, phrases.LUNG_ZONES))

    def _normal(self, normal: Normal) -> Statement:
        template, denied, zones = normal
        self._denied(denied)
        return Statement(_capital(say(template, self.rng)), None, zones)

    def _denied(self, names: Iterable[str]) -> None:
        for name in names:
            self.labels.setdefault(name, 0)


def zones_of(finding: Finding) -> tuple[str, ...]:
    """The chest's landmarks at which a finding is."""
    if finding.zone == "heart":
        return ("heart",)
    if finding.zone == "retrocardiac":
        return ("left lower", "heart")
    sides = ("right", "left") if finding.side in ("bilateral", "none") else (finding.side,)
    base = "costophrenic" if finding.name == "Pleural Effusion" else "base"
    places = {"apical": ("apex",), "basal": (base,), "diffuse": ("mid", "lower")}.get(
        finding.zone, (finding.zone,)
    )
    return tuple(f"{side} {place}" for side in sides for place in places)


def _trend(finding: Finding, prior: Sequence[Finding]) -> str:
    """How a finding compares with the same one of the study before."""
    before = [
        f.severity for f in prior if (f.name, f.side, f.zone) == (finding.name, finding.side, finding.zone)
    ]
    if not before:
        return "new"
    change = finding.severity - before[0]
    return "unchanged" if abs(change) < 0.1 else "increased" if change > 0 else "decreased"


def _slots(finding: Finding) -> dict[str, str]:
    """What the grammar can say of a finding, with its alternatives still in it."""
    bilateral = finding.side == "bilateral"
    grade = min(int(finding.severity * 3), 2)
    where = "bilateral" if bilateral and finding.zone == "basal" else finding.zone
    return {
        "size": phrases.SIZES[finding.name][grade],
        "degree": phrases.DEGREES[grade],
        "kind": phrases.KINDS[finding.name][grade],
        "side": finding.side,
        "where": phrases.WHERE[where].format(side=finding.side),
        "place": phrases.PLACE[where].format(side=finding.side),
        "mm": str(round(4 + 11 * finding.severity)),
        "angle": "costophrenic angles" if bilateral else f"{finding.side} costophrenic angle",
        "angle_is": "are" if bilateral else "is",
    }


def _noun(finding: Finding, slots: dict[str, str], rng: np.random.Generator) -> dict[str, str]:
    """A noun phrase for a finding, with and without its article, and the verbs that agree with it."""
    two = finding.name == "Pleural Effusion" and finding.side == "bilateral"
    noun = say(pick(phrases.BILATERAL_EFFUSIONS if two else phrases.NOUNS[finding.name], rng), rng, slots)
    plural = noun.startswith("*")
    noun = noun.removeprefix("*")
    bare = re.sub(r"^an? ", "", noun)
    return {"np": noun, "bare": bare, "is": "are" if plural else "is", "has": "have" if plural else "has"}


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
