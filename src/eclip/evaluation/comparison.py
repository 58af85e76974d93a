"""Models against each other on the same studies: paired differences, intervals, p values."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from eclip.errors import InputError
from eclip.evaluation import statistics
from eclip.evaluation.results import Evaluation, rounded, write_json
from eclip.evaluation.retrieval import IMAGE_BLIND
from eclip.evaluation.statistics import Difference
from eclip.evaluation.tasks import TASKS, headlines

COMPARISON = "comparison.json"
_COLUMNS = ("first", "second", "difference", "95 % interval", "p", "n", "")
Differences = dict[str, dict[str, Difference]]


def compare(folders: Sequence[Path | str], *, out: Path | None = None, seed: int = 0) -> dict[str, Any]:
    """Compare evaluations with the first of them, print one table, and write `comparison.json`.

    Args:
        folders: Two or more that `eclip evaluate` wrote, on the same studies.
        out: File to write to; `comparison.json` in the last folder if not given.
        seed: Of the bootstrap.

    Returns:
        What stands in the file: `{"baseline": name, "models": {name: {task: {metric: {first, second, value, low,
        high, p, n, verdict}}}}, "meta": {…}}`, where value is the difference, this model minus the baseline.

    Raises:
        InputError: Fewer than two folders, one is not an evaluation, or they are of different studies.
    """
    if len(folders) < 2:
        raise InputError("eclip compare: give two or more folders that `eclip evaluate` wrote")
    evaluations = [Evaluation.read(folder) for folder in folders]
    names = names_of(evaluations)
    baseline, others = evaluations[0], evaluations[1:]
    console = Console()
    if not console.is_terminal:
        console.width = 112  # of the table; rich would assume 80 and break its lines
    models: dict[str, Any] = {}
    for name, evaluation in zip(names[1:], others, strict=True):
        found = differences(baseline, evaluation, seed=seed)
        models[name] = {
            task: {metric: _entry(task, metric, baseline, evaluation, d) for metric, d in numbers.items()}
            for task, numbers in found.items()
        }
        console.print(_table(names[0], name, models[name]))
    meta = {"seed": seed, "bootstrap_replicates": statistics.REPLICATES, "n": baseline.meta["n"]}
    content = {"baseline": names[0], "models": models, "meta": meta}
    write_json(out or evaluations[-1].folder / COMPARISON, content)
    return content


def differences(first: Evaluation, second: Evaluation, *, seed: int = 0) -> Differences:
    """Second minus first for each metric of each task that both have.

    Raises:
        InputError: They are of different studies.
    """
    check_same_studies(first, second)
    patients = first.per_sample["patient_id"].tolist()
    found: Differences = {}
    for name, task in TASKS.items():
        if name in first.metrics and name in second.metrics:
            one, other = (task.statistics(e.task(name), e.embeddings) for e in (first, second))
            one = {metric: s for metric, s in one.items() if not metric.endswith(IMAGE_BLIND)}  # of no model
            found[name] = statistics.paired(one, other, patients, seed=seed)
    return found


def check_same_studies(first: Evaluation, second: Evaluation) -> None:
    """A paired test needs the same images in the same order, from the same store.

    Raises:
        InputError: They differ, or were classified with other prompts.
    """
    one, other = (e.per_sample["image_id"] for e in (first, second))
    same_data = first.meta.get("data_fingerprint") == second.meta.get("data_fingerprint")
    if not same_data or not one.equals(other):
        raise InputError(
            f"{second.folder}: {len(other)} images, not the same data as the {len(one)} of {first.folder}; "
            "evaluate both on the same store and split"
        )
    both_classify = "zero-shot" in first.metrics and "zero-shot" in second.metrics
    if both_classify and first.meta.get("prompts_fingerprint") != second.meta.get("prompts_fingerprint"):
        raise InputError(
            f"{second.folder}: prompt set {second.meta.get('prompts')!r} is not the {first.meta.get('prompts')!r} "
            f"of {first.folder}; evaluate both with the same --prompts"
        )


def names_of(evaluations: Sequence[Evaluation]) -> list[str]:
    """A name for each; the whole path where two would be called the same."""
    names = [evaluation.name for evaluation in evaluations]
    return [n if names.count(n) == 1 else str(e.folder) for n, e in zip(names, evaluations, strict=True)]


def _entry(
    task: str, metric: str, first: Evaluation, second: Evaluation, found: Difference
) -> dict[str, Any]:
    values = {"first": first.metrics[task][metric].value, "second": second.metrics[task][metric].value}
    return values | rounded(asdict(found))


def _table(first: str, second: str, tasks: dict[str, dict[str, dict[str, Any]]]) -> Table:
    title = f"{second} against {first}"
    table = Table(Column("metric", no_wrap=True), *_COLUMNS, box=None, title=title, title_justify="left")
    for task, numbers in tasks.items():
        table.add_row(f"[bold]{task}[/]")
        for name in headlines(numbers):
            d = numbers[name]
            values = (f"{d['first']:.3f}", f"{d['second']:.3f}", f"{d['value']:+.3f}")
            interval = f"{d['low']:+.3f} … {d['high']:+.3f}"
            table.add_row(f"  {name}", *values, interval, f"{d['p']:.3f}", str(d["n"]), d["verdict"])
    return table
