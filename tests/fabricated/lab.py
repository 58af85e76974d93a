"""A lab's own data in all the forms that the source `csv` reads.

One mapping file, `lab.yaml`, tells them all; `plain.csv` is a table for which options are enough.
"""

import json

import numpy as np
from PIL import Image

from eclip.data.sources.lab.table import Table

WIDTH, HEIGHT = 80, 60
NUMBERS = range(8)
MAPPING = """\
table: tables/studien.csv     # a spreadsheet saved as CSV in Germany
root: .
separator: ;
encoding: cp1252
columns: {image: Datei, text: Befund, patient: Patient, study: Untersuchung, split: Menge,
          view: Aufnahme, sex: Geschlecht, age: Alter}
labels:
  - columns: {Ödem: Edema, Erguss: Pleural Effusion}
    present: [ja, 1]
    absent: [nein, 0]
    uncertain: ["?"]
  - columns: [zone A]
    present: [1, 2, 3]
    absent: [0]
  - names: [Diagnose 1, Diagnose 2]
    separator: ","
    rename: {Rundherd: Lung Lesion}
annotations:
  - boxes: Kästen
    reader: Dr. A
  - masks: [Lungen]
  - fixations: Blick
    reader: Dr. B
  - fixations: Zeiger
    kind: pointer
  - mask-folder: masks
  - coco: coco.json
    reader: Dr. C
  - labelme: labelme
  - narratives: narratives.jsonl
"""
HEADER = (
    "Datei;Befund;Patient;Untersuchung;Menge;Aufnahme;Geschlecht;Alter;Ödem;Erguss;zone A;Diagnose 1;"
    "Diagnose 2;Kästen;Lungen;Blick;Zeiger"
)


def source(root, **options):
    """The plain table of a lab that was written."""
    return Table(table=root / "plain.csv", image="file", text="report", **options)


def gray(number):
    return np.random.default_rng(number).integers(0, 255, (HEIGHT, WIDTH), dtype=np.uint8)


def block(x0, y0, x1, y1):
    """A mask of the image's size."""
    mask_HW = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask_HW[y0:y1, x0:x1] = 255
    return mask_HW


def run_lengths(mask_HW):
    """COCO's: down the columns, outside first, counted one by one."""
    counts, inside = [0], False
    for value in mask_HW.T.ravel().tolist():
        if bool(value) != inside:
            counts.append(0)
            inside = not inside
        counts[-1] += 1
    return counts


def write(root):
    """Write it; image 0 carries the annotations of cells, 1 COCO's, 2 LabelMe's, 3 a narrative, 4 folder masks."""
    for folder in ("images", "tables", "masks/Heart", "labelme", "gaze", "lungs"):
        (root / folder).mkdir(parents=True)
    rows = [HEADER]
    for number in NUMBERS:
        Image.fromarray(gray(number)).save(root / f"images/b{number}.png")
        cells = dict.fromkeys(HEADER.split(";"), "") | {
            "Datei": f"images/b{number}.png", "Befund": f'"Größe: {number} cm;\n\nkein Erguß."',
            "Patient": f"p{number // 2}", "Untersuchung": f"u{number}",
            "Menge": ("train", "Training", "val", "Test")[number // 2],
            "Aufnahme": ("PA", "AP supine", "lateral", "")[number % 4], "Geschlecht": "FMfd"[number % 4],
            "Alter": ("58", "058Y", "400", "")[number % 4], "Ödem": ("ja", "Nein", "?", "")[number % 4],
            "Erguss": ("1", "0", "1.0", "")[number % 4], "zone A": str(number % 4),
            "Diagnose 1": ("Rundherd", "", "Pneumonie,Rundherd", "")[number % 4],
            "Diagnose 2": ("", "Pneumonie", "", "")[number % 4],
        }  # fmt: skip
        if number == 0:
            cells["Kästen"] = '"[{""label"": ""Mass"", ""xyxy"": [8, 6, 40, 30]}, [0, 0, 80, 60]]"'
            cells["Lungen"] = '"{""left"": ""lungs/left.png"", ""right"": ""lungs/right.png""}"'
            cells["Blick"], cells["Zeiger"] = "gaze/fixations.csv", "gaze/samples.csv"
        rows.append(";".join(cells.values()))
    (root / "tables/studien.csv").write_bytes("\r\n".join([*rows, ""]).encode("cp1252"))
    plain = [f"images/b{number}.png,Report {number}.,,," for number in NUMBERS]
    plain[0] = (
        'images/b0.png,Report 0.,"[[8, 6, 40, 30]]","{""left"": ""lungs/left.png""}",'
        "gaze/fixations.csv; gaze/samples.csv"
    )
    (root / "plain.csv").write_text("\n".join(["file,report,boxes,masks,gaze", *plain]) + "\n")
    (root / "lab.yaml").write_text(MAPPING, encoding="utf-8")
    Image.fromarray(block(40, 10, 70, 50)).save(root / "lungs/left.png")
    Image.fromarray(block(10, 10, 36, 50)).save(root / "lungs/right.png")
    (root / "gaze/fixations.csv").write_text(
        "start,end,x,y,sigma_x,sigma_y\n0.25,0.5,40,15,8,6\n0.75,1.0,-8,66,,\n"
    )
    samples = (
        [(0.02 * i, 20, 30) for i in range(11)]
        + [(0.22, "", "")]
        + [(0.24 + 0.02 * i, 60, 15) for i in range(11)]
    )  # two rests of 0.2 s at 50 Hz
    lines = ["time,x,y", *(f"{t:.2f},{x},{y}" for t, x, y in samples)]
    (root / "gaze/samples.csv").write_text("\n".join(lines) + "\n")
    Image.fromarray(block(20, 5, 60, 45)).save(root / "masks/b4.png")
    Image.fromarray(block(30, 20, 50, 40)).save(root / "masks/Heart/b4.png")
    (root / "coco.json").write_text(json.dumps(coco()))
    (root / "labelme/b2.json").write_text(json.dumps(labelme()))
    (root / "narratives.jsonl").write_text(json.dumps(narrative()) + "\n")


def coco():
    """A box, a polygon, an object of two polygons, and a run-length mask; pixels of an image twice as large."""
    twice = np.kron(block(8, 12, 40, 48), np.ones((2, 2), np.uint8))
    entries = [
        {"bbox": [16, 12, 64, 48], "segmentation": [], "category_id": 1},
        {"bbox": [0, 0, 1, 1], "segmentation": [[16, 12, 80, 12, 48, 60]], "category_id": 2},
        {
            "segmentation": [[0, 0, 80, 0, 80, 60, 0, 60], [80, 60, 160, 60, 160, 120, 80, 120]],
            "category_id": 2,
        },
        {
            "segmentation": {"size": [2 * HEIGHT, 2 * WIDTH], "counts": run_lengths(twice)},
            "category_id": 1,
            "iscrowd": 1,
        },
    ]
    return {
        "info": {"description": "made up"},
        "images": [{"id": 7, "file_name": "b1.jpg", "width": 2 * WIDTH, "height": 2 * HEIGHT}],
        "categories": [{"id": 1, "name": "Nodule"}, {"id": 2, "name": "Opacity"}],
        "annotations": [{"id": 100 + i, "image_id": 7} | entry for i, entry in enumerate(entries)],
    }


def labelme():
    """A rectangle drawn from the bottom right, a circle, a polygon, and two rectangles of one group."""

    def shape(label, kind, points, group=None):
        return {
            "label": label, "points": points, "group_id": group, "description": "", "shape_type": kind,
            "flags": {}, "mask": None,
        }  # fmt: skip

    return {
        "version": "5.5.0",
        "flags": {},
        "shapes": [
            shape("box", "rectangle", [[40.0, 30.0], [8.0, 6.0]]),
            shape("round", "circle", [[40.0, 30.0], [43.0, 34.0]]),
            shape("odd", "polygon", [[8.0, 6.0], [40.0, 6.0], [24.0, 30.0]]),
            shape("pair", "rectangle", [[0.0, 0.0], [20.0, 15.0]], group=3),
            shape("pair", "rectangle", [[40.0, 30.0], [80.0, 60.0]], group=3),
        ],
        "imagePath": "..\\images\\b2.png",
        "imageData": "bm8gaW1hZ2U=",
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
    }


def narrative():
    """Two strokes, one of a single point, and four words."""
    return {
        "dataset_id": "lab", "image_id": "b3", "annotator_id": 12, "caption": "Heart enlarged. Lungs clear.",
        "timed_caption": [
            {"utterance": "Heart", "start_time": 0.0, "end_time": 0.4},
            {"utterance": "enlarged.", "start_time": 0.4, "end_time": 0.8},
            {"utterance": "Lungs", "start_time": 1.0, "end_time": 1.4},
            {"utterance": "clear.", "start_time": 1.4, "end_time": 1.8},
        ],
        "traces": [
            [
                {"x": 0.25, "y": 0.5, "t": 0.0}, {"x": 0.26, "y": 0.5, "t": 0.125},
                {"x": -0.01, "y": 1.02, "t": 0.25}, {"x": 0.3, "y": 0.5, "t": 0.75},
            ],
            [{"x": 0.75, "y": 0.25, "t": 1.5}],
        ],
        "voice_recording": "b3.ogg",
    }  # fmt: skip
