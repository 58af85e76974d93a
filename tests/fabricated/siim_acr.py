"""SIIM-ACR Pneumothorax, as the Kaggle challenge gave it: 16 images in nested folders of UIDs."""

import numpy as np
from PIL import Image

from fabricated.dicom_file import write_dicom

NUMBERS = range(16)
SIDE = 1024


def image_id(number):
    return f"1.2.276.0.7230010.3.1.4.8323329.{1000 + number}.1517875{number:03}.878027"


def masks(number):
    """The pneumothorax, boolean 1024 × 1024, one mask a row of the table: none, one or two."""
    rows_H1, columns_W = np.arange(SIDE)[:, None], np.arange(SIDE)
    left = (rows_H1 - 200 - 10 * number) ** 2 / 4 + (columns_W - 300) ** 2 < 60**2
    right = (rows_H1 > 500) & (rows_H1 < 700) & (columns_W > 640) & (columns_W < 740 + number)
    return [left, right][: number % 3]


def gray(number):
    return np.random.default_rng(number).integers(0, 256, (64, 64), dtype=np.uint8)


def encoded(mask_HW):
    """Run-length code: down the columns; each run's start counts from the end of the one before."""
    padded = np.concatenate([[0], mask_HW.T.ravel().astype(np.int8), [0]])
    starts, ends = np.flatnonzero(np.diff(padded) == 1), np.flatnonzero(np.diff(padded) == -1)
    gaps = starts - np.concatenate([[0], ends[:-1]])
    return " ".join(f"{gap} {length}" for gap, length in zip(gaps, ends - starts, strict=True))


def write(root, *, table="train-rle.csv", suffix=".dcm"):
    separator = ", " if table == "train-rle.csv" else ","  # of the header; the later table has no space
    lines = [f"ImageId{separator}EncodedPixels"]
    for number in NUMBERS:
        codes = [encoded(mask_HW) for mask_HW in masks(number)] or [("-1", " -1")[number % 2]]
        lines += [f"{image_id(number)},{code}" for code in codes]
        write_image(root / "dicom-images-train", number, suffix)
    write_image(root / "dicom-images-test", 99, suffix)
    (root / table).write_text("\n".join(lines) + "\n")


def write_image(folder, number, suffix=".dcm"):
    study, series = (f"1.2.276.0.7230010.3.1.{level}.8323329.{1000 + number}.1517875" for level in (2, 3))
    file = folder / study / series / f"{image_id(number)}{suffix}"
    if suffix == ".dcm":
        write_dicom(file, gray(number), PatientSex="M", PatientAge="061Y", ViewPosition="PA")
    else:
        file.parent.mkdir(parents=True)
        Image.fromarray(gray(number)).save(file)
