"""Tiny file trees in the real datasets' formats: the columns are theirs, the content is made up."""

import gzip
import json

import numpy as np
import pandas as pd
from PIL import Image


def _names(text):
    return [" ".join(name.split()) for name in text.split(",")]


CHEXPERT = _names("""
    Atelectasis, Cardiomegaly, Consolidation, Edema, Enlarged Cardiomediastinum, Fracture, Lung
    Lesion, Lung Opacity, No Finding, Pleural Effusion, Pleural Other, Pneumonia, Pneumothorax,
    Support Devices
""")
EGD_FIXATIONS = _names("""
    SESSION_ID, MEDIA_ID, DICOM_ID, CNT, Time (in secs), TIMETICK(f=10000000), FPOGX, FPOGY, FPOGS,
    FPOGD, FPOGID, FPOGV, BPOGX, BPOGY, BPOGV, LPCX, LPCY, LPD, LPS, LPV, RPCX, RPCY, RPD, RPS, RPV,
    BKID, BKDUR, BKPMIN, LPMM, LPMMV, RPMM, RPMMV, SACCADE_MAG, SACCADE_DIR, VID_FRAME, X_ORIGINAL,
    Y_ORIGINAL
""")
EGD_MASTER = _names("""
    dicom_id, path, study_id, patient_id, stay_id, gender, anchor_age, image_top_pad,
    image_bottom_pad, image_left_pad, image_right_pad, dx1, dx1_icd, dx2, dx2_icd, dx3, dx3_icd,
    dx4, dx4_icd, dx5, dx5_icd, dx6, dx6_icd, dx7, dx7_icd, dx8, dx8_icd, dx9, dx9_icd,
    normal_reports, Normal, CHF, pneumonia, consolidation, enlarged_cardiac_silhouette,
    linear__patchy_atelectasis, lobar__segmental_collapse,
    not_otherwise_specified_opacity___pleural__parenchymal_opacity__,
    pleural_effusion_or_thickening, pulmonary_edema__hazy_opacity, normal_anatomically,
    elevated_hemidiaphragm, hyperaeration, vascular_redistribution, atelectasis__chx,
    cardiomegaly__chx, consolidation__chx, edema__chx, enlarged_cardiomediastinum__chx,
    fracture__chx, lung_lesion__chx, lung_opacity__chx, no_finding__chx, pleural_effusion__chx,
    pleural_other__chx, pneumonia__chx, pneumothorax__chx, support_devices__chx, cxr_exam_indication
""")
REFLACX_META = _names("""
    id, split, eye_tracking_data_discarded, image, dicom_id, subject_id, image_size_x, image_size_y
""")
REFLACX_LABELS = _names("""
    Abnormal mediastinal contour, Acute fracture, Atelectasis, Consolidation, Enlarged cardiac
    silhouette, Enlarged hilum, Groundglass opacity, Hiatal hernia, High lung volume / emphysema,
    Interstitial lung disease, Lung nodule or mass, Pleural abnormality, Pneumothorax, Pulmonary
    edema, Support devices
""")
REFLACX_FIXATIONS = _names("""
    timestamp_start_fixation, timestamp_end_fixation, x_position, y_position, pupil_area_normalized,
    angular_resolution_x_pixels_per_degree, angular_resolution_y_pixels_per_degree, window_width,
    window_level, xmin_shown_from_image, ymin_shown_from_image, xmax_shown_from_image,
    ymax_shown_from_image, xmin_in_screen_coordinates, ymin_in_screen_coordinates,
    xmax_in_screen_coordinates, ymax_in_screen_coordinates
""")
REPORT = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA)

 FINDINGS:\x20

 The lungs are clear in study {study}.

 IMPRESSION:\x20

 No acute process.
""".replace("\n\n", "\n \n")
WIDTH, HEIGHT = 80, 60


def dicom_id(number):
    return "-".join(f"{number * 5 + part + 0x1000000:08x}" for part in range(5))


def patient(number):
    """Two studies a patient."""
    return str(10_000_000 + number // 2)


def study(number):
    return str(50_000_000 + number)


def folder(number):
    return f"files/p{patient(number)[:2]}/p{patient(number)}/s{study(number)}"


def split(number):
    return ("train", "train", "validate", "test")[number // 2 % 4]


def gray(number):
    return np.random.default_rng(number).integers(0, 255, (HEIGHT, WIDTH), dtype=np.uint8)


def write_mimic(root, numbers, *, laterals=(), labels=None, zipped=True):
    """MIMIC-CXR-JPG with reports beside the images; `labels`: number to {name: cell}."""
    metadata, splits, chexpert = [], [], []
    for number in [*numbers, *laterals]:
        ids = {"dicom_id": dicom_id(number), "subject_id": patient(number), "study_id": study(number)}
        (root / folder(number)).mkdir(parents=True)
        Image.fromarray(gray(number)).save(root / folder(number) / f"{ids['dicom_id']}.jpg", quality=95)
        (root / f"{folder(number)}.txt").write_text(REPORT.format(study=number))
        view = "LATERAL" if number in laterals else ("PA", "AP")[number % 2]
        metadata.append(ids | {
            "PerformedProcedureStepDescription": "CHEST (PA AND LAT)", "ViewPosition": view, "Rows": HEIGHT,
            "Columns": WIDTH, "StudyDate": "21800506", "StudyTime": "213014.531",
            "ProcedureCodeSequence_CodeMeaning": "CHEST (PA AND LAT)",
            "ViewCodeSequence_CodeMeaning": "postero-anterior",
            "PatientOrientationCodeSequence_CodeMeaning": "Erect",
        })  # fmt: skip
        splits.append({**ids, "split": split(number)})
        chexpert.append({**ids, **dict.fromkeys(CHEXPERT, ""), **(labels or {}).get(number, {})})
    columns = ["subject_id", "study_id", *CHEXPERT]
    tables = {"metadata": pd.DataFrame(metadata), "split": pd.DataFrame(splits),
              "chexpert": pd.DataFrame(chexpert)[columns].drop_duplicates("study_id")}  # fmt: skip
    for name, frame in tables.items():
        text = frame.to_csv(index=False)
        path = root / f"mimic-cxr-2.0.0-{name}.csv{'.gz' if zipped else ''}"
        path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    return root


def write_egd(root, fixations):
    """EGD-CXR; `fixations`: number (or an id that no table knows) to [(x, y, start, duration)] in pixels."""
    master, rows = [], []
    for number, path in fixations.items():
        known = isinstance(number, int)
        name = dicom_id(number) if known else number
        if known:
            master.append(dict.fromkeys(EGD_MASTER, "") | {
                "dicom_id": name, "path": f"{folder(number)}/{name}.dcm", "study_id": study(number),
                "patient_id": patient(number), "gender": "FM"[number % 2], "anchor_age": "20 - 30",
                "image_top_pad": 0, "image_bottom_pad": 0,
                "image_left_pad": 240, "image_right_pad": 240, "Normal": 1, "CHF": 0, "pneumonia": 0,
                "edema__chx": "-1.0", "no_finding__chx": "1.0", "cxr_exam_indication": "cough,\nfever",
            })  # fmt: skip
        for x, y, start, duration in path:
            rows.append(dict.fromkeys(EGD_FIXATIONS, 0) | {
                "DICOM_ID": name, "Time (in secs)": start + duration, "FPOGS": start, "FPOGD": duration,
                "FPOGV": 1,
                "FPOGX": 0.5, "FPOGY": 0.5, "FPOGID": len(rows), "X_ORIGINAL": x, "Y_ORIGINAL": y,
            })  # fmt: skip
        transcript = root / "audio_segmentation_transcripts" / name / "transcript.json"
        transcript.parent.mkdir(parents=True)
        words = [
            {"phrase": word, "begin_time": i / 2, "end_time": i / 2 + 0.4}
            for i, word in enumerate(["the", "lungs", "are", "clear."])
        ]
        transcript.write_text(json.dumps({"full_text": "the lungs are clear.", "time_stamped_text": words}))
    pd.DataFrame(master, columns=EGD_MASTER).to_csv(root / "master_sheet.csv", index=False)
    pd.DataFrame(rows, columns=EGD_FIXATIONS).to_csv(root / "fixations.csv", index=False)
    (root / "bounding_boxes.csv").write_text("dicom_id,bbox_name,x1,x2,y1,y2\n")
    return root


def write_egd_samples(root, samples):
    """Raw samples in place of EGD-CXR's fixations; `samples`: number to [(seconds, x, y)] in pixels."""
    (root / "fixations.csv").unlink()
    rows = [
        dict.fromkeys(EGD_FIXATIONS, 0) | {
            "DICOM_ID": dicom_id(number), "Time (in secs)": seconds, "FPOGX": 0.5, "FPOGY": 0.5, "FPOGV": 1,
            "X_ORIGINAL": x, "Y_ORIGINAL": y,
        }
        for number, path in samples.items() for seconds, x, y in path
    ]  # fmt: skip
    pd.DataFrame(rows, columns=EGD_FIXATIONS).to_csv(root / "eye_gaze.csv", index=False)
    return root


def write_reflacx_samples(root, samples):
    """Raw samples in place of REFLACX's fixations; `samples`: for each reading [(seconds, x, y)] in pixels.

    A sample without x is one of a lost eye, whose cells are blank.
    """
    for folder, path in zip(sorted((root / "main_data").glob("P*")), samples, strict=True):
        (folder / "fixations.csv").unlink()
        columns = ["timestamp_sample", *REFLACX_FIXATIONS[2:]]
        rows = [
            dict.fromkeys(columns, 0) | {
                "timestamp_sample": seconds, "x_position": x, "y_position": y,
                "angular_resolution_x_pixels_per_degree": 4, "angular_resolution_y_pixels_per_degree": 3,
                "xmax_shown_from_image": WIDTH, "ymax_shown_from_image": HEIGHT,
            } if x is not None else dict.fromkeys(columns, "") | {"timestamp_sample": seconds}
            for seconds, x, y in path
        ]  # fmt: skip
        gaze = root / "gaze_data" / folder.name / "gaze.csv"
        gaze.parent.mkdir(parents=True)
        pd.DataFrame(rows, columns=columns).to_csv(gaze, index=False, lineterminator="\r\n")
    return root


def write_reflacx(root, readings):
    """REFLACX, phase 2; `readings`: [(number, [(x, y, start, end)] in pixels)]."""
    metadata = []
    for index, (number, fixations) in enumerate(readings):
        name = f"P2{index:02}R{index:06}"
        metadata.append(dict.fromkeys([*REFLACX_META, *REFLACX_LABELS, "Other"], 0) | {
            "id": name, "split": split(number), "eye_tracking_data_discarded": False,
            "image": f"physionet.org/files/mimic-cxr/2.0.0/{folder(number)}/{dicom_id(number)}.dcm",
            "dicom_id": dicom_id(number), "subject_id": patient(number),
            "image_size_x": WIDTH, "image_size_y": HEIGHT,
            "Pulmonary edema": 4, "Support devices": False, "Other": "",
        })  # fmt: skip
        rows = [
            dict.fromkeys(REFLACX_FIXATIONS, 0) | {
                "timestamp_start_fixation": start, "timestamp_end_fixation": end,
                "x_position": x, "y_position": y,
                "angular_resolution_x_pixels_per_degree": 4, "angular_resolution_y_pixels_per_degree": 3,
                "xmax_shown_from_image": WIDTH, "ymax_shown_from_image": HEIGHT,
            }
            for x, y, start, end in fixations
        ]  # fmt: skip
        reading = root / "main_data" / name
        reading.mkdir(parents=True)
        options = {"index": False, "lineterminator": "\r\n"}
        pd.DataFrame(rows, columns=REFLACX_FIXATIONS).to_csv(reading / "fixations.csv", **options)
        words = [("mild", 0.0, 0.3), ("edema", 0.4, 0.8), (".", 0.8, 0.8)]
        pd.DataFrame(words, columns=["word", "timestamp_start_word", "timestamp_end_word"]).to_csv(
            reading / "timestamps_transcription.csv", **options
        )
        (reading / "transcription.txt").write_text("mild edema. ")
        box = pd.DataFrame([[8, 6, 72, 54]], columns=["xmin", "ymin", "xmax", "ymax"])
        box.to_csv(reading / "chest_bounding_box.csv", **options)
        ellipse = pd.DataFrame(columns=["xmin", "ymin", "xmax", "ymax", "certainty", *REFLACX_LABELS])
        ellipse.to_csv(reading / "anomaly_location_ellipses.csv", **options)
    columns = [*REFLACX_META, *REFLACX_LABELS, "Other"]
    for phase in (1, 2, 3):
        frame = pd.DataFrame(metadata if phase == 2 else [], columns=columns)
        frame.to_csv(root / "main_data" / f"metadata_phase_{phase}.csv", index=False, lineterminator="\r\n")
    return root
