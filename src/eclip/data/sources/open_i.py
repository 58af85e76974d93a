"""Open-I: the chest radiographs and reports of Indiana University, as the NLM or as Kaggle released them."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from eclip.annotations.reading import Rejection
from eclip.data.sources.cells import split_of
from eclip.data.sources.draft import Draft, Selection
from eclip.data.sources.image_files import files_below
from eclip.data.sources.open_i_labels import labels_of
from eclip.data.sources.open_i_reports import (
    Report,
    image_id_of,
    read_projections,
    read_reports,
    read_xml,
)
from eclip.data.study import FRONTAL, Study
from eclip.errors import InputError

_REPORTS, _PROJECTIONS = "indiana_reports.csv", "indiana_projections.csv"
_REMOVED = "XXXX"  # stands where de-identification took a word out
_WORD = re.compile(r"[\w'’/-]+")


@dataclass(frozen=True, kw_only=True)
class OpenI:
    """Open-I: 7,470 chest radiographs with 3,955 reports of Indiana University, open to all.

    Example: eclip data build open-i --root open-i --deidentified drop --out store

    Attributes:
        root: Folder with the NLM's `ecgen-radiology/*.xml`, or with Kaggle's `indiana_reports.csv`; images anywhere
            below. Where both are, the XML files are read.
        deidentified: Keep the XXXX that stand for removed words, or drop the words that hold one.
        views: Frontal images, or all.
        projections: Table that tells the views; `indiana_projections.csv` in root if not given. The XML files do not
            tell them.
    """

    root: Path
    deidentified: Literal["keep", "drop"] = "keep"
    views: Literal["frontal", "all"] = "frontal"
    projections: Path | None = None

    def select(self) -> Selection:
        """Select the images that belong to a report.

        Raises:
            InputError: A folder, table or column is missing, or no table tells the views.
        """
        if not self.root.is_dir():
            raise InputError(f"{self.root}: no such folder")
        skipped: Counter[str] = Counter()
        items = list(self._items(skipped))
        return Selection(len(items), lambda: iter(items), dict(skipped))

    def _items(self, skipped: Counter[str]) -> Iterator[Draft | Rejection]:
        xml, images = _find(self.root)
        table, projections = self.root / _REPORTS, self.projections or self.root / _PROJECTIONS
        if not xml and not table.is_file():
            raise InputError(
                f"{self.root}: neither ecgen-radiology/*.xml (NLM) nor {_REPORTS} (Kaggle) is there"
            )
        views: dict[str, str] = {}
        rejected: list[Rejection] = []
        reports = _read_xmls(xml)
        if not xml or self.projections or projections.is_file():
            listed = read_projections(projections, uid=not xml, reject=rejected.append)
            for name, view in zip(listed["filename"], listed["projection"], strict=True):
                views.setdefault(image_id_of(name), view)
            if not xml:
                reports = read_reports(table, listed, projections)
        elif self.views == "frontal":
            raise InputError(
                f"{self.root}: the XML files do not tell which images are frontal; give --projections "
                f"{_PROJECTIONS} (from Kaggle's release), or take all images with --views all"
            )

        yield from rejected
        seen: dict[str, Report] = {}
        for report in reports:
            if isinstance(report, Rejection):
                yield report
            elif (first := seen.setdefault(report.uid, report)) is not report:
                before = f"{Path(first.file).name} {first.row}".strip()
                yield Rejection(report.file, report.row, f"report {report.uid} came before ({before})")
            elif not report.images:
                skipped["report without images"] += 1
            elif (study := self._study(report)) is None:
                yield Rejection(report.file, report.row, "empty report: neither findings nor impression")
            else:
                for name in report.images:
                    image_id = image_id_of(name)
                    view = views.get(image_id, "")
                    # No path is made from a name that a file tells: none leads out of the folder.
                    image_file = images.get(name) or images.get(image_id)
                    if self.views == "frontal" and view and view not in FRONTAL:
                        skipped["not a frontal view"] += 1
                    elif self.views == "frontal" and not view:
                        yield Rejection(
                            report.images_file, name, f"{projections} tells no view of this image"
                        )
                    elif image_file is None:
                        yield Rejection(report.images_file, name, f"no such image below {self.root}")
                    else:
                        yield Draft(
                            study=replace(study, image_id=image_id, view=view),
                            image_file=image_file,
                            file=report.images_file,
                            row=name,
                        )

    def _study(self, report: Report) -> Study | None:
        """What all images of a report share; None without findings and impression."""
        sections = report.sections
        if self.deidentified == "drop":
            sections = {name: without_removed(text) for name, text in sections.items()}
        text = " ".join(filter(None, (sections["findings"], sections["impression"])))
        if not text:
            return None
        return Study(
            image_id="",
            study_id=report.uid,
            patient_id=report.uid,
            split=split_of(report.uid),
            report="\n".join(f"{name.upper()}: {said}" for name, said in sections.items() if said),
            findings=sections["findings"],
            impression=sections["impression"],
            text=text,
            labels=labels_of(report.terms),
        )


def _find(root: Path) -> tuple[list[Path], dict[str, Path]]:
    """The XML files below a folder, 2.xml before 10.xml; and its images by name, and by the id of both releases."""
    files = sorted(path for path in files_below(root) if path.suffix in {".xml", ".png"})
    xml = [
        path for path in files if path.suffix == ".xml" and path.absolute().parent.name == "ecgen-radiology"
    ]
    images: dict[str, Path] = {}
    for path in files:
        if path.suffix == ".png":
            images.setdefault(path.name, path)
            images.setdefault(image_id_of(path.name), path)
    return sorted(xml, key=lambda path: (len(path.name), path.name)), images


def _read_xmls(paths: list[Path]) -> Iterator[Report | Rejection]:
    for path in paths:
        try:
            yield read_xml(path)
        except InputError as error:
            yield Rejection(str(path), "", str(error))


def without_removed(text: str) -> str:
    """Drop the words that hold a removed one ("XXXX", "XXXX-year-old"), and tidy the punctuation around them.

    "XXXX, a XXXX-year-old male (XXXX). Lungs clear ." becomes "a male. Lungs clear."; a text without any is returned
    as it is.
    """
    if _REMOVED not in text:
        return text
    text = " ".join(_WORD.sub(_rest, text).split())
    text = re.sub(r"\( ?\)|\[ ?\]", "", text)
    text = re.sub(r" +([.,;:)\]])", r"\1", text)
    text = re.sub(r"([(\[]) +", r"\1", text)
    text = re.sub(r"[.,;:]{2,}", lambda run: "." if "." in run[0] else run[0][0], text)
    return " ".join(text.split()).lstrip(" .,;:")


def _rest(word: re.Match[str]) -> str:
    return "/".join(part for part in word[0].split("/") if _REMOVED not in part)
