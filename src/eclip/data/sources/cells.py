"""Tables as text, and what their cells mean: labels, splits, sex, age."""

import codecs
import csv
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from os.path import normpath
from pathlib import Path
from typing import Any

import pandas as pd

from eclip.annotations.reading import Reject, Rejection
from eclip.annotations.recording_table import label_value, opened
from eclip.errors import InputError

_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validate", "val", "valid", "validation", "dev"), "validate"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_VIEW_CODES = {name: name for name in ("PA", "AP", "FRONTAL", "LATERAL", "LL")} | {"RL": "LATERAL"}
_SEXES = {"f": "F", "female": "F", "m": "M", "male": "M"}
_AGE = re.compile(r"(\d{1,3}(?:\.\d{1,3})?)(?:\s*-\s*(\d{1,3}))?\s*([YMWD])?", re.IGNORECASE)
_VIEWS = {"pa": "PA", "ap": "AP", "frontal": "FRONTAL", "lateral": "LATERAL", "lat": "LATERAL", "ll": "LL"}
_BROKEN_BYTES = re.compile("[\ud800-\udfff]")  # what is left of them
_NOT_IN_PATHS = re.compile("[\x00-\x1f\ud800-\udfff]")
_LONGEST_PATH = 1000  # characters
OLDEST = 120  # years
YES_OR_NO = {"0": 0, "0.0": 0, "1": 1, "1.0": 1}
"""What cells mean that can be neither blank nor uncertain."""


def read_rows(
    path: Path,
    *,
    columns: Iterable[str],
    reject: Reject,
    optional: Iterable[str] = (),
    short: bool = False,
    separator: str = "",
    encoding: str = "utf-8",
) -> pd.DataFrame:
    """Read a table that people made, indexed by row as a spreadsheet counts them (the header is row 1).

    A row that is broken costs no other: rows with too few or too many cells, or with bytes that
    are not of the encoding, are rejected. Blank rows are skipped, columns that were not named left out.

    Args:
        path: CSV or TSV, gzipped or not.
        columns: Columns that must be there.
        reject: Takes the rows that are left out.
        optional: Columns that are read where they are there.
        short: Whether a row may end before the header does; the cells that it lacks are "".
        separator: Of cells; a comma, or a tab in a TSV, if "".
        encoding: Of the file, by Python's name.

    Raises:
        InputError: No such file, not a table, a column missing or there twice, or an unknown encoding.
    """
    columns = list(dict.fromkeys(columns))
    separator = separator or ("\t" if ".tsv" in path.suffixes else ",")
    numbers, kept = [], []
    try:
        known = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
        with opened(path, encoding=known, errors="surrogateescape") as file:
            rows = csv.reader(file, delimiter=separator)
            header = [name.strip() for name in next(rows, [])]
            columns += [name for name in dict.fromkeys(optional) if name in header and name not in columns]
            places = [_place(name, header, path) for name in columns]
            for number, cells in enumerate(_told(rows), 2):
                if not cells:
                    continue
                if short:
                    cells += [""] * (len(header) - len(cells))
                if len(cells) != len(header):
                    reason = f"{len(cells)} cells, expected {len(header)} as in the header"
                elif any(_BROKEN_BYTES.search(cells[place]) for place in places):
                    how = "save the table as UTF-8 (source csv: or say its `encoding` in a --mapping file)"
                    reason = f"bytes that are not {encoding}; {how}"
                else:
                    numbers.append(number)
                    kept.append([cells[place] for place in places])
                    continue
                reject(Rejection(str(path), f"row {number}", reason))
    except LookupError as error:
        raise InputError(f"{path}: {encoding!r} is not an encoding; expected utf-8, cp1252, …") from error
    return pd.DataFrame(kept, index=numbers, columns=columns, dtype=object)


def _told(rows: Any) -> Iterator[list[str]]:
    """The rows; a cell that is too long, which a quote that is never closed makes, is told with its line."""
    try:
        yield from rows
    except csv.Error as error:
        raise csv.Error(f"line {rows.line_num}: {error}; is a quote never closed?") from error


def _place(name: str, header: Sequence[str], path: Path) -> int:
    if name in header:
        if header.count(name) > 1:
            raise InputError(
                f"{path}: column {name!r} is there {header.count(name)} times; rename one of them"
            )
        return header.index(name)
    if not header:
        raise InputError(f"{path}: empty; expected a header with {name!r}, and a row an image")
    there = " ".join(", ".join(header[:20])[:300].encode(errors="replace").decode().split())
    other = next((mark for mark in ";\t|," if len(header) == 1 and mark in header[0]), "")
    hint = f"; cells seem to be separated by {json.dumps(other)} (source csv: say `separator` in a --mapping file)"
    raise InputError(f"{path}: no column {name!r}; there are: {there}{hint if other else ''}")


def stripped(rows: pd.DataFrame) -> pd.DataFrame:
    """The same cells without white space around them."""
    return rows.apply(lambda cells: cells.str.strip())


def path_inside(root: Path, cell: str) -> Path:
    """The file that a cell names, in a dataset's folder; links in that folder may lead elsewhere.

    Raises:
        InputError: No path, or one that leaves the folder.
    """
    name = cell.strip()
    if not name or len(name) > _LONGEST_PATH or _NOT_IN_PATHS.search(name):
        raise InputError(f"{name[:60]!r} is not the name of a file")
    # By its words alone: links are the user's own. Most names need no look, and there may be 400,000.
    may_leave = name[0] in "/\\" or ":" in name or ".." in name
    if may_leave and not Path(normpath((root / name).absolute())).is_relative_to(normpath(root.absolute())):
        raise InputError(
            f"{name!r} is outside the folder {root}; name the folder that holds all files as the root"
        )
    return root / name


def label_values(names: Sequence[str], cells: Sequence[str]) -> dict[str, int]:
    """The labels that are mentioned, from 1, 0, -1 or blank.

    Raises:
        InputError: Another cell.
    """
    values = ((name, label_value(cell, name=name)) for name, cell in zip(names, cells, strict=True))
    return {name: value for name, value in values if value is not None}


def split_name(cell: str) -> str:
    """train, validate or test, however it is spelled.

    Raises:
        InputError: Another name.
    """
    name = _SPLITS.get(cell.strip().lower())
    if name is None:
        raise InputError(f"split is {cell!r}; expected train, validate or test")
    return name


def split_of(patient_id: str, *, test: bool = True) -> str:
    """Split patients of whom no table tells it: 80 % train, 10 % validate, 10 % test; always the same.

    Without `test` (where a dataset names its test set, but not what to validate on) 90 % train, 10 % validate.
    """
    place = int.from_bytes(hashlib.sha256(patient_id.encode()).digest()[:8]) / 2**64
    if not test:
        return "train" if place < 0.9 else "validate"
    return "train" if place < 0.8 else "validate" if place < 0.9 else "test"


def view_code(cell: str) -> str:
    """PA, AP, FRONTAL, LATERAL or LL where a header or table says exactly that (RL is LATERAL), else ""."""
    return _VIEW_CODES.get(cell.strip().upper(), "")


def view_name(cell: str) -> str:
    """PA, AP, FRONTAL, LATERAL or LL, whatever else is said ("AP supine"); "" for anything else, or for two of them."""
    names = {_VIEWS[word] for word in re.findall("[a-z]+", cell.lower()) if word in _VIEWS}
    return names.pop() if len(names) == 1 else ""


def sex_name(cell: str) -> str:
    """F or M, however it is spelled; "" for anything else: it is told, or it is not."""
    return _SEXES.get(cell.strip().lower(), "")


def age_years(cell: str) -> int | None:
    """Whole years from "58", "58.0", "058Y" (DICOM; "010M" are months) or "50 - 60" (the middle).

    None where it is blank, no age, or no human's age: ChestX-ray14 has patients of 400 years.
    """
    match = _AGE.fullmatch(cell.strip())
    if match is None:
        return None
    low, high, unit = float(match[1]), float(match[2] or match[1]), match[3] or "Y"
    years = (low + high) / 2 / {"Y": 1, "M": 12, "W": 52, "D": 365}[unit.upper()]
    return int(years) if years <= OLDEST else None
