# ruff: noqa: E501  (an entry of a table reads better in one line)
"""The wording of phantom reports: a small grammar and its tables.

`[a|b|]` chooses one of the alternatives (they may nest), `{name}` is filled in by the report: `{size}` and
`{degree}` (severity as adjective and adverb), `{kind}` (what that severity looks like), `{side}`, `{where}` (before a
noun: "right basilar"), `{place}` ("the right lung base"), `{np}` (a noun phrase with its article) and `{bare}`
(without), `{is}`, `{has}` (agreeing with it). A noun phrase that starts with "a " is countable, with "*" plural.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from eclip.data.phantom.findings import FindingName

T = TypeVar("T")
_INNERMOST = re.compile(r"\[([^\[\]]*)\]")


def say(template: str, rng: np.random.Generator, slots: Mapping[str, str] | None = None) -> str:
    """Fill the slots, choose among the alternatives, put spaces and articles right."""
    text = template.format_map(slots or {})
    while "[" in text:
        text = _INNERMOST.sub(lambda match: pick(match[1].split("|"), rng), text)
    text = re.sub(r" +([.,])", r"\1", " ".join(text.split()))
    return re.sub(r"\b([Aa]) (?=[aeio])", r"\1n ", text)


def pick(options: Sequence[T], rng: np.random.Generator) -> T:
    """One of the options."""
    return options[int(rng.integers(len(options)))]


# Severity from small to large, in equal steps: as an adjective, as an adverb, and what it looks like.
SIZES: dict[FindingName, tuple[str, ...]] = {
    "Atelectasis": (
        "[minimal|mild|minor|slight]",
        "[moderate|mild to moderate]",
        "[marked|extensive|substantial]",
    ),
    "Cardiomegaly": ("[mild|slight|minor]", "moderate", "[severe|marked|massive]"),
    "Consolidation": ("[small|mild|limited]", "[moderate|moderate-sized]", "[extensive|large|dense]"),
    "Edema": ("[mild|minimal|slight]", "moderate", "[severe|marked|florid]"),
    "Lung Lesion": ("[tiny|small|subcentimeter]", "[medium-sized|intermediate-sized]", "[large|sizable]"),
    "Pleural Effusion": ("[small|trace|tiny]", "[moderate|moderate-sized]", "[large|sizable|substantial]"),
    "Pneumothorax": ("[small|tiny]", "[moderate|moderate-sized]", "[large|sizable]"),
}
DEGREES: tuple[str, ...] = ("[mildly|slightly|minimally]", "moderately", "[severely|markedly]")
KINDS: dict[FindingName, tuple[str, ...]] = {
    "Atelectasis": (
        "[linear|plate-like|streaky|bandlike|discoid]",
        "[subsegmental|segmental|patchy]",
        "[segmental|lobar]",
    ),
    "Cardiomegaly": ("", "", ""),
    "Consolidation": ("[patchy|hazy|faint]", "[patchy|confluent|focal]", "[confluent|dense|lobar]"),
    "Edema": ("interstitial", "[interstitial|]", "[alveolar|]"),
    "Lung Lesion": ("", "", ""),
    "Pleural Effusion": ("[layering|]", "[layering|]", "[layering|]"),
    "Pneumothorax": ("apical", "[apical|]", "[apicolateral|]"),
}

# By zone: before a noun, and as a place. The bilateral forms stand apart.
WHERE: dict[str, str] = {
    "upper": "{side} upper [lobe|lung|zone]",
    "mid": "{side} [mid lung|mid zone|perihilar]",
    "lower": "{side} lower [lobe|lung|zone]",
    "apical": "{side} [apical|upper]",
    "basal": "{side} [basilar|basal|lower lobe|lung base]",
    "retrocardiac": "[left |]retrocardiac",
    "diffuse": "bilateral",
    "heart": "",
    "bilateral": "[bibasilar|bilateral basilar|bibasal]",
}
PLACE: dict[str, str] = {
    "upper": "the [{side} upper [lobe|lung|lung zone]|upper {side} lung]",
    "mid": "the [{side} mid [lung|lung zone]|mid {side} lung|{side} perihilar region]",
    "lower": "the [{side} lower [lobe|lung|lung zone]|lower {side} lung]",
    "apical": "the {side} [apex|lung apex]",
    "basal": "the {side} [lung base|base|lower lobe]",
    "retrocardiac": "the [retrocardiac region|left retrocardiac region|left lower lobe behind the heart]",
    "diffuse": "both lungs",
    "heart": "the heart",
    "bilateral": "[both lung bases|the lung bases|both lower lobes]",
}

NOUNS: dict[FindingName, tuple[str, ...]] = {
    "Atelectasis": (
        "{size} {where} atelectasis",
        "{where} atelectasis, {size} in extent",
        "{size} {kind} atelectasis [in|at|involving] {place}",
        "{kind} atelectasis [in|at] {place}",
        "*{kind} opacities of {size} atelectasis [in|at] {place}",
        "{size} volume loss [in|at] {place}",
        "{size} atelectatic change [in|at] {place}",
        "{kind} {where} atelectasis",
    ),
    "Cardiomegaly": (
        "{size} cardiomegaly",
        "{size} enlargement of the [cardiac silhouette|heart]",
        "{size} cardiac enlargement",
        "a {degree} enlarged [heart|cardiac silhouette|heart shadow]",
    ),
    "Consolidation": (
        "{size} {where} consolidation",
        "{size} consolidation [in|involving] {place}",
        "a {size} {kind} [airspace|parenchymal] opacity in {place}",
        "{kind} consolidation in {place}",
        "a {size} area of {kind} consolidation in {place}",
        "a {kind} {where} [opacity|consolidation]",
        "*{kind} airspace opacities in {place}",
        "{size} airspace disease in {place}",
    ),
    "Edema": (
        "{size} [pulmonary|] edema",
        "{size} {kind} [pulmonary|] edema",
        "{size} [pulmonary vascular|central vascular] congestion with {kind} edema",
        "{size} bilateral {kind} edema",
        "*[perihilar|central] opacities of {size} [pulmonary|] edema",
        "{size} fluid overload with {kind} pulmonary edema",
    ),
    "Lung Lesion": (
        "a {mm} mm [nodule|pulmonary nodule|nodular opacity] in {place}",
        "a {size} [nodule|lung nodule|pulmonary nodule] in {place}",
        "a {size} {where} nodule",
        "a {mm} mm {where} nodule",
        "a [round|rounded|well-defined] {mm} mm [lesion|opacity|density] in {place}",
        "a {size} nodular [lesion|density|opacity] [projecting over|in] {place}",
        "a {size} {where} lung [lesion|nodule]",
    ),
    "Pleural Effusion": (
        "a {size} {side} pleural effusion",
        "a {size} {kind} {side} [pleural|] effusion",
        "a {side} pleural effusion, {size} in size",
        "{size} {side} pleural fluid",
        "a {size} [pleural|] effusion on the {side}",
        "a {size} {side}-sided [pleural|] effusion",
    ),
    "Pneumothorax": (
        "a {size} {side} pneumothorax",
        "a {size} {side} {kind} pneumothorax",
        "a {size} {side}-sided pneumothorax",
        "a {size} {kind} pneumothorax on the {side}",
        "a {side} {kind} pneumothorax, {size} in size",
    ),
}
BILATERAL_EFFUSIONS: tuple[str, ...] = (
    "*{size} bilateral [pleural|] effusions",
    "*bilateral {kind} pleural effusions, {size} in size",
    "*{size} pleural effusions on both sides",
    "*{size} {kind} bilateral pleural effusions",
    "{size} bilateral pleural fluid",
)

# Whole sentences of one finding: in the findings section, and in the impression.
OBSERVATIONS: dict[FindingName, tuple[str, ...]] = {
    "Atelectasis": (
        "{kind} opacity [at|in] {place} [is consistent with|represents|reflects] {size} atelectasis.",
        "{size} volume loss [at|in] {place} [with|and] crowding of vessels, consistent with atelectasis.",
    ),
    "Cardiomegaly": (
        "[The heart|The cardiac silhouette|Heart size] is {degree} enlarged.",
        "The cardiothoracic ratio is {degree} increased.",
        "The heart is {degree} increased in size.",
        "Cardiac size is {degree} above normal.",
    ),
    "Consolidation": (
        "{kind} opacification of {place} with air bronchograms is [consistent with|compatible with] {size} consolidation.",
        "{place} [shows|demonstrates] {size} {kind} consolidation.",
        "{size} opacification [in|of] {place} obscures the vessels.",
    ),
    "Edema": (
        "Vascular markings are indistinct [bilaterally|in both lungs], consistent with {size} [pulmonary|] edema.",
        "There is perihilar haze and vascular cephalization, in keeping with {size} {kind} edema.",
        "Septal lines and bilateral perihilar opacities indicate {size} edema.",
        "The pulmonary vasculature is {degree} engorged with {size} {kind} edema.",
    ),
    "Lung Lesion": (
        "{place} contains a {mm} mm [nodule|nodular opacity].",
        "Projecting over {place} is a {size} [round|rounded] nodule of {mm} mm.",
        "A nodule in {place} measures {mm} mm.",
    ),
    "Pleural Effusion": (
        "Blunting of the {angle} [is consistent with|indicates|reflects] {size} pleural fluid.",
        "The {angle} {angle_is} blunted by {size} effusion.",
        "{size} {side} pleural fluid with a meniscus is [seen|noted].",
    ),
    "Pneumothorax": (
        "A [thin|fine] pleural line is [seen|visible] at {place}, [consistent with|representing] a {size} pneumothorax.",
        "{place} lacks lung markings beyond a pleural line, indicating a {size} {side} pneumothorax.",
        "The {side} lung is {degree} collapsed by a pneumothorax.",
    ),
}
CONCLUSIONS: dict[FindingName, tuple[str, ...]] = {
    "Atelectasis": (
        "{size} {where} atelectasis without [evidence of|] other acute process.",
        "{where} opacity [consistent with|compatible with|due to] {size} atelectasis.",
    ),
    "Cardiomegaly": ("The heart is {degree} enlarged.", "{degree} enlarged cardiac silhouette."),
    "Consolidation": (
        "{where} consolidation, [concerning for|suspicious for|worrisome for|suggesting] pneumonia.",
        "{size} {where} pneumonia.",
        "Findings [compatible with|consistent with] {size} {where} pneumonia.",
        "{size} {where} consolidation[| in the appropriate setting, pneumonia].",
    ),
    "Edema": (
        "{size} [congestive failure|volume overload] with pulmonary edema.",
        "Findings [consistent with|in keeping with] {size} {kind} edema.",
    ),
    "Lung Lesion": (
        "{mm} mm nodule in {place}[, for which CT is recommended|; CT is advised|].",
        "{size} {where} nodule; [recommend|consider] follow-up CT.",
    ),
    "Pleural Effusion": ("{size} {side} pleural fluid.", "Blunting of the {angle}: {size} effusion."),
    "Pneumothorax": (
        "{size} {side} pneumothorax[ without shift of the mediastinum| without tension|, findings were communicated to ___ by phone|].",
    ),
}

# Sentences around a noun phrase. The first set is for the findings section, the second for the impression.
FRAMES: tuple[str, ...] = (
    "There {is} {np}.",
    "{np} {is} [seen|noted|present|demonstrated|visible|identified].",
    "{bare}.",
    "[The radiograph|The study|This examination] [shows|demonstrates] {np}.",
    "[Note is made of|Findings include] {np}.",
    "There {is} [also|] {np}.",
)
IMPRESSION_FRAMES: tuple[str, ...] = (
    "{bare}.",
    "{bare}.",
    "{np}.",
    "There {is} {np}.",
    "[Findings|Appearances] [consistent|compatible] with {np}.",
    "{bare} as [described|above].",
)
HEDGES: tuple[str, ...] = (
    "{np} cannot be excluded.",
    "[Possible|Probable|Questionable|Suspected] {bare}.",
    "Findings [may|could] represent {np}.",
    "[Subtle|Faint] findings may [reflect|indicate] {np}.",
    "There may be {np}.",
    "{np} {is} [possible|suspected|questioned].",
    "Appearances raise the [possibility|question] of {np}.",
)
TRENDS: dict[str, tuple[str, ...]] = {
    "unchanged": (
        "{np} {is} [unchanged|stable|not significantly changed|similar] [from prior|compared with prior|since the prior study|since ___].",
        "[Unchanged|Stable|Persistent] {bare}.",
        "{bare}, unchanged from [prior|the prior radiograph|___].",
        "[Redemonstrated|Again seen] {is} {np}.",
        "No significant interval change in {bare}.",
    ),
    "increased": (
        "{np} {has} [increased|progressed|worsened] [since prior|compared with prior|since ___|].",
        "[Interval increase|Interval worsening] with now {bare}.",
        "{bare}, [increased|worse] [from prior|compared with the prior study].",
    ),
    "decreased": (
        "{np} {has} [decreased|improved] [since prior|compared with prior|since ___|].",
        "[Interval decrease|Interval improvement] with now {bare}.",
        "{bare}, [decreased|improved] [from prior|compared with the prior study].",
    ),
    "new": (
        "New {bare}.",
        "{np} {is} new [since prior|since the prior study|compared with ___].",
        "[Interval development|Interval appearance] of {np}.",
        "There {is} now {np}.",
    ),
}
RESOLVED: tuple[str, ...] = (
    "[The previously seen|The prior|Previously noted] {what} [has resolved|is no longer seen|has cleared].",
    "[Interval resolution|Complete resolution] of {what}.",
)

RESOLVED_NOUNS: dict[FindingName, str] = {
    "Atelectasis": "atelectasis",
    "Cardiomegaly": "cardiac enlargement",
    "Consolidation": "consolidation",
    "Edema": "[pulmonary|] edema",
    "Lung Lesion": "nodule",
    "Pleural Effusion": "pleural [effusion|fluid]",
    "Pneumothorax": "pneumothorax",
}

# What is absent: the word for it under "no ...".
ABSENT: dict[str, str] = {
    "Consolidation": "[focal consolidation|focal consolidation|consolidation|focal airspace consolidation]",
    "Pneumonia": "[pneumonia|acute pneumonia]",
    "Pleural Effusion": "[pleural effusion|pleural effusion|effusion]",
    "Pneumothorax": "pneumothorax",
    "Edema": "[pulmonary edema|overt edema|edema|vascular congestion]",
    "Lung Lesion": "[suspicious nodule|pulmonary nodule|nodule]",
    "Atelectasis": "atelectasis",
    "Cardiomegaly": "cardiomegaly",
}
DENIALS: tuple[str, ...] = (
    "No {list}.",
    "There is no {list}.",
    "No evidence of {list}.",
    "There is no [definite|convincing] {list}.",
    "No {list} [is seen|is identified].",
)

# Normal sentences of one organ: the wording, what it denies, and where the reader looks.
Normal = tuple[str, tuple[str, ...], tuple[str, ...]]
LUNG_ZONES = ("right upper", "right mid", "right lower", "left lower", "left mid", "left upper")
CLEAR_LUNGS: Normal = (
    "[The lungs are [clear|well expanded and clear|clear bilaterally]|Lungs are clear|The lung fields are clear|Both lungs are clear"
    "|Clear lungs|The lungs are [normally|well] [inflated|aerated] without focal abnormality].",
    (),
    LUNG_ZONES,
)
NORMAL_HEART: Normal = (
    "[Heart size is [normal|within normal limits]|The heart is [normal in size|not enlarged|of normal size]|The cardiac silhouette is [normal|not enlarged]"
    "|Cardiac size is normal].",
    ("Cardiomegaly",),
    ("heart",),
)
NORMAL_SILHOUETTE: Normal = (
    "[The cardiomediastinal silhouette is [normal|unremarkable|within normal limits]|Cardiomediastinal contours are [normal|unremarkable]"
    "|Heart and mediastinum are [normal|unremarkable]|Cardiac, mediastinal and hilar contours are [normal|within normal limits]].",
    ("Cardiomegaly", "Enlarged Cardiomediastinum"),
    ("heart", "mediastinum"),
)
NORMAL_MEDIASTINUM: Normal = (
    "[The mediastinal [and hilar|] contours are [normal|unremarkable]|Mediastinal contours are within normal limits|The mediastinum is [unremarkable|not widened]"
    "|Hilar contours are normal and the mediastinum is unremarkable].",
    ("Enlarged Cardiomediastinum",),
    ("mediastinum", "right mid", "left mid"),
)
NORMAL_BONES: Normal = (
    "[No [acute|displaced] [rib|] fracture [is seen|is identified]|No acute fracture|The osseous structures are intact without fracture"
    "|Bony structures are intact, no fracture].",
    ("Fracture",),
    ("right upper", "left upper", "left mid", "right mid"),
)
NORMAL_REST: tuple[Normal, ...] = (
    (
        "[No free air [below|beneath] the [right |]hemidiaphragm|The upper abdomen is unremarkable|Imaged upper abdomen is unremarkable].",
        (),
        ("abdomen",),
    ),
    (
        "[The trachea is midline|The trachea is [central|not deviated]|The airway is patent].",
        (),
        ("trachea",),
    ),
    (
        "[Degenerative changes are seen in the spine|Osseous structures are unremarkable|Soft tissues are unremarkable|Imaged bones are unremarkable].",
        (),
        ("mediastinum", "left upper"),
    ),
    (
        "[The hila are normal|Hilar contours are unremarkable|The hila are not enlarged].",
        (),
        ("right mid", "left mid"),
    ),
    (
        "[The diaphragm is well defined|The hemidiaphragms are smooth|Diaphragmatic contours are preserved].",
        (),
        ("right base", "left base"),
    ),
)
NORMAL_IMPRESSIONS: tuple[Normal, ...] = (
    (
        "No [acute|evidence of acute] [cardiopulmonary|intrathoracic|cardiothoracic] [process|abnormality|disease|pathology].",
        (),
        LUNG_ZONES,
    ),
    (
        "[Normal|Unremarkable] [chest radiograph|chest x-ray|chest|radiograph of the chest|study].",
        (),
        LUNG_ZONES,
    ),
    ("No [radiographic|] evidence of [pneumonia|acute pneumonia].", ("Pneumonia",), LUNG_ZONES),
    (
        "[Clear lungs|Lungs are clear] [without|with no] [evidence of|] [pneumonia|acute pneumonia].",
        ("Pneumonia",),
        LUNG_ZONES,
    ),
    (
        "No acute [findings|abnormality] [in the chest|to explain the symptoms|on this radiograph|].",
        (),
        LUNG_ZONES,
    ),
    (
        "No [focal|] consolidation, [pleural |]effusion[,|] or pneumothorax.",
        ("Consolidation", "Pleural Effusion", "Pneumothorax"),
        ("right lower", "left lower", "right costophrenic", "left costophrenic", "right apex", "left apex"),
    ),
    (
        "No [significant|relevant] [abnormality|pathology] [is seen|identified|of the heart or lungs].",
        (),
        LUNG_ZONES,
    ),
)

# Around the findings.
EXAMINATION_NAMES = "[EXAMINATION|EXAMINATION|EXAMINATION|TYPE OF EXAMINATION]"
INDICATION_NAMES = "[INDICATION|INDICATION|INDICATION|REASON FOR EXAMINATION|HISTORY]"
EXAMINATIONS = {
    "AP": "[CHEST (PORTABLE AP)|CHEST (PORTABLE AP)|PORTABLE CHEST RADIOGRAPH|CHEST RADIOGRAPH, SINGLE AP VIEW|Chest radiograph, portable AP]",
    "PA": "[CHEST (PA)|CHEST (PA)|CHEST RADIOGRAPH, PA VIEW|Chest radiograph, frontal view|CHEST (SINGLE PA VIEW)]",
}
TECHNIQUES = {
    "AP": "[Portable|Single portable|Semi-upright portable] AP [view|radiograph] of the chest.",
    "PA": "[Upright|Single upright|Frontal] PA [view|radiograph] of the chest.",
}
INDICATIONS = (
    "___ year old {sex} with {complaint}[, evaluate for {question}| // {question}?| // eval {question}|. Please evaluate for {question}|].",
    "{initial}___ with {complaint} // {question}?",
    "History: ___{initial} with {complaint} // [acute process|{question}]?",
    "[Evaluate|Assess] for {question} in [a|this] {sex} with {complaint}.",
    "___-year-old {sex} with {complaint}.",
)
COMPLAINTS = (
    "[cough|shortness of breath|dyspnea|fever|chest pain|hypoxia|tachypnea|weakness|malaise|leukocytosis|altered mental status|a fall]"
    "[| and [fever|chills|cough|leg swelling|fatigue|wheezing|nausea]]"
    "[|| for [two|three|five] days| on ___| after [surgery|dialysis|intubation]|, history of [smoking|heart failure|asthma|COPD|cancer|diabetes]]"
)
QUESTIONS = "[pneumonia|effusion|pneumothorax|edema|interval change|acute process|infiltrate|consolidation|CHF|cardiopulmonary process]"
COMPARISONS = "[Chest radiograph[s|] from ___|___|Chest x-ray ___|Multiple prior chest radiographs, most recent ___|Prior study dated ___|Radiographs of ___ and ___]."
NO_COMPARISON = "[None|None available|No prior studies|None.|No relevant comparison available]"
ADDENDA = "[Findings were discussed with Dr. ___ by telephone on ___ at ___|The above was reviewed with the referring team on ___|The exam date was corrected to ___]."
RECOMMENDATIONS = "[Follow-up radiographs after treatment are recommended|Clinical correlation is advised|Short-term follow-up may be of value]."
