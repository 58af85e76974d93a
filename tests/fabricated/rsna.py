"""RSNA Pneumonia, stage 2 of the Kaggle challenge: 14 patients."""

import numpy as np
from PIL import Image

from fabricated.dicom_file import write_dicom

CLASSES = ("Normal", "Lung Opacity", "No Lung Opacity / Not Normal")
NUMBERS = range(14)


def patient(number):
    return f"{number:08x}-14fd-4e49-80ba-63a80b6bddd6"


def kind(number):
    return CLASSES[number % 3]


def boxes(number):
    """(x, y, width, height) in pixels of 1024 × 1024: one to three on an opacity."""
    if kind(number) != "Lung Opacity":
        return []
    return [(100.0 + number, 152.0, 213.0, 379.0), (562.0, 300.0 + number, 256.0, 453.0), (0, 0, 1024, 1024)][
        : 1 + number // 3 % 3
    ]


def gray(number):
    """The pixels: smaller than the real 1024 × 1024, to which the boxes refer all the same."""
    return np.random.default_rng(number).integers(0, 256, (64, 64), dtype=np.uint8)


def write(root, *, suffix=".dcm", folder="stage_2_train_images"):
    labels, classes = ["patientId,x,y,width,height,Target"], ["patientId,class"]
    (root / folder).mkdir(parents=True)
    for number in NUMBERS:
        rows = [",".join(map(str, box)) + ",1" for box in boxes(number)] or [",,,,0"]
        labels += [f"{patient(number)},{row}" for row in rows]
        classes += [f"{patient(number)},{kind(number)}"] * len(rows)
        file = root / folder / f"{patient(number)}{suffix}"
        if suffix == ".dcm":
            sex, view = "FM"[number % 2], ("PA", "AP")[number % 2]
            write_dicom(
                file, gray(number), PatientSex=sex, PatientAge=f"{30 + number:03}Y", ViewPosition=view
            )
        else:
            Image.fromarray(gray(number)).save(file)
    (root / "stage_2_train_labels.csv").write_text("\n".join(labels) + "\n")
    (root / "stage_2_detailed_class_info.csv").write_text("\n".join(classes) + "\n")
