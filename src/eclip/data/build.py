"""Build a store: a source's drafts, finished by all cores, written in order."""

import inspect
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from itertools import islice
from multiprocessing import parent_process
from pathlib import Path
from threading import Thread
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from eclip.annotations.reading import Rejection
from eclip.data.images import decode_shrunk, encode
from eclip.data.rejections import grouped
from eclip.data.reports import sections
from eclip.data.sources import mimic_cxr, readings
from eclip.data.sources import table as csv_table
from eclip.data.sources.draft import Draft, Selection
from eclip.data.store import write_store
from eclip.data.study import Study
from eclip.errors import InputError

SOURCES: dict[str, Callable[..., Selection]] = {
    "mimic-cxr": mimic_cxr.select,
    "egd-cxr": partial(readings.select, "egd-cxr"),
    "reflacx": partial(readings.select, "reflacx"),
    "csv": csv_table.select,
}
_CHUNK = 32


def build(
    source: str,
    root: Path | None,
    out: Path,
    *,
    image_size: int = 256,
    workers: int | None = None,
    gaze: Mapping[str, Path] | None = None,
    reports: Path | None = None,
    images: Path | None = None,
    table: Path | None = None,
    image: str = "",
    text: str = "",
    patient: str = "",
    split: str = "",
    labels: Sequence[str] = (),
    boxes: str = "",
    masks: Sequence[str] = (),
    fixations: str = "",
) -> dict[str, Any]:
    """Build a study store and return its manifest; its bytes do not depend on the number of workers.

    Rows that cannot be used are left out, counted, and listed in the manifest with file, row and reason.
    The options after `workers` belong to sources; see their `select` for what they mean. Empty ones are not
    given.

    Args:
        source: A name in `SOURCES`.
        root: The dataset's folder; for csv the folder of the files (default: the table's).
        out: Store to make. One that is there is replaced when all went well.
        image_size: Shorter side of the stored images in pixels; smaller images stay as they are.
        workers: Processes; all cores if None.
        gaze: mimic-cxr.
        reports: mimic-cxr, egd-cxr, reflacx.
        images: egd-cxr, reflacx.
        table: csv, like all that follow.
        image: Column.
        text: Column.
        patient: Column.
        split: Column.
        labels: Columns.
        boxes: Column.
        masks: Columns.
        fixations: Column.

    Raises:
        InputError: An option that the source does not have or lacks, a patient in two splits, no study left.
    """
    options = {
        "gaze": gaze, "reports": reports, "images": images,
        "table": table, "image": image, "text": text, "patient": patient, "split": split,
        "labels": labels, "boxes": boxes, "masks": masks, "fixations": fixations,
    }  # fmt: skip
    given = {name: value for name, value in options.items() if value}
    selection = _select(source, root, given)
    if image_size < 16:
        raise InputError(f"image size is {image_size}; expected at least 16 pixels")
    rejected: list[Rejection] = []
    drafts = _without_repeats(selection.drafts)
    workers = workers or os.cpu_count() or 1
    with _progress() as progress:
        finished = progress.track(
            _finish_all(drafts, image_size, workers=workers),
            selection.total,
            description=f"Building {out.name}",
        )
        manifest = write_store(
            out,
            _studies(finished, rejected),
            source=source,
            rejected=rejected,
            skipped=selection.skipped,
            options={"root": str(root or ""), "image_size": image_size} | _plain(given),
        )
    Console().print(summary(manifest), highlight=False, soft_wrap=True)
    return manifest


def summary(manifest: Mapping[str, Any]) -> str:
    """How many studies a build stored and left out, and why."""
    counts, groups = manifest["counts"], grouped(manifest["rejected"])
    stored = f"{counts['rows']} studies stored, {counts['annotated']} with annotations"
    lines = [f"{stored}; {len(manifest['rejected'])} rows left out"]
    lines += [f"  {group.count} × {group.reason} (the first: {group.example})" for group in groups[:5]]
    if len(groups) > 5:
        lines.append("  more in manifest.json")
    return "\n".join(lines)


def _select(source: str, root: Path | None, given: Mapping[str, Any]) -> Selection:
    select = SOURCES.get(source)
    if select is None:
        raise InputError(f"{source!r} is not a source; expected one of {', '.join(SOURCES)}")
    if root is None and source != "csv":
        raise InputError(f"source {source} needs --root")
    if root is not None and not root.is_dir():
        raise InputError(f"{root}: no such folder")
    parameters = inspect.signature(select).parameters
    for name in given:
        if name not in parameters:
            raise InputError(f"source {source} has no option --{name}")
    for name, parameter in parameters.items():
        if name not in {"root", *given} and parameter.default is parameter.empty:
            raise InputError(f"source {source} needs --{name}")
    return select(root, **given)


def _without_repeats(drafts: Iterable[Draft | Rejection]) -> Iterator[Draft | Rejection]:
    """Reject images that came before.

    Raises:
        InputError: A patient in two splits.
    """
    images: set[str] = set()
    splits: dict[str, str] = {}
    for draft in drafts:
        if isinstance(draft, Rejection):
            yield draft
            continue
        study = draft.study
        if study.image_id in images:
            yield draft.rejected("image id that came before")
            continue
        images.add(study.image_id)
        other = splits.setdefault(study.patient_id, study.split)
        if other != study.split:
            raise InputError(
                f"{draft.file}, {draft.row}: patient {study.patient_id!r} is in {other} and {study.split}; "
                "put all images of a patient in one split"
            )
        yield draft


def _finish_all(
    drafts: Iterator[Draft | Rejection], image_size: int, *, workers: int
) -> Iterator[Study | Rejection]:
    """Finish drafts in order, with a few chunks a worker under way."""
    if workers == 1:
        yield from (_finish(draft, image_size) for draft in drafts)
        return
    pool = ProcessPoolExecutor(workers, initializer=_start_worker)
    under_way: deque[Any] = deque()
    try:
        while chunk := list(islice(drafts, _CHUNK)):
            under_way.append(pool.submit(_finish_chunk, chunk, image_size))
            if len(under_way) > 3 * workers:
                yield from under_way.popleft().result()
        while under_way:
            yield from under_way.popleft().result()
    except BrokenProcessPool as error:
        raise InputError(
            "a worker process was killed, perhaps for want of memory; try fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and do not outlive it when it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait() -> None:
        parent = parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    Thread(target=wait, daemon=True).start()


def _finish_chunk(drafts: list[Draft | Rejection], image_size: int) -> list[Study | Rejection]:
    return [_finish(draft, image_size) for draft in drafts]


def _finish(draft: Draft | Rejection, image_size: int) -> Study | Rejection:
    """Add what a study's own files tell."""
    if isinstance(draft, Rejection):
        return draft
    study = draft.study
    try:
        if draft.report_file is not None:
            study = _with_report(study, draft.report_file)
        image = decode_shrunk(draft.image_file, image_size)
        annotations = draft.annotate(image) if draft.annotate is not None else ()
    except InputError as error:
        return draft.rejected(str(error))
    return replace(
        study,
        image=encode(image.pixels),
        height=image.pixels.shape[0],
        width=image.pixels.shape[1],
        original_height=image.original_height,
        original_width=image.original_width,
        annotations=study.annotations + annotations,
    )


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


def _studies(finished: Iterable[Study | Rejection], rejected: list[Rejection]) -> Iterator[Study]:
    for item in finished:
        if isinstance(item, Rejection):
            rejected.append(item)
        else:
            yield item


def _plain(value: Any) -> Any:
    """Options as JSON can hold them."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, str | Path):
        return str(value)
    return [_plain(item) for item in value]


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
