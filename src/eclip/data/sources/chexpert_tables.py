"""The tables of CheXpert: its images and labels, its test set, and reports for its images."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from eclip.annotations.reading import Reject, Rejection
from eclip.data.sources.cells import read_rows
from eclip.errors import InputError

LABELS = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
EXPECTED = "…/train/patient00001/study1/view1_frontal.jpg"
SIDES = ("Frontal", "Lateral")
_FACTS = ("Sex", "Age", "Frontal/Lateral", "AP/PA")
_RELEASES = ("CheXpert-v1.0", "CheXpert-v1.0-small")
_STUDY = r"patient[0-9]{1,9}/study[0-9]{1,9}"
# \Z and not $: a line break at the end belongs to no file's name.
_IMAGE_PATH = rf"^(?:.*/)?(?P<image>(?:train|valid|test)/(?P<image_id>{_STUDY}/view\w{{1,60}})\.\w{{1,9}})\Z"
_TEST_PATH = rf"^(?:.*/)?(test/{_STUDY})/?\Z"


def home_of(root: Path) -> Path:
    """The folder of the release: `root`, or the one in it.

    Raises:
        InputError: No such folder, no release in it, or two of them.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder")
    if (root / "train.csv").is_file():
        return root
    found = [root / name for name in _RELEASES if (root / name / "train.csv").is_file()]
    if not found:
        raise InputError(f"{root}: no train.csv; expected the folder of CheXpert-v1.0 or CheXpert-v1.0-small")
    if len(found) > 1:
        raise InputError(f"{root}: holds {' and '.join(_RELEASES)}; name one of them as the root")
    return found[0]


def image_names(paths: pd.Series) -> pd.DataFrame:
    """`image_id` and `image` of paths: patient/study/view, and the file relative to the release's folder.

    The folders before that differ between releases, and are left out. Both are "" where a path is not that of an
    image; nothing that leads out of the folder is one.
    """
    return paths.str.strip().str.extract(_IMAGE_PATH).fillna("")[["image_id", "image"]]


def read_images(table: Path, *, split: str, reject: Reject) -> pd.DataFrame:
    """The images of train.csv, valid.csv, or another table with their columns.

    Returns:
        Path, `_FACTS` and `LABELS` as the table has them, `image_names`, and file, row, split.

    Raises:
        InputError: No such table or column.
    """
    rows = read_rows(table, columns=("Path", *_FACTS, *LABELS), reject=reject)
    return _named(rows, table, split=split)


def read_test_set(table: Path, home: Path, *, reject: Reject) -> pd.DataFrame:
    """The same from the labels of the test set, a row a study: the first of its images called view1 stands for it.

    Raises:
        InputError: No such table or column.
    """
    rows = read_rows(table, columns=("Study", *LABELS), reject=reject)
    cells = rows.pop("Study").str.strip()
    studies = cells.str.extract(_TEST_PATH, expand=False).fillna("")
    paths = [
        f"{study}/{_first_view(home / study)}" if study else cell
        for cell, study in zip(cells, studies, strict=True)
    ]
    side = ["Lateral" if "lateral" in path else "Frontal" for path in paths]
    rows[list(_FACTS)] = ""
    rows["Frontal/Lateral"], rows["Path"] = side, pd.Series(paths, rows.index, dtype=object)
    return _named(rows, table, split="test")


def _first_view(study: Path) -> str:
    return min((path.name for path in study.glob("view1_*.jpg")), default="view1_frontal.jpg")


def _named(rows: pd.DataFrame, table: Path, *, split: str) -> pd.DataFrame:
    rows = rows.join(image_names(rows["Path"]))
    return rows.assign(file=str(table), row=[f"row {number}" for number in rows.index], split=split)


@dataclass(frozen=True, slots=True)
class Report:
    """What a table of reports tells of an image; "" where it does not.

    Attributes:
        report: The whole report.
        findings: Its findings section.
        impression: Its impression section.
    """

    report: str = ""
    findings: str = ""
    impression: str = ""

    @property
    def text(self) -> str:
        """Findings and impression, else the report."""
        return " ".join(filter(None, (self.findings, self.impression))) or " ".join(self.report.split())


def read_reports(table: Path, *, reject: Reject) -> dict[str, Report]:
    """Image id to report; of two for one image the first.

    Args:
        table: With the columns Path and Report Impression (GLoRIA), or path_to_image and at least one of report,
            section_findings, section_impression (CheXpert Plus).
        reject: Takes the rows that are left out.

    Raises:
        InputError: No such table or column.
    """
    texts = ("report", "section_findings", "section_impression", "Report Impression")
    rows = read_rows(table, columns=(), optional=("Path", "path_to_image", *texts), reject=reject)
    path = next((name for name in ("Path", "path_to_image") if name in rows), None)
    if path is None or not rows.columns.isin(texts).any():
        raise InputError(
            f"{table}: no reports; expected columns Path and Report Impression, "
            "or path_to_image and report, section_findings or section_impression"
        )
    reports: dict[str, Report] = {}
    ids = image_names(rows[path])["image_id"]
    columns = (rows[name].tolist() if name in rows else [""] * len(rows) for name in texts)
    cells = zip(rows.index, rows[path], ids, *columns, strict=True)
    for number, cell, image_id, report, findings, *impressions in cells:
        if not image_id:
            reason = f"{path} is {cell[:80]!r}; expected {EXPECTED}"
        elif image_id in reports:
            reason = f"second report of {image_id}; the first is taken"
        else:
            impression = " ".join(" ".join(impressions).split())
            reports[image_id] = Report(report, " ".join(findings.split()), impression)
            continue
        reject(Rejection(str(table), f"row {number}", reason))
    return reports
