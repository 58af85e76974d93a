"""MIMIC-Eye as it was made: MIMIC-CXR-JPG, EGD-CXR and REFLACX, sorted into one folder a patient."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

import small_trees as trees

NUMBERS = range(8)
LATERAL = 8
EGD = {2: [(40, 15, 0.5, 0.25), (8, 54, 1.0, 0.5)], 5: [(20, 30, 0.0, 1.0)], 7: [(60, 45, 0.25, 0.5)]}
REFLACX = [
    (0, [(40, 15, 0.5, 0.75)]),
    (2, [(8, 54, 0.0, 1.0)]),
    (4, [(20, 30, 0, 1)]),
    (2, [(20, 30, 2.0, 2.5)]),
]
BOX = {"bbox_name": "cardiac silhouette", "x1": 20.0, "x2": 60.0, "y1": 15.0, "y2": 45.0}


def patient_folder(root, number):
    return root / f"patient_{trees.patient(number)}"


def write(root, *, numbers=NUMBERS, egd=EGD, reflacx=REFLACX):
    """Images of which some were read for EGD-CXR, some for REFLACX, one for both, some not at all."""
    with TemporaryDirectory() as folder:
        whole = Path(folder)
        trees.write_mimic(whole / "mimic", numbers, laterals=(LATERAL,))
        trees.write_egd(whole / "egd", egd)
        trees.write_reflacx(whole / "reflacx", reflacx)
        for number in (*numbers, LATERAL):
            target = patient_folder(root, number)
            study, source = f"s{trees.study(number)}", whole / "mimic" / trees.folder(number)
            shutil.copytree(source, target / "CXR-JPG" / study)
            (target / "CXR-DICOM").mkdir(exist_ok=True)
            shutil.copy(source.with_suffix(".txt"), target / "CXR-DICOM" / f"{study}.txt")
        _sort_egd(whole / "egd", root)
        _sort_reflacx(whole / "reflacx" / "main_data", root)
        metadata = _table(whole / "mimic" / "mimic-cxr-2.0.0-metadata.csv.gz")
    read = {"in_eye_gaze": egd, "in_reflacx": [number for number, _ in reflacx]}
    for column, images in read.items():
        metadata[column] = metadata["dicom_id"].isin(map(trees.dicom_id, images))
    (root / "spreadsheets").mkdir()
    metadata.assign(stay_id="").to_csv(root / "spreadsheets" / "cxr_meta.csv", index=False)


def _table(path):
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def _sort_egd(whole, root):
    fixations = _table(whole / "fixations.csv")
    for patient_id, master in _table(whole / "master_sheet.csv").groupby("patient_id"):
        folder = root / f"patient_{patient_id}" / "EyeGaze"
        folder.mkdir()
        master.to_csv(folder / "master_sheet.csv", index=False)
        for name in ("fixations", "eye_gaze"):
            rows = fixations[fixations["DICOM_ID"].isin(master["dicom_id"])]
            rows.to_csv(folder / f"{name}.csv", index=False)
        boxes = pd.DataFrame([{"dicom_id": image_id, **BOX} for image_id in master["dicom_id"]])
        boxes.to_csv(folder / "bounding_boxes.csv", index=False)
        for image_id in master["dicom_id"]:
            transcripts = "audio_segmentation_transcripts"
            shutil.copytree(whole / transcripts / image_id, folder / transcripts / image_id)


def _sort_reflacx(whole, root):
    for patient_id, recordings in _table(whole / "metadata_phase_2.csv").groupby("subject_id"):
        folder = root / f"patient_{patient_id}" / "REFLACX"
        folder.mkdir()
        recordings.to_csv(folder / "metadata.csv", index=False)
        for name in recordings["id"]:
            shutil.copytree(whole / name, folder / "main_data" / name)
