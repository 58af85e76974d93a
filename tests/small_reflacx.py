"""A tiny tree of REFLACX with the release's own columns, and what a test asks of its reader."""

import csv

import numpy as np
from hypothesis import HealthCheck, settings

from broken_files import TRIED, broken
from eclip.annotations.reading import Rejection
from eclip.annotations.reflacx import read_reflacx
from eclip.errors import InputError


def header(line):
    return next(csv.reader([line]))


IMAGE = "0a1b2c3d-0a1b2c3d-0a1b2c3d-0a1b2c3d-0a1b2c3d"
WIDTH, HEIGHT = 2000, 2500
FOLDER = "files/p10/p10000032/s50414267"
ABOUT = header("id,split,eye_tracking_data_discarded,image,dicom_id,subject_id,image_size_x,image_size_y")
LABELS_1 = header(
    "Airway wall thickening,Atelectasis,Consolidation,Emphysema,Enlarged cardiac silhouette,Fibrosis,Fracture,"
    "Groundglass opacity,Mass,Nodule,Pleural effusion,Pleural thickening,Pneumothorax,Pulmonary edema,"
    "Quality issue,Support devices,Wide mediastinum"
)
LABELS_3 = header(
    "Abnormal mediastinal contour,Acute fracture,Atelectasis,Consolidation,Enlarged cardiac silhouette,"
    "Enlarged hilum,Groundglass opacity,Hiatal hernia,High lung volume / emphysema,Interstitial lung disease,"
    "Lung nodule or mass,Pleural abnormality,Pneumothorax,Pulmonary edema,Support devices"
)
LABELS = {1: LABELS_1, 2: LABELS_3, 3: LABELS_3}
SIDES = ["xmin", "ymin", "xmax", "ymax"]
FIXATIONS = header(
    "timestamp_start_fixation,timestamp_end_fixation,x_position,y_position,pupil_area_normalized,"
    "angular_resolution_x_pixels_per_degree,angular_resolution_y_pixels_per_degree,window_width,window_level,"
    "xmin_shown_from_image,ymin_shown_from_image,xmax_shown_from_image,ymax_shown_from_image,"
    "xmin_in_screen_coordinates,ymin_in_screen_coordinates,xmax_in_screen_coordinates,ymax_in_screen_coordinates"
)
WORDS = ["word", "timestamp_start_word", "timestamp_end_word"]
RECORDING = "P300R000001"
ELLIPSES, CHEST_BOX = "anomaly_location_ellipses.csv", "chest_bounding_box.csv"
DICTATED = [
    ("heart", 0.5, 0.8),
    ("enlarged", 0.8, 1.2),
    (".", 1.2, 1.2),
    ("effusion", 2.0, 2.4),
    ("/", 2.4, 2.4),
    ("atelectasis", 2.4, 3.0),
    (".", 3.0, 3.1),
]


def row_of(recording, *, image=IMAGE, **cells):
    phase = int(recording[1])
    labels = {
        name: "False" if name in ("Support devices", "Quality issue") else "0" for name in LABELS[phase]
    }
    values = (
        recording, "validate", "False", f"physionet.org/files/mimic-cxr/2.0.0/{FOLDER}/{image}.dcm", image,
        "10000032", str(WIDTH), str(HEIGHT),
    )  # fmt: skip
    return dict(zip(ABOUT, values, strict=True)) | labels | {"Other": ""} | cells


def seen(start, end, x, y, *, degree=(100, 50), shown=(0, 0, WIDTH, HEIGHT)):
    cells = (start, end, x, y, 1.0, *degree, 1.0, 0.5, *shown, 660, 0, 3180, 2160)
    return dict(zip(FIXATIONS, cells, strict=True))


def write_table(path, columns, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)


def write_metadata(root, *rows):
    for phase in LABELS:
        of_phase = [row for row in rows if int(row["id"][1]) == phase]
        write_table(
            root / f"main_data/metadata_phase_{phase}.csv", [*ABOUT, *LABELS[phase], "Other"], of_phase
        )


def write_ellipses(folder, labels, *rows):
    cells = [
        dict.fromkeys(labels, False) | dict(zip(SIDES, extent, strict=True)) | {"certainty": sure, **marked}
        for extent, sure, marked in rows
    ]
    write_table(folder / ELLIPSES, [*SIDES, "certainty", *labels], cells)


def write_recording(root, recording=RECORDING, *, fixations=None, words=DICTATED):
    folder = root / "main_data" / recording
    fixations = [seen(0.5, 1.0, 500, 1250)] if fixations is None else fixations
    write_table(folder / "fixations.csv", FIXATIONS, fixations)
    rows = [dict(zip(WORDS, word, strict=True)) for word in words]
    write_table(folder / "timestamps_transcription.csv", WORDS, rows)
    (folder / "transcription.txt").write_text(f"{recording}: heart enlarged.")
    labels = LABELS[int(recording[1])]
    write_ellipses(folder, labels, ((200, 500, 1000, 2000), 4, {"Consolidation": True}))
    write_table(folder / CHEST_BOX, SIDES, [dict(zip(SIDES, (100, 250, 1900, 2250), strict=True))])
    return folder


def read(root):
    rejected = []
    readings = list(read_reflacx(root, reject=rejected.append))
    assert all(isinstance(rejection, Rejection) and "\n" not in rejection.reason for rejection in rejected)
    return readings, rejected


def survives(root, name):
    """What is read, or nothing after an InputError of one line that names the file."""
    try:
        return read(root)[0]
    except InputError as error:
        message = str(error)
    assert name in message
    assert "\n" not in message
    return []


def gaze_of(reading):
    return [annotation for annotation in reading.annotations if annotation.kind == "gaze"]


def stands_broken(root, file, data):
    """Spoil a file of a sound tree and read the tree; whatever is read has numbers that can be drawn."""
    good = file.read_bytes()
    file.write_bytes(data.draw(broken(good)))
    TRIED["reflacx"] += 1
    try:
        readings = survives(root, file.name)
    finally:
        file.write_bytes(good)
    for reading in readings:
        fixations = [fixation for gaze in gaze_of(reading) for fixation in gaze.fixations]
        assert all(np.isfinite([f.x, f.y, f.start, f.end, *f.visible]).all() for f in fixations)
        assert all(f.duration > 0 and f.sigma_x > 0 and f.sigma_y > 0 for f in fixations)


MANY = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=100,
)
