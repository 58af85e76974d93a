"""Localized Narratives: a description that was spoken while a pointer showed what it speaks of.

Pont-Tuset et al., "Connecting Vision and Language with Localized Narratives", ECCV 2020: JSON lines with `image_id`,
`annotator_id`, `caption`, `timed_caption` (words with `start_time` and `end_time` in seconds) and `traces` (strokes of
points with `x` and `y` in fractions of the image and `t` in seconds).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eclip.annotations.annotation import Annotation, Fixation
from eclip.annotations.reading import Rejection
from eclip.annotations.sentences import Word, group_sentences
from eclip.data.images import Shrunk
from eclip.data.sources.lab.annotation_cells import Part
from eclip.data.sources.lab.image_names import ImageNames
from eclip.data.sources.lab.json_values import a_list, a_name, a_number, an_object, parse_json
from eclip.errors import InputError

_FAR = 1e6  # fractions of an image, or seconds
_LONGEST_LINE = 64_000_000  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrative:
    """One line of a file: where a pointer was, and what was said.

    Each point rests until the next one of its stroke; the last one for the stroke's median step, as does a stroke of
    one point for that of all strokes.

    Attributes:
        path: The file.
        line: Number of the line, from 1.
        start: Byte that the line begins at.
        size: Bytes of the line.
        reader: Whose; the line's annotator if "".
    """

    path: Path
    line: int
    start: int
    size: int
    reader: str

    def __call__(self, image: Shrunk) -> Iterator[Annotation | Rejection]:
        """One annotation, and the strokes and words that cannot be used."""
        rejected: list[Rejection] = []

        def reject(what: str, error: object) -> None:
            place = f"line {self.line}, {what}" if what else f"line {self.line}"
            rejected.append(Rejection(str(self.path), place, str(error)))

        try:
            with self.path.open("rb") as file:
                file.seek(self.start)
                content = an_object(parse_json(file.read(self.size)), "narrative")
            strokes, words = [], []
            for place, stroke in enumerate(a_list(content.get("traces"), "traces")):
                try:
                    strokes.append(_stroke(stroke))
                except InputError as error:
                    reject(f"traces[{place}]", error)
            timed = content.get("timed_caption")
            for place, word in enumerate(a_list([] if timed is None else timed, "timed_caption")):
                try:
                    words.append(_word(word))
                except InputError as error:
                    reject(f"timed_caption[{place}]", error)
            fixations = _fixations(strokes)
            if not any(fixation.duration for fixation in fixations):
                raise InputError("no trace that lasts")
            reader = self.reader or a_name(content.get("annotator_id"), "annotator_id")
            yield Annotation("pointer", reader, fixations=fixations, sentences=group_sentences(words))
        except (InputError, OSError) as error:
            reject("", error)
        yield from rejected


def read_narratives(
    path: Path, names: ImageNames, reader: str
) -> tuple[dict[str, list[Part]], list[Rejection]]:
    """Find the lines of images: image id to its narratives, and the lines that belong to no image.

    Only one line is held at a time.

    Raises:
        InputError: No such file.
    """
    found: dict[str, list[Part]] = {}
    rejected = []
    try:
        with path.open("rb") as file:
            number = 0
            while (start := file.tell()) >= 0 and (text := file.readline(_LONGEST_LINE)):
                number += 1
                if not text.strip():
                    continue
                try:
                    content = an_object(parse_json(text), "narrative")
                    image_id = names.find(a_name(content.get("image_id"), "image_id"))
                    part = Narrative(path=path, line=number, start=start, size=len(text), reader=reader)
                    found.setdefault(image_id, []).append(part)
                except InputError as error:
                    rejected.append(Rejection(str(path), f"line {number}", str(error)))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); expected a file of JSON lines"
        ) from error
    return found, rejected


def _stroke(value: Any) -> np.ndarray:
    """(N, 3): x, y, seconds."""
    points = [an_object(point, "point") for point in a_list(value, "stroke")]
    if not points:
        raise InputError("stroke without points")
    stroke_N3 = np.array([[a_number(point.get(name), name) for name in ("x", "y", "t")] for point in points])
    if (stroke_N3[1:, 2] < stroke_N3[:-1, 2]).any():
        raise InputError("times go back")
    if np.abs(stroke_N3).max() > _FAR:
        raise InputError("expected fractions of the image, and seconds")
    return stroke_N3


def _word(value: Any) -> Word:
    entry = an_object(value, "word")
    start, end = (a_number(entry.get(name), name) for name in ("start_time", "end_time"))
    if end < start:
        raise InputError("end_time is before start_time")
    return a_name(entry.get("utterance"), "utterance"), start, end


def _fixations(strokes: list[np.ndarray]) -> tuple[Fixation, ...]:
    steps = [np.diff(stroke[:, 2]) for stroke in strokes]
    usual = float(np.median(np.concatenate(steps))) if any(map(len, steps)) else 0.0
    fixations: list[Fixation] = []
    for stroke, step in zip(strokes, steps, strict=True):
        x, y, start = stroke.T
        last = start[-1] + (np.median(step) if len(step) else usual)
        end = np.append(start[1:], last)
        fixations += map(Fixation, x.tolist(), y.tolist(), start.tolist(), end.tolist())
    return tuple(fixations)
