"""CheXpert-v1.0-small: tables, test set, GLoRIA's list, ConVIRT's 8×200, a table of reports like CheXpert Plus."""

import csv

import numpy as np
from PIL import Image

FACTS = ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA"]
LABELS = [
    "No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema",
    "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture",
    "Support Devices",
]  # fmt: skip
COMPETITION = ["Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion"]
QUERIED = [
    "Atelectasis", "Cardiomegaly", "Edema", "Fracture", "Pleural Effusion", "Pneumonia", "Pneumothorax", "No Finding",
]  # fmt: skip
# (path, sex, age, side, projection, labels), as the tables have them; a label that is not there is blank
TRAIN = [
    ("train/patient00001/study1/view1_frontal", "Female", 68, "Frontal", "AP",
     {"No Finding": "1.0", "Support Devices": "1.0"}),
    ("train/patient00001/study2/view1_frontal", "Female", 69, "Frontal", "PA",
     {"Edema": "-1.0", "Fracture": "0.0", "Pneumonia": "1.0"}),
    ("train/patient00001/study2/view2_lateral", "Female", 69, "Lateral", "",
     {"Edema": "-1.0", "Fracture": "0.0", "Pneumonia": "1.0"}),
    ("train/patient00002/study1/view1_frontal", "Unknown", 0, "Frontal", "LL", {}),
    # only one competition label, and still none for 5×200: another finding, one in doubt, a lateral
    ("train/patient00003/study1/view1_frontal", "Male", 90, "Frontal", "AP", {"Edema": "1.0", "Fracture": "1.0"}),
    ("train/patient00004/study1/view1_frontal", "Male", 41, "Frontal", "AP",
     {"Edema": "1.0", "Pleural Effusion": "-1.0"}),
    ("train/patient00005/study1/view1_lateral", "Male", 41, "Lateral", "", {"Edema": "1.0"}),
]  # fmt: skip
VALID = [
    ("valid/patient64541/study1/view1_frontal", "Male", 73, "Frontal", "AP",
     dict.fromkeys(LABELS, "0.0") | {"Cardiomegaly": "1.0"}),
    ("valid/patient64542/study1/view1_frontal", "Male", 70, "Frontal", "PA",
     dict.fromkeys(LABELS, "0.0") | {"No Finding": "1.0"}),
    ("valid/patient64542/study1/view2_lateral", "Male", 70, "Lateral", "",
     dict.fromkeys(LABELS, "0.0") | {"No Finding": "1.0"}),
]  # fmt: skip
TEST = {
    "patient64741/study1": dict.fromkeys(LABELS, "0") | {"Edema": "1"},
    "patient64742/study1": dict.fromkeys(LABELS, "0") | {"No Finding": "1"},
}


def singles(count):
    """Images with a single finding: `count` of each competition label, every other with labels that do not matter."""
    for k, name in enumerate(COMPETITION):
        for i in range(count):
            further = {"No Finding": "1.0", "Fracture": "0.0"} if i % 2 else {}
            path = f"train/patient{10_000 + 1_000 * k + i}/study1/view1_frontal"
            yield (path, "Male", 50, "Frontal", "AP", {name: "1.0"} | further)


def pixels(path):
    """Noise (24, 32) of its own."""
    return np.random.default_rng(list(path.encode())).integers(0, 255, (24, 32), dtype=np.uint8)


def write(root, *, single=200, release="CheXpert-v1.0-small"):
    """`single`: how many images have each of the five as their only finding."""
    train = [*TRAIN, *singles(single)]
    tests = [f"test/{study}/{view}" for study in TEST for view in ("view1_frontal", "view2_lateral")]
    for path in [*(row[0] for row in (*train, *VALID)), *tests]:
        file = root / f"{path}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels(path)).save(file, quality=95)
    write_images(root / "train.csv", train, release)
    write_images(root / "valid.csv", VALID, release)
    _write(
        root / "groundtruth.csv",
        ["Study", *LABELS],
        [[f"CheXpert-v1.0/test/{study}", *labels.values()] for study, labels in TEST.items()],
    )
    listed = [row for row in train if row[0].startswith("train/patient1")][:: max(single // 2, 1)]
    _write(
        root / "chexpert_5x200.csv",
        [*FACTS, *LABELS, "Report Impression"],
        [[*_cells(row, release), f"1. impression\nof {row[0]}."] for row in listed],
    )
    _write(
        root / "reports.csv",
        ["path_to_image", "frontal_lateral", "report", "section_findings", "section_impression"],
        [
            [
                f"{row[0]}.jpg",
                row[3],
                f"NARRATIVE:\nchest\nIMPRESSION:\n1. none in {row[0]}",
                "",
                f"1. none\nin {row[0]}",
            ]
            for row in (*TRAIN, *VALID)
        ],
    )
    write_queries(root, release)


def write_queries(root, release):
    """8×200: the images of TRAIN are candidates, those of VALID image queries."""
    for kind, column in (("image", "Path"), ("text", "Text")):
        folder = root / f"{kind}-retrieval"
        folder.mkdir()
        write_images(folder / "candidate.csv", [row for row in TRAIN if row[3] == "Frontal"], release)
        query = [f"{release}/{VALID[0][0]}.jpg", f"{release}/{VALID[1][0]}.jpg"]
        if kind == "text":
            query = ["The heart is mildly enlarged.", "No acute process."]
        _write(
            folder / "query.csv", ["Variable", column], [["Cardiomegaly", query[0]], ["No Finding", query[1]]]
        )


def write_images(path, rows, release="CheXpert-v1.0-small"):
    _write(path, [*FACTS, *LABELS], [_cells(row, release) for row in rows])


def _cells(row, release):
    path, *facts, labels = row
    return [f"{release}/{path}.jpg", *facts, *(labels.get(name, "") for name in LABELS)]


def _write(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
