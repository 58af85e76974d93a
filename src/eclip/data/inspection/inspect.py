"""A look into a store: what it holds, whether it is sound, and a contact sheet of it."""

import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from eclip.annotations.heatmap import heatmap
from eclip.data.images import decode
from eclip.data.rejections import grouped
from eclip.data.store import SPLITS, Store, Study
from eclip.errors import InputError

_COLUMNS, _ROWS = 4, 3
_LABELS_SHOWN = 20


def inspect(store: Store, *, out: Path | None = None) -> list[str]:
    """Print what a store holds and check it.

    Args:
        store: The store; all of its bytes are read.
        out: PNG file for the contact sheet.

    Returns:
        What is wrong with it, a line each; empty if nothing is.

    Raises:
        InputError: `out` cannot be written.
    """
    console = Console()
    console.print(
        f"[bold]{store.path}[/]  {store.manifest['source']}, {store.manifest['created']}", highlight=False
    )
    for table in (_splits(store), _quantities(store), _labels(store), _left_out(store)):
        if table.row_count:
            console.print(table)
    problems = check(store)
    for problem in problems:
        console.print(f"[red]✗[/] {problem}", highlight=False, soft_wrap=True)
    if not problems:
        console.print("[green]✓[/] image ids are unique, no patient is in two splits, no byte has changed")
    if out is not None:
        contact_sheet(store, out)
        console.print(f"Contact sheet: {out}", highlight=False, soft_wrap=True)
    return problems


def check(store: Store) -> list[str]:
    """What is wrong with a store, a line each."""
    problems = [
        f"{file}: not the bytes that were written; build the store again" for file in store.damaged_shards()
    ]
    ids = Counter(store.column("image_id"))
    if repeated := [image_id for image_id, count in ids.items() if count > 1]:
        problems.append(f"{len(repeated)} image ids occur more than once, such as {repeated[0]!r}")
    splits: dict[str, set[str]] = {}
    for patient, split in zip(store.column("patient_id"), store.column("split"), strict=True):
        splits.setdefault(patient, set()).add(split)
    if leaks := [patient for patient, found in splits.items() if len(found) > 1]:
        problems.append(f"{len(leaks)} patients are in more than one split, such as {leaks[0]!r}")
    return problems


def contact_sheet(store: Store, out: Path) -> None:
    """Draw up to twelve studies, annotated ones first, with their heatmaps.

    Raises:
        InputError: `out` cannot be written.
    """
    studies = [store[int(row)] for row in _sample(store)]
    rows = -(-len(studies) // _COLUMNS)
    figure = Figure(figsize=(3.2 * _COLUMNS, 4.4 * rows), dpi=110)
    edge = 0.3 / (4.4 * rows)  # room for a title at the top, for five lines of text below each image
    grid = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    figure.subplots_adjust(left=0.01, right=0.99, top=1 - edge, bottom=2.8 * edge, wspace=0.05, hspace=0.38)
    for axes, study in zip(grid, studies, strict=False):
        _draw(axes, study)
    for axes in grid[len(studies) :]:
        axes.set_axis_off()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        FigureCanvasAgg(figure).print_png(out)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror or error})") from error


def _sample(store: Store) -> np.ndarray:
    """Rows spread evenly: two thirds annotated, as far as there are."""
    total = _COLUMNS * _ROWS
    annotated, plain = store.rows(annotated=True), store.rows(annotated=False)
    wanted = max(min(len(annotated), total * 2 // 3), total - len(plain))
    return np.concatenate([_spread(annotated, wanted), _spread(plain, total - wanted)])


def _spread(rows: np.ndarray, count: int) -> np.ndarray:
    count = min(count, len(rows))
    return rows[np.linspace(0, len(rows) - 1, count).astype(np.int64)] if count else rows[:0]


def _draw(axes: Axes, study: Study) -> None:
    image_HW = decode(study.image)
    axes.imshow(image_HW, cmap="gray", vmin=0, vmax=255)
    heatmap_HW = heatmap(study.annotations, *image_HW.shape) if study.annotations else None
    if heatmap_HW is not None:
        axes.imshow(heatmap_HW, cmap="inferno", vmin=0, vmax=1, alpha=0.5 * heatmap_HW)
    height, width = image_HW.shape
    side = max(height, width)
    axes.set_xlim((width - side) / 2 - 0.5, (width + side) / 2 - 0.5)
    axes.set_ylim((height + side) / 2 - 0.5, (height - side) / 2 - 0.5)
    axes.set_facecolor("black")
    axes.set(xticks=[], yticks=[])
    kinds = Counter(annotation.kind for annotation in study.annotations)
    marks = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    title = " · ".join(filter(None, (study.split, study.view, marks)))
    axes.set_title(title, fontsize=9, parse_math=False)
    present = [name + "?" * (value < 0) for name, value in study.labels.items() if value]
    lines = textwrap.wrap(", ".join(present), 54, max_lines=2, placeholder=" …")
    lines += textwrap.wrap(study.text, 54, max_lines=5 - len(lines), placeholder=" …")
    axes.set_xlabel("\n".join(lines), fontsize=7.5, loc="left", parse_math=False)


def _splits(store: Store) -> Table:
    table = _table("split", "studies", "annotated", "patients")
    patients = np.array(store.column("patient_id"), dtype=object)
    for split in SPLITS:
        rows = store.rows(split)
        annotated = len(store.rows(split, annotated=True))
        table.add_row(split, *map(str, (len(rows), annotated, len(set(patients[rows])))))
    table.add_section()
    table.add_row("all", *map(str, (len(store), len(store.rows(annotated=True)), len(set(patients)))))
    return table


def _quantities(store: Store) -> Table:
    table = Table.grid(padding=(0, 2))
    studies = [store[int(row)] for row in store.rows(annotated=True)]
    fixations = [n for study in studies if (n := sum(len(a.fixations) for a in study.annotations))]
    sizes = Counter(zip(store.column("width"), store.column("height"), strict=True)).most_common(1)
    facts = {
        "views": ", ".join(
            f"{n} {view or 'not told'}" for view, n in Counter(store.column("view")).most_common()
        ),
        "annotations": ", ".join(
            f"{n} studies with {kind}" for kind, n in store.manifest["counts"]["kinds"].items()
        ),
        "words a text": _spread_of([len(text.split()) for text in store.column("text")]),
        "fixations a study": _spread_of(fixations),
        "images": ", ".join(f"most often {width} × {height} pixels ({n})" for (width, height), n in sizes),
        "not asked for": ", ".join(f"{n} × {why}" for why, n in store.manifest["skipped"].items() if n),
    }
    for name, fact in facts.items():
        if fact:
            table.add_row(f"[dim]{name}[/]", fact)
    return table


def _spread_of(values: Sequence[int]) -> str:
    if not values:
        return ""
    low, five, median, ninety_five, high = np.quantile(values, (0, 0.05, 0.5, 0.95, 1))
    return f"median {median:.0f}, 90 % within {five:.0f} … {ninety_five:.0f}, from {low:.0f} to {high:.0f}"


def _labels(store: Store) -> Table:
    table = _table("label", "present", "absent", "uncertain")
    labels = store.manifest["counts"]["labels"]
    order = sorted(labels, key=lambda name: -labels[name].get("1", 0))
    for name in order[:_LABELS_SHOWN]:
        table.add_row(name, *(str(labels[name].get(value, 0)) for value in ("1", "0", "-1")))
    if len(order) > _LABELS_SHOWN:
        table.caption = f"and {len(order) - _LABELS_SHOWN} more"
    return table


def _left_out(store: Store) -> Table:
    table = Table("rows left out", "why", "the first", header_style="bold", title_justify="left")
    for group in grouped(store.manifest["rejected"]):
        table.add_row(str(group.count), group.reason, group.example)
    return table


def _table(name: str, *numbers: str) -> Table:
    table = Table(name, header_style="bold")
    for number in numbers:
        table.add_column(number, justify="right")
    return table
