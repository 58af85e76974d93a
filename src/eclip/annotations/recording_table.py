"""Tables of a recording as they come: quoted cells over several lines, broken rows, columns by other names."""

import codecs
import csv
import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO, cast

import numpy as np
import pandas as pd

from eclip.annotations.annotation import Region
from eclip.annotations.reading import Reject, Rejection
from eclip.errors import InputError

PART = 100_000
"""Rows that are held as text at a time."""

_LABELS = {"1": 1, "1.0": 1, "0": 0, "0.0": 0, "-1": -1, "-1.0": -1}


def table_file(folder: Path, name: str) -> Path:
    """`name`.csv in a folder, or `name` itself where it lies there without its ending, as MIMIC-Eye lists it."""
    bare = folder / name
    return bare if bare.is_file() else folder / f"{name}.csv"


def read_table(
    path: Path,
    *,
    columns: Sequence[str],
    reject: Reject,
    optional: Sequence[str] | None = None,
    aliases: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Read a CSV file, gzipped or not, with all cells as text, indexed by the line that each row begins on.

    Rows with too few or too many cells are rejected; blank lines are skipped.

    Args:
        path: The file.
        columns: Columns that must be there.
        reject: Takes the rows that are left out.
        optional: The other columns that are read if they are there; all of them if None.
        aliases: Other names of columns, to the names they get here.

    Raises:
        InputError: No such file, not a text table, or a column missing.
    """
    parts = read_parts(path, columns=columns, reject=reject, optional=optional, aliases=aliases)
    return pd.concat(list(parts))


def read_parts(
    path: Path,
    *,
    columns: Sequence[str],
    reject: Reject,
    optional: Sequence[str] | None = None,
    aliases: Mapping[str, str] | None = None,
) -> Iterator[pd.DataFrame]:
    """`read_table` for tables too large to hold as text: at most `PART` rows at a time, and at least one part."""
    with opened(path, encoding="utf-8-sig", errors="replace") as file:  # a broken byte spoils its cell alone
        rows = _numbered(file)
        _, header = next(rows, (0, []))
        names = [(aliases or {}).get(name.strip(), name.strip()) for name in header]
        for column in columns:
            if column not in names:
                there = " ".join(", ".join(names).split())[:200] or "none"
                raise InputError(f"{path}: no column {column!r}; there are: {there}")
        wanted = set(names if optional is None else (*columns, *optional))
        kept = [i for i, name in enumerate(names) if name in wanted and name not in names[:i]]
        lines: list[int] = []
        cells: list[list[str]] = []
        for line, row in rows:
            if len(row) == len(names):
                lines.append(line)
                cells.append([row[i] for i in kept])
            else:
                reject(Rejection(str(path), f"line {line}", f"{len(row)} cells, expected {len(names)}"))
            if len(lines) == PART:
                yield _frame(lines, cells, [names[i] for i in kept])
                lines, cells = [], []
        yield _frame(lines, cells, [names[i] for i in kept])


@contextmanager
def opened(path: Path, *, encoding: str, errors: str) -> Iterator[TextIO]:
    """Open a table, gzipped or not; what turns out to be wrong while it is read is told in one line, too.

    Raises:
        InputError: No such file, or not a text table.
    """
    try:
        opening = gzip.open if path.suffix == ".gz" else open
        with opening(path, "rb") as binary:
            if binary.read(2) in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE} and "16" not in encoding:
                raise InputError(
                    f'{path}: UTF-16 text, as Excel\'s "Unicode text" is; save it as CSV in UTF-8'
                )
        with opening(path, "rt", encoding=encoding, errors=errors, newline="") as file:
            yield cast(TextIO, file)
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (OSError, EOFError, zlib.error, ValueError, csv.Error) as error:
        raise InputError(f"{path}: not a table that can be read ({' '.join(str(error).split())})") from error


def _frame(lines: list[int], cells: list[list[str]], names: list[str]) -> pd.DataFrame:
    return pd.DataFrame(cells, index=lines, columns=names, dtype=object)


def read_numbers(frame: pd.DataFrame, columns: Sequence[str], *, path: Path, reject: Reject) -> pd.DataFrame:
    """Turn columns of text into float64; rows with a cell that is no finite number are rejected and left out."""
    numbers = frame[list(columns)].apply(pd.to_numeric, errors="coerce").astype(np.float64)
    broken = ~np.isfinite(numbers.to_numpy())
    usable = ~broken.any(axis=1)
    for row in np.flatnonzero(~usable).tolist():
        name = columns[int(broken[row].argmax())]
        reason = f"{name} is {frame[name].iloc[row][:40]!r}, expected a number"
        reject(Rejection(str(path), f"line {frame.index[row]}", reason))
    return frame.assign(**{name: numbers[name] for name in columns})[usable]


def label_value(cell: str, *, name: str) -> int | None:
    """1 present, 0 absent, -1 uncertain, None where the cell is blank.

    Raises:
        InputError: Anything else.
    """
    cell = cell.strip()
    if not cell:
        return None
    if cell not in _LABELS:
        raise InputError(f"label {name!r} is {cell[:40]!r}; expected 1, 0, -1 or blank")
    return _LABELS[cell]


def read_extents(frame: pd.DataFrame, columns: Sequence[str], *, path: Path, reject: Reject) -> pd.DataFrame:
    """Turn the columns of a box's left, top, right and bottom into float64; boxes without area are rejected."""
    frame = read_numbers(frame, columns, path=path, reject=reject)
    left, top, right, bottom = (frame[name] for name in columns)
    usable = (left < right) & (top < bottom)
    for line in frame.index[~usable]:
        reject(Rejection(str(path), f"line {line}", f"no area between {columns[:2]} and {columns[2:]}"))
    return frame[usable]


def region_of(extent: Sequence[float], size: tuple[int, int]) -> Region:
    """The region of a box (left, top, right, bottom) in pixels of an image of a size (width, height)."""
    (left, top, right, bottom), (width, height) = extent, size
    return Region(((left / width, top / height), (right / width, bottom / height)))


def _numbered(file: TextIO) -> Iterator[tuple[int, list[str]]]:
    """Rows with the number of the line that each begins on."""
    reader, line = csv.reader(file), 1
    for row in reader:
        if row:
            yield line, row
        line = reader.line_num + 1
