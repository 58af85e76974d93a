"""The contact sheet as one picture: counts, studies with what experts marked, sentences with their own heatmaps."""

import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from eclip.annotations.annotation import Annotation
from eclip.data.inspection.census import Census
from eclip.data.inspection.pictures import (
    OUTLINE_COLOURS,
    SentencePicture,
    described,
    findings,
    outlines,
    sample,
    sample_dictated,
    sentence_pictures,
    with_heatmap,
)
from eclip.data.rejections import grouped
from eclip.data.store import Store
from eclip.data.study import Study
from eclip.errors import InputError

_WIDTH, _MARGIN, _GAP = 13.6, 0.25, 0.15  # inches, as all lengths here
_STUDIES, _STUDIES_A_ROW = 12, 4
_READINGS, _SENTENCES, _SENTENCES_A_ROW = 3, 10, 5
_REASONS = 6
_LABELS = 14
_LINE = 0.128  # of text of 7 points
_QUIET, _BLUE, _ORANGE = "#5d656d", "#2f6fb3", "#d0632a"

_HALO = [withStroke(linewidth=1.5, foreground="black")]

Block = tuple[float, Callable[["_Page", float], None]]
"""A part of the sheet: its height, and what draws it from a page and its top edge."""


def write_contact_sheet(out: Path, store: Store, census: Census) -> None:
    """Draw counts, up to twelve studies, up to three dictated readings sentence by sentence, and what was left out.

    Raises:
        InputError: `out` cannot be written.
    """
    blocks = [_heading(store), _charts(census), *_study_rows(store)]
    blocks += _readings(store, census)
    blocks += _left_out(store)
    page = _Page(sum(height for height, _ in blocks) + 2 * _MARGIN)
    top = _MARGIN
    for height, draw in blocks:
        draw(page, top)
        top += height
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing")  # reports may be in any script
            FigureCanvasAgg(page.figure).print_png(out)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror or error})") from error


class _Page:
    """A figure that is measured in inches from its top left corner."""

    def __init__(self, height: float) -> None:
        self.height = height
        self.figure = Figure(figsize=(_WIDTH, height), dpi=110)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = self.height - top - height
        return self.figure.add_axes(
            (left / _WIDTH, bottom / self.height, width / _WIDTH, height / self.height)
        )

    def text(self, left: float, top: float, words: str, size: float = 7, **style: Any) -> None:
        self.figure.text(
            left / _WIDTH,
            1 - top / self.height,
            words,
            fontsize=size,
            va="top",
            linespacing=1.25,
            parse_math=False,
            **style,
        )


def _heading(store: Store) -> Block:
    manifest = store.manifest

    def draw(page: _Page, top: float) -> None:
        page.text(_MARGIN, top, f"{store.path.name}: {len(store):,} images", 15, weight="bold")
        about = (
            f"{manifest.get('source', '')}, built {manifest['created']} by eclip {manifest['eclip_version']}"
        )
        page.text(_MARGIN, top + 0.3, about, 9, color=_QUIET)

    return 0.75, draw


def _charts(census: Census) -> Block:
    width = (_WIDTH - 2 * _MARGIN) / 4

    def draw(page: _Page, top: float) -> None:
        places = (page.axes(_MARGIN + i * width + 0.35, top + 0.25, width - 0.65, 1.55) for i in range(4))
        _draw_splits(next(places), census)
        _draw_labels(page.axes(_MARGIN + width + 1.5, top + 0.25, width - 1.6, 1.8), census)
        next(places).remove()
        for quantity in ("words a text", "fixations a study"):
            _draw_distribution(next(places), census, quantity)

    return 2.4, draw


def _draw_splits(axes: Axes, census: Census) -> None:
    splits = census.splits[:-1]
    names = [split.name for split in splits]
    axes.bar(names, [split.images for split in splits], color=_BLUE, width=0.6, label="images")
    axes.bar(names, [split.annotated for split in splits], color=_ORANGE, width=0.6, label="annotated")
    for i, split in enumerate(splits):
        numbers = f"{split.images:,}\n{split.annotated:,} annotated"
        axes.text(i, split.images, numbers, ha="center", va="bottom", fontsize=7)
    axes.set_ylim(0, 1.25 * max(split.images for split in splits))
    _plain(axes, "images")


def _draw_labels(axes: Axes, census: Census) -> None:
    labels = census.labels[:_LABELS][::-1]
    names = [textwrap.shorten(label.name, 26, placeholder="…") or label.name[:26] for label in labels]
    rows = np.arange(len(labels))
    axes.barh(rows, [label.present for label in labels], color=_BLUE, height=0.7)
    axes.set_yticks(rows, names, parse_math=False)
    more = f", {_LABELS} of {len(census.labels)}" if len(census.labels) > _LABELS else ""
    _plain(axes, f"labels present{more}" if labels else "no labels", empty=not labels)


def _draw_distribution(axes: Axes, census: Census, quantity: str) -> None:
    found = census.distributions().get(quantity, [])
    for histogram, colour in zip(found, (_BLUE, _ORANGE, "#1b8f68"), strict=False):
        shares = histogram.counts / histogram.total
        name = f"{histogram.group}, median {histogram.quantiles[2]:,.0f}"
        axes.stairs(shares, histogram.edges, fill=True, color=colour, alpha=0.15)
        axes.stairs(shares, histogram.edges, color=colour, label=name, linewidth=1.2)
    if found:
        axes.legend(fontsize=6.5, frameon=False, loc="upper right")
        axes.set_ylim(0, 1.4 * axes.get_ylim()[1])  # room for the legend
    _plain(axes, f"{quantity}, share of each split" if found else f"{quantity}: none", empty=not found)


def _plain(axes: Axes, title: str, *, empty: bool = False) -> None:
    axes.set_title(title, fontsize=8.5, loc="left", parse_math=False)
    axes.tick_params(labelsize=6.5, length=2)
    axes.spines[["top", "right"]].set_visible(False)
    if empty:
        axes.set_axis_off()


def _study_rows(store: Store) -> Iterator[Block]:
    side = (_WIDTH - 2 * _MARGIN + _GAP) / _STUDIES_A_ROW - _GAP
    studies = [store[int(row)] for row in sample(store, _STUDIES)]
    for first in range(0, len(studies), _STUDIES_A_ROW):
        some = studies[first : first + _STUDIES_A_ROW]

        def draw(page: _Page, top: float, some: Sequence[Study] = some) -> None:
            for i, study in enumerate(some):
                left = _MARGIN + i * (side + _GAP)
                page.text(left, top, " · ".join(described(study)), 8.5)
                _show(page.axes(left, top + 0.2, side, side), with_heatmap(study), study)
                page.text(left, top + side + 0.27, "\n".join(_lines(study)))

        yield side + 0.45 + 8 * _LINE, draw


def _lines(study: Study) -> list[str]:
    """Captions of the outlines, labels and text: eight lines at most."""
    captions = [f"{i} {outline.caption}" for i, outline in enumerate(outlines(study), 1)]
    lines = textwrap.wrap("; ".join(captions), 57, max_lines=3, placeholder=" …")
    lines += textwrap.wrap(", ".join(findings(study)), 57, max_lines=1, placeholder=" …")
    return lines + textwrap.wrap(study.text, 57, max_lines=8 - len(lines), placeholder=" …")


def _readings(store: Store, census: Census) -> Iterator[Block]:
    """A block a dictated reading: the sentences in rows, each under its own heatmap."""
    side = (_WIDTH - 2 * _MARGIN + _GAP) / _SENTENCES_A_ROW - _GAP
    for row in sample_dictated(store, census.sentences_N, _READINGS):
        study = store[int(row)]
        reading = next(annotation for annotation in study.annotations if annotation.sentences)
        pictures = list(islice(sentence_pictures(study, reading), _SENTENCES))
        rows = -(-len(pictures) // _SENTENCES_A_ROW)
        step = side + 0.25 + 5 * _LINE

        def draw(
            page: _Page,
            top: float,
            study: Study = study,
            reading: Annotation = reading,
            pictures: Sequence[SentencePicture] = pictures,
            step: float = step,
        ) -> None:
            more = len(reading.sentences) - len(pictures)
            about = [study.image_id, reading.reader and f"read by {reading.reader}", study.split]
            title = "Sentence by sentence: " + ", ".join(filter(None, about))
            page.text(_MARGIN, top, title + (f"; {more} more sentences" if more else ""), 9.5, weight="bold")
            for i, picture in enumerate(pictures):
                left = _MARGIN + i % _SENTENCES_A_ROW * (side + _GAP)
                upper = top + 0.28 + i // _SENTENCES_A_ROW * step
                _show(page.axes(left, upper, side, side), picture.image)
                when = f"{picture.start:.1f} … {picture.end:.1f} s, {picture.fixations} fixations"
                page.text(left, upper + side + 0.05, when, color=_QUIET)
                words = textwrap.wrap(picture.text, 50, max_lines=4, placeholder=" …")
                page.text(left, upper + side + 0.05 + _LINE, "\n".join(words), 7.5)

        yield 0.4 + rows * step, draw


def _left_out(store: Store) -> Iterator[Block]:
    groups = grouped(store.manifest["rejected"])
    if not groups:
        return
    lines = [f"{group.count:,} × {group.reason} (the first: {group.example})" for group in groups[:_REASONS]]
    if more := groups[_REASONS:]:
        lines.append(f"{sum(g.count for g in more):,} for {len(more)} other reasons")

    def draw(page: _Page, top: float) -> None:
        page.text(_MARGIN, top, "Rows left out", 9.5, weight="bold")
        page.text(_MARGIN, top + 0.25, "\n".join(textwrap.shorten(line, 220) for line in lines), 7.5)

    yield 0.4 + 0.15 * len(lines), draw


def _show(axes: Axes, image_HWC: np.ndarray, study: Study | None = None) -> None:
    """An image in the middle of a black square, with the outlines of a study's regions."""
    height, width = image_HWC.shape[:2]
    axes.imshow(image_HWC)
    for number, outline in enumerate(outlines(study) if study else (), 1):
        colour = OUTLINE_COLOURS[outline.colour % len(OUTLINE_COLOURS)]
        for loop in outline.loops:
            axes.plot(*(loop * (width, height) - 0.5).T, color=colour, linewidth=1)
        if outline.loops:
            x, y = min(np.concatenate(outline.loops), key=lambda point: (point[1], point[0]))
            at = np.clip([x, y], 0, 0.97) * (width, height)
            axes.text(at[0], at[1], str(number), color=colour, fontsize=7.5, va="top", path_effects=_HALO)
    side = max(height, width)
    axes.set_xlim((width - side) / 2 - 0.5, (width + side) / 2 - 0.5)
    axes.set_ylim((height + side) / 2 - 0.5, (height - side) / 2 - 0.5)
    axes.set_facecolor("black")
    axes.set(xticks=[], yticks=[])
