"""Judge a model on a store: every task's numbers with intervals, per-sample values, and a page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Column, Table

import eclip
from eclip.data.store import Store
from eclip.errors import InputError
from eclip.evaluation.embeddings import embed_store
from eclip.evaluation.page import RunView, write_page
from eclip.evaluation.prompts import prompt_set
from eclip.evaluation.results import PAGE, write_results
from eclip.evaluation.statistics import REPLICATES, Metric, summarise
from eclip.evaluation.tasks import TASKS, Context, headlines
from eclip.models.model import Model


def evaluate(
    model: Model,
    store: Store,
    *,
    out: Path,
    tasks: Sequence[str] = (),
    split: str = "test",
    prompts: str = "phantom",
    seed: int = 0,
) -> dict[str, Any]:
    """Judge a model on a store and write an evaluation folder.

    Args:
        model: The model.
        store: The studies.
        out: Folder to write to.
        tasks: Names out of `TASKS`; all that the store allows if there are none.
        split: Which studies: train, validate or test.
        prompts: Prompt set for zero-shot classification: a name or a YAML file.
        seed: Of the bootstrap.

    Returns:
        What stands in `results.json`.

    Raises:
        InputError: Unknown task or prompt set, no study in the split, or what a task needs is not in the store.
    """
    if unknown := [name for name in tasks if name not in TASKS]:
        raise InputError(f"--tasks {' '.join(unknown)}: no such task; there are {', '.join(TASKS)}")
    chosen = prompt_set(prompts)  # before the long work, which a typing mistake must not cost
    console = Console(stderr=True)
    context = Context(model, store, embed_store(model, store, split=split), chosen)
    tables: dict[str, pd.DataFrame] = {}
    for name in tasks or TASKS:
        try:
            tables[name] = TASKS[name].per_sample(context)
        except InputError as error:
            if tasks:
                raise
            console.print(f"Left out: {error}", highlight=False)
    if not tables:
        raise InputError(
            f"{store.path}: no task can be done with split {split!r}; it needs labels or report texts"
        )
    metrics = {
        name: summarise(
            TASKS[name].statistics(table, context.embeddings), context.embeddings.patient_id, seed=seed
        )
        for name, table in tables.items()
    }
    meta = {
        "seed": seed,
        "n": len(context.embeddings),
        "split": split,
        "prompts": chosen.name,
        "prompts_fingerprint": chosen.fingerprint,
        "bootstrap_replicates": REPLICATES,
        "model_fingerprint": model.fingerprint,
        "data_fingerprint": store.fingerprint,
        "command": f"eclip evaluate --model {model.path} --data {store.path} --tasks {' '.join(tables)} "
        f"--split {split} --prompts {prompts} --seed {seed} --out EVALUATION",
        "eclip_version": eclip.__version__,
    }
    results = write_results(out, metrics, meta=meta, tables=tables, embeddings=context.embeddings)
    run = model.path.parent if model.path is not None and model.path.name == "model" else None
    view = RunView(name=run.name if run else "model", evaluation=out, run=run, model=model)
    write_page(out / PAGE, title=f"Evaluation of {view.name}", runs=[view], store=store)
    Console().print(_table(metrics))
    return results


def _table(metrics: Mapping[str, Mapping[str, Metric]]) -> Table:
    table = Table(Column("metric", no_wrap=True), "value", "95 % interval", "chance", "n", box=None)
    for task, numbers in metrics.items():
        table.add_row(f"[bold]{task}[/]")
        for name in headlines(numbers):
            m = numbers[name]
            chance = "" if m.chance is None else f"{m.chance:.3f}"
            table.add_row(f"  {name}", f"{m.value:.3f}", f"{m.low:.3f} … {m.high:.3f}", chance, str(m.n))
    return table
