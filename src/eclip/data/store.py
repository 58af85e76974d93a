"""The study store: a folder of Parquet shards and a manifest, written once and then only read.

Anything that reads Parquet reads the shards. Training asks for single rows in random order, at which Parquet
is slow, so the first `Store.open` copies the shards into one Arrow file, `STORE/.arrow/<fingerprint>.arrow`,
and maps it into memory: a row then costs some 50 µs and no memory. The copy lives and dies with its store;
where the store cannot be written to, it lies in the user's cache folder.
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
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import eclip
from eclip.data.study import SCHEMA, SCHEMA_VERSION, Study, from_row, to_row
from eclip.errors import InputError

if TYPE_CHECKING:
    from eclip.annotations.reading import Rejection

__all__ = ["SCHEMA", "SCHEMA_VERSION", "Store", "Study", "write_store"]
SPLITS = ("train", "validate", "test")
_MANIFEST = "manifest.json"
_ROW_GROUP = 500


def write_store(
    out: Path,
    studies: Iterable[Study],
    *,
    source: str,
    rejected: Sequence["Rejection"] = (),
    skipped: Mapping[str, int] | None = None,
    options: Mapping[str, Any] | None = None,
    shard_rows: int = 2000,
) -> dict[str, Any]:
    """Write studies, in the order they come, and return the manifest.

    Everything is written beside `out` and renamed at the end: a store is complete or not there. A store that
    was at `out` is replaced then; any other folder that is not empty is refused.

    Args:
        out: Folder to make.
        studies: Read once, a shard at a time.
        source: Where they come from ("mimic-cxr", …).
        rejected: Rows that could not be used; read when `studies` is at its end.
        skipped: Why rows were not asked for, and how many; read then, too.
        options: How the store was built, for the manifest.
        shard_rows: Rows a file.

    Raises:
        InputError: `out` is something else, no study came, or the disk is full.
    """
    counts, studies = _Counts(), iter(studies)
    shards: list[dict[str, Any]] = []
    with _new_folder(out) as folder:
        while chunk := list(islice(studies, shard_rows)):
            path = folder / f"studies-{len(shards):05d}.parquet"
            table = pa.Table.from_pylist([to_row(study) for study in chunk], schema=SCHEMA)
            pq.write_table(table, path, row_group_size=_ROW_GROUP, compression="zstd")
            shards.append(
                {"file": path.name, "rows": len(chunk), "bytes": path.stat().st_size, "sha256": _sha256(path)}
            )
            counts.add(chunk)
        if not shards:
            first = (
                f"; the first: {rejected[0].file}, {rejected[0].row}: {rejected[0].reason}"
                if rejected
                else ""
            )
            raise InputError(f"{out}: no study is left to store, {len(rejected)} could not be used{first}")
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "eclip_version": eclip.__version__,
            "source": source,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "options": dict(options or {}),
            "counts": counts.to_dict(),
            "skipped": dict(skipped or {}),
            "rejected": [asdict(rejection) for rejection in rejected],
            "shards": shards,
        }
        (folder / _MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")
    return manifest


class Store:
    """Studies on disk, read one by one.

    Attributes:
        path: The folder.
        manifest: What `write_store` noted.
        fingerprint: 16 hex digits that change with any byte of the shards.
    """

    def __init__(
        self, path: Path, manifest: dict[str, Any], fingerprint: str, batches: list[pa.RecordBatch]
    ) -> None:
        self.path, self.manifest, self.fingerprint = path, manifest, fingerprint
        self._batches = batches
        self._first_rows = np.cumsum([0, *(len(batch) for batch in batches)])
        self._split_N = np.array(self.column("split"))
        self._annotated_N = pc.greater(pc.list_value_length(self._table(["annotations"])[0]), 0).to_numpy()

    @classmethod
    def open(cls, path: Path | str) -> "Store":
        """Open a store.

        Raises:
            InputError: No such folder, not a store, a newer schema, or a shard that is missing or cut short.
        """
        path = Path(path)
        manifest = _read_manifest(path)
        _check_shards(path, manifest)
        digest = hashlib.sha256(
            "".join(shard["sha256"] for shard in manifest["shards"]).encode()
        ).hexdigest()[:16]
        return cls(path, manifest, digest, _map_rows(path, manifest, digest))

    def __len__(self) -> int:
        return int(self._first_rows[-1])

    def __getitem__(self, row: int) -> Study:
        if not 0 <= row < len(self):
            raise IndexError(row)
        batch = int(np.searchsorted(self._first_rows, row, side="right")) - 1
        return from_row(self._batches[batch].slice(row - int(self._first_rows[batch]), 1).to_pylist()[0])

    def __iter__(self) -> Iterator[Study]:
        return map(self.__getitem__, range(len(self)))

    def __reduce__(self) -> tuple[Any, ...]:
        return Store.open, (self.path,)  # worker processes map the file anew instead of receiving its content

    def column(self, name: str) -> list[Any]:
        """One column of all rows, in order."""
        return self._table([name])[0].to_pylist()

    def rows(self, split: str | None = None, annotated: bool | None = None) -> np.ndarray:
        """Numbers (N,) int64 of the rows of a split, with or without annotations; None for either."""
        wanted_N = np.ones(len(self), bool)
        if split is not None:
            wanted_N &= self._split_N == split
        if annotated is not None:
            wanted_N &= self._annotated_N == annotated
        return np.flatnonzero(wanted_N)

    def damaged_shards(self) -> list[str]:
        """Names of the shards whose bytes are not those that were written; reads all of them."""
        return [s["file"] for s in self.manifest["shards"] if _sha256(self.path / s["file"]) != s["sha256"]]

    def _table(self, columns: list[str]) -> pa.Table:
        return pa.Table.from_batches(self._batches).select(columns)


class _Counts:
    """What the manifest says of the rows."""

    def __init__(self) -> None:
        self.rows, self.annotated, self.kinds = Counter[str](), Counter[str](), Counter[str]()
        self.labels: dict[str, Counter[str]] = {}

    def add(self, studies: Iterable[Study]) -> None:
        for study in studies:
            self.rows[study.split] += 1
            self.annotated[study.split] += bool(study.annotations)
            self.kinds.update({annotation.kind for annotation in study.annotations})
            for name, value in study.labels.items():
                self.labels.setdefault(name, Counter())[str(value)] += 1

    def to_dict(self) -> dict[str, Any]:
        return {
            "rows": self.rows.total(),
            "annotated": self.annotated.total(),
            "splits": {
                split: {"rows": self.rows[split], "annotated": self.annotated[split]}
                for split in sorted(self.rows)
            },
            "kinds": dict(sorted(self.kinds.items())),
            "labels": {name: dict(sorted(values.items())) for name, values in sorted(self.labels.items())},
        }


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """Make a folder beside `out` that becomes `out` when all went well, and vanishes when not."""
    fresh, old = (out.with_name(f".{out.name}.{what}") for what in ("building", "replaced"))
    if out.is_dir() and any(out.iterdir()) and not (out / _MANIFEST).is_file():
        raise InputError(f"{out}: is a folder with other things in it; choose a new one")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(fresh, ignore_errors=True)  # of a build that was killed
        fresh.mkdir()
        try:
            yield fresh
            _sync(*fresh.iterdir(), fresh)
            if out.exists():
                shutil.rmtree(old, ignore_errors=True)
                out.rename(old)
            fresh.rename(out)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror or error})") from error


def _sync(*paths: Path) -> None:
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def _read_manifest(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; expected a study store, which `eclip data build` makes")
    try:
        manifest = json.loads((path / _MANIFEST).read_text(encoding="utf-8"))
        version = int(manifest["schema_version"])
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: not a study store (no {_MANIFEST}); `eclip data build` makes one"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path / _MANIFEST}: cannot be read ({error}); build the store again") from error
    if version > SCHEMA_VERSION:
        raise InputError(
            f"{path}: made by a newer eclip (schema {version}, this one reads {SCHEMA_VERSION}); update eclip"
        )
    return manifest


def _check_shards(path: Path, manifest: Mapping[str, Any]) -> None:
    """Sizes and footers only: cheap, and finds what is missing or cut short."""
    for shard in manifest["shards"]:
        file = path / shard["file"]
        if not file.is_file():
            raise InputError(f"{file}: shard missing; build the store again")
        try:
            rows = pq.read_metadata(file).num_rows
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{file}: shard damaged or cut short; build the store again") from error
        if rows != shard["rows"] or file.stat().st_size != shard["bytes"]:
            raise InputError(
                f"{file}: shard does not have the {shard['rows']} rows written; build the store again"
            )


def _map_rows(path: Path, manifest: Mapping[str, Any], fingerprint: str) -> list[pa.RecordBatch]:
    """Map the rows' Arrow file into memory; write it first if it is not there yet."""
    personal = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "eclip"
    folders = [path / ".arrow", personal]
    found = next((f for folder in folders if (f := folder / f"{fingerprint}.arrow").is_file()), None)
    if found is None:
        folder = folders[0] if os.access(path, os.W_OK) else personal
        found = folder / f"{fingerprint}.arrow"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write_arrow(found, [path / shard["file"] for shard in manifest["shards"]])
        except OSError as error:
            raise InputError(
                f"{found}: cannot be written ({error.strerror or error}); free some space"
            ) from error
    return pa.ipc.open_file(pa.memory_map(str(found))).read_all().to_batches()


def _write_arrow(out: Path, shards: Iterable[Path]) -> None:
    fresh = out.with_suffix(f".{token_hex(4)}")  # several ranks may open a store: the last rename wins
    try:
        with pa.OSFile(str(fresh), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
            for shard in shards:
                for batch in _batches(shard):
                    writer.write_batch(batch)
        fresh.replace(out)
    finally:
        fresh.unlink(missing_ok=True)


def _batches(shard: Path) -> Iterator[pa.RecordBatch]:
    try:
        yield from pq.ParquetFile(shard).iter_batches(_ROW_GROUP)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{shard}: shard damaged; build the store again") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
