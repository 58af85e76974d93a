"""What the study found: `results.parquet`, and a page with tables, intervals and curves.

Values are means over seeds. Differences are paired: each arm minus another on the same test studies, with the interval
of `eclip compare` for several training runs of a model (patients drawn, and the spread between runs, with Welch's
degrees of freedom). p is not corrected for the number of arms.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from grid import ARMS, Grid, Run, described
from runs import done

from eclip.evaluation.bootstrap import Replicates
from eclip.evaluation.differences import measured
from eclip.evaluation.figures import SERIES, Line, interval_chart, line_chart
from eclip.evaluation.paired import difference
from eclip.evaluation.results import Evaluation
from eclip.evaluation.statistics import Metric

SHOWN = {
    "zero-shot/accuracy": "Accuracy",
    "zero-shot/macro_f1": "Macro F1",
    "zero-shot/auroc": "AUROC",
    "linear-probe/auroc@100%": "Probe AUROC",
    "retrieval/image_to_text_recall@10": "R@10",
    "embedding-quality/alignment": "Alignment",
    "embedding-quality/uniformity_joint": "Uniformity",
    "embedding-quality/modality_gap": "Gap",
    "grounding/sentence_auc_judd": "Sentence AUC",
    "grounding/region_contrast_to_noise": "Region CNR",
}
LOWER = (
    "embedding-quality/alignment",
    "embedding-quality/uniformity_joint",
    "embedding-quality/modality_gap",
)
AGAINST = (
    "clip",
    "clip, equal images",
    "expert-as-data",
    "gaze-grounding, shuffled",
    "gaze-grounding, uniform",
)
CURVE = "zero-shot/macro_f1"


def write(out: Path, runs: Sequence[Run], grid: Grid, *, part: str) -> pd.DataFrame:
    """Write `PART.parquet`, `PART.html` and `PART.md` of the runs that are done.

    Returns:
        The table, a row a run and metric.
    """
    rows = [row for run in runs if (row := done(out, run, grid)) is not None]
    table = pd.DataFrame(
        [
            {
                **{k: row[k] for k in ("arm", "fraction", "train", "seed", "seconds")},
                "metric": metric,
                "value": value,
            }
            for row in rows
            for metric, value in row["metrics"].items()
        ]
    )
    table.to_parquet(out / f"{part}.parquet", index=False)
    sections = []
    for (fraction, train), group in table.groupby(["fraction", "train"]):
        of_arm = {
            arm: [
                run
                for run in runs
                if (run.arm, run.fraction, run.train) == (arm, fraction, train) and run.seed in seeds
            ]
            for arm, seeds in group.groupby("arm")["seed"].unique().items()
        }
        of_arm = {arm: of_arm[arm] for arm in ARMS if arm in of_arm}
        sections.append(_section(out, of_arm, group, fraction, train))
    curves = [_curve(table, axis) for axis in ("fraction", "train") if len(set(table[axis])) > 1]
    template = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    page = template.from_string(Path(__file__).with_name("page.html").read_text(encoding="utf-8")).render(
        part=part,
        sections=sections,
        curves=curves,
        shown=SHOWN,
        lower=LOWER,
        grid=json.dumps(described(grid)),
        runs=len(rows),
    )
    (out / f"{part}.html").write_text(page, encoding="utf-8")
    (out / f"{part}.md").write_text("\n".join(_markdown(section) for section in sections), encoding="utf-8")
    return table


def _markdown(section: Mapping[str, Any]) -> str:
    """The means of a section, and macro F1 minus that of the first arm, for a log or an issue."""
    first = section["tables"][0] if section["tables"] else None
    head = ["", *(f"{label}{' ↓' if m in LOWER else ''}" for m, label in SHOWN.items()), "seeds"]
    head += [f"macro F1 − {first['base']}"] if first else []
    rows = [head, ["---"] * len(head)]
    for row in section["rows"]:
        cells = [row["arm"], *(f"{row['cells'][m][0]:.3f}" for m in SHOWN), str(row["seeds"])]
        d = first["found"].get(row["arm"], {}).get(CURVE) if first else None
        rows.append([*cells, f"{d.value:+.3f} ({d.low:+.3f} to {d.high:+.3f})" if d else ""])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows) + "\n"


def measured_arms(out: Path, of_arm: Mapping[str, Sequence[Run]]) -> dict[str, Mapping[str, Replicates]]:
    """What is shown of each arm, over its runs, under the same draws of patients."""
    models = [
        [Evaluation.read(out / "runs" / run.name / "evaluation") for run in runs] for runs in of_arm.values()
    ]
    return dict(zip(of_arm, measured(models, seed=0, keys=SHOWN), strict=True))


def _section(
    out: Path, of_arm: Mapping[str, Sequence[Run]], group: pd.DataFrame, fraction: float, train: float
) -> dict[str, Any]:
    values = group.pivot_table(index=["arm", "seed"], columns="metric", values="value")
    rows = []
    for arm, runs in of_arm.items():
        own = values.loc[arm]
        cells = {
            m: (float(own[m].mean()), float(own[m].std(ddof=1)) if len(own) > 1 else np.nan) for m in SHOWN
        }
        rows.append({"arm": arm, "seeds": len(runs), "cells": cells})
    tables, numbers = [], measured_arms(out, of_arm)
    for base in [arm for arm in AGAINST if arm in of_arm]:
        found = {
            arm: {key: difference(numbers[base][key], own[key]) for key in SHOWN if key in own}
            for arm, own in numbers.items()
            if arm != base
        }
        chart = interval_chart(
            [
                (
                    arm,
                    Metric(
                        value=d[CURVE].value,
                        low=d[CURVE].low,
                        high=d[CURVE].high,
                        n=1,
                        direction="higher",
                        chance=0.0,
                    ),
                )
                for arm, d in found.items()
            ],
            title=f"macro F1, minus {base}",
        )
        tables.append({"base": base, "found": found, "chart": chart})
    return {"fraction": fraction, "train": train, "rows": rows, "tables": tables}


def _curve(table: pd.DataFrame, axis: str) -> tuple[str, str, list[str]]:
    chosen = table[table["metric"] == CURVE]
    arms = [arm for arm in ARMS if arm in set(chosen["arm"])]
    lines = []
    for i, arm in enumerate(arms):
        mean = chosen[chosen["arm"] == arm].groupby(axis)["value"].mean()
        lines.append(
            Line(name=arm, x=np.log10(100 * mean.index.to_numpy()), y=mean.to_numpy(), style=f"s{i % SERIES}")
        )
    at = sorted(chosen[axis].unique())
    chart = line_chart(
        lines,
        title=f"Macro F1 by {axis}",
        x_label="annotated share" if axis == "fraction" else "share of the training studies",
        x_names={float(np.log10(100 * x)): f"{x:.0%}" for x in at},
    )
    return axis, chart, arms
