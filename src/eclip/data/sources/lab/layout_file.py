"""The YAML file in which a lab says how its table is laid out (`--mapping`); docs/your-own-data.md describes it.

Scalars are taken as they are written, so that `yes`, `no` and `1` are what stands in the table's cells.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from eclip.data.sources.lab.label_columns import code
from eclip.data.sources.lab.layout import (
    CODES,
    COLUMN_FORMATS,
    FIELDS,
    FILE_FORMATS,
    CellMarks,
    CodedLabels,
    FileMarks,
    Layout,
    NamedLabels,
)
from eclip.errors import InputError

T = TypeVar("T")

_LARGEST = 200_000  # bytes
_VALUES = {"present": 1, "absent": 0, "uncertain": -1}


def read_layout(path: Path) -> Layout:
    """Read a mapping file. Paths in it are relative to it.

    Raises:
        InputError: No such file, not YAML, a key that is not known, or a value of the wrong kind.
    """
    return _Reader(path).layout(_compose(path))


class _Loader(yaml.SafeLoader):
    """Refuses aliases, by which a small file can stand for a huge one."""

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(
                None, None, "aliases (*) are not read", self.peek_event().start_mark
            )
        return super().compose_node(parent, index)


def _compose(path: Path) -> yaml.Node | None:
    """The nodes of a file, with their lines; nothing is constructed from them."""
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); expected a YAML file") from error
    if len(text) > _LARGEST:
        raise InputError(f"{path}: larger than {_LARGEST:,} bytes; expected a small YAML file")
    try:
        return yaml.compose(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: not YAML that can be read ({' '.join(str(error).split())[:200]})"
        ) from error


class _Reader:
    """Reads nodes; errors name file and line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def layout(self, node: yaml.Node | None) -> Layout:
        if node is None:
            raise InputError(f"{self._path}: empty; expected table, columns, …")
        told = self._entries(
            node, ("table", "root", "separator", "encoding", "columns", "labels", "annotations")
        )
        columns = self._entries(told["columns"], FIELDS) if "columns" in told else {}
        separator = self._text(told["separator"]) if "separator" in told else ""
        if len(separator) > 1 or separator in {"\n", "\r", '"'}:
            raise self._error(told["separator"], f"separator is {separator!r}; expected one character")
        return Layout(
            table=self._file(told["table"]) if "table" in told else None,
            root=self._file(told["root"]) if "root" in told else None,
            separator=separator,
            encoding=self._text(told["encoding"]) if "encoding" in told else "utf-8",
            columns={name: self._text(value) for name, value in columns.items()},
            labels=tuple(self._each(told.get("labels"), self._labels)),
            marks=tuple(
                marks for found in self._each(told.get("annotations"), self._marks) for marks in found
            ),
        )

    def _labels(self, node: yaml.Node) -> CodedLabels | NamedLabels | str:
        if isinstance(node, yaml.ScalarNode):
            return self._text(node)
        told = self._entries(node, ("columns", *_VALUES, "names", "separator", "rename"))
        names = ("names", "separator", "rename")
        if ("columns" in told) == ("names" in told):
            raise self._error(
                node, "expected either columns (a label each) or names (columns that list labels)"
            )
        for key, value in told.items():
            if (key in names) != ("names" in told):
                raise self._error(
                    value, f"{key!r} does not go with {'names' if 'names' in told else 'columns'!r}"
                )
        if "names" in told:
            rename = self._texts_of(told["rename"]) if "rename" in told else {}
            separator = self._text(told["separator"]) if "separator" in told else "|"
            return NamedLabels(columns=self._texts(told["names"]), separator=separator, rename=rename)
        columns = (
            self._texts_of(told["columns"])
            if isinstance(told["columns"], yaml.MappingNode)
            else {column: column for column in self._texts(told["columns"])}
        )
        codes: dict[str, int] = {}
        for key, meaning in _VALUES.items():
            for cell in map(code, self._texts(told[key], blank=True) if key in told else ()):
                if codes.setdefault(cell, meaning) != meaning:
                    raise self._error(told[key], f"{cell!r} has two meanings")
        return CodedLabels(columns=columns, codes=codes or CODES)

    def _marks(self, node: yaml.Node) -> list[CellMarks | FileMarks]:
        formats = (*COLUMN_FORMATS, *FILE_FORMATS)
        told = self._entries(node, (*formats, "reader", "kind"))
        given = [key for key in told if key in formats]
        if len(given) != 1:
            raise self._error(node, f"expected one of {', '.join(formats)}, and perhaps reader")
        reader = self._text(told["reader"]) if "reader" in told else ""
        kind = self._text(told["kind"]) if "kind" in told else "gaze"
        if kind not in ("gaze", "pointer") or ("kind" in told and given != ["fixations"]):
            raise self._error(
                told["kind"], f"kind is {kind!r}; expected gaze or pointer, and only of fixations"
            )
        where = told[given[0]]
        for format_ in FILE_FORMATS:
            if given == [format_]:
                return [FileMarks(format=format_, path=self._file(where), reader=reader)]
        return [
            CellMarks(format=format_, column=column, reader=reader, kind=kind)  # type: ignore[arg-type]
            for format_ in COLUMN_FORMATS
            if given == [format_]
            for column in self._texts(where)
        ]

    def _entries(self, node: yaml.Node, known: Iterable[str]) -> Mapping[str, yaml.Node]:
        """The values of a mapping by key.

        Raises:
            InputError: No mapping, or a key that is not known or comes twice.
        """
        known = tuple(known)
        if not isinstance(node, yaml.MappingNode):
            raise self._error(node, f"expected keys ({', '.join(known)}) with values")
        entries: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = self._text(key)
            if name not in known or name in entries:
                what = "comes twice" if name in entries else "is not a key here"
                raise self._error(key, f"{name[:60]!r} {what}; the keys are {', '.join(known)}")
            entries[name] = value
        return entries

    def _texts_of(self, node: yaml.Node) -> dict[str, str]:
        """A mapping of texts to texts."""
        if not isinstance(node, yaml.MappingNode):
            raise self._error(node, "expected names with values")
        texts: dict[str, str] = {}
        for key, value in node.value:
            if (name := self._text(key)) in texts:
                raise self._error(key, f"{name[:60]!r} comes twice")
            texts[name] = self._text(value)
        return texts

    def _each(self, node: yaml.Node | None, read: Callable[[yaml.Node], T]) -> list[T]:
        """The items of a list; a single one may stand for itself."""
        if node is None:
            return []
        return [read(item) for item in (node.value if isinstance(node, yaml.SequenceNode) else [node])]

    def _texts(self, node: yaml.Node, *, blank: bool = False) -> tuple[str, ...]:
        return tuple(self._each(node, lambda item: self._text(item, blank=blank)))

    def _text(self, node: yaml.Node, *, blank: bool = False) -> str:
        """A scalar as it is written.

        Raises:
            InputError: A list or mapping, a blank, or what no file could hold.
        """
        if not isinstance(node, yaml.ScalarNode):
            raise self._error(node, "expected a text or number")
        if not (node.value or blank) or any("\ud800" <= character <= "\udfff" for character in node.value):
            raise self._error(node, f"{node.value[:60]!r}: expected a text or number")
        return node.value

    def _file(self, node: yaml.Node) -> Path:
        name = self._text(node)
        if any(character < " " for character in name):
            raise self._error(node, f"{name[:60]!r} is not the name of a file")
        return self._path.parent / name

    def _error(self, node: yaml.Node, reason: str) -> InputError:
        return InputError(f"{self._path}, line {node.start_mark.line + 1}: {reason}")
