# ruff: noqa: E501  (a vocabulary reads better in one line)
"""What a report says of CheXpert's findings: present, absent or uncertain. By rules, offline, blind to no "no".

A sentence is cut into clauses at "but", "however", "although", semicolons and the like. In a clause every mention of a
finding is looked at with the words around it:

- *absent* after a negation (no, without, negative for, resolution of, …) that reaches over a list ("no effusion,
  consolidation or pneumothorax") up to a word that ends it ("with", "is", "there"), or before one ("has resolved", "is
  no longer seen", "is not enlarged");
- *uncertain* with a hedge (may, possible, cannot be excluded, suspected, concerning for, versus, …);
- *present* otherwise; so after "no change in", "no increase in" and "not excluded", which deny something else.

Normal sentences deny by their words ("heart size is normal" is Cardiomegaly 0). "The lungs are clear" denies no finding
by name, and is taken as none. Over a whole report present outweighs uncertain, which outweighs absent. "No Finding" is
present where none is present or uncertain, devices aside, as CheXpert has it.

The vocabulary is that of chest radiographs' reports in English.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from eclip.reporting.sentences import split_sentences

PRESENT, ABSENT, UNCERTAIN = 1, 0, -1
NO_FINDING, DEVICES = "No Finding", "Support Devices"
_VOCABULARY: Mapping[str, str] = {
    "Enlarged Cardiomediastinum": r"(?:widen\w+|enlarge\w*|prominen\w+) (?:of )?(?:the )?(?:\w+ )?(?:cardio)?mediastin\w+"
    r"|(?:cardio)?mediastin\w+(?: \w+){0,2} (?:is |are |appears? )?(?:\w+ly )?(?:widen\w+|enlarged|prominent)|mediastinal widening",
    "Cardiomegaly": r"cardiomegaly|cardiac enlargement|(?:enlarge\w*|big|large) (?:of )?(?:the )?(?:heart|cardiac silhouette|cardiac contour|heart shadow)"
    r"|(?:heart|cardiac silhouette|heart size|cardiac size|cardiac contour|heart shadow|cardiothoracic ratio)"
    r"(?: size)?:? (?:is |are |appears? |remains? )?(?:\w+ly |borderline |moderate |again |not )?(?:enlarged|increased|above normal|prominent)",
    "Lung Lesion": r"nodul\w+|mass(?:es)?|(?:round\w*|cavitary|well-defined|spiculated)(?: \d+ mm)? (?:density|opacity)|tumou?rs?|lesions?|granulomas?",
    "Lung Opacity": r"opaci\w+|infiltrat\w+|air ?space disease|haz(?:e|iness)|interstitial (?:markings|pattern)|reticular pattern|increased density",
    "Edema": r"(?:o)?edema|(?:pulmonary |central )?vascular congestion|volume overload|fluid overload|congestive (?:heart )?failure|cephali[sz]ation|kerley|septal lines|engorge\w+",
    "Consolidation": r"consolidat\w+|airspace opaci\w+|parenchymal opaci\w+|air ?bronchograms?|air ?space disease",
    "Pneumonia": r"(?:broncho)?pneumonias?|infectio(?:n|us process)",
    "Atelectasis": r"atelecta\w+|volume loss|loss of volume|collapse of the \w+ (?:lower|upper|middle) lobe",
    "Pneumothorax": r"(?:hydro)?pneumothora\w+",
    "Pleural Effusion": r"(?:hydropneumothorax|effusions?|pleural fluid|hemothorax)|blunt\w+(?: of)?(?: the)?(?: \w+){0,3} (?:costophrenic|sulc\w+|cp angle)"
    r"|(?:costophrenic (?:angles?|sulc\w+)|sulcus) (?:is |are )?(?:\w+ly )?blunted",
    "Pleural Other": r"pleural (?:thickening|plaques?|calcification|scarring)|fibrothorax",
    "Fracture": r"fractur\w+",
    DEVICES: r"(?:endotracheal|nasogastric|enteric|chest|feeding|tracheostomy|ng|et) tubes?|pacemakers?|pacer|picc|catheters?|central (?:venous )?lines?"
    r"|port-?a-?cath|sternotomy wires|prosthetic valve|defibrillator|icd\b|drains?|leads?\b(?! to\b)",
}
FINDINGS: tuple[str, ...] = (NO_FINDING, *_VOCABULARY)
"""CheXpert's fourteen."""
_MENTIONS = {name: re.compile(rf"\b(?:{words})\b", re.I) for name, words in _VOCABULARY.items()}
_NORMAL = {
    name: re.compile(rf"\b(?:{words})\b", re.I)
    for name, words in {
        "Cardiomegaly": r"(?:heart|cardiac)(?: \w+)?(?: and mediast\w+)?(?: contours?| size| silhouette)?[,:]? (?:is |are |appears? |remains? )?(?:again )?(?:normal|unremarkable|within normal|top normal|not enlarged|of normal)"
        r"|normal (?:heart|cardiac)(?: size| silhouette)?|cardiomediastinal (?:silhouette|contours?|structures) (?:is |are |appears? )?(?:stable and )?(?:normal|unremarkable|within normal)"
        r"|cardiac,(?: \w+){1,4} contours are (?:normal|unremarkable|within normal)|normal cardiomediastinal|heart and mediastinum are (?:normal|unremarkable)",
        "Enlarged Cardiomediastinum": r"(?:cardio)?mediastin\w+(?: \w+){0,3}?:? (?:is |are |appears? )?(?:\w+ and )?(?:normal|unremarkable|within normal|not widened|not enlarged)|normal (?:cardio)?mediast\w+"
        r"|mediastinal and hilar contours are (?:normal|unremarkable|within normal)",
        "Pleural Effusion": r"costophrenic (?:angles?|sulc\w+) (?:is |are )?(?:sharp|clear)|(?:sharp|clear) costophrenic|pleural spaces(?: are|:) clear|pleura: (?:clear|normal|unremarkable)",
        "Edema": r"pulmonary (?:vasculature|vascularity|vessels) (?:is |are )?(?:normal|within normal|unremarkable)",
        "Fracture": r"(?:bones|osseous structures|bony structures|bony thorax|ribs):? (?:is |are )?(?:intact)",
    }.items()
}
LUNGS_CLEAR = re.compile(
    r"\b(?:lungs?|lung fields|lung volumes)\b[^.;]{0,40}?\bclear\b|\bclear lungs\b|without focal abnormality|no (?:acute|active) (?:cardio)?pulmonary",
    re.I,
)
"""Says that nothing is wrong with the lungs, without a name of what."""
_CLAUSE = re.compile(
    r"\s*(?:;|\bbut\b|\bhowever\b|\balthough\b|\bthough\b|\bexcept(?: for)?\b|\bwhile\b|\bwhereas\b|\bapart from\b|\bother than\b)\s*",
    re.I,
)
_NEGATION = re.compile(
    r"\b(?:no|not|without|negative for|free of|absence of|absent|resolution of|denies|den(?:y|ied)|rules? out|ruled out|clear of|lacks?|nor|never|neither)\b",
    re.I,
)
_NOT_OF_IT = re.compile(
    r"\b(?:no|not|without)\b(?: \w+){0,4}? (?:change|changed|increase|increased|decrease|worsening|improvement|progression|excluded|exclude|resolved|shift|tension)\b"
    r"|\bnot (?:only|rule out|ruled out)\b|\bno (?:\w+ )?doubt\b|\bwithout (?:tension|shift)\b",
    re.I,
)
_SCOPE_ENDS = re.compile(
    r"\b(?:with|indicat\w*|reflect\w*|suggest\w*|may|could|there (?:is|are)|which|shows?|demonstrates?|is|are|has|have|represent\w*|consistent|compatible|due to|secondary|likely|given|in the setting|and (?:the|there|an?))\b|:|\.",
    re.I,
)
_AFTER = re.compile(
    r"^[^;:]{0,40}?\b(?:(?:is|are|was|were|has|have|been) (?:not|absent|resolved|cleared|no longer|ruled out|excluded)|not (?:seen|identified|present|visuali[sz]ed|evident|appreciated|demonstrated|enlarged)"
    r"|no longer|(?:has|have) (?:completely |since )?(?:resolved|cleared)|absent)\b"
    r"|^\s*:\s*(?:none|no|nil|not|absent|negative|without|resolved)\b",
    re.I,
)
_NOT_ENLARGED = re.compile(r"\bnot (?:\w+ )?(?:enlarged|increased|widened|blunted|prominent)\b", re.I)
_MAYBE_WHAT_FOLLOWS = re.compile(
    r"\b(?:may|might|could|possibl[ey]|possibility|probabl[ey]|questionable|question of|suspected|suspicion|suspicious for|concern(?:ing)? for|worrisome for|can ?not exclude|can ?not rule out|suggest\w*"
    r"|in the (?:appropriate|right|proper) (?:clinical )?(?:setting|context)|presum\w+|perhaps|borderline|equivocal|consider|versus|vs)\b",
    re.I,
)
_MAYBE_WHAT_WAS_SAID = re.compile(
    r"\b(?:(?:is|are|be) (?:also )?(?:possible|suspected|questioned|questionable|uncertain|equivocal|borderline)|(?:can ?)?not (?:be )?(?:entirely |completely )?(?:excluded|ruled out)|difficult to exclude|versus|vs)\b",
    re.I,
)
_RANK = {ABSENT: 0, UNCERTAIN: 1, PRESENT: 2}


def findings_of(text: str) -> dict[str, int]:
    """Findings that a report speaks of: 1 present, 0 absent, −1 uncertain; not listed: not mentioned.

    Args:
        text: A report or a sentence.
    """
    found: dict[str, int] = {}
    sentences = split_sentences(text)
    for sentence in sentences:
        for name, value in _of_sentence(sentence):
            if name not in found or _RANK[value] > _RANK[found[name]]:
                found[name] = value
    if sentences and all(value == ABSENT or name == DEVICES for name, value in found.items()):
        found[NO_FINDING] = PRESENT
    return {name: found[name] for name in FINDINGS if name in found}


def spoken_of(sentence: str) -> dict[str, int]:
    """Findings that a sentence names: `findings_of` without "No Finding", which follows from the others."""
    return {name: value for name, value in findings_of(sentence).items() if name != NO_FINDING}


@lru_cache(maxsize=100_000)  # reports share most of their sentences
def _of_sentence(sentence: str) -> tuple[tuple[str, int], ...]:
    return tuple(_said(sentence))


def _said(sentence: str) -> Iterator[tuple[str, int]]:
    for clause in _CLAUSE.split(sentence):
        for name, pattern in _NORMAL.items():
            if pattern.search(clause):
                yield name, ABSENT
        for name, pattern in _MENTIONS.items():
            for mention in pattern.finditer(clause):
                yield name, _value(clause[: mention.start()], mention[0], clause[mention.end() :])


def _value(before: str, mention: str, after: str) -> int:
    if _NOT_ENLARGED.search(mention) or _denied(before):
        return ABSENT
    if _MAYBE_WHAT_FOLLOWS.search(before + mention) or _MAYBE_WHAT_WAS_SAID.search(after):
        return UNCERTAIN
    return ABSENT if _AFTER.match(after) and not _NOT_OF_IT.search(after) else PRESENT


def _denied(before: str) -> bool:
    """Whether a negation before a mention still reaches it."""
    place = _last_negation(before)
    if place < 0 or _NOT_OF_IT.match(before, place):
        return False
    negation = _NEGATION.match(before, place)
    assert negation is not None
    return not _SCOPE_ENDS.search(before, negation.end())


def _last_negation(before: str) -> int:
    return max((match.start() for match in _NEGATION.finditer(before)), default=-1)
