"""Doing the runs: several at a time, and none that is recorded."""

import os
import shutil
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from damage import damaged
from grid import ARMS, Grid, Run
from record import Record, read

from eclip.annotations.annotation import Annotation
from eclip.data.build import build
from eclip.data.phantom.trees import write_phantom
from eclip.data.sources.mimic_cxr import MimicCxr
from eclip.data.store import Store, Study, write_store

TASKS = ("zero-shot", "linear-probe", "retrieval", "embedding-quality", "grounding")
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
"""What the page shows, and names."""


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


def do(run: Run, *, out: Path, whole: Path, results: Path, grid: Grid) -> Record:
    """Train and judge one run; leaves its record alone."""
    import torch

    torch.set_num_threads(1)
    from eclip.evaluation.differences import measured
    from eclip.evaluation.evaluate import evaluate
    from eclip.evaluation.results import Evaluation
    from eclip.models.model import load
    from eclip.training.train import train

    folder = out / "runs" / run.name
    shutil.rmtree(folder, ignore_errors=True)
    config = ARMS[run.arm](grid)
    config.seed = run.seed
    data = thinned_store(out, whole, run)
    start = time.perf_counter()
    train(config, data=data, out=folder, recipe=f"phantom study: {run.arm}")
    seconds = time.perf_counter() - start
    store = Store.open(whole)  # the same test studies for all, so that runs can be paired
    judged = evaluate(load(folder), store, out=folder / "evaluation", tasks=TASKS, seed=0)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    record = Record(
        run=run,
        seconds=seconds,
        machine=f"{device}, torch {torch.__version__}",
        metrics={
            f"{task}/{name}": metric["value"] for task in TASKS for name, metric in judged[task].items()
        },
        drawn=measured([[Evaluation.read(folder / "evaluation")]], seed=0, keys=SHOWN)[0],
    )
    record.write(results, grid)
    shutil.rmtree(folder)
    return record


def do_all(runs: Iterable[Run], grid: Grid, *, out: Path, results: Path, jobs: int) -> None:
    """Do what is not recorded yet.

    Args:
        runs: In this order.
        grid: The sizes of the study.
        out: Folder for the phantom, the stores, and what is being trained.
        results: Folder of records.
        jobs: Processes.
    """
    to_do = [run for run in {run.name: run for run in runs}.values() if read(run, grid, results) is None]
    print(f"{len(to_do)} runs to do", flush=True)
    if not to_do:
        return
    whole = whole_store(out, grid)
    os.environ |= {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    work = partial(do, out=out, whole=whole, results=results, grid=grid)
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_quiet) as pool:
        for number, future in enumerate(as_completed([pool.submit(work, run) for run in to_do]), 1):
            record = future.result()
            accuracy = record.metrics["zero-shot/accuracy"]
            print(
                f"{number}/{len(to_do)} {record.run.name}: accuracy {accuracy:.3f}, {record.seconds:.0f} s",
                flush=True,
            )


def _quiet() -> None:
    """Runs do not write into each other's progress bars."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
