"""Judge a model on a store: every task's numbers with intervals, per-sample values, and a page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Column, Table

import eclip
from eclip.data.store import Store
from eclip.errors import InputError, check_seed
from eclip.evaluation.bootstrap import REPLICATES, summarise
from eclip.evaluation.context import Context
from eclip.evaluation.embedding_file import EmbeddingFile
from eclip.evaluation.leaks import check_leaks
from eclip.evaluation.page import RunView, write_page
from eclip.evaluation.prompts import PromptSet, fitting_set, prompt_set
from eclip.evaluation.results import PAGE, write_results
from eclip.evaluation.statistics import Metric, Statistic
from eclip.evaluation.tables import write_tables
from eclip.evaluation.tasks import TASKS, headlines
from eclip.evaluation.zero_shot import Ensemble
from eclip.models.model import Model


def evaluate(
    model: Model | EmbeddingFile,
    store: Store,
    *,
    out: Path,
    tasks: Sequence[str] = (),
    split: str = "test",
    prompts: str = "",
    ensemble: Ensemble = "embeddings",
    seed: int = 0,
    allow_leaks: bool = False,
    cache: Path | None = None,
) -> dict[str, Any]:
    """Judge a model on a store and write an evaluation folder.

    Args:
        model: The model, or its embeddings in a file.
        store: The studies.
        out: Folder to write to.
        tasks: Names out of `TASKS`; the default ones that the store allows if there are none.
        split: Which studies: train, validate or test.
        prompts: Prompt set for zero-shot classification: a name or a YAML file; that which fits the store's labels if
            not given.
        ensemble: How the prompts of a class come together.
        seed: Of the bootstrap, and of what a probe learns from.
        allow_leaks: Judge a training run on patients that it was trained on.
        cache: Folder that vectors are kept in, such as `cache_folder()`; None to compute them.

    Returns:
        What stands in `results.json`.

    Raises:
        InputError: Unknown task or prompt set, no study in the split, what a task needs is not in the store or the
            file, or the model was trained on patients of the split.
    """
    if unknown := [name for name in tasks if name not in TASKS]:
        raise InputError(f"--tasks {' '.join(unknown)}: no such task; there are {', '.join(TASKS)}")
    check_seed(seed)
    chosen = _prompts(prompts, store)  # before the long work, which a typing mistake must not cost
    console = Console(stderr=True)
    seen = check_leaks(model.path, store, split=split, allow=allow_leaks)
    context = Context(
        model=model, store=store, prompts=chosen, split=split, seed=seed, ensemble=ensemble, cache=cache
    )
    embeddings = context.embeddings  # a split without studies is no reason to leave out one task
    tables: dict[str, pd.DataFrame] = {}
    statistics: dict[str, dict[str, Statistic]] = {}
    for name in tasks or [name for name, task in TASKS.items() if task.default]:
        console.print(f"{name}, split {split!r}, {len(embeddings)} images", highlight=False, soft_wrap=True)
        try:
            table = context.table(TASKS[name].per_sample)
            found = TASKS[name].statistics(table, embeddings)
            if not found:
                raise InputError(f"{name}: split {split!r} has too few patients for any of its numbers")
            tables[name], statistics[name] = table, found
        except InputError as error:
            if tasks:
                raise
            console.print(f"Left out: {error}", highlight=False, soft_wrap=True)
    if not tables:
        raise InputError(
            f"{store.path}: no task can be done with split {split!r}; it needs labels or report texts"
        )
    metrics = {name: summarise(found, embeddings.patient_id, seed=seed) for name, found in statistics.items()}
    meta = {
        "seed": seed,
        "n": len(embeddings),
        "split": split,
        "prompts": "" if chosen is None else chosen.name,
        "prompts_fingerprint": "" if chosen is None else chosen.fingerprint,
        "ensemble": ensemble,
        "bootstrap_replicates": REPLICATES,
        "model_fingerprint": model.fingerprint,
        "data_fingerprint": store.fingerprint,
        "patients_in_training": seen,
        "command": f"eclip evaluate --model {model.path} --data {store.path} --tasks {' '.join(tables)} "
        f"--split {split}{f' --prompts {prompts or chosen.name}' if chosen else ''} --ensemble {ensemble} "
        f"--seed {seed}{_further(model, allow_leaks)} --out EVALUATION",
        "eclip_version": eclip.__version__,
    }
    results = write_results(out, metrics, meta=meta, tables=tables, embeddings=embeddings)
    write_tables(out, metrics)
    run = model.path.parent if model.path is not None and model.path.name == "model" else None
    if isinstance(model, EmbeddingFile):
        view = RunView(name=model.path.stem, evaluation=out)
    else:
        view = RunView(name=run.name if run else "model", evaluation=out, run=run, model=model)
    write_page(out / PAGE, title=f"Evaluation of {view.name}", runs=[view], store=store)
    Console().print(_table(metrics))
    return results


def _prompts(name: str, store: Store) -> PromptSet | None:
    if name:
        return prompt_set(name)
    labels = {entry["name"] for entries in store.column("labels") for entry in entries}
    return fitting_set(sorted(labels), phantom=bool(store.manifest.get("phantom", False)))


def _further(model: Model | EmbeddingFile, allow_leaks: bool) -> str:
    """Options that most commands do without."""
    prompts = model.prompts if isinstance(model, EmbeddingFile) else None
    return (f" --prompt-embeddings {prompts}" if prompts else "") + " --allow-leaks" * allow_leaks


def _table(metrics: Mapping[str, Mapping[str, Metric]]) -> Table:
    table = Table(Column("metric", no_wrap=True), "value", "95 % interval", "chance", "n", box=None)
    for task, numbers in metrics.items():
        table.add_row(f"[bold]{task}[/]")
        for name in headlines(numbers):
            m = numbers[name]
            chance = "" if m.chance is None else f"{m.chance:.3f}"
            table.add_row(f"  {name}", f"{m.value:.3f}", f"{m.low:.3f} … {m.high:.3f}", chance, str(m.n))
    return table
