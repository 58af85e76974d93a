"""A look into a store: what it holds, whether it is sound, what was left out, and a contact sheet of it."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from eclip.data.inspection.census import Census, Histogram, KindCount, take_census
from eclip.data.inspection.contact_sheet import write_contact_sheet
from eclip.data.inspection.page import write_inspection_page
from eclip.data.inspection.soundness import Assessment, assess
from eclip.data.rejections import grouped
from eclip.data.store import Store
from eclip.errors import InputError

_LABELS_SHOWN = 20
_READERS_SHOWN = 3
_REASONS_SHOWN = 20
_BLOCKS = " ▁▂▃▄▅▆▇█"
_BAR = 16
_MARKS = {"sound": ("✓", "green"), "note": ("!", "yellow"), "wrong": ("✗", "red")}


def inspect(store: Store, *, out: Path | None = None) -> list[str]:
    """Print what a store holds, whether it is sound, and what was left out of it. No report is printed.

    Args:
        store: The store; all of its bytes are read.
        out: Contact sheet to write: a picture (`.png`), or a page (`.html`) that has all of this and loads nothing.

    Returns:
        What is wrong with it, a line each; empty if nothing is.

    Raises:
        InputError: `out` has another suffix or cannot be written.
    """
    if out is not None and out.suffix.lower() not in {".png", ".html"}:
        raise InputError(f"{out}: expected a name that ends in .png (a picture) or .html (a page)")
    console = Console(markup=False, emoji=False, highlight=False)  # names may hold brackets
    census, assessments = take_census(store), assess(store)
    console.print(Text(f"{store.path}", style="bold"), soft_wrap=True)
    tables = (_facts(store, census), _splits(census), _distributions(census), _labels(census))
    for table in (*tables, _checks(assessments), _left_out(store)):
        if table.row_count:
            console.print(table)
    if out is not None:
        if out.suffix.lower() == ".png":
            write_contact_sheet(out, store, census)
        else:
            write_inspection_page(out, store, census, assessments, facts(store, census))
        console.print(f"Contact sheet: {out}", soft_wrap=True)
    return [str(found) for found in assessments if found.state == "wrong"]


def facts(store: Store, census: Census) -> dict[str, str]:
    """How a store came to be and what does not fit into a table, in words; only what there is to say."""
    manifest = store.manifest
    options = {
        name: value for name, value in manifest.get("options", {}).items() if value not in (None, "", [])
    }
    more = ", …" * (sum(n for _, n in census.sizes) < len(store))
    said = {
        "source": f"{manifest.get('source', 'not told')}, built {manifest['created']} by eclip "
        f"{manifest['eclip_version']}, schema {manifest['schema_version']}, fingerprint {store.fingerprint}",
        "options": ", ".join(f"{name} {_in_words(value)}" for name, value in options.items()),
        "image size": ", ".join(f"{w} × {h} pixels ({n:,} times)" for (w, h), n in census.sizes) + more,
        "drawn subset": _counts({name: len(ids) for name, ids in manifest.get("subset", {}).items()}),
        "not asked for": _counts(manifest.get("skipped", {})),
    }
    return {name: words for name, words in said.items() if words}


def _in_words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_in_words(item)}" for name, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} × {name}" for name, n in counts.items() if n)


def _kind(count: KindCount) -> str:
    named = [f"{reader} {n:,}" for reader, n in count.readers.items() if reader]
    more = ", …" if len(named) > _READERS_SHOWN else ""
    by = f" by {len(named)} reader{'s' * (len(named) > 1)}" if named else ""
    names = f" ({', '.join(named[:_READERS_SHOWN])}{more})" if named else ""
    return f"{count.annotations:,} × {count.kind} on {count.images:,} images{by}{names}"


def _facts(store: Store, census: Census) -> Table:
    table = Table.grid(padding=(0, 2))
    annotations = {"annotations": "\n".join(map(_kind, census.kinds))} if census.kinds else {}
    for name, words in (facts(store, census) | annotations).items():
        table.add_row(Text(name, style="dim"), words)
    return table


def _splits(census: Census) -> Table:
    sexes = [sex for sex in ("F", "M") if sex in census.splits[-1].sexes]
    ages = ["median age"] if census.splits[-1].median_age is not None else []
    views = [view or "view not told" for view in census.views]
    table = _table("split", "images", "studies", "patients", "annotated", *views, *sexes, *ages)
    for split in census.splits:
        if split.name == "all":
            table.add_section()
        counts = [split.images, split.studies, split.patients, split.annotated]
        counts += [split.views.get(view, 0) for view in census.views]
        counts += [split.sexes.get(sex, 0) for sex in sexes]
        age = ["" if split.median_age is None else f"{split.median_age:g}"] if ages else []
        table.add_row(split.name, *(f"{n:,}" for n in counts), *age)
    return table


def _distributions(census: Census) -> Table:
    table = Table("quantity", "split", header_style="bold")
    table.add_column("median", justify="right")
    table.add_column("90 % within", justify="right")
    table.add_column("how often", no_wrap=True)
    for quantity, found in census.distributions().items():
        for i, histogram in enumerate(found):
            _, five, median, ninety_five, _ = (f"{q:,.0f}" for q in histogram.quantiles)
            name = "" if i else quantity
            table.add_row(name, histogram.group, median, f"{five} … {ninety_five}", _bars(histogram))
        table.add_section()
    return table


def _bars(histogram: Histogram) -> str:
    """A histogram in a line; what occurs at all has a bar."""
    highest, steps = max(histogram.counts), len(_BLOCKS) - 1
    return "".join(_BLOCKS[-(-int(n) * steps // int(highest))] for n in histogram.counts)


def _labels(census: Census) -> Table:
    table = _table("label", "present", "absent", "uncertain")
    table.add_column("present")
    most = max((label.present for label in census.labels), default=0) or 1
    for label in census.labels[:_LABELS_SHOWN]:
        numbers = (f"{n:,}" for n in (label.present, label.absent, label.uncertain))
        table.add_row(label.name, *numbers, Text("█" * -(-label.present * _BAR // most), style="blue"))
    if len(census.labels) > _LABELS_SHOWN:
        table.caption = f"and {len(census.labels) - _LABELS_SHOWN} more"
    return table


def _checks(assessments: Iterable[Assessment]) -> Table:
    table = Table("", "looked for", "found", Column("the first", overflow="fold"), header_style="bold")
    table.columns[2].justify = "right"
    for found in assessments:
        mark, style = _MARKS[found.state]
        example = found.examples[0] if found.examples else ""
        table.add_row(
            Text(mark, style=style), found.title, f"{found.count:,}" if found.count else "none", example
        )
    return table


def _left_out(store: Store) -> Table:
    table = Table("left out", "why", Column("the first", overflow="fold"), header_style="bold")
    table.columns[0].justify = "right"
    groups = grouped(store.manifest["rejected"])
    for group in groups[:_REASONS_SHOWN]:
        table.add_row(f"{group.count:,}", group.reason, group.example)
    if more := groups[_REASONS_SHOWN:]:
        table.caption = (
            f"and {sum(group.count for group in more):,} for {len(more)} other reasons: see manifest.json"
        )
    return table


def _table(name: str, *numbers: str) -> Table:
    table = Table(name, header_style="bold")
    for number in numbers:
        table.add_column(number, justify="right")
    return table
