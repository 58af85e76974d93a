"""GazeSearch and GazeIntent: fixations of EGD-CXR and REFLACX on a square of 224 pixels, with what was looked for.

Both are JSON lists in the form of COCO-Search18: an item is one scan path over one image, with lists of its
fixations' places (`X`, `Y`) and durations (`T`). Repositories UARK-AICV/GazeSearch and UARK-AICV/RadGazeIntent.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path, PurePath
from statistics import median
from typing import Any

from eclip.annotations.annotation import Annotation, Fixation, Sentence
from eclip.annotations.reading import Reject, Rejection
from eclip.annotations.sentences import encodable
from eclip.errors import InputError

FRAME = 224
"""Width and height of the frame in pixels: the whole image, squeezed. Not documented, but places fill it both ways."""

_LARGEST_FILE = 128 * 2**20  # bytes; lists of numbers are several times as large in memory
_LARGEST = 1e9  # what is beyond is no pixel and no duration
_LONGEST = 20  # as a median of durations: too long for seconds, too short for milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPath:
    """One scan path over one image.

    Attributes:
        file: Where it stands.
        row: "item 17" of the file, counted from 1.
        image_id: The image file's name without its ending: a DICOM id of MIMIC-CXR.
        split: As the item tells it, or "".
        annotation: Of kind "gaze".
    """

    file: Path
    row: str
    image_id: str
    split: str
    annotation: Annotation


def read_scan_paths(path: Path, *, dataset: str, reject: Reject) -> Iterator[ScanPath]:
    """Read the scan paths of a file, or of all `*.json` files in a folder.

    Places become fractions of the image, x / 224 and y / 224, outside the frame too. A fixation starts when the
    one before it ends: pauses between them are not recorded.

    GazeSearch: `T` is in seconds. The annotation's label is the finding that was searched for, spelled as
    CheXpert does. GazeIntent: the unit of `T` is not documented; a file whose median is above 20 is taken to be in
    milliseconds, any other in seconds. Consecutive fixations with the same finding become a sentence, the
    finding's name, over the seconds in which it was looked for.

    Args:
        path: File or folder.
        dataset: "gazesearch" or "gazeintent".
        reject: Takes the items that cannot be used.

    Raises:
        InputError: No such file, or a file that is no JSON list.
    """
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise InputError(f"{path}: no .json file in this folder; expected the scan paths of {dataset}")
    for file in files:
        items = _items(file)
        per_second = _ticks_per_second(items) if dataset == "gazeintent" else 1
        for number, item in enumerate(items, start=1):
            row = f"item {number}"
            try:
                if not isinstance(item, dict):
                    raise InputError(f"{_shown(item)}: expected an object with name, X, Y, T")
                yield ScanPath(
                    file=file,
                    row=row,
                    image_id=PurePath(_text(item, "name")).stem,
                    split=_text(item, "split") if "split" in item else "",
                    annotation=_annotation(item, dataset, per_second),
                )
            except InputError as error:
                reject(Rejection(str(file), row, str(error)))


def _items(file: Path) -> list[Any]:
    try:
        if (size := file.stat().st_size) > _LARGEST_FILE:
            raise InputError(f"{file}: {size} bytes; expected scan paths, {_LARGEST_FILE} bytes at most")
        items = json.loads(file.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"{file}: no such file or folder; expected scan paths as JSON") from error
    except InputError:
        raise
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"{file}: not JSON that can be read ({' '.join(str(error).split())})") from error
    if not isinstance(items, list):
        raise InputError(f"{file}: {_shown(items)}; expected a JSON list of scan paths")
    return items


def _ticks_per_second(items: Sequence[Any]) -> int:
    """1 for durations in seconds, 1000 for milliseconds: by their size, since no one tells it."""
    lists = (item["T"] for item in items if isinstance(item, dict) and isinstance(item.get("T"), list))
    durations = [duration for ts in lists for duration in ts if _is_number(duration)]
    return 1000 if durations and median(durations) > _LONGEST else 1


def _annotation(item: dict[str, Any], dataset: str, per_second: int) -> Annotation:
    x, y, durations = (_numbers(item, name) for name in "XYT")
    if not len(x) == len(y) == len(durations) > 0:
        raise InputError(f"{len(x)} X, {len(y)} Y, {len(durations)} T; expected as many of each, and some")
    if min(durations) < 0:
        raise InputError(f"T has {min(durations)}; expected durations")
    times = [tick / per_second for tick in accumulate(durations, initial=0.0)]
    fixations = map(Fixation, [left / FRAME for left in x], [top / FRAME for top in y], times[:-1], times[1:])
    return Annotation(
        "gaze",
        reader=_reader(item, dataset),
        label=_words(_text(item, "task")).title() if dataset == "gazesearch" else "",
        fixations=tuple(fixations),
        sentences=_looked_for(item["findings"], times) if "findings" in item else (),
    )


def _looked_for(findings: Any, times: Sequence[float]) -> tuple[Sentence, ...]:
    """What each fixation was for, as sentences; `times`: when fixations start, and when the last one ends."""
    if not isinstance(findings, list) or len(findings) != len(times) - 1:
        raise InputError(f"findings is {_shown(findings)}; expected a list with one for each fixation")
    since: dict[str, int] = {}
    sentences: list[Sentence] = []
    for number, names in enumerate([*map(_names, findings), ()]):
        over = [name for name in since if name not in names]
        sentences += [Sentence(name, times[since.pop(name)], times[number]) for name in over]
        for name in names:
            since.setdefault(name, number)
    return tuple(sorted(sentences, key=lambda sentence: sentence.start))


def _names(finding: Any) -> tuple[str, ...]:
    """A finding's name, several in a list, or none ("null")."""
    names = finding if isinstance(finding, list) else [finding]
    if not all(name is None or isinstance(name, str) for name in names):
        raise InputError(f"findings has {_shown(finding)}; expected a name, a list of names or null")
    return tuple(words for name in names if (words := _words(name or "")) not in {"", "null"})


def _reader(item: dict[str, Any], dataset: str) -> str:
    subject = item.get("subject", "")
    if isinstance(subject, bool) or not isinstance(subject, int | str):
        raise InputError(f"subject is {_shown(subject)}; expected a number")
    return f"{dataset}-{encodable(str(subject))}" if subject != "" else dataset


def _numbers(item: dict[str, Any], name: str) -> list[float]:
    values = item.get(name)
    if not isinstance(values, list):
        raise InputError(f"{name} is {_shown(values)}; expected a list of numbers")
    for value in values:
        if not _is_number(value):
            raise InputError(f"{name} has {_shown(value)}; expected a number")
    return [float(value) for value in values]


def _is_number(value: Any) -> bool:
    """Neither true nor NaN, and of a size that has a meaning here."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


def _text(item: dict[str, Any], name: str) -> str:
    value = item.get(name)
    if not isinstance(value, str):
        raise InputError(f"{name} is {_shown(value)}; expected text")
    return encodable(value)


def _words(name: str) -> str:
    """A finding as one reads it: "pleural_effusion" is "pleural effusion"."""
    return " ".join(encodable(name).replace("_", " ").split())


def _shown(value: Any) -> str:
    """A value in a message; lists and objects may be huge or deep."""
    if isinstance(value, list | dict):
        return f"a {'list' if isinstance(value, list) else 'JSON object'} of {len(value)}"
    return f"{value!r:.60}"
