"""The study store: a folder of Parquet shards and a manifest, written once and then only read.

Anything that reads Parquet reads the shards. Training asks for single rows in random order, at which Parquet
is slow, so the first `Store.open` copies the shards into one Arrow file, `STORE/.arrow/<fingerprint>.arrow`,
and maps it into memory: a row then costs some 50 µs and no memory. The copy lives and dies with its store;
where the store cannot be written to, it lies in the user's cache folder.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from eclip.data.store_writer import MANIFEST, ROW_GROUP, sha256, write_store
from eclip.data.study import SCHEMA, SCHEMA_VERSION, Study, from_row
from eclip.errors import InputError

__all__ = ["SCHEMA", "SCHEMA_VERSION", "Store", "Study", "write_store"]
SPLITS = ("train", "validate", "test")


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
        self._annotated_N = pc.greater(pc.list_value_length(self.table(["annotations"])[0]), 0).to_numpy()

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
        return self.table([name])[0].to_pylist()

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
        return [s["file"] for s in self.manifest["shards"] if sha256(self.path / s["file"]) != s["sha256"]]

    def table(self, columns: Sequence[str]) -> pa.Table:
        """Some columns of all rows, in order; they stay on disk until they are read."""
        return pa.Table.from_batches(self._batches).select(list(columns))


def _read_manifest(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; expected a study store, which `eclip data build` makes")
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        version = int(manifest["schema_version"])
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: not a study store (no {MANIFEST}); `eclip data build` makes one"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path / MANIFEST}: cannot be read ({error}); build the store again") from error
    if version != SCHEMA_VERSION:
        newer = version > SCHEMA_VERSION
        raise InputError(
            f"{path}: made by {'a newer' if newer else 'an older'} eclip (schema {version}, this one reads "
            f"{SCHEMA_VERSION}); {'update eclip' if newer else 'build the store again'}"
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
    there = [file for folder in folders if (file := folder / f"{fingerprint}.arrow").is_file()]
    for file in there:
        with suppress(pa.ArrowInvalid, OSError):  # cut short by a crash of the machine: written again
            return _mapped(file)
    folder = folders[0] if os.access(path, os.W_OK) else personal
    fresh = folder / f"{fingerprint}.arrow"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_arrow(fresh, [path / shard["file"] for shard in manifest["shards"]])
    except OSError as error:
        raise InputError(
            f"{fresh}: cannot be written ({error.strerror or error}); free some space"
        ) from error
    return _mapped(fresh)


def _mapped(file: Path) -> list[pa.RecordBatch]:
    return pa.ipc.open_file(pa.memory_map(str(file))).read_all().to_batches()


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
        yield from pq.ParquetFile(shard).iter_batches(ROW_GROUP)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{shard}: shard damaged; build the store again") from error
