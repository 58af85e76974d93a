"""Tables as text, and what their cells mean: labels, splits."""

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from eclip.errors import InputError

_LABELS = {"1": 1, "1.0": 1, "0": 0, "0.0": 0, "-1": -1, "-1.0": -1}
_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validate", "val", "valid", "validation", "dev"), "validate"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def read_table(path: Path, *, columns: Iterable[str], only: bool = False) -> pd.DataFrame:
    """Read a CSV (or TSV, gzipped or not) with all cells as text, blank cells as "".

    Args:
        path: The file.
        columns: Columns that must be there.
        only: Leave the other columns out.

    Raises:
        InputError: No such file, not a table, or a column missing.
    """
    columns = list(columns)
    separator = "\t" if ".tsv" in path.suffixes else ","
    try:
        frame = pd.read_csv(
            path,
            sep=separator,
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
            usecols=(lambda name: name in columns) if only else None,
        )
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (OSError, EOFError, zlib.error, ValueError) as error:  # pandas' own errors are ValueErrors
        raise InputError(f"{path}: not a table that can be read ({' '.join(str(error).split())})") from error
    if not isinstance(frame.index, pd.RangeIndex):  # pandas would shift the cells to the left
        raise InputError(f"{path}: not a table that can be read (rows have more cells than the header)")
    for column in columns:
        if column not in frame:
            there = ", ".join(map(str, frame.columns[:20])) or "none of those wanted"
            raise InputError(f"{path}: no column {column!r}; there are: {there}")
    return frame


def label_value(cell: str, *, name: str) -> int | None:
    """1 present, 0 absent, -1 uncertain, None where the cell is blank.

    Raises:
        InputError: Anything else.
    """
    cell = cell.strip()
    if not cell:
        return None
    if cell not in _LABELS:
        raise InputError(f"label {name!r} is {cell!r}; expected 1, 0, -1 or blank")
    return _LABELS[cell]


def label_values(names: Sequence[str], cells: Sequence[str]) -> dict[str, int]:
    """The labels that are mentioned."""
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


def split_of(patient_id: str) -> str:
    """Split patients of whom no table tells it: 80 % train, 10 % validate, 10 % test; always the same."""
    place = int.from_bytes(hashlib.sha256(patient_id.encode()).digest()[:8]) / 2**64
    return "train" if place < 0.8 else "validate" if place < 0.9 else "test"
