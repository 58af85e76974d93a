"""JSON that people and annotation tools wrote: values of the types that are wanted, or what is wrong in one line."""

import json
import math
import re
from pathlib import Path
from typing import Any

from eclip.errors import InputError

_SURROGATE = re.compile("[\ud800-\udfff]")
_SHOWN = 60  # characters of what is wrong


def read_json(path: Path) -> Any:
    """The content of a file.

    Raises:
        InputError: No such file, or not JSON.
    """
    try:
        return parse_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: {'no such file' if not path.exists() else error.strerror}") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def parse_json(text: str | bytes) -> Any:
    """A value of any type.

    Raises:
        InputError: Not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{text[:_SHOWN]!r} is not JSON ({' '.join(str(error).split())[:100]})") from error


def an_object(value: Any, what: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        InputError: Something else.
    """
    if not isinstance(value, dict):
        raise InputError(f"{what}: {shown(value)} is no JSON object")
    return value


def a_list(value: Any, what: str) -> list[Any]:
    """A JSON list.

    Raises:
        InputError: Something else.
    """
    if not isinstance(value, list):
        raise InputError(f"{what}: {shown(value)} is no JSON list")
    return value


def a_number(value: Any, what: str) -> float:
    """A finite number.

    Raises:
        InputError: Something else.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            if math.isfinite(value):
                return float(value)
        except OverflowError:
            pass
    raise InputError(f"{what}: {shown(value)} is no number")


def a_name(value: Any, what: str) -> str:
    """A text or whole number, as text; "" for null.

    Raises:
        InputError: Something else, or a text that no file could hold.
    """
    if value is None:
        return ""
    if isinstance(value, str | int) and not isinstance(value, bool) and not _SURROGATE.search(str(value)):
        return str(value)
    raise InputError(f"{what}: {shown(value)} is no name")


def shown(value: Any) -> str:
    """A value, cut short for a message."""
    try:
        return ascii(value) if len(ascii(value)) <= _SHOWN else ascii(value)[:_SHOWN] + "…"
    except (ValueError, RecursionError):  # a whole number of thousands of digits
        return f"a {type(value).__name__}"
