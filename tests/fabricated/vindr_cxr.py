"""VinDr-CXR 1.0.0: 12 images of train, each read by three of four radiologists, and 4 of test with their consensus."""

import numpy as np
from PIL import Image

from fabricated.dicom_file import write_dicom

FINDINGS = [
    "Aortic enlargement", "Atelectasis", "Calcification", "Cardiomegaly", "Clavicle fracture", "Consolidation",
    "Edema", "Emphysema", "Enlarged PA", "ILD", "Infiltration", "Lung Opacity", "Lung cavity", "Lung cyst",
    "Mediastinal shift", "Nodule/Mass", "Pleural effusion", "Pleural thickening", "Pneumothorax",
    "Pulmonary fibrosis", "Rib fracture", "Other lesion", "COPD", "Lung tumor", "Pneumonia", "Tuberculosis",
    "Other diseases", "No finding",
]  # fmt: skip
NUMBERS = {"train": range(12), "test": range(100, 104)}


def image_id(number):
    return f"{number * 7919:032x}"


def size(number):
    """(height, width)."""
    return 60 + number % 5, 80 + number % 7


def gray(number):
    return np.random.default_rng(number).integers(0, 4096, size(number), dtype=np.uint16)


def readings(number):
    """Reader to the findings with their box (x_min, y_min, x_max, y_max) in pixels; none: "No finding".

    Of every four images one is normal; in one all see a large heart, and two of three also an effusion; in one a
    single reader sees a nodule, twice; in one they disagree whether there is anything.
    """
    heart, effusion = ("Cardiomegaly", (20.5, 30.25, 60.0, 55.75)), ("Pleural effusion", (1, 40, 19, 58))
    nodule = ("Nodule/Mass", (50.0 + number % 8, 10.0, 55.0 + number % 8, 14.5))
    by_reader = [
        ([], [], []),
        ([heart], [heart, effusion], [effusion, heart]),
        ([heart], [heart, nodule, nodule], [heart]),
        ([], [nodule], []),
    ][number % 4]
    if number >= 100:
        return {"": by_reader[1]}
    return {f"R{1 + (number + place) % 4}": found for place, found in enumerate(by_reader)}


def write(root, *, suffix=".dicom", parts=NUMBERS):
    (root / "annotations").mkdir(parents=True)
    for part, numbers in parts.items():
        train = part == "train"
        labels = [",".join(["image_id", *["rad_ID"] * train, *FINDINGS])]
        boxes = [",".join(["image_id", *["rad_id"] * train, "class_name,x_min,y_min,x_max,y_max"])]
        for number in numbers:
            for reader, found in readings(number).items():
                who = [image_id(number), *[reader] * train]
                names = {name for name, _ in found} or {"No finding"}
                labels.append(",".join([*who, *(str(int(name in names)) for name in FINDINGS)]))
                boxes += [",".join([*who, name, *map(str, corners)]) for name, corners in found]
                boxes += [] if found else [",".join([*who, "No finding", "", "", "", ""])]
            file = root / part / f"{image_id(number)}{suffix}"
            if suffix == ".png":
                file.parent.mkdir(exist_ok=True)
                Image.fromarray(np.uint8(gray(number) // 16)).save(file)
            else:
                photometric = ("MONOCHROME2", "MONOCHROME1")[number % 2]
                write_dicom(
                    file, gray(number), photometric=photometric, bits=12, PatientSex="F", PatientAge="047Y"
                )
        (root / "annotations" / f"image_labels_{part}.csv").write_text("\n".join(labels) + "\n")
        (root / "annotations" / f"annotations_{part}.csv").write_text("\n".join(boxes) + "\n")
