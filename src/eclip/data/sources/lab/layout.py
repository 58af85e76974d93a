"""How a lab's own table is laid out: what its columns mean, and where annotations lie."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

FIELDS = ("image", "text", "patient", "study", "split", "view", "sex", "age")
"""What a column can hold, beside labels and annotations."""

CODES = {"1": 1, "0": 0, "-1": -1}
"""How labels are written if nobody says so."""

ColumnFormat = Literal["boxes", "masks", "fixations"]
FileFormat = Literal["mask-folder", "coco", "labelme", "narratives"]
COLUMN_FORMATS: tuple[ColumnFormat, ...] = ("boxes", "masks", "fixations")
FILE_FORMATS: tuple[FileFormat, ...] = ("mask-folder", "coco", "labelme", "narratives")


@dataclass(frozen=True, slots=True, kw_only=True)
class CodedLabels:
    """Columns that hold one label each.

    Attributes:
        columns: Column to the label's name.
        codes: What a cell may be (see `code`) to 1, 0 or -1. Blank cells mention nothing unless "" is among them.
    """

    columns: Mapping[str, str]
    codes: Mapping[str, int] = field(default_factory=lambda: CODES)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedLabels:
    """Columns whose cells list the names of what is present.

    Attributes:
        columns: All of them list from one vocabulary.
        separator: Of names in a cell.
        rename: Name in a cell to the label's name.
    """

    columns: tuple[str, ...]
    separator: str = "|"
    rename: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellMarks:
    """Annotations that a column holds or names.

    Attributes:
        format: Of the cells.
        column: The column.
        reader: Who made them.
        kind: Of fixations.
    """

    format: ColumnFormat
    column: str
    reader: str = ""
    kind: Literal["gaze", "pointer"] = "gaze"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMarks:
    """Annotations in a file or folder of their own, which names the images.

    Attributes:
        format: Of the file or folder.
        path: Where it lies.
        reader: Who made them.
    """

    format: FileFormat
    path: Path
    reader: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """All that must be known to read a lab's table.

    Attributes:
        table: The table.
        root: Folder that files named in the table are relative to; the table's own if None.
        separator: Of cells; a comma, or a tab in a TSV, if "".
        encoding: Of the table, by Python's name.
        columns: Of `FIELDS`, those that there are, to their column.
        labels: In groups; a column alone where its cells decide whether they are numbers or names.
        marks: Annotations.
    """

    table: Path | None = None
    root: Path | None = None
    separator: str = ""
    encoding: str = "utf-8"
    columns: Mapping[str, str] = field(default_factory=dict)
    labels: tuple[CodedLabels | NamedLabels | str, ...] = ()
    marks: tuple[CellMarks | FileMarks, ...] = ()

    def all_columns(self) -> list[str]:
        """The columns that must be there."""
        of_labels = [
            column
            for group in self.labels
            for column in ((group,) if isinstance(group, str) else group.columns)
        ]
        of_marks = [marks.column for marks in self.marks if isinstance(marks, CellMarks)]
        return [*self.columns.values(), *of_labels, *of_marks]
