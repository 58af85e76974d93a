"""CheXpert: its images with split and labels, or an evaluation set made of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from eclip.annotations.reading import Rejection
from eclip.data.sources.cells import age_years, label_values, sex_name, view_code
from eclip.data.sources.chexpert_sets import Chosen, drawn, listed, queried
from eclip.data.sources.chexpert_tables import (
    EXPECTED,
    LABELS,
    SIDES,
    Report,
    home_of,
    read_images,
    read_reports,
    read_test_set,
)
from eclip.data.sources.draft import Draft, Selection
from eclip.data.study import Study
from eclip.errors import InputError

_COLUMNS = ("image_id", "image", "Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", "split", "file", "row")


@dataclass(frozen=True, kw_only=True)
class CheXpert:
    """CheXpert: its images with split and labels, or an evaluation set made of them (5×200, 8×200, a released list).

    Example: eclip data build chexpert --root chexpert --subset 5x200 --out store

    Attributes:
        root: Folder that holds train.csv and valid.csv (CheXpert-v1.0 or CheXpert-v1.0-small), or the one above it.
        views: frontal, or all: lateral images too.
        test_labels: Labels of the test set; test/groundtruth.csv or groundtruth.csv under the root, if not given.
        reports: CSV of reports: Path and Report Impression (GLoRIA), or path_to_image with report,
            section_findings, section_impression (CheXpert Plus). Without it there are no texts.
        subset: 5x200 draws frontal images with a single finding from train.csv; 8x200 takes ConVIRT's retrieval set.
        per_class: How many images of each class 5x200 draws.
        seed: Another seed, another draw.
        ids: CSV with a column Path: take exactly these images as the test split (a released 5×200 list).
        queries: Folder of ConVIRT's image-retrieval and text-retrieval, for 8x200; the root if not given.
    """

    root: Path
    views: Literal["frontal", "all"] = "frontal"
    test_labels: Path | None = None
    reports: Path | None = None
    subset: Literal["", "5x200", "8x200"] = ""
    per_class: int = 200
    seed: int = 0
    ids: Path | None = None
    queries: Path | None = None

    def select(self) -> Selection:
        """Select the images of the whole, or of one evaluation set.

        Raises:
            InputError: A folder, table or column is missing, a class has too few images, or an option has
                no effect beside another.
        """
        self._refuse_what_has_no_effect()
        home = home_of(self.root)
        if self.ids is not None:
            chosen = listed(home, self.ids)
        elif self.subset == "5x200":
            chosen = drawn(home, per_class=self.per_class, seed=self.seed)
        elif self.subset == "8x200":
            chosen = queried(home, self.queries or self.root)
        else:
            chosen = self._whole(home)
        rejected = [*chosen.rejected]
        reports = {} if self.reports is None else read_reports(self.reports, reject=rejected.append)

        def drafts() -> Iterator[Draft | Rejection]:
            yield from rejected
            yield from _drafts(chosen.rows, home=home, reports=reports)

        return Selection(len(rejected) + len(chosen.rows), drafts, dict(chosen.skipped), dict(chosen.groups))

    def _whole(self, home: Path) -> Chosen:
        rejected: list[Rejection] = []
        tables = [
            read_images(home / "train.csv", split="train", reject=rejected.append),
            read_images(home / "valid.csv", split="validate", reject=rejected.append),
        ]
        places = (home / "test" / "groundtruth.csv", home / "groundtruth.csv")
        test_labels = self.test_labels or next((place for place in places if place.is_file()), None)
        if test_labels is not None:
            tables.append(read_test_set(test_labels, home, reject=rejected.append))
        rows = pd.concat(tables, ignore_index=True)
        if self.views == "all":
            return Chosen(rows=rows, rejected=rejected)
        lateral = rows["Frontal/Lateral"].eq("Lateral")
        return Chosen(rows=rows[~lateral], rejected=rejected, skipped={"lateral view": int(lateral.sum())})

    def _refuse_what_has_no_effect(self) -> None:
        """An option that another leaves without effect was meant to have one."""
        if self.subset and self.ids is not None:
            raise InputError("--subset and --ids each say which images to take; give one of them")
        if (self.subset or self.ids) and (self.views != "frontal" or self.test_labels):
            raise InputError(
                "--views and --test-labels have no effect with --subset or --ids; leave them out"
            )
        if self.subset != "5x200" and (self.per_class != 200 or self.seed != 0):
            raise InputError("--per-class and --seed have an effect with --subset 5x200 only; leave them out")
        if self.subset != "8x200" and self.queries is not None:
            raise InputError("--queries has an effect with --subset 8x200 only; leave it out")


def _drafts(rows: pd.DataFrame, *, home: Path, reports: dict[str, Report]) -> Iterator[Draft | Rejection]:
    facts = zip(*(rows[name] for name in _COLUMNS), strict=True)
    labels = zip(*(rows[name] for name in LABELS), strict=True)
    for (image_id, image, path, sex, age, side, projection, split, file, row), values in zip(
        facts, labels, strict=True
    ):
        report = reports.get(image_id, Report())
        try:
            if not image_id:
                raise InputError(f"path is {path[:80]!r}; expected {EXPECTED}")
            study = Study(
                image_id=image_id,
                study_id=image_id.rpartition("/")[0],
                patient_id=image_id.partition("/")[0],
                split=split,
                view=_view(side, projection),
                sex=sex_name(sex),
                age=age_years(age),
                report=report.report,
                findings=report.findings,
                impression=report.impression,
                text=report.text,
                labels=label_values(LABELS, values),
            )
        except InputError as error:
            yield Rejection(file, row, str(error))
        else:
            yield Draft(study=study, image_file=home / image, file=file, row=row)


def _view(side: str, projection: str) -> str:
    if side not in SIDES:
        raise InputError(f"Frontal/Lateral is {side[:40]!r}; expected Frontal or Lateral")
    if side == "Lateral":
        return "LATERAL"
    return view_code(projection) or "FRONTAL"
