"""Models against each other on the same studies: paired differences, intervals, p values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from eclip.errors import InputError, check_seed
from eclip.evaluation.bootstrap import REPLICATES, Replicates, metric
from eclip.evaluation.contenders import contenders_of
from eclip.evaluation.differences import (
    best_of,
    by_task,
    chosen_keys,
    differences_of,
    measured,
    patients_of,
)
from eclip.evaluation.results import rounded, write_json
from eclip.evaluation.statistics import Difference
from eclip.evaluation.tables import comparison_latex, comparison_markdown, p_words, remark

COMPARISON = "comparison.json"
_COLUMNS = ("first", "second", "difference", "95 % interval", "p", "adjusted p", "n", "")


def compare(
    models: Sequence[Path | str],
    *,
    out: Path | None = None,
    metrics: Sequence[str] = (),
    margin: float | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare models with the first of them, print a table for each other one, and write a file.

    Args:
        models: Two or more: FOLDER, or NAME=FOLDER,FOLDER,… for several training runs of one model; what `eclip
            evaluate` wrote on the same studies.
        out: File to write to: .json, .md or .tex; `comparison.json` in the last folder if not given.
        metrics: TASK or TASK/METRIC, which alone are compared; all that first tables show if there are none. The p
            values are corrected for as many as these are, so choose before you look.
        margin: A difference as small as this does not matter; those whose interval lies within are equivalent.
        seed: Of the bootstrap.

    Returns:
        What stands in the JSON file: `{"baseline": name, "models": {name: {task: {metric: {first, second, value, low,
        high, p, n, direction, verdict, p_swapped, p_adjusted}}}}, "values": {name: {task: {metric: {value, low, high,
        …}}}}, "best": {task: {metric: name}}, "meta": {…}}`. A model's value is the mean over its runs, a difference
        this model minus the baseline; the best is better than each of the others.

    Raises:
        InputError: Fewer than two models, a folder is not an evaluation, they are of different studies, no such
            metric, a margin that is not above 0, or a file of another kind.
    """
    check_seed(seed)
    write = _writer(out)
    if margin is not None and not margin > 0:
        raise InputError(f"--margin {margin:g}: must be above 0; the largest difference that does not matter")
    contenders = contenders_of(models)
    names, runs = [c.name for c in contenders], [c.runs for c in contenders]
    numbers = measured(runs, seed=seed)
    chosen = chosen_keys(numbers, metrics)
    found = differences_of(runs, numbers, chosen, margin=margin, seed=seed)
    if metrics:  # else details stand in the file, too
        found = [{key: d for key, d in own.items() if key in chosen} for own in found]
    values = [{key: rounded(asdict(metric(own[key]))) for key in chosen if key in own} for own in numbers]
    content: dict[str, Any] = {
        "baseline": names[0],
        "models": {
            name: by_task({key: _entry(numbers[0][key], own[key], d) for key, d in ds.items()})
            for name, own, ds in zip(names[1:], numbers[1:], found, strict=True)
        },
        "values": {name: by_task(own) for name, own in zip(names, values, strict=True)},
        "best": by_task({key: names[i] for key, i in best_of(numbers, chosen).items()}),
        "meta": {
            "seed": seed,
            "bootstrap_replicates": REPLICATES,
            "n": runs[0][0].meta["n"],
            "patients": len(set(patients_of(runs))),
            "runs": {c.name: len(c.runs) for c in contenders},
            "comparisons": sum(d.p_adjusted is not None for ds in found for d in ds.values()),
        }
        | ({} if margin is None else {"margin": margin}),
    }
    console = Console()
    if not console.is_terminal:
        console.width = 128  # of the table; rich would assume 80 and break its lines
    for name, tasks in content["models"].items():
        console.print(_table(names[0], name, tasks))
    console.print(remark(content["meta"]), highlight=False)
    path = out or runs[-1][-1].folder / COMPARISON
    try:
        write(path, content)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
    return content


def _entry(first: Replicates, second: Replicates, found: Difference) -> dict[str, Any]:
    return rounded({"first": first.value, "second": second.value} | asdict(found))


def _writer(out: Path | None) -> Callable[[Path, Mapping[str, Any]], None]:
    """What writes a file of that kind.

    Raises:
        InputError: There is none.
    """
    kind = ".json" if out is None else out.suffix
    text = {".md": comparison_markdown, ".tex": comparison_latex}
    if kind == ".json":
        return write_json
    if kind not in text:
        raise InputError(f"--out {out}: must end in .json, .md or .tex")

    def write(path: Path, content: Mapping[str, Any]) -> None:
        path.write_text(text[kind](content), encoding="utf-8")

    return write


def _table(first: str, second: str, tasks: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Table:
    title = f"{second} against {first}"
    table = Table(Column("metric", no_wrap=True), *_COLUMNS, box=None, title=title, title_justify="left")
    for task, numbers in tasks.items():
        compared = {name: d for name, d in numbers.items() if "p_adjusted" in d}
        if compared:
            table.add_row(f"[bold]{task}[/]")
        for name, d in compared.items():
            values = (f"{d['first']:.3f}", f"{d['second']:.3f}", f"{d['value']:+.3f}")
            interval = f"{d['low']:+.3f} … {d['high']:+.3f}"
            tests = (p_words(d["p"]), p_words(d["p_adjusted"]))
            table.add_row(f"  {name}", *values, interval, *tests, str(d["n"]), d["verdict"])
    return table
