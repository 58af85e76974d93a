"""Build a store: a source's drafts, finished by all cores, written in order; a killed build goes on where it was."""

import hashlib
import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import partial
from itertools import islice
from multiprocessing import parent_process
from pathlib import Path
from threading import Thread
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import eclip
from eclip.annotations.annotation import Annotation
from eclip.annotations.reading import Rejection
from eclip.data.checks import REPEATED_IMAGE, Check, check_store
from eclip.data.image_hash import image_hash
from eclip.data.images import decode_shrunk, encode
from eclip.data.rejections import grouped
from eclip.data.reports import sections
from eclip.data.sources.draft import Draft, Source
from eclip.data.sources.registry import SOURCES
from eclip.data.store import Store
from eclip.data.store_writer import SHARD_ROWS, StoreWriter
from eclip.data.study import SCHEMA_VERSION, Study
from eclip.errors import InputError

_CHUNK = 32  # drafts that a worker process does at a time

Drafts = list[Draft | Rejection]
Finished = list[Study | Rejection]


def build(
    source: Source,
    out: Path,
    *,
    image_size: int = 256,
    workers: int | None = None,
    allow_leaks: bool = False,
    exclude: Sequence[Path] = (),
) -> dict[str, Any]:
    """Build a study store and return its manifest; the shards' bytes do not depend on the number of workers.

    Rows that cannot be used are left out, counted, and listed in the manifest with file, row and reason. A build that
    was killed goes on where it was when it is started again: shards made of the same rows are taken over (the files
    that the rows name are taken to be the same, too).

    Args:
        source: What to read.
        out: Store to make. One that is there is replaced when all went well.
        image_size: Shorter side of the stored images in pixels; smaller images stay as they are.
        workers: Processes; all cores if None.
        allow_leaks: Store what leaks between splits; the manifest counts it all the same.
        exclude: Stores whose patients are left out.

    Raises:
        InputError: What the source raises; a leak between splits; no study left; a disk that is full.
    """
    if workers is not None and workers < 1:
        raise InputError(f"--workers {workers}: expected at least 1")
    if image_size < 16:
        raise InputError(f"image size is {image_size}; expected at least 16 pixels")
    excluded = {patient for store in exclude for patient in Store.open(store).column("patient_id")}
    selection = source.select()
    if not allow_leaks:  # before any image is read; images that look alike are found at the end
        _refuse({"patients_in_several_splits": _separated(selection.drafts())})
    skipped = Counter(selection.skipped)
    drafts = _without_repeats(_without(excluded, selection.drafts(), skipped))
    under_way: deque[tuple[int, str, list[Callable[[], Finished]]]] = deque()
    with (
        StoreWriter(out) as writer,
        _finishing(workers or os.cpu_count() or 1, image_size) as finishing,
        _progress() as progress,
    ):
        task = progress.add_task(f"Building {out.name}", total=selection.total)

        def write() -> None:
            number, key, results = under_way.popleft()
            finished: Finished = []
            for result in results:
                finished += result()
                progress.advance(task, _CHUNK)
            studies = [item for item in finished if isinstance(item, Study)]
            writer.write(number, studies, [item for item in finished if isinstance(item, Rejection)], key=key)

        for number, shard in enumerate(_chunks(drafts, SHARD_ROWS)):
            key = _fingerprint(shard, image_size)
            if writer.take(number, key):
                progress.advance(task, len(shard))
                continue
            under_way.append((number, key, [finishing(chunk) for chunk in _chunks(iter(shard), _CHUNK)]))
            if len(under_way) > 1:  # the workers are at the next shard while one is written
                write()
        while under_way:
            write()
        progress.update(task, completed=selection.total, description=f"Checking {out.name}")
        checks = check_store(writer.shards(), writer.rejected())
        if not allow_leaks:
            _refuse(checks)
        manifest = writer.publish(
            source=next(
                (name for name, kind in SOURCES.items() if isinstance(source, kind)), type(source).__name__
            ),
            options=_options(source) | {"image_size": image_size},
            phantom=_is_phantom(source),
            skipped=dict(skipped),
            subset=selection.subset,
            checks={name: check.to_dict() for name, check in checks.items()},
        )
    Console(markup=False, emoji=False).print(summary(manifest), highlight=False, soft_wrap=True)
    return manifest


def summary(manifest: Mapping[str, Any]) -> str:
    """How many studies a build stored and left out, and why, and what its checks found."""
    counts, groups = manifest["counts"], grouped(manifest["rejected"])
    stored = f"{counts['rows']} studies stored, {counts['annotated']} with annotations"
    lines = [f"{stored}; {len(manifest['rejected'])} left out"]
    lines += [f"  {group.count} × {group.reason} (the first: {group.example})" for group in groups[:5]]
    if len(groups) > 5:
        lines.append("  more in manifest.json")
    lines += [f"  {n} × not asked for: {why}" for why, n in manifest.get("skipped", {}).items() if n]
    for name, check in manifest.get("checks", {}).items():
        if check["count"] and name not in {"duplicate_image_ids", "empty_reports"}:  # among what is left out
            first = f" (the first: {check['examples'][0]})" if check["examples"] else ""
            lines.append(f"  {'LEAK: ' * check['leak']}{check['count']} × {name.replace('_', ' ')}{first}")
    return "\n".join(lines)


def finish(draft: Draft | Rejection, image_size: int) -> Finished:
    """Add what a study's own files tell: the study, and what of it had to be left out."""
    if isinstance(draft, Rejection):
        return [draft]
    study = draft.study
    try:
        if draft.report_file is not None:
            study = _with_report(study, draft.report_file)
        image = decode_shrunk(draft.image_file, image_size)
        found = draft.annotate(image) if draft.annotate is not None else ()
    except InputError as error:
        return [draft.rejected(str(error))]
    return [
        replace(
            study,
            view=study.view or image.view,
            sex=study.sex or image.sex,
            age=image.age if study.age is None else study.age,
            image=encode(image.pixels),
            height=image.pixels.shape[0],
            width=image.pixels.shape[1],
            original_height=image.original_height,
            original_width=image.original_width,
            image_hash=image_hash(image.pixels),
            annotations=study.annotations + tuple(item for item in found if isinstance(item, Annotation)),
        ),
        *(item for item in found if isinstance(item, Rejection)),
    ]


def _with_report(study: Study, file: Path) -> Study:
    try:
        report = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        if study.text:
            return replace(study, report=study.text)
        raise InputError("no report") from error
    found = sections(report)
    if not (text := found.text or study.text):
        raise InputError("empty report")
    return replace(study, report=report, findings=found.findings, impression=found.impression, text=text)


def _without(
    excluded: set[str], drafts: Iterable[Draft | Rejection], skipped: Counter[str]
) -> Iterator[Draft | Rejection]:
    for draft in drafts:
        if isinstance(draft, Draft) and draft.study.patient_id in excluded:
            skipped["patient of a store to --exclude"] += 1
        else:
            yield draft


def _without_repeats(drafts: Iterable[Draft | Rejection]) -> Iterator[Draft | Rejection]:
    """Reject images that came before."""
    images: set[str] = set()
    for draft in drafts:
        if isinstance(draft, Draft) and draft.study.image_id in images:
            yield draft.rejected(REPEATED_IMAGE)
            continue
        if isinstance(draft, Draft):
            images.add(draft.study.image_id)
        yield draft


def _separated(drafts: Iterable[Draft | Rejection]) -> Check:
    """Whether splits separate patients, as far as the tables tell."""
    first: dict[str, str] = {}
    apart: dict[str, str] = {}
    for draft in drafts:
        if isinstance(draft, Draft):
            study = draft.study
            split = first.setdefault(study.patient_id, study.split)
            if split != study.split:
                apart.setdefault(
                    study.patient_id,
                    f"{study.patient_id}: {split} and {study.split}, {draft.file}, {draft.row}",
                )
    return Check.of(list(apart.values()), leak=True)


def _refuse(checks: Mapping[str, Check]) -> None:
    """Stop at a leak.

    Raises:
        InputError: There is one.
    """
    for name, check in checks.items():
        if check.leak and check.count:
            raise InputError(
                f"leak between splits: {check.count} × {name.replace('_', ' ')} (the first: {check.examples[0]}); "
                "mend the table, or store them with --allow-leaks; what is finished is kept"
            )


def _chunks(drafts: Iterator[Draft | Rejection], size: int) -> Iterator[Drafts]:
    while chunk := list(islice(drafts, size)):
        yield chunk


def _fingerprint(drafts: Drafts, image_size: int) -> str:
    """Of all that goes into a shard, but for the content of the files that are yet to be read."""
    digest = hashlib.sha256(f"{eclip.__version__} {SCHEMA_VERSION} {image_size}".encode())
    for draft in drafts:
        digest.update(repr(draft).encode(errors="replace"))
    return digest.hexdigest()


@contextmanager
def _finishing(workers: int, image_size: int) -> Iterator[Callable[[Drafts], Callable[[], Finished]]]:
    """A function that has drafts finished, here or by other processes, and gives a function that waits for them."""
    if workers == 1:
        yield lambda drafts: partial(_finish_all, drafts, image_size)
        return
    pool = ProcessPoolExecutor(workers, initializer=_start_worker)
    try:
        yield lambda drafts: pool.submit(_finish_all, drafts, image_size).result
    except BrokenProcessPool as error:
        raise InputError(
            "a worker process was killed, perhaps for want of memory; start again with fewer --workers, "
            "finished shards are kept"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _finish_all(drafts: Drafts, image_size: int) -> Finished:
    return [item for draft in drafts for item in finish(draft, image_size)]


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and do not outlive it when it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait() -> None:
        parent = parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    Thread(target=wait, daemon=True).start()


def _options(source: Source) -> dict[str, Any]:
    """A source's options that were given, as JSON can hold them."""
    given = {field.name: getattr(source, field.name) for field in fields(source)}
    return {
        name: list(map(str, value))
        if isinstance(value, tuple)
        else str(value)
        if isinstance(value, Path)
        else value
        for name, value in given.items()
        if value not in (None, "", ())
    }


def _is_phantom(source: Source) -> bool:
    """Whether its images are those that `eclip data phantom` drew: they lie beside the truth about them."""
    folders = [path for field in fields(source) if isinstance(path := getattr(source, field.name), Path)]
    return any((folder / "phantom-regions.csv").is_file() for folder in folders)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
