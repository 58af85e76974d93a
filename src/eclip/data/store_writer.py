"""Writing a study store, a shard at a time: a killed build goes on with the shards that it finished.

Everything is written into `.OUT.building` beside OUT, which becomes OUT at the end: a store is complete or not
there. Beside each shard lies a note of what went into it; both get their names when they are whole.
"""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import eclip
from eclip.annotations.reading import Rejection
from eclip.data.study import SCHEMA, SCHEMA_VERSION, Study, to_row
from eclip.errors import InputError

MANIFEST = "manifest.json"
SHARD_ROWS = 2000
ROW_GROUP = 500

Part = dict[str, Any]
"""The note beside a shard: key, file, rows, bytes, sha256, counts, rejected."""


class StoreWriter:
    """Writes one store; a context manager.

    Args:
        out: Folder to make. A store that is there is replaced when all went well; any other folder that is not
            empty is refused, and a store with other files in it.
        keep: Whether finished shards stay for the next try when this one fails.

    Raises:
        InputError: `out` is something else, or cannot be written.
    """

    def __init__(self, out: Path, *, keep: bool = True) -> None:
        # of a link, what it leads to is replaced; "." has no name
        out = out.resolve() if out.is_symlink() else out if out.name else out.absolute()
        replaced = _replaced(out)
        if replaced.is_dir() and not out.exists():
            replaced.rename(out)  # an earlier try was killed between its last two steps
        if out.exists() and not _may_go(out):
            raise InputError(f"{out}: has other things in it than a study store; choose a new folder")
        self._out, self._keep = out, keep
        self.folder = out.with_name(f".{out.name}.building")
        self._parts: dict[int, Part] = {}

    def __enter__(self) -> "StoreWriter":
        with self._told():
            self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave what is finished for the next try, or nothing."""
        if not (self._keep and any(self.folder.glob("*.json"))):
            shutil.rmtree(self.folder, ignore_errors=True)

    def take(self, number: int, key: str) -> bool:
        """Take a shard over from an earlier try, if it is there and was written under the same key."""
        try:
            part = json.loads(self._note(number).read_text(encoding="utf-8"))
            whole = part["key"] == key and (
                not part["file"] or sha256(self.folder / part["file"]) == part["sha256"]
            )
        except (OSError, ValueError, KeyError, TypeError):
            return False
        if whole:
            self._parts[number] = part
        return whole

    def write(
        self, number: int, studies: Sequence[Study], rejected: Iterable[Rejection] = (), *, key: str = ""
    ) -> None:
        """Write a shard; without a file where there is no study.

        Args:
            number: Its place, from 0.
            studies: Its rows.
            rejected: What was left out of it; listed in the manifest.
            key: What it is made of: another try takes the shard over under the same key.

        Raises:
            InputError: The disk is full, or the folder cannot be written.
        """
        file = f"studies-{number:05d}.parquet" if studies else ""
        part: Part = {"key": key, "file": file, "rows": len(studies), "bytes": 0, "sha256": ""}
        with self._told():
            if file:
                table = pa.Table.from_pylist([to_row(study) for study in studies], schema=SCHEMA)
                with _whole(self.folder / file) as fresh:
                    pq.write_table(table, fresh, row_group_size=ROW_GROUP, compression="zstd")
                    part |= {"bytes": fresh.stat().st_size, "sha256": sha256(fresh)}
            part |= {"counts": _counts(studies), "rejected": [asdict(rejection) for rejection in rejected]}
            with _whole(self._note(number)) as fresh:
                fresh.write_text(json.dumps(part), encoding="ascii")
        self._parts[number] = part

    def shards(self) -> list[Path]:
        """The files written so far, in order."""
        return [self.folder / part["file"] for part in self._in_order() if part["file"]]

    def rejected(self) -> list[dict[str, str]]:
        """What the shards written so far left out, in order."""
        return [rejection for part in self._in_order() for rejection in part["rejected"]]

    def publish(self, **told: Any) -> dict[str, Any]:
        """Make the store of what was written, and return its manifest.

        Args:
            **told: Further entries of the manifest: source, options, …

        Raises:
            InputError: No study was written, or the folder cannot be written.
        """
        rejected = self.rejected()
        parts = self._in_order()
        shards = [
            {name: part[name] for name in ("file", "rows", "bytes", "sha256")}
            for part in parts
            if part["file"]
        ]
        if not shards:
            shutil.rmtree(self.folder, ignore_errors=True)
            first = "; the first: {file}, {row}: {reason}".format(**rejected[0]) if rejected else ""
            skipped = "".join(f", {n} × {why}" for why, n in told.get("skipped", {}).items() if n)
            raise InputError(
                f"{self._out}: no study is left to store, {len(rejected)} could not be used{skipped}{first}"
            )
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "eclip_version": eclip.__version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "counts": _summed([part["counts"] for part in parts]),
            **told,
            "rejected": rejected,
            "shards": shards,
        }
        with self._told():
            keep = {shard["file"] for shard in shards}
            for path in self.folder.iterdir():
                if path.name not in keep:
                    path.unlink()
            text = json.dumps(manifest, indent=1, ensure_ascii=False)
            (self.folder / MANIFEST).write_text(text, encoding="utf-8", errors="backslashreplace")
            _sync(*self.folder.iterdir(), self.folder)
            old = _replaced(self._out)
            if self._out.exists():
                shutil.rmtree(old, ignore_errors=True)
                self._out.rename(old)
            self.folder.rename(self._out)
            shutil.rmtree(old, ignore_errors=True)
        return manifest

    def _in_order(self) -> list[Part]:
        return [self._parts[number] for number in sorted(self._parts)]

    def _note(self, number: int) -> Path:
        return self.folder / f"studies-{number:05d}.json"

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(f"{self._out}: cannot be written ({error.strerror or error})") from error


def write_store(
    out: Path,
    studies: Iterable[Study],
    *,
    source: str,
    rejected: Sequence[Rejection] = (),
    shard_rows: int = SHARD_ROWS,
    **told: Any,
) -> dict[str, Any]:
    """Write studies, in the order they come, and return the manifest.

    Args:
        out: Folder to make; see `StoreWriter`.
        studies: Read once, a shard at a time.
        source: Where they come from ("mimic-cxr", …).
        rejected: Rows that could not be used; read when `studies` is at its end.
        shard_rows: Rows a file.
        **told: Further entries of the manifest.

    Raises:
        InputError: `out` is something else, no study came, or the disk is full.
    """
    studies = iter(studies)
    with StoreWriter(out, keep=False) as writer:
        number = 0
        while chunk := list(islice(studies, shard_rows)):
            writer.write(number, chunk)
            number += 1
        writer.write(number, (), rejected)
        return writer.publish(source=source, **told)


def _replaced(out: Path) -> Path:
    """Where a store is while another takes its place."""
    return out.with_name(f".{out.name}.replaced")


def _may_go(folder: Path) -> bool:
    """Whether a folder is empty, or a study store and nothing besides."""
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else {""}
    try:
        shards = {shard["file"] for shard in json.loads((folder / MANIFEST).read_bytes())["shards"]}
    except (OSError, ValueError, TypeError, KeyError):
        shards = set()
    return there <= shards | {MANIFEST, ".arrow"} if shards else not there


def sha256(path: Path) -> str:
    """Of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _counts(studies: Iterable[Study]) -> dict[str, Any]:
    """What the manifest says of a shard's rows."""
    rows, annotated, kinds = Counter[str](), Counter[str](), Counter[str]()
    labels: dict[str, Counter[str]] = {}
    for study in studies:
        rows[study.split] += 1
        annotated[study.split] += bool(study.annotations)
        kinds.update({annotation.kind for annotation in study.annotations})
        for name, value in study.labels.items():
            labels.setdefault(name, Counter())[str(value)] += 1
    return {"rows": rows, "annotated": annotated, "kinds": kinds, "labels": labels}


def _summed(counts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the manifest says of all rows."""

    def total(name: str) -> Counter[str]:
        return sum((Counter(c[name]) for c in counts), Counter[str]())

    rows, annotated, kinds = map(total, ("rows", "annotated", "kinds"))
    labels: dict[str, Counter[str]] = {}
    for name, values in (item for c in counts for item in c["labels"].items()):
        labels.setdefault(name, Counter()).update(values)
    return {
        "rows": rows.total(),
        "annotated": annotated.total(),
        "splits": {split: {"rows": rows[split], "annotated": annotated[split]} for split in sorted(rows)},
        "kinds": dict(sorted(kinds.items())),
        "labels": {name: dict(sorted(values.items())) for name, values in sorted(labels.items())},
    }


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A path to write to, which becomes `path` when all is written."""
    fresh = path.with_name(f"{path.name}.{token_hex(4)}")
    try:
        yield fresh
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _sync(*paths: Path) -> None:
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
