"""One self-contained HTML page for one evaluation or several: nothing is loaded from anywhere."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

import eclip
from eclip.data.store import Store
from eclip.errors import InputError
from eclip.evaluation.comparison import Differences, differences
from eclip.evaluation.embeddings import Embeddings
from eclip.evaluation.examples import annotated_studies, retrieval_examples
from eclip.evaluation.figures import SERIES, Line, flat_map, intervals, line_chart, scatter, smoothed
from eclip.evaluation.results import Evaluation
from eclip.evaluation.retrieval import ANY_EQUAL_TEXT, IMAGE_BLIND
from eclip.evaluation.statistics import Difference, Metric
from eclip.evaluation.tasks import headlines
from eclip.evaluation.zero_shot import class_names, confusion
from eclip.models.model import Model, load

_TEMPLATE = Path(__file__).with_name("page.html")
_PAIRS_ON_MAP = 300
_GROUPS = 7  # colours that can be told apart
_TITLES = {
    "zero-shot": "Zero-shot classification",
    "retrieval": "Retrieval",
    "embedding-quality": "Embedding quality",
}
_WORDS = {
    "image_to_text_": "Image → report: ",
    "text_to_image_": "Report → image: ",
    "median_rank": "median rank",
    "mrr": "mean reciprocal rank",
    ANY_EQUAL_TEXT: ", any equal text",
    IMAGE_BLIND: ", image-blind floor",
    "auroc/": "AUROC, ",
    "auroc": "AUROC, mean over classes",
    "macro_f1": "Macro F1",
    "balanced_accuracy": "Balanced accuracy",
    "accuracy": "Accuracy",
    "alignment": "Alignment",
    "uniformity_": "Uniformity, ",
    "modality_gap": "Modality gap",
}
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
    compared = [differences(evaluations[0], other, seed=meta["seed"]) for other in evaluations[1:]]
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
        "maps": _maps(names, evaluations),
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


def metric_label(name: str) -> str:
    """A metric's name in words."""
    return re.sub("|".join(_WORDS), lambda code: _WORDS[code[0]], name)


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
        tasks.append((_TITLES.get(task, task), rows))
    return tasks


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


def _maps(names: Sequence[str], evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """A map of images and reports for each model, and the legend that they share."""
    kinds = findings(evaluations[0].embeddings)
    with_text = np.flatnonzero([text != "" for text in evaluations[0].embeddings.text])
    if len(with_text) < 3:
        return {"legend": [], "drawings": []}
    rows = with_text[np.linspace(0, len(with_text) - 1, min(len(with_text), _PAIRS_ON_MAP)).astype(int)]
    groups, legend = _groups([kinds[row] for row in rows])
    drawings = []
    for name, evaluation in zip(names, evaluations, strict=True):
        embeddings = evaluation.embeddings
        points = flat_map(np.concatenate([embeddings.image_ND[rows], embeddings.text_ND[rows]]))
        labels = [f"{kinds[row]}, {what}" for what in ("image", "report") for row in rows]
        drawing = scatter(
            points,
            groups * 2,
            labels,
            [False] * len(rows) + [True] * len(rows),
            label=f"Map of {len(rows)} images and their reports as {name} embeds them",
        )
        drawings.append((name, drawing))
    return {"legend": legend, "drawings": drawings, "pairs": len(rows)}


def findings(embeddings: Embeddings) -> list[str]:
    """What each image shows, in a word or two: its only finding, "Several findings", "No finding", "Not labelled"."""
    names = [name for name in embeddings.label_names if name != "No Finding"]
    columns = [embeddings.label_names.index(name) for name in names]
    present_NC = embeddings.label_NC[:, columns] == 1
    labelled_N = (
        ~np.isnan(embeddings.label_NC).all(1) if embeddings.label_NC.size else np.zeros(len(embeddings), bool)
    )
    words = []
    for present_C, labelled in zip(present_NC, labelled_N, strict=True):
        found = np.flatnonzero(present_C)
        if len(found) == 1:
            words.append(names[found[0]])
        else:
            words.append("Several findings" if len(found) else "No finding" if labelled else "Not labelled")
    return words


def _groups(kinds: Sequence[str]) -> tuple[list[int], list[tuple[int, str]]]:
    """A colour number for each; the commonest findings have colours, the rest are grey (7 and 8)."""
    neutral = {"No finding": _GROUPS, "Not labelled": _GROUPS, "Several findings": _GROUPS + 1}
    common = [kind for kind, _ in Counter(k for k in kinds if k not in neutral).most_common(_GROUPS)]
    number = {kind: i for i, kind in enumerate(sorted(common))} | neutral
    groups = [number.get(kind, _GROUPS + 1) for kind in kinds]
    legend = [(number[kind], kind) for kind in (*sorted(common), *neutral) if kind in kinds]
    if set(kinds) - set(number):
        legend.append((_GROUPS + 1, "Other findings"))
    return groups, legend
