"""What the study found: `PART.parquet`, and a page with tables, intervals and curves.

Values are means over seeds. Differences are paired: each arm minus another on the same test studies, under the same
draws of patients, with the spread between training runs. Seeds are few and arms many, so that spread is pooled over
all arms, as in an analysis of variance: it is taken to be the same in all, and an arm with one seed has an interval,
too. Nothing is corrected for the number of arms.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from grid import ARMS, DAMAGED, Grid
from record import Record
from runs import SHOWN

from eclip.evaluation.bootstrap import Replicates, metric, over_runs
from eclip.evaluation.figures import SERIES, Line, interval_chart, line_chart
from eclip.evaluation.paired import difference
from eclip.evaluation.statistics import Difference, Metric

LOWER = (
    "embedding-quality/alignment",
    "embedding-quality/uniformity_joint",
    "embedding-quality/modality_gap",
)
AGAINST = (
    "clip",
    "clip, equal images",
    "expert-as-data",
    f"{DAMAGED}, uniform",
    DAMAGED,
)
CURVE = "zero-shot/macro_f1"


@dataclass(frozen=True, slots=True)
class Spread:
    """Variance of a number between training runs of one arm, pooled over arms, and its degrees of freedom."""

    variance: float
    freedom: int

    def of(self, *counts: int) -> tuple[tuple[float, int], ...]:
        """Of a mean over so many runs, or of the difference of two; nothing if no arm has two runs."""
        return ((self.variance * sum(1 / n for n in counts), self.freedom),) if self.freedom else ()


def write(records: Sequence[Record], grid: Grid, *, out: Path, part: str) -> None:
    """Write `PART.parquet`, `PART.html` and `PART.md`.

    Args:
        records: Of the runs of the part that are done; a run without annotations counts for each share of them.
        grid: The sizes of the study.
        out: Folder.
        part: Its name.
    """
    table = pd.DataFrame(
        [
            asdict(record.run)
            | {"seconds": record.seconds, "machine": record.machine, "metric": name, "value": value}
            for record in records
            for name, value in record.metrics.items()
        ]
    )
    out.mkdir(parents=True, exist_ok=True)
    table.to_parquet(out / f"{part}.parquet", index=False)
    spreads = {key: _spread(records, key) for key in SHOWN}
    cells = {(record.run.fraction, record.run.train) for record in records}
    sections = [
        _section([r for r in records if (r.run.fraction, r.run.train) == cell], *cell, spreads)
        for cell in sorted(cells)
    ]
    curves = [
        _curve(sections, axis) for axis in ("fraction", "train") if len({s[axis] for s in sections}) > 1
    ]
    template = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    page = template.from_string(Path(__file__).with_name("page.html").read_text(encoding="utf-8")).render(
        part=part,
        sections=sections,
        curves=curves,
        shown=SHOWN,
        lower=LOWER,
        grid=json.dumps(asdict(grid)),
        machines=Counter({record.run.name: record.machine for record in records}.values()),
        freedom=spreads[CURVE].freedom,
    )
    (out / f"{part}.html").write_text(page, encoding="utf-8")
    (out / f"{part}.md").write_text("\n".join(_markdown(section) for section in sections), encoding="utf-8")


def _spread(records: Sequence[Record], key: str) -> Spread:
    """Over all arms, shares and sizes."""
    cells: dict[tuple[str, float, float], dict[str, float]] = {}
    for record in records:
        run = record.run
        if key in record.metrics:
            cells.setdefault((run.arm, run.fraction, run.train), {})[run.name] = record.metrics[key]
    distinct = {tuple(sorted(cell)): list(cell.values()) for cell in cells.values()}.values()
    freedom = sum(len(values) - 1 for values in distinct)
    squares = sum(float(np.var(values)) * len(values) for values in distinct)
    return Spread(squares / max(freedom, 1), freedom)


def _section(
    records: Sequence[Record], fraction: float, train: float, spreads: Mapping[str, Spread]
) -> dict[str, Any]:
    of_arm = {arm: [r for r in records if r.run.arm == arm] for arm in ARMS}
    of_arm = {arm: own for arm, own in of_arm.items() if own}
    numbers = {
        arm: {
            key: (over_runs(drawn), len(drawn))
            for key in SHOWN
            if (drawn := [record.drawn[key] for record in own if key in record.drawn])
        }
        for arm, own in of_arm.items()
    }
    rows = [
        {
            "arm": arm,
            "seeds": len(own),
            "cells": {
                key: metric(replace(number, runs=spreads[key].of(count)))
                for key, (number, count) in numbers[arm].items()
            },
        }
        for arm, own in of_arm.items()
    ]
    tables = []
    for base in [arm for arm in AGAINST if arm in of_arm]:
        found = {
            arm: {
                key: _difference(numbers[base][key], number, spreads[key])
                for key, number in numbers[arm].items()
                if key in numbers[base]
            }
            for arm in of_arm
            if arm != base
        }
        chart = interval_chart(
            [(arm, _as_metric(d[CURVE])) for arm, d in found.items()], title="difference in macro F1"
        )
        tables.append({"base": base, "found": found, "chart": chart})
    return {"fraction": fraction, "train": train, "rows": rows, "tables": tables}


def _difference(base: tuple[Replicates, int], other: tuple[Replicates, int], spread: Spread) -> Difference:
    runs = spread.of(base[1], other[1])
    return difference(replace(base[0], runs=()), replace(other[0], runs=runs))


def _as_metric(d: Difference) -> Metric:
    return Metric(value=d.value, low=d.low, high=d.high, n=d.n, direction=d.direction, chance=0.0)


def _markdown(section: Mapping[str, Any]) -> str:
    """The means of a section with their intervals, and macro F1 minus that of each base, for a log or an issue."""
    bases = [table["base"] for table in section["tables"]]
    head = ["", "seeds", *(f"{label}{' ↓' if key in LOWER else ''}" for key, label in SHOWN.items())]
    head += [f"macro F1 − {base}" for base in bases]
    rows = [head, ["---"] * len(head)]
    for row in section["rows"]:
        means = [
            f"{m.value:.3f} ({m.low:.3f} to {m.high:.3f})" if (m := row["cells"].get(key)) else "–"
            for key in SHOWN
        ]
        gaps = [table["found"].get(row["arm"], {}).get(CURVE) for table in section["tables"]]
        against = [f"{d.value:+.3f} ({d.low:+.3f} to {d.high:+.3f})" if d else "" for d in gaps]
        rows.append([row["arm"], str(row["seeds"]), *means, *against])
    title = f"{section['fraction']:.0%} annotated, {section['train']:.0%} of the training studies"
    return f"{title}\n\n" + "\n".join("| " + " | ".join(cells) + " |" for cells in rows) + "\n"


def _curve(sections: Sequence[Mapping[str, Any]], axis: str) -> tuple[str, str, list[str]]:
    """Macro F1 and its interval by the share that is annotated ("fraction") or used ("train")."""
    points: dict[str, list[tuple[float, Metric]]] = {}
    for section in sections:
        for row in section["rows"]:
            if CURVE in row["cells"]:
                points.setdefault(row["arm"], []).append((section[axis], row["cells"][CURVE]))
    lines = [
        Line(
            name=arm,
            x=np.log10([100 * share for share, _ in found]),
            y=np.array([m.value for _, m in found]),
            style=f"s{i % SERIES}",
            band_2n=np.array([[m.low for _, m in found], [m.high for _, m in found]]),
        )
        for i, (arm, found) in enumerate(points.items())
    ]
    label = "annotated share" if axis == "fraction" else "share of the training studies"
    names = {float(np.log10(100 * section[axis])): f"{section[axis]:.0%}" for section in sections}
    chart = line_chart(
        lines,
        title=f"Macro F1 by {label}",
        x_label=label,
        x_range=(min(names), max(names)),
        x_names=names,
    )
    return label, chart, list(points)
