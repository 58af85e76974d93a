"""A stored study as one looks at it: its heatmap, the outlines of its regions, each sentence with its own heatmap."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from eclip.annotations.annotation import Annotation
from eclip.annotations.heatmap import heatmap, render
from eclip.annotations.outline import inside
from eclip.annotations.sentences import sentence_fixations
from eclip.data.images import decode
from eclip.data.store import SPLITS, Store
from eclip.data.study import Study
from eclip.errors import InputError

OUTLINE_COLOURS = ("#4cc9f0", "#ffd166", "#ff6fae", "#8de969", "#c4a1ff", "#f1f1f1")
"""Seen on black, on white, and on the heatmap's orange; the seventh label has the first colour again."""

_HEAT_RGB = np.array([255.0, 150.0, 30.0])
_CORNERS = 72  # of an ellipse that is drawn as a polygon


@dataclass(frozen=True, slots=True)
class Outline:
    """The outline of one region.

    Attributes:
        caption: Its label, reader and certainty, in words.
        colour: Regions with the same label have the same number: 0, 1, ….
        loops: Closed lines, each (P, 2) as (x, y) in fractions of the image; none if it cannot be drawn.
    """

    caption: str
    colour: int
    loops: tuple[np.ndarray, ...]


@dataclass(frozen=True, slots=True)
class SentencePicture:
    """A dictated sentence and where its reader looked.

    Attributes:
        text: The sentence.
        start: Seconds from the start of the reading.
        end: Seconds from the start of the reading.
        image: Uint8 (H, W, 3), with the heatmap of its own fixations.
        fixations: How many these are.
    """

    text: str
    start: float
    end: float
    image: np.ndarray
    fixations: int


def sample(store: Store, count: int) -> np.ndarray:
    """Row numbers spread evenly over the splits, and within them; two thirds annotated, as far as there are."""
    annotated, plain = ([store.rows(split, annotated=flag) for split in SPLITS] for flag in (True, False))
    available = sum(map(len, annotated)), sum(map(len, plain))
    wanted = max(min(available[0], count * 2 // 3), count - available[1])
    first = _from_each(annotated, wanted)
    return np.concatenate([first, _from_each(plain, count - len(first))])


def sample_dictated(store: Store, sentences_N: np.ndarray, count: int) -> np.ndarray:
    """Row numbers of studies with many dictated sentences (the upper half), spread evenly over the splits."""
    dictated = np.flatnonzero(sentences_N)
    dictated = (
        dictated[sentences_N[dictated] >= np.median(sentences_N[dictated])] if len(dictated) else dictated
    )
    return _from_each([np.intersect1d(store.rows(split), dictated) for split in SPLITS], count)


def with_heatmap(study: Study) -> np.ndarray:
    """The image with the heatmap that training would draw, if there is one: uint8 (H, W, 3)."""
    image_HW = decode(study.image)
    usable = [a for a in study.annotations if a.region is None or _inside(a, *image_HW.shape) is not None]
    looked = render([f for a in usable for f in a.fixations], *image_HW.shape) is not None
    return overlay(image_HW, heatmap(usable, *image_HW.shape), strength=0.6 if looked else 0.25)


def outlines(study: Study) -> list[Outline]:
    """The outlines of a study's regions; of one that cannot be drawn, the caption says so."""
    regions = [annotation for annotation in study.annotations if annotation.region is not None]
    numbers: dict[str, int] = {}
    found = []
    for annotation in regions:
        loops = _loops(annotation, study.height, study.width)
        certainty = "" if annotation.certainty is None else f"{100 * annotation.certainty:.0f} % certain"
        words = (annotation.reader, certainty, "" if loops else f"a {annotation.kind} that cannot be drawn")
        about = ", ".join(filter(None, words))
        caption = (annotation.label or annotation.kind) + (about and f" ({about})")
        found.append(Outline(caption, numbers.setdefault(annotation.label, len(numbers)), loops))
    return found


def sentence_pictures(study: Study, annotation: Annotation) -> Iterator[SentencePicture]:
    """Each sentence of a reading with the heatmap of the fixations that belong to it."""
    image_HW = decode(study.image)
    for sentence in annotation.sentences:
        fixations = sentence_fixations(annotation, sentence)
        image = overlay(image_HW, render(fixations, *image_HW.shape))
        yield SentencePicture(sentence.text, sentence.start, sentence.end, image, len(fixations))


def overlay(image_HW: np.ndarray, heatmap_HW: np.ndarray | None, *, strength: float = 0.6) -> np.ndarray:
    """An image, uint8, with a heatmap in [0, 1] laid over it in one warm colour: uint8 (H, W, 3)."""
    opacity = 0.0 if heatmap_HW is None else strength * np.clip(heatmap_HW, 0, 1)[..., None]
    return (image_HW[..., None] * (1 - opacity) + _HEAT_RGB * opacity).astype(np.uint8)


def described(study: Study) -> list[str]:
    """What is known of a study beside its text: split, view, sex, age, and how many annotations of which kind."""
    kinds = [annotation.kind for annotation in study.annotations]
    counted = [f"{n} × {kind}" if (n := kinds.count(kind)) > 1 else kind for kind in dict.fromkeys(kinds)]
    age = "" if study.age is None else f"{study.age} years"
    return [word for word in (study.split, study.view, study.sex, age, *counted) if word]


def findings(study: Study) -> list[str]:
    """Labels that are present, and with a question mark those that are uncertain."""
    return [name + "?" * (value < 0) for name, value in study.labels.items() if value]


def _from_each(groups: Sequence[np.ndarray], count: int) -> np.ndarray:
    """As many of each group, as far as there are, spread evenly over it."""
    shares = [0] * len(groups)
    while sum(shares) < min(count, sum(map(len, groups))):
        open_groups = [i for i, group in enumerate(groups) if shares[i] < len(group)]
        shares[min(open_groups, key=lambda i: (shares[i], i))] += 1
    chosen = [_spread(group, share) for group, share in zip(groups, shares, strict=True)]
    return np.concatenate(chosen)


def _spread(rows: np.ndarray, count: int) -> np.ndarray:
    return rows[np.linspace(0, len(rows) - 1, count).astype(np.int64)] if count else rows[:0]


def _inside(annotation: Annotation, height: int, width: int) -> np.ndarray | None:
    """Pixels (H, W) inside a region; None if that cannot be told."""
    try:
        return inside(annotation, height, width)
    except InputError:
        return None


def _loops(annotation: Annotation, height: int, width: int) -> tuple[np.ndarray, ...]:
    """Closed lines around a region, in fractions of the image; none if it is broken, or an empty mask."""
    region, inside_HW = annotation.region, _inside(annotation, height, width)
    if region is None or inside_HW is None:
        return ()
    if region.mask:
        return tuple(_around(inside_HW)) if inside_HW.any() else ()
    points = np.asarray(region.points, np.float64)
    if len(points) > 2:
        return (_closed(points),)
    (x0, y0), (x1, y1) = points
    if annotation.kind == "ellipse":
        angle = np.linspace(0, 2 * np.pi, _CORNERS + 1)
        across, down = np.cos(angle) * (x1 - x0), np.sin(angle) * (y1 - y0)
        return (np.column_stack([(x0 + x1 + across) / 2, (y0 + y1 + down) / 2]),)
    return (_closed([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]),)


def _closed(points: Iterable[object]) -> np.ndarray:
    corners = np.array([*points], np.float64)
    return np.vstack([corners, corners[:1]])


def _around(inside_HW: np.ndarray) -> list[np.ndarray]:
    """Lines along the edges of a mask's pixels, corners cut; the frame of zeros closes those at the border."""
    height, width = inside_HW.shape
    x, y = (np.arange(-1, width + 1) + 0.5) / width, (np.arange(-1, height + 1) + 0.5) / height
    contours = Figure().subplots().contour(x, y, np.pad(inside_HW, 1).astype(np.float64), [0.5])
    return [np.asarray(line) for line in contours.allsegs[0]]
