"""GazeSearch: one JSON list of scan paths, and beside it the MIMIC-CXR-JPG images they go over."""

import json

import small_trees as trees

NUMBERS = range(8)
FILE = "finding_visual_search_coco_format_2024-07-22.json"


def item(number, task, fixations, **other):
    """A scan path of [(x, y, seconds)] over the image with a number."""
    x, y, t = (list(column) for column in zip(*fixations, strict=True))
    return {
        "name": f"{trees.dicom_id(number)}.jpg", "subject": 1, "task": task, "condition": "present",
        "bbox": [0, 0, 224, 224], "X": x, "Y": y, "T": t, "length": len(x), "fixOnTarget": True, "correct": 1,
        "split": {"validate": "valid"}.get(trees.split(number), trees.split(number)), **other,
    }  # fmt: skip


ITEMS = [
    item(0, "lung opacity", [(112, 56, 0.283), (0, 221, 0.5), (223, 112, 0.0)]),
    item(4, "pleural effusion", [(28, 196, 0.217)]),
    item(0, "cardiomegaly", [(100, 150, 2.84), (120, 160, 0.1)]),
    item(6, "enlarged cardiomediastinum", [(84, 14, 0.15), (90, 20, 0.35)]),
    item(2, "pneumothorax", [(56, 56, 0.3)]),
]


def write(root, items=None):
    """The file and, in `mimic-cxr-jpg`, the images with their tables and reports."""
    trees.write_mimic(root / "mimic-cxr-jpg", NUMBERS, laterals=(8,))
    (root / FILE).write_text(json.dumps(ITEMS if items is None else items))
