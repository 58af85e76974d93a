"""MIMIC-CXR-JPG 2.1.0 with reports beside the images, and MIMIC-CXR's DICOM files under `dicom`."""

import gzip

import numpy as np
import pandas as pd

import small_trees as trees
from eclip.data.sources.subset import COMPETITION
from fabricated.dicom_file import write_dicom

PLAIN = range(16)
LATERALS = (16, 17)
FIRST_SINGLE = 20
LABELS = {
    0: {"Edema": "1.0", "Fracture": "0.0", "Pneumonia": "-1.0"},  # one finding, but another in doubt
    1: {"Edema": "1.0", "Support Devices": "1.0"},  # two findings
    2: {"No Finding": "1.0"},
    3: {"Pneumothorax": "1.0"},  # one finding that is no class
    6: {"Edema": "1.0", "Lung Opacity": "1.0"},
    16: {"Edema": "1.0"},  # a lateral
}
RADIOLOGISTS = {6: {"Airspace Opacity": "-1.0", "Edema": "0.0"}}  # of a study in test


def deep(number):
    """The image as a detector of 12 bits saw it."""
    return trees.gray(number).astype(np.uint16) * 16 + 15


def single(number, each):
    """The only finding of an image from `FIRST_SINGLE` on."""
    return COMPETITION[(number - FIRST_SINGLE) // each]


def write(root, *, each=200):
    """Write the tree; `each`: images that have each of the five competition labels as their only finding."""
    root.mkdir(parents=True, exist_ok=True)
    singles = range(FIRST_SINGLE, FIRST_SINGLE + each * len(COMPETITION))
    labels = LABELS | {number: {single(number, each): "1.0"} for number in singles}
    trees.write_mimic(root, [*PLAIN, *singles], laterals=LATERALS, labels=labels)
    zipped = root / "mimic-cxr-2.0.0-chexpert.csv.gz"
    chexpert = pd.read_csv(zipped, dtype=str, keep_default_na=False)
    negbio = chexpert.assign(Edema=chexpert["Edema"].replace("1.0", "-1.0"))
    text = negbio.to_csv(index=False)
    (root / "mimic-cxr-2.0.0-negbio.csv.gz").write_bytes(gzip.compress(text.encode()))
    columns = ["Airspace Opacity" if name == "Lung Opacity" else name for name in trees.CHEXPERT]
    rows = [{"study_id": trees.study(number), **cells} for number, cells in RADIOLOGISTS.items()]
    table = pd.DataFrame(rows, columns=["study_id", *sorted(columns)])
    table.to_csv(root / "mimic-cxr-2.1.0-test-set-labeled.csv", index=False)
    images = sorted(file.relative_to(root) for file in root.glob("files/*/*/*/*.jpg"))
    (root / "IMAGE_FILENAMES").write_text("".join(f"{image}\n" for image in images))
    for number in [*PLAIN, *LATERALS, *singles]:
        path = root / "dicom" / trees.folder(number) / f"{trees.dicom_id(number)}.dcm"
        write_dicom(path, 4095 - deep(number), bits=12, photometric="MONOCHROME1",
                    ViewPosition="PA", PatientSex="F", PatientAge="")  # fmt: skip
