"""ChestX-ray14: the table whose header has unquoted commas, the official lists, boxes, images in two folders."""

import numpy as np
from PIL import Image

# The header of the older file ends with a comma, as its rows do; the newer one has neither.
HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
BOX_HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,"
CLASSES = [
    "No Finding", "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Effusion", "Emphysema", "Fibrosis",
    "Infiltration", "Mass", "Nodule", "Pleural_Thickening", "Pneumonia", "Pneumothorax",
]  # fmt: skip
# (image, labels, patient, age, sex, view, list)
IMAGES = [
    ("00000001_000.png", "Cardiomegaly", 1, "058Y", "M", "PA", "train_val"),
    ("00000001_001.png", "Cardiomegaly|Emphysema", 1, "058Y", "M", "AP", "train_val"),
    ("00000002_000.png", "No Finding", 2, "411Y", "F", "PA", "train_val"),
    ("00000003_000.png", "Effusion|Pleural_Thickening|Hernia", 3, "010M", "F", "PA", "test"),
    ("00000003_001.png", "Hernia", 3, "074Y", "F", "AP", "test"),
]
BOXES = [  # pixels of 1024 × 1024
    ("00000001_000.png", "Cardiomegaly", "256.0", "512.0", "512.0", "128.0"),
    ("00000003_000.png", "Infiltrate", "0.0", "10.24", "102.4", "204.8"),
    (
        "00000003_000.png",
        "Effusion",
        "225.08474576271",
        "547.01921653747",
        "86.77966101694",
        "79.18644067796",
    ),
]


def singles(count):
    """Test images with a single label: `count` of each class of 14×100."""
    for k, name in enumerate(CLASSES):
        for i in range(count):
            patient = 10_000 + 1_000 * k + i
            yield (f"{patient:08}_000.png", name, patient, "045Y", "M", "PA", "test")


def pixels(name):
    """Noise (32, 32) of its own."""
    return np.random.default_rng(list(name.encode())).integers(0, 255, (32, 32), dtype=np.uint8)


def write(root, *, single=100, older=True):
    """`single`: how many test images have each class as their only label; `older`: Data_Entry_2017.csv, else v2020."""
    rows = [*IMAGES, *singles(single)]
    for number, row in enumerate(rows):
        folder = root / f"images_{number % 2 + 1:03}" / "images"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels(row[0])).save(folder / row[0])
    write_table(root, rows, older=older)
    for name in ("train_val", "test"):
        names = [row[0] for row in rows if row[-1] == name]
        (root / f"{name}_list.txt").write_text("\n".join(names))
    write_boxes(root, BOXES)


def write_table(root, rows, *, older=True):
    lines = [
        f"{image},{labels},0,{patient},{age if older else age[:3]},{sex},{view},2682,2749,0.143,0.143"
        for image, labels, patient, age, sex, view, _ in rows
    ]
    end = ",\n" if older else "\n"
    name = "Data_Entry_2017.csv" if older else "Data_Entry_2017_v2020.csv"
    (root / name).write_text("".join(line + end for line in (HEADER, *lines)))


def write_boxes(root, boxes):
    lines = [BOX_HEADER, *(",".join(box) for box in boxes)]
    (root / "BBox_List_2017.csv").write_text("\n".join(lines) + "\n")
