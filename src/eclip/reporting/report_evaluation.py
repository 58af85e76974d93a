"""Drafts for a whole split, judged beside baselines under one protocol.

OUT/                   the drafts, and an evaluation folder that `eclip compare` reads
OUT/baselines/NAME/    the same of each baseline
OUT/index.html         examples

For every image the reports of its own patient are left out, whatever the index holds: as sources, as demonstrations and
in every baseline.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

import eclip
from eclip.data.store import Store
from eclip.errors import InputError
from eclip.evaluation.bootstrap import REPLICATES, summarise
from eclip.evaluation.differences import differences
from eclip.evaluation.embeddings import Embeddings, embed_store
from eclip.evaluation.leaks import check_leaks
from eclip.evaluation.report_scores import statistics
from eclip.evaluation.results import Evaluation, write_results
from eclip.evaluation.statistics import Difference, Metric
from eclip.evaluation.tables import write_tables
from eclip.models.model import Model
from eclip.reporting.baselines import BASELINES, Judged, baseline_texts, indexed_images
from eclip.reporting.draft import NOT_A_DEVICE, Drafter
from eclip.reporting.drafts_file import DraftsFile
from eclip.reporting.examples import write_examples
from eclip.reporting.generators.protocol import Case
from eclip.reporting.index import ReportIndex
from eclip.reporting.learned_metrics import check_learned, described, learned_columns
from eclip.reporting.text_metrics import METRICS, per_sample

TASK = "reports"
_SHOWN = ("finding_f1", "bleu_2", "rouge_l", "text_similarity")


def report_split(
    model: Model,
    drafter: Drafter,
    store: Store,
    *,
    out: Path,
    split: str = "test",
    resume: bool = False,
    metrics: Sequence[str] = (),
    allow_leaks: bool = False,
    cache: Path | None = None,
) -> dict[str, dict[str, Metric]]:
    """Draft a report for every image of a split that has one, and judge them and the baselines.

    Args:
        model: That made the index.
        drafter: What makes the drafts.
        store: The studies.
        out: Folder to make, or to go on in.
        split: Which studies.
        resume: Go on with the drafts that are there.
        metrics: Further ones out of `LEARNED`, "NAME" or "NAME:MODEL".
        allow_leaks: Go on although the model was trained on patients of the split.
        cache: Folder that vectors are kept in; None to compute them.

    Returns:
        The numbers by metric, of the drafts ("drafts") and of each baseline.

    Raises:
        InputError: No study with a report, patients of the training split, or a server did not answer for some drafts;
            the others are kept. An image of which there can be no draft, because nothing is retrieved or its prompt
            does not fit, scores 0.
    """
    check_learned(metrics)
    console = Console(stderr=True)
    seen = check_leaks(model.path, store, split=split, allow=allow_leaks)
    embeddings = embed_store(model, store, split=split, cache=cache)
    rows = [i for i, text in enumerate(embeddings.text) if text.strip()]
    if not rows:
        raise InputError(f"{store.path}: no study of split {split!r} has a report to judge drafts by")
    image_ids = [embeddings.image_id[i] for i in rows]
    patients = [{embeddings.patient_id[i]} for i in rows]
    there = {patient for own in patients for patient in own} & drafter.index.patients()
    if there:
        console.print(
            f"{len(there)} patients of split {split!r} are in the index; for each, its own reports are left out",
            highlight=False,
        )
    cases = drafter.cases(image_ids, embeddings.image_ND[rows], patients)
    made_with = _made_with(model, store, split, drafter)
    drafts = _drafts(drafter, cases, out, made_with, resume=resume)
    without = Counter(error for draft in drafts if (error := draft.get("error")))
    if without:
        console.print(
            f"{without.total()} of {len(drafts)} images have no draft and score 0 ({_told(without)})",
            highlight=False,
        )

    def images_of(split: str) -> np.ndarray:
        return embed_store(model, store, split=split, texts=False, cache=cache).image_ND

    judged = Judged(
        cases=cases,
        patients=patients,
        image_ND=embeddings.image_ND[rows],
        index=drafter.index,
        training=indexed_images(store, drafter.index, images_of),
        seed=drafter.settings.seed,
    )
    references = [embeddings.text[i] for i in rows]
    written = {"drafts": [draft["report"] for draft in drafts], **_baselines(judged, console)}
    meta = {
        "seed": drafter.settings.seed,
        "n": len(embeddings),
        "bootstrap_replicates": REPLICATES,
        **made_with,
        "patients_in_training": seen,
        "patients_in_index": len(there),
        "images_without_draft": without.total(),
        "reports_word_for_word_in_index": _said_by_others(drafter.index, references, patients),
        "metrics": {name: asdict(one) for name, one in {**METRICS, **described(metrics)}.items()},
        "command": f"eclip report --model {model.path} --index {drafter.index.path} --data {store.path} "
        f"--split {split} --generator {drafter.generator.name} "
        f"--seed {drafter.settings.seed} --out OUT",
        "eclip_version": eclip.__version__,
    }
    embed = _embedding(model, dict(zip(references, embeddings.text_ND[rows], strict=True)))
    results = {}
    for name, texts in written.items():
        console.print(f"Judging: {name}", highlight=False)
        table = per_sample(references, texts, embed=embed)
        table = pd.concat([table, learned_columns(metrics, references, texts)], axis=1)
        if name == "drafts":
            table["supported"] = [_supported(draft) for draft in drafts]
        table = table.set_axis(rows).reindex(range(len(embeddings)))
        own = meta | {"generator": drafter.generator.name if name == "drafts" else name}
        results[name] = _write(out if name == "drafts" else out / "baselines" / name, table, embeddings, own)
    found = differences(
        [[Evaluation.read(out)]]
        + [[Evaluation.read(out / "baselines" / n)] for n in written if n != "drafts"],
        seed=drafter.settings.seed,
    )
    write_examples(out / "index.html", Evaluation.read(out), drafts, store, results)
    Console().print(_table(results, [d.get(TASK, {}) for d in found], drafter.generator.name))
    Console().print(NOT_A_DEVICE, soft_wrap=True)
    return results


def _made_with(model: Model, store: Store, split: str, drafter: Drafter) -> dict[str, Any]:
    """All that drafts depend on."""
    manifest = json.dumps(drafter.index.manifest, sort_keys=True).encode()
    return {
        "model_fingerprint": model.fingerprint,
        "data_fingerprint": store.fingerprint,
        "split": split,
        "index": hashlib.sha256(manifest).hexdigest()[:16],
        "generator": drafter.generator.name,
        "max_new_tokens": getattr(drafter.generator, "max_new_tokens", None),
        "template": hashlib.sha256(drafter.template.path.read_bytes()).hexdigest()[:16],
        **asdict(drafter.settings),
    }


def _drafts(
    drafter: Drafter, cases: Sequence[Case], out: Path, made_with: Mapping[str, Any], *, resume: bool
) -> list[dict[str, Any]]:
    """The draft of each case: those that are in `out`, and the others made and written there.

    Raises:
        InputError: Some could not be had, and may be another time.
    """
    failed: Counter[str] = Counter()
    columns = (TextColumn("Drafting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with DraftsFile(out, made_with, resume=resume) as file:
        to_do = [case for case in cases if case.image_id not in file.finished]
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task("", total=len(to_do))
            for _, draft in drafter.draft(to_do):
                if draft.again:
                    failed[draft.error] += 1
                else:
                    file.add(draft)
                progress.advance(task)
        if failed:
            raise InputError(
                f"{out}: {failed.total()} of {len(cases)} drafts could not be had ({_told(failed)}); "
                f"{len(file.finished)} are kept, run the same with --resume for the others"
            )
        names = [case.image_id for case in cases]
        file.sort(names)
        return [file.finished[name] for name in names]


def _baselines(judged: Judged, console: Console) -> dict[str, list[str]]:
    """What each baseline says, without those that the index does not allow."""
    texts = {name: baseline_texts(name, judged) for name in BASELINES}
    for name in [name for name, said in texts.items() if said is None]:
        needs = "an index of whole reports, of one split of this store"
        console.print(f"Left out: the baseline {name}, which needs {needs}", highlight=False)
    return {name: said for name, said in texts.items() if said is not None}


def _embedding(model: Model, known: dict[str, np.ndarray]) -> Callable[[Sequence[str]], np.ndarray]:
    """Texts to their vectors, each of which is computed once."""

    def embed(texts: Sequence[str]) -> np.ndarray:
        fresh = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(fresh, model.embed_texts(fresh), strict=True))
        return np.stack([known[text] for text in texts])

    return embed


def _write(
    folder: Path, table: pd.DataFrame, embeddings: Embeddings, meta: Mapping[str, Any]
) -> dict[str, Metric]:
    metrics = summarise(statistics(table), embeddings.patient_id, seed=meta["seed"])
    write_results(folder, {TASK: metrics}, meta=meta, tables={TASK: table}, embeddings=embeddings)
    write_tables(folder, {TASK: metrics})
    return metrics


def _told(reasons: Counter[str]) -> str:
    return ", ".join(f"{reason}: {count}" for reason, count in reasons.most_common())


def _said_by_others(
    index: ReportIndex, texts: Sequence[str], patients: Sequence[Collection[str]]
) -> int | None:
    """How many reports stand in the index word for word, by studies of other patients; None for sentences."""
    if index.level != "report":
        return None
    number = {text: n for n, text in enumerate(index.texts.to_pylist())}
    return sum(
        len(index.sayers(number[text.strip()], exclude_patients=own)) > 0
        for text, own in zip(texts, patients, strict=True)
        if text.strip() in number
    )


def _supported(draft: Mapping[str, Any]) -> float:
    """Share of a draft's sentences that have a source."""
    return float(np.mean([sentence["supported"] for sentence in draft["sentences"]] or [0.0]))


def _table(
    results: Mapping[str, Mapping[str, Metric]], minus_drafts: Sequence[Mapping[str, Difference]], name: str
) -> Table:
    """A row each of the drafts and the baselines; beside a baseline, whether it is better or worse than the drafts."""
    shown = [metric for metric in _SHOWN if metric in results["drafts"]]
    table = Table(
        Column("", no_wrap=True),
        *(Column(metric, no_wrap=True) for metric in shown),
        box=None,
        title=f"Drafts by {name}",
    )
    for i, (row, metrics) in enumerate(results.items()):
        cells = []
        for metric in shown:
            m = metrics[metric]
            verdict = minus_drafts[i - 1][metric].verdict if i and metric in minus_drafts[i - 1] else ""
            cells.append(f"{m.value:.3f}\n{m.low:.3f} … {m.high:.3f}" + (f"\n{verdict}" if verdict else ""))
        table.add_row("[bold]drafts[/]" if not i else row, *cells)
    return table
