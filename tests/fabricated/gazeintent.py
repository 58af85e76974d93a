"""GazeIntent: a JSON list of scan paths a set, and beside them the MIMIC-CXR-JPG images they go over."""

import json

import small_trees as trees

NUMBERS = range(8)
FILES = ("egd_nolabel_coco_224.json", "reflacx_nolabel_coco_224.json")


def item(number, fixations, **other):
    """A scan path of [(x, y, seconds, finding)] over the image with a number."""
    x, y, t, findings = (list(column) for column in zip(*fixations, strict=True))
    return {
        "name": f"{trees.dicom_id(number)}.jpg", "subject": 1, "task": "report", "condition": "present",
        "split": "test" if trees.split(number) == "test" else "train", "length": len(x),
        "X": x, "Y": y, "T": t, "findings": findings, **other,
    }  # fmt: skip


EGD_ITEMS = [
    item(0, [(112, 112, 0.25, "null"), (56, 168.5, 0.5, "pleural_effusion"), (60, 170, 0.25, "pleural_effusion"),
             (112, 56, 0.5, "null"), (28, 196, 0.25, "pleural_effusion"), (100, 150, 1.0, "cardiomegaly")]),
    item(2, [(112, 112, 0.4, "null")]),
]  # fmt: skip
REFLACX_ITEMS = [
    item(0, [(112, 112, 0.3, "null"), (14, 28, 0.7, "lung_opacity")], subject=3),
    item(6, [(224.5, -1.5, 0.2, "fracture"), (7, 7, 0.2, "fracture")], subject=2),
]


def write(root, sets=None):
    """The files and, in `mimic-cxr-jpg`, the images with their tables and reports."""
    trees.write_mimic(root / "mimic-cxr-jpg", NUMBERS, laterals=(8,))
    for file, items in zip(FILES, sets or (EGD_ITEMS, REFLACX_ITEMS), strict=True):
        (root / file).write_text(json.dumps(items))
