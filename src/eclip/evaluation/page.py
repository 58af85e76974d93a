"""One self-contained HTML page for one evaluation or several: nothing is loaded from anywhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

import eclip
from eclip.data.store import Store
from eclip.errors import InputError
from eclip.evaluation.differences import Differences, differences
from eclip.evaluation.embedding_map import embedding_maps
from eclip.evaluation.examples import annotated_studies, retrieval_examples
from eclip.evaluation.figures import SERIES, Line, intervals, line_chart, smoothed
from eclip.evaluation.results import Evaluation
from eclip.evaluation.retrieval import IMAGE_BLIND
from eclip.evaluation.statistics import Difference, Metric
from eclip.evaluation.tasks import TASKS, headlines
from eclip.evaluation.wording import metric_label, task_title
from eclip.evaluation.zero_shot import class_names, confusion
from eclip.models.model import Model, load

_TEMPLATE = Path(__file__).with_name("page.html")
_CURVES = {
    "loss": "Loss",
    "contrastive": "Contrastive loss",
    "priming": "Priming loss",
    "accuracy": "In-batch accuracy",
    "expert_probability": "Probability of an expert batch",
    "temperature": "Temperature",
}


@dataclass(frozen=True, slots=True)
class RunView:
    """One model on the page.

    Attributes:
        name: What to call it.
        evaluation: The folder that `evaluate` wrote.
        run: Its training run, for the loss curves and, if no model is given, the model.
        model: For the expert views of its heatmap processor.
    """

    name: str
    evaluation: Path
    run: Path | None = None
    model: Model | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One metric of all models."""

    label: str
    direction: str
    whiskers: Markup
    metrics: list[Metric | None]
    differences: list[Difference | None]
    chance: float | None
    blind: Metric | None  # the image-blind floor
    decimals: int
    first: bool  # whether it stands in the table, or among "all numbers"


def write_page(
    out_html: Path, *, title: str, runs: Sequence[RunView], store: Store, notice: str = ""
) -> None:
    """Write the page.

    Args:
        out_html: File to write.
        title: Heading.
        runs: One model or several, evaluated on the same studies; differences are to the first.
        store: The studies they were evaluated on.
        notice: A paragraph at the top, for what a reader must know first.

    Raises:
        InputError: A folder is not an evaluation, or they are of different studies.
    """
    evaluations = [Evaluation.read(run.evaluation) for run in runs]
    meta = evaluations[0].meta
    compared = differences([[evaluation] for evaluation in evaluations], seed=meta["seed"])
    models = {run.name: _model(run) for run in runs}
    annotated, annotated_split = annotated_studies(store, meta["split"], models)
    names = [run.name for run in runs]
    content = {
        "title": title,
        "notice": notice,
        "names": names,
        "series": SERIES,
        "meta": meta,
        "patients": evaluations[0].per_sample["patient_id"].nunique(),
        "tasks": _tasks(evaluations, compared),
        "confusions": [
            (name, *_confusion(e))
            for name, e in zip(names, evaluations, strict=True)
            if "zero-shot" in e.metrics
        ],
        "curves": _curves(runs),
        "figures": _figures(names, evaluations),
        "maps": embedding_maps(names, evaluations),
        "annotated": annotated,
        "annotated_split": annotated_split,
        "retrieval": [
            (name, *retrieval_examples(e, store))
            for name, e in zip(names, evaluations, strict=True)
            if "retrieval" in e.metrics
        ],
        "sources": [(name, e.meta) for name, e in zip(names, evaluations, strict=True)],
        "version": eclip.__version__,
    }
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATE.parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template(_TEMPLATE.name).render(content)
    try:
        out_html.parent.mkdir(parents=True, exist_ok=True)
        out_html.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{out_html}: cannot be written ({error.strerror or error})") from error


def _model(run: RunView) -> Model | None:
    if run.model is not None or run.run is None:
        return run.model
    return load(run.run)


def _tasks(evaluations: Sequence[Evaluation], compared: Sequence[Differences]) -> list[tuple[str, list[Row]]]:
    """Each task's title and its rows."""
    tasks = []
    for task in evaluations[0].metrics:
        rows, first = [], headlines(evaluations[0].metrics[task])
        for name, metric in evaluations[0].metrics[task].items():
            metrics = [evaluation.metrics.get(task, {}).get(name) for evaluation in evaluations]
            rows.append(
                Row(
                    label=metric_label(name),
                    direction=metric.direction,
                    whiskers=intervals(metrics),
                    metrics=metrics,
                    differences=[found.get(task, {}).get(name) for found in compared],
                    chance=metric.chance,
                    blind=evaluations[0].metrics[task].get(name + IMAGE_BLIND),
                    decimals=1 if abs(metric.value) >= 10 else 3,
                    first=name in first,
                )
            )
        tasks.append((task_title(task), rows))
    return tasks


def _figures(
    names: Sequence[str], evaluations: Sequence[Evaluation]
) -> list[tuple[str, list[tuple[str, Markup]]]]:
    """Title of each figure that a task has, and what it shows for each model."""
    figures = []
    for task in evaluations[0].metrics:
        for title, draw in TASKS[task].figures.items() if task in TASKS else ():
            drawings = [
                (name, drawing)
                for name, evaluation in zip(names, evaluations, strict=True)
                if task in evaluation.metrics and (drawing := draw(evaluation)) is not None
            ]
            if drawings:
                figures.append((title, drawings))
    return figures


def _confusion(evaluation: Evaluation) -> tuple[list[str], list[tuple[str, list[tuple[int, float]]]]]:
    """Class names, and for each class that occurs its counts and their shares."""
    table = evaluation.task("zero-shot")
    counts = confusion(table)
    rows = [
        (str(name), [(int(count), float(count / row.sum())) for count in row])
        for name, row in counts.iterrows()
        if row.sum()
    ]
    return class_names(table), rows


def _curves(runs: Sequence[RunView]) -> list[tuple[str, Markup]]:
    """One chart a quantity that training logged, a line a run and set (training, validation)."""
    lines: dict[str, list[Line]] = {}
    for i, run in enumerate(runs):
        path = run.run / "logs" / "metrics.csv" if run.run is not None else None
        if path is None or not path.is_file():
            continue
        table = pd.read_csv(path)
        for column in table.columns.drop("step"):
            where, _, quantity = column.rpartition("/")
            known = table[["step", column]].dropna().to_numpy(np.float64)
            known = known[np.isfinite(known).all(1)]
            if len(known) > 1:
                x, y = smoothed(known[:, 0], known[:, 1])
                style = f"s{i % SERIES}" + " validation" * (where == "validation")
                lines.setdefault(quantity, []).append(Line(name=f"{run.name} {where}", x=x, y=y, style=style))
    order = sorted(lines, key=lambda quantity: ([*_CURVES, quantity].index(quantity), quantity))
    titles = {quantity: _CURVES.get(quantity, quantity.replace("_", " ").capitalize()) for quantity in order}
    return [(titles[q], line_chart(lines[q], title=titles[q], x_label="step")) for q in order]
