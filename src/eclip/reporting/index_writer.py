"""Making a report index, or adding to one."""

import json
import shutil
from collections.abc import Collection
from pathlib import Path
from secrets import token_hex
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from rich.console import Console

import eclip
from eclip.data.store import Store
from eclip.errors import InputError, refuse_present_folder
from eclip.evaluation.embeddings import StoredImages
from eclip.models.model import Model, Precision
from eclip.reporting.approximate import write_approximate
from eclip.reporting.index import (
    ENTRIES,
    FAISS,
    FORMAT_VERSION,
    MANIFEST,
    TEXTS,
    VECTORS,
    Kind,
    Level,
    ReportIndex,
)
from eclip.reporting.sentences import split_sentences

EXACT_UP_TO = 200_000
"""Distinct texts; beyond, a query would take longer than 20 ms, and the kind that is chosen is ivf."""
_SCHEMA = pa.schema(
    {
        "text": pa.int64(),
        "study_id": pa.string(),
        "patient_id": pa.string(),
        "labels": pa.list_(pa.string()),
    }
)


_QUERIES = 500  # images that the effort of an approximate index is chosen for


def build_index(
    model: Model,
    store: Store,
    out: Path,
    *,
    split: str = "train",
    level: Level = "report",
    kind: Kind | Literal["auto"] = "auto",
    append: bool = False,
    precision: Precision = "32",
) -> ReportIndex:
    """Index the reports of a store.

    Args:
        model: Embeds the texts; only it can be asked later.
        store: The studies.
        out: Folder to make, or to add to.
        split: Which studies.
        level: Whole reports, or each of their sentences.
        kind: "exact" compares with every text; "ivf" and "hnsw" are approximate; "auto" is exact up to 200,000
            distinct texts, then ivf.
        append: Add to the index that is there, which keeps its level and kind. Studies that it has are left out.
        precision: As for `Model.embed_texts`.

    Raises:
        InputError: The folder is there already, or is no index to add to; no study of the split has a text.
    """
    refuse_present_folder(out)
    there = None
    if append:
        there = ReportIndex.open(out, model=model)
        level, kind = there.level, there.manifest["kind"]
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: is there already; give another folder, or --append to add to it")
    known = set() if there is None else there.studies()
    entries, seen = _read(store, split, level, known)
    added = len({row["study_id"] for _, row in entries})
    if not entries:
        why = "all its studies are in the index" if seen & known else "no study of it has a text"
        raise InputError(f"{store.path}, split {split!r}: {why}; nothing to index")
    if seen & known:
        Console(stderr=True).print(f"{len(seen & known)} studies are in the index already", highlight=False)
    numbers = {} if there is None else {there.text(n): n for n in range(len(there))}
    fresh = [text for text in dict.fromkeys(text for text, _ in entries) if text not in numbers]
    numbers |= {text: len(numbers) + i for i, text in enumerate(fresh)}
    vectors_MD = model.embed_texts(fresh, progress=True, precision=precision) if fresh else None
    parts = [part for part in (None if there is None else there.vectors, vectors_MD) if part is not None]
    rows = [] if there is None else there.entries.to_pylist()
    rows += [{"text": numbers[text], **row} for text, row in entries]
    rows.sort(key=lambda row: row["text"])  # stable: the studies of a text stay in order
    source = {"data_fingerprint": store.fingerprint, "split": split, "studies": added}
    chosen: Kind = kind if kind != "auto" else "exact" if len(numbers) <= EXACT_UP_TO else "ivf"
    manifest = {
        "format": FORMAT_VERSION,
        "level": level,
        "kind": chosen,
        "model_fingerprint": model.fingerprint,
        "texts": len(numbers),
        "entries": len(rows),
        "dimensions": int(parts[0].shape[1]),
        "sources": ([] if there is None else there.manifest["sources"]) + [source],
        "eclip_version": eclip.__version__,
    }
    queries = None
    if chosen != "exact":
        images = store.rows(split=split)
        images = images[np.linspace(0, len(images) - 1, min(_QUERIES, len(images))).astype(int)]
        queries = model.embed_images(StoredImages(store, images), precision=precision)
    write_index(out, manifest, np.concatenate(parts), list(numbers), rows, queries)
    if chosen != "exact":
        Console(stderr=True).print(
            f"{chosen} index: finds {manifest['recall']:.1%} of the 10 texts nearest to an image",
            highlight=False,
        )
    return ReportIndex.open(out, model=model)


def _read(
    store: Store, split: str, level: Level, known: Collection[str]
) -> tuple[list[tuple[str, dict[str, Any]]], set[str]]:
    """(text, its entry) of each study once, and the studies that have a text."""
    columns = [store.column(name) for name in ("study_id", "patient_id", "text", "labels")]
    seen: set[str] = set()
    entries: list[tuple[str, dict[str, Any]]] = []
    for row in store.rows(split=split):
        study, patient, text, labels = (column[row] for column in columns)
        if study in seen or not text.strip():
            continue
        seen.add(study)
        if study in known:
            continue
        present = sorted(label["name"] for label in labels if label["value"] == 1)
        entry = {"study_id": study, "patient_id": patient, "labels": present}
        pieces = [text.strip()] if level == "report" else list(dict.fromkeys(split_sentences(text)))
        entries += [(piece, entry) for piece in pieces]
    return entries, seen


def write_index(
    out: Path,
    manifest: dict[str, Any],
    vectors_MD: np.ndarray,
    texts: list[str],
    rows: list[dict[str, Any]],
    query_QD: np.ndarray | None,
) -> None:
    """Beside the folder first, then in its place: who reads sees the old index or the new one."""
    fresh = out.with_name(f".{out.name}.{token_hex(4)}")
    try:
        fresh.mkdir(parents=True)
        np.save(fresh / VECTORS, vectors_MD.astype(np.float32, copy=False), allow_pickle=False)
        for name, table in (
            (TEXTS, pa.table({"text": pa.array(texts, pa.large_string())})),
            (ENTRIES, pa.Table.from_pylist(rows, schema=_SCHEMA)),
        ):
            with pa.OSFile(str(fresh / name), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
        if query_QD is not None:
            manifest |= write_approximate(fresh / FAISS, vectors_MD, manifest["kind"], query_QD)
        (fresh / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        if out.exists():
            old = out.with_name(f".{out.name}.{token_hex(4)}")
            out.rename(old)
            try:
                fresh.rename(out)
            except OSError:
                old.rename(out)
                raise
            shutil.rmtree(old)
        else:
            fresh.rename(out)
    except (OSError, RuntimeError) as error:  # FAISS raises the latter where the disk is full
        told = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise InputError(f"{out}: cannot be written ({told})") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
