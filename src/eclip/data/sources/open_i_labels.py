"""What the index terms of Open-I (MeSH headings, given by hand to each report) mean as labels."""

from collections.abc import Iterable

# CheXpert's name, and the terms that say the same: a heading, or a heading with one of its qualifiers.
_TERMS: dict[str, set[str]] = {
    "Atelectasis": {"atelectasis", "pulmonary atelectasis"},
    "Cardiomegaly": {"cardiomegaly", "cardiac shadow/enlarged"},
    "Consolidation": {"consolidation"},
    "Edema": {"edema", "pulmonary edema"},
    "Enlarged Cardiomediastinum": {"mediastinum/enlarged"},
    "Fracture": {"fracture", "fractures, bone", "fractures, compression", "rib fractures", "spinal fractures"},
    "Lung Lesion": {"mass", "nodule"},
    "Lung Opacity": {"airspace disease", "infiltrate", "opacity"},
    "No Finding": {"normal"},
    "Pleural Effusion": {"hydropneumothorax", "pleural effusion"},
    "Pleural Other": {"pleural thickening", "thickening/pleura"},
    "Pneumonia": {"pneumonia"},
    "Pneumothorax": {"hydropneumothorax", "pneumothorax"},
    "Support Devices": {
        "catheters, indwelling",
        "defibrillators, implantable",
        "implanted medical device",
        "medical device",
        "pacemaker, artificial",
        "stents",
        "surgical instruments",
        "tube, inserted",
    },
}  # fmt: skip
# In CheXpert's hierarchy of labels these are kinds of the former: where one is present, it is not absent.
_KINDS = {
    "Consolidation": {"Pneumonia"},
    "Enlarged Cardiomediastinum": {"Cardiomegaly"},
    "Lung Opacity": {"Atelectasis", "Consolidation", "Edema", "Lung Lesion", "Pneumonia"},
}
_KNOWN = set().union(*_TERMS.values())
_SAY_NOTHING = {"no indexing", "technical quality of image unsatisfactory"}  # of the chest


def labels_of(terms: Iterable[str]) -> dict[str, int]:
    """Labels from index terms such as "Cardiomegaly/mild": the heading counts, not its qualifiers.

    A heading that is one of CheXpert's labels gets its name; others keep their own ("Scoliosis"). As reports were
    indexed with all that they say, CheXpert's labels that no term names are 0; but a label stays unmentioned where
    a kind of it is present (Lung Opacity beside Atelectasis). Without terms nothing is mentioned.
    """
    present: set[str] = set()
    others: dict[str, int] = {}
    for term in terms:
        heading, *qualifiers = (" ".join(part.split()) for part in term.split("/"))
        said = {heading.lower(), *(f"{heading}/{qualifier}".lower() for qualifier in qualifiers)} & _KNOWN
        present |= {name for name, known in _TERMS.items() if said & known}
        if heading and not said and heading.lower() not in _SAY_NOTHING:
            others[heading] = 1
    if not present and not others:
        return {}
    absent = {name for name in _TERMS if name not in present and not _KINDS.get(name, set()) & present}
    return {name: int(name in present) for name in _TERMS if name in present | absent} | others
