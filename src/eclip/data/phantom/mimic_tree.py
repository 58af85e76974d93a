"""The phantom as a MIMIC-CXR-JPG 2.0.0 tree, with MIMIC-CXR's report files beside the studies' folders."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from eclip.data.phantom.image import Chest
from eclip.data.phantom.plan import TABLES, PlannedStudy, stream
from eclip.data.phantom.report import Report

LABELS = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Enlarged Cardiomediastinum", "Fracture",
    "Lung Lesion", "Lung Opacity", "No Finding", "Pleural Effusion", "Pleural Other", "Pneumonia",
    "Pneumothorax", "Support Devices",
)  # fmt: skip
_CODES = {
    "AP": ("CHEST (PORTABLE AP)", "antero-posterior", "Recumbent"),
    "PA": ("CHEST (SINGLE VIEW)", "postero-anterior", "Erect"),
}
Row = dict[str, Any]


def write_study(root: Path, study: PlannedStudy, chest: Chest, report: Report) -> None:
    """Write the image and the report of one study."""
    folder = root / study.folder
    folder.mkdir(parents=True)
    Image.fromarray(chest.image_HW).save(folder / f"{study.dicom_id}.jpg", quality=95)
    folder.with_suffix(".txt").write_text(report.file_text(), encoding="ascii", newline="\n")


def metadata_row(study: PlannedStudy, chest: Chest, seed: int) -> Row:
    """The study's row of the metadata table. Dates lie in the future, as in MIMIC, in the order of visits."""
    first = stream(seed, TABLES, study.patient).integers(110 * 365)  # days
    rng = stream(seed, TABLES, study.number, 1)
    day = pd.Timestamp(2105, 1, 1) + pd.Timedelta(
        days=int(first) + 120 * study.visit + int(rng.integers(120))
    )
    hour, minute, second, thousandth = rng.integers([24, 60, 60, 1000])
    procedure, view_code, orientation = _CODES[chest.view]
    return {
        "dicom_id": study.dicom_id,
        "subject_id": study.subject_id,
        "study_id": study.study_id,
        "PerformedProcedureStepDescription": procedure,
        "ViewPosition": chest.view,
        "Rows": chest.image_HW.shape[0],
        "Columns": chest.image_HW.shape[1],
        "StudyDate": day.strftime("%Y%m%d"),
        "StudyTime": f"{hour:02}{minute:02}{second:02}.{thousandth:03}",
        "ProcedureCodeSequence_CodeMeaning": procedure,
        "ViewCodeSequence_CodeMeaning": view_code,
        "PatientOrientationCodeSequence_CodeMeaning": orientation,
    }


def label_row(study: PlannedStudy, report: Report) -> Row:
    """The study's row of the CheXpert table: 1 said, 0 denied, -1 hedged, blank where not mentioned."""
    return {"subject_id": study.subject_id, "study_id": study.study_id} | {
        name: report.labels.get(name) for name in LABELS
    }


def region_rows(study: PlannedStudy, chest: Chest) -> list[Row]:
    """The truth that real trees do not have: what is drawn where, in pixels."""
    height, width = chest.image_HW.shape
    rows = []
    for finding, region in zip(study.findings, chest.regions, strict=True):
        (x0, y0), (x1, y1) = region.points
        rows += [{
            "dicom_id": study.dicom_id, "label": finding.name, "side": finding.side, "zone": finding.zone,
            "severity": round(finding.severity, 4), "subtlety": round(finding.subtlety, 4),
            "x0": round(x0 * width, 2), "y0": round(y0 * height, 2),
            "x1": round(x1 * width, 2), "y1": round(y1 * height, 2),
        }]  # fmt: skip
    return rows


def write_tables(
    root: Path, studies: Sequence[PlannedStudy], metadata: list[Row], labels: list[Row], regions: list[Row]
) -> None:
    """Write the tables beside `files/`."""
    split = [
        {"dicom_id": s.dicom_id, "study_id": s.study_id, "subject_id": s.subject_id, "split": s.split}
        for s in studies
    ]
    chexpert = pd.DataFrame(labels).astype(dict.fromkeys(LABELS, float))
    for name, table in (
        ("metadata", pd.DataFrame(metadata)),
        ("split", pd.DataFrame(split)),
        ("chexpert", chexpert),
        ("negbio", chexpert),
    ):
        # Without a time stamp in it, the same table is the same file.
        table.to_csv(
            root / f"mimic-cxr-2.0.0-{name}.csv.gz", index=False, compression={"method": "gzip", "mtime": 0}
        )
    columns = ["dicom_id", "label", "side", "zone", "severity", "subtlety", "x0", "y0", "x1", "y1"]
    pd.DataFrame(regions, columns=columns).to_csv(root / "phantom-regions.csv", index=False)
