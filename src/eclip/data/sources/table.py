"""Any lab's own data: a table with one row an image, and files it names (source `csv`)."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from eclip.annotations.reading import Rejection
from eclip.data.reports import sections
from eclip.data.sources.annotation_cells import AnnotationCells
from eclip.data.sources.cells import label_value, read_table, split_name, split_of
from eclip.data.sources.draft import Draft, Selection
from eclip.data.study import Study
from eclip.errors import InputError


def select(
    root: Path | None,
    *,
    table: Path,
    image: str,
    text: str,
    patient: str = "",
    split: str = "",
    labels: Sequence[str] = (),
    boxes: str = "",
    masks: Sequence[str] = (),
    fixations: str = "",
) -> Selection:
    """Select the rows of a table. Arguments other than `root` and `table` name its columns.

    Args:
        root: Folder that paths in the table are relative to; the table's own if None.
        table: CSV or TSV, gzipped or not, UTF-8.
        image: Image files. The file's stem is the image's id, or its path where stems are not unique.
        text: Reports.
        patient: Patient ids; without it each image is its own patient.
        split: train, validate (val, valid, validation) or test; without it a hash splits patients 80/10/10.
        labels: Columns with 1, 0, -1 or blank, named after the label; or with names ("Edema|Fracture"), each
            of which becomes a label: 1 where listed, 0 where others are, not mentioned where blank.
        boxes: See `AnnotationCells`, also for those that follow.
        masks: Columns.
        fixations: Column.

    Raises:
        InputError: No such file or column, or a patient or image in two splits.
    """
    named = [image, text, patient, split, *labels, boxes, *masks, fixations]
    frame = read_table(table, columns=filter(None, named))
    root = table.parent if root is None else root
    if not root.is_dir():
        raise InputError(f"{root}: no such folder")
    if split:
        _refuse_leaks(frame, split=split, by=filter(None, (image, patient)), table=table)
    stems = [Path(path).stem for path in frame[image]]
    paths = [Path(path).with_suffix("").as_posix() for path in frame[image]]
    ids = stems if len(set(stems)) == len(set(paths)) else paths
    vocabularies = {name: _vocabulary(frame[name]) for name in labels}

    rows = (
        dict(zip(frame.columns, cells, strict=True)) for cells in frame.itertuples(index=False, name=None)
    )

    def drafts() -> Iterator[Draft | Rejection]:
        for number, (image_id, cells) in enumerate(zip(ids, rows, strict=True)):
            row = f"row {number + 2}"  # as a spreadsheet counts them, the header being row 1
            try:
                patient_id = cells[patient].strip() if patient else image_id
                study = _study(cells, image_id, patient_id, text=text, split=split, vocabularies=vocabularies)
                if not cells[image].strip():
                    raise InputError(f"no file in column {image!r}")
            except InputError as error:
                yield Rejection(str(table), row, str(error))
                continue
            files = AnnotationCells(
                root=root,
                boxes=cells[boxes] if boxes else "",
                masks=tuple((column, cells[column]) for column in masks if cells[column].strip()),
                fixations=cells[fixations].strip() if fixations else "",
            )
            yield Draft(
                study=study, image_file=root / cells[image].strip(), file=str(table), row=row, annotate=files
            )

    return Selection(len(frame), drafts())


def _refuse_leaks(frame: pd.DataFrame, *, split: str, by: Iterator[str], table: Path) -> None:
    for column in by:
        splits = (
            frame[frame[column].str.strip() != ""]
            .groupby(column, sort=False)[split]
            .agg(lambda s: sorted(set(s)))
        )
        leaks = splits[splits.map(len) > 1]
        if len(leaks):
            raise InputError(
                f"{table}: {column} {leaks.index[0]!r} is in several splits ({', '.join(leaks.iloc[0])})"
                f"{f', and so are {len(leaks) - 1} more' if len(leaks) > 1 else ''}; put all its rows in one"
            )


def _vocabulary(column: "pd.Series[str]") -> list[str] | None:
    """The names that occur in a column of names; None for a column of numbers."""
    cells = column.str.strip()
    if pd.to_numeric(cells[cells != ""], errors="coerce").notna().all():
        return None
    return sorted({name for cell in cells for name in _names(cell)})


def _names(cell: str) -> list[str]:
    return [name for part in cell.split("|") if (name := part.strip())]


def _study(
    cells: Mapping[str, str],
    image_id: str,
    patient_id: str,
    *,
    text: str,
    split: str,
    vocabularies: Mapping[str, list[str] | None],
) -> Study:
    report = cells[text]
    found = sections(report)
    plain = " ".join(report.split())
    if not plain:
        raise InputError(f"no text in column {text!r}")
    if not patient_id:
        raise InputError("no patient id")
    labels: dict[str, int] = {}
    for name, vocabulary in vocabularies.items():
        if vocabulary is None:
            value = label_value(cells[name], name=name)
            labels |= {} if value is None else {name: value}
        elif listed := _names(cells[name]):
            labels |= {word: int(word in listed) for word in vocabulary}
    return Study(
        image_id=image_id,
        study_id=image_id,
        patient_id=patient_id,
        split=split_name(cells[split]) if split else split_of(patient_id),
        report=report,
        findings=found.findings,
        impression=found.impression,
        text=found.text if found.findings or found.impression else plain,
        labels=labels,
    )
