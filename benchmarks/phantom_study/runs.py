"""Doing the runs: cached by what they are made of, several at a time, going on where they were stopped."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from damage import damaged
from grid import ARMS, Grid, Run, described

from eclip.annotations.annotation import Annotation
from eclip.data.build import build
from eclip.data.phantom.trees import write_phantom
from eclip.data.sources.mimic_cxr import MimicCxr
from eclip.data.store import Store, Study, write_store

TASKS = ("zero-shot", "linear-probe", "retrieval", "embedding-quality", "grounding")


def whole_store(out: Path, grid: Grid) -> Path:
    """The phantom of the study, every study with gaze."""
    store, trees = out / "store", out / "phantom"
    if not store.exists():
        if not trees.exists():
            write_phantom(trees, studies=grid.studies, annotated=grid.studies, seed=grid.data_seed)
        gaze = tuple(f"{name}={trees / name}" for name in ("egd-cxr", "reflacx"))
        source = MimicCxr(root=trees / "mimic-cxr-jpg", gaze=gaze)
        build(source, store, image_size=round(1.125 * grid.size))
    return store


def thinned_store(out: Path, whole: Path, run: Run) -> Path:
    """The store of a run: fewer training studies, annotations of a share of them, as damaged as it says.

    The other splits are as they are.

    Which ones are annotated depends on the seed alone, and those of a smaller share are among those of a larger one.
    """
    damage = f"_{run.damage}" if run.damage else ""
    folder = out / "stores" / f"annotated-{run.fraction:g}_train-{run.train:g}_seed-{run.seed}{damage}"
    if folder.exists():
        return folder
    store = Store.open(whole)
    train = np.random.default_rng([run.seed, 7]).permutation(store.rows(split="train"))
    kept = train[: max(1, round(run.train * len(train)))]
    annotated = set(kept[: max(2, round(run.fraction * len(kept)))].tolist())
    gone = set(train.tolist()) - set(kept.tolist())

    def annotations(row: int, study: Study) -> tuple[Annotation, ...]:
        if study.split != "train":
            return study.annotations
        if row not in annotated:
            return ()
        draw = np.random.default_rng([run.seed, 8, row])
        return damaged(study.annotations, run.damage, draw) if run.damage else study.annotations

    studies = (
        replace(study, annotations=annotations(row, study))
        for row, study in enumerate(store)
        if row not in gone
    )
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}")
    write_store(fresh, studies, source="phantom-study", rejected=[], phantom=True)
    try:
        fresh.rename(folder)
    except OSError:  # another process was first
        shutil.rmtree(fresh)
    return folder


def done(out: Path, run: Run, grid: Grid) -> dict[str, object] | None:
    """The row of a run that was done with these settings."""
    path = out / "runs" / run.name / "row.json"
    if not path.is_file():
        return None
    row = json.loads(path.read_text())
    return row if row["settings"] == _settings(run, grid) else None


def do(out: Path, whole: Path, run: Run, grid: Grid) -> dict[str, object]:
    """Train and judge one run; leaves its evaluation and `row.json`, and not its weights."""
    import torch

    torch.set_num_threads(1)
    from eclip.evaluation.evaluate import evaluate
    from eclip.models.model import load
    from eclip.training.train import train

    folder = out / "runs" / run.name
    shutil.rmtree(folder, ignore_errors=True)
    data = thinned_store(out, whole, run)
    config = ARMS[run.arm](grid)
    config.seed = run.seed
    start = time.perf_counter()
    train(config, data=data, out=folder / "run", recipe=f"phantom study: {run.arm}")
    trained = time.perf_counter() - start
    model = load(folder / "run")
    store = Store.open(whole)  # the same test studies for all, so that runs can be paired
    results = evaluate(model, store, out=folder / "evaluation", tasks=TASKS, seed=0)
    shutil.rmtree(folder / "run")
    numbers = {f"{task}/{name}": metric["value"] for task in TASKS for name, metric in results[task].items()}
    row = {
        "settings": _settings(run, grid),
        "arm": run.arm,
        "fraction": run.fraction,
        "train": run.train,
        "seed": run.seed,
        "seconds": round(trained, 1),
        "metrics": numbers,
    }
    (folder / "row.json").write_text(json.dumps(row, indent=1) + "\n")
    return row


def do_all(out: Path, runs: Iterable[Run], grid: Grid, *, jobs: int) -> None:
    """Do what is not done yet."""
    whole = whole_store(out, grid)
    open_runs = [run for run in runs if done(out, run, grid) is None]
    print(f"{len(open_runs)} runs to do", flush=True)
    os.environ |= {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_quiet) as pool:
        futures = {pool.submit(do, out, whole, run, grid): run for run in open_runs}
        for number, future in enumerate(as_completed(futures), 1):
            row, run = future.result(), futures[future]
            accuracy = row["metrics"]["zero-shot/accuracy"]
            print(
                f"{number}/{len(open_runs)} {run.name}: accuracy {accuracy:.3f}, {row['seconds']} s",
                flush=True,
            )


def _settings(run: Run, grid: Grid) -> str:
    config = {"grid": described(grid), "arm": ARMS[run.arm](grid).to_dict()}
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16]


def _quiet() -> None:
    """Runs do not write into each other's progress bars."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
