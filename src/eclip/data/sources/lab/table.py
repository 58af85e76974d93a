"""Any lab's own data: a table with one row an image, and files that it names or that name its images (source `csv`)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from eclip.annotations.reading import Rejection
from eclip.data.reports import sections
from eclip.data.sources.cells import (
    age_years,
    read_rows,
    sex_name,
    split_name,
    split_of,
    view_name,
)
from eclip.data.sources.draft import Draft, Selection
from eclip.data.sources.lab.annotation_cells import BoxCell, GazeCell, MaskCell, Part, Parts
from eclip.data.sources.lab.coco import read_coco
from eclip.data.sources.lab.image_names import ImageNames, file_inside
from eclip.data.sources.lab.label_columns import ReadLabels, label_reader
from eclip.data.sources.lab.labelme import read_labelme
from eclip.data.sources.lab.layout import FIELDS, CellMarks, ColumnFormat, FileFormat, FileMarks, Layout
from eclip.data.sources.lab.layout_file import read_layout
from eclip.data.sources.lab.mask_folder import read_mask_folder
from eclip.data.sources.lab.narratives import read_narratives
from eclip.data.study import Study
from eclip.errors import InputError

_READERS: dict[
    FileFormat, Callable[[Path, ImageNames, str], tuple[dict[str, list[Part]], list[Rejection]]]
] = {
    "mask-folder": read_mask_folder,
    "coco": read_coco,
    "labelme": read_labelme,
    "narratives": read_narratives,
}


@dataclass(frozen=True, kw_only=True)
class Table:
    """Any lab's own data: a table with a column of image files and a column of texts.

    Example: eclip data build csv --table studies.csv --image file --text report --out store

    Attributes:
        mapping: YAML file that says all of this, and more: codes of labels, view, sex, age, encoding of the table. An
            option beside it takes the place of what it says; labels and annotations come together.
        table: CSV or TSV, gzipped or not.
        image: Column of image files. The file's stem is the image's id, or its path where stems are not unique.
        text: Column of reports.
        root: Folder that paths in the table are relative to; the table's own if not given.
        patient: Column of patient ids; without it each image is its own patient.
        split: Column of train, validate (val, valid, validation) or test; without it a hash splits patients 80/10/10.
        labels: Columns, as A,B, with 1, 0, -1 or blank, named after the label; or with names ("Edema|Fracture"), each
            of which becomes a label: 1 where listed, 0 where others are, not mentioned where blank.
        boxes: Column of boxes as JSON.
        masks: Columns, as A,B, of mask files.
        fixations: Column of files with fixations or raw samples.
        mask_folder: Folder of masks named like the images, or of one such folder a label.
        coco: COCO JSON with boxes, polygons or run-length masks.
        labelme: Folder of LabelMe's JSON files.
        narratives: JSON lines in the form of Localized Narratives.
    """

    mapping: Path | None = None
    table: Path | None = None
    image: str = ""
    text: str = ""
    root: Path | None = None
    patient: str = ""
    split: str = ""
    labels: tuple[str, ...] = ()
    boxes: str = ""
    masks: tuple[str, ...] = ()
    fixations: str = ""
    mask_folder: Path | None = None
    coco: Path | None = None
    labelme: Path | None = None
    narratives: Path | None = None

    def select(self) -> Selection:
        """Select the rows of the table.

        Raises:
            InputError: No such file or column, or an option that is missing.
        """
        layout = self._layout()
        table = layout.table
        assert table is not None
        root = table.parent if layout.root is None else layout.root
        if not root.is_dir():
            raise InputError(f"{root}: no such folder")
        rejected: list[Rejection] = []
        frame = read_rows(
            table,
            columns=layout.all_columns(),
            reject=rejected.append,
            separator=layout.separator,
            encoding=layout.encoding,
        )
        if frame.empty and not rejected:
            raise InputError(f"{table}: no row below the header")
        names = ImageNames(frame[layout.columns["image"]].tolist(), table)
        read_labels = label_reader(frame, layout.labels, table)
        of_image: dict[str, list[Part]] = {}
        for marks in layout.marks:
            if isinstance(marks, FileMarks):
                found, unknown = _READERS[marks.format](marks.path, names, marks.reader)
                rejected += unknown
                for image_id, parts in found.items():
                    of_image.setdefault(image_id, []).extend(parts)

        def drafts() -> Iterator[Draft | Rejection]:
            yield from rejected
            columns = frame.columns.tolist()
            rows = zip(frame.index, names.ids, frame.itertuples(index=False, name=None), strict=True)
            for number, image_id, values in rows:
                cells, row = dict(zip(columns, values, strict=True)), f"row {number}"
                try:
                    file = file_inside(root, cells[layout.columns["image"]])
                    study = _study(cells, image_id, layout.columns, read_labels)
                except InputError as error:
                    yield Rejection(str(table), row, str(error))
                    continue
                of_cells = _cell_parts(cells, layout, root, str(table), row)
                parts = (*of_cells, *of_image.get(image_id, ()))
                yield Draft(
                    study=study,
                    image_file=file,
                    file=str(table),
                    row=row,
                    annotate=Parts(parts) if parts else None,
                )

        return Selection(len(frame) + len(rejected), drafts)

    def _layout(self) -> Layout:
        """The mapping file's and the options' together.

        Raises:
            InputError: No table, image or text.
        """
        told = Layout() if self.mapping is None else read_layout(self.mapping)
        options = {name: getattr(self, name) for name in FIELDS if getattr(self, name, "")}
        of_cells: list[tuple[ColumnFormat, str]] = [("boxes", self.boxes), ("fixations", self.fixations)]
        of_cells += [("masks", column) for column in self.masks]
        of_files = [(format_, getattr(self, format_.replace("-", "_"))) for format_ in _READERS]
        layout = replace(
            told,
            table=self.table or told.table,
            root=self.root or told.root,
            columns={**told.columns, **options},
            labels=told.labels + self.labels,
            marks=(
                *told.marks,
                *(CellMarks(format=format_, column=column) for format_, column in of_cells if column),
                *(FileMarks(format=format_, path=path) for format_, path in of_files if path is not None),
            ),
        )
        missing = [name for name in ("image", "text") if name not in layout.columns]
        missing = ["table", *missing] if layout.table is None else missing
        if missing:
            options_ = " and ".join(f"--{name}" for name in missing)
            raise InputError(f"source csv needs {options_}, or a --mapping file that says it")
        return layout


def _cell_parts(cells: Mapping[str, str], layout: Layout, root: Path, table: str, row: str) -> Iterator[Part]:
    """What the row's own cells say of annotations; a column of masks stands for who drew them."""
    for marks in layout.marks:
        if isinstance(marks, FileMarks) or not (cell := cells[marks.column].strip()):
            continue
        if marks.format == "boxes":
            yield BoxCell(cell=cell, reader=marks.reader, file=table, row=row)
        elif marks.format == "masks":
            yield MaskCell(cell=cell, root=root, reader=marks.reader or marks.column, file=table, row=row)
        else:
            yield GazeCell(cell=cell, root=root, kind=marks.kind, reader=marks.reader, file=table, row=row)


def _study(
    cells: Mapping[str, str], image_id: str, columns: Mapping[str, str], read_labels: ReadLabels
) -> Study:
    told = {name: cells[column] for name, column in columns.items()}
    report = told["text"]
    plain = " ".join(report.split())
    if not plain:
        raise InputError(f"no text in column {columns['text']!r}")
    study_id = told.get("study", "").strip() or image_id
    patient_id = told.get("patient", study_id).strip()  # images of one study are of one person
    if not patient_id:
        raise InputError(f"no patient id in column {columns['patient']!r}")
    found = sections(report)
    return Study(
        image_id=image_id,
        study_id=study_id,
        patient_id=patient_id,
        split=split_name(told["split"]) if "split" in told else split_of(patient_id),
        view=view_name(told.get("view", "")),
        sex=sex_name(told.get("sex", "")),
        age=age_years(told.get("age", "")),
        report=report,
        findings=found.findings,
        impression=found.impression,
        text=found.text if found.findings or found.impression else plain,
        labels=read_labels(cells),
    )
