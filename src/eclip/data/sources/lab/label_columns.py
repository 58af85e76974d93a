"""Labels from the columns of a lab's table, however they are written."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pandas as pd

from eclip.data.sources.lab.layout import CODES, CodedLabels, NamedLabels
from eclip.errors import InputError

ReadLabels = Callable[[Mapping[str, str]], dict[str, int]]
"""From a row's cells by column to the labels that it mentions. Raises InputError for a cell that is no label."""


_TRUTHS = CODES | {
    **dict.fromkeys(("true", "yes", "y", "present", "positive"), 1),
    **dict.fromkeys(("false", "no", "n", "absent", "negative"), 0),
}
_NO_NAMES = {"true", "false", "yes", "no", "y", "n"}


def code(cell: str) -> str:
    """A cell as labels are compared: numbers by value (1 is 1.0), texts whatever their case."""
    text = cell.strip().casefold()
    try:
        number = float(text)
    except ValueError:
        return text
    if not math.isfinite(number):
        return text
    return str(int(number)) if number.is_integer() else str(number)


def label_reader(
    frame: pd.DataFrame, groups: Iterable[CodedLabels | NamedLabels | str], table: Path
) -> ReadLabels:
    """Learn the vocabularies of a table, and return what reads its rows.

    Columns that come alone hold numbers if most of their cells are some, truths if all are ("yes", "false", …), else
    names from one vocabulary.

    Raises:
        InputError: Two columns give one label, or truths are mixed with what may be names.
    """
    groups = list(groups)
    alone = [group for group in groups if isinstance(group, str)]
    numbers = [column for column in alone if _holds_numbers(frame[column])]
    truths = [column for column in alone if column not in numbers and _holds_truths(frame[column], table)]
    names = tuple(column for column in alone if column not in numbers + truths)
    told: list[CodedLabels | NamedLabels] = [group for group in groups if not isinstance(group, str)]
    told += [
        CodedLabels(columns={column: column for column in numbers}),
        CodedLabels(columns={column: column for column in truths}, codes=_TRUTHS),
        NamedLabels(columns=names),
    ]
    coded = [group for group in told if isinstance(group, CodedLabels)]
    named = [(group, _vocabulary(frame, group)) for group in told if isinstance(group, NamedLabels)]

    given = [name for group in coded for name in group.columns.values()]
    given += [name for _, vocabulary in named for name in vocabulary]
    for name, count in Counter(given).items():
        if count > 1:
            raise InputError(f"{table}: label {name[:60]!r} comes from {count} columns; rename one of them")

    def read(cells: Mapping[str, str]) -> dict[str, int]:
        labels: dict[str, int] = {}
        for group in coded:
            for column, name in group.columns.items():
                if (value := _value(cells[column], group.codes, name)) is not None:
                    labels[name] = value
        for names_group, vocabulary in named:
            listed = {name for column in names_group.columns for name in _names(cells[column], names_group)}
            if listed:
                labels |= {name: int(name in listed) for name in vocabulary}
        return labels

    return read


def _holds_numbers(cells: "pd.Series[str]") -> bool:
    told = cells[cells.str.strip() != ""]
    return bool(pd.to_numeric(told, errors="coerce").notna().mean() > 0.5) if len(told) else True


def _holds_truths(cells: "pd.Series[str]", table: Path) -> bool:
    told = {text for cell in cells if (text := code(cell))}
    others = told - set(_TRUTHS)
    if told & _NO_NAMES and others:
        raise InputError(
            f"{table}: column {str(cells.name)!r} holds {min(told & _NO_NAMES)!r} and {min(others)[:40]!r}; "
            "write 1, 0 and -1 (uncertain), or say with --mapping what its cells mean"
        )
    return bool(told) and not others


def _value(cell: str, codes: Mapping[str, int], name: str) -> int | None:
    """1, 0, -1, or None where the cell is blank and blanks have no meaning."""
    key = code(cell)
    if key not in codes and key:
        raise InputError(f"label {name!r} is {cell[:40]!r}; expected {', '.join(codes)} or blank")
    return codes.get(key)


def _vocabulary(frame: pd.DataFrame, group: NamedLabels) -> list[str]:
    """All names that occur, in order."""
    cells = {cell for column in group.columns for cell in frame[column]}
    return sorted({name for cell in cells for name in _names(cell, group)})


def _names(cell: str, group: NamedLabels) -> list[str]:
    names = (part.strip() for part in cell.split(group.separator))
    return [group.rename.get(name, name) for name in names if name]
