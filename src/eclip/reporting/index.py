"""A report index: the texts of a store, each once, with their vectors and the studies that say them.

INDEX/manifest.json   level, kind, model and data fingerprints, counts; written last, so that it marks a whole index
INDEX/vectors.npy     (M, D) float32 unit vectors, one a distinct text; mapped into memory
INDEX/texts.arrow     the M texts; mapped into memory
INDEX/entries.arrow   which study of which patient says which text, with what labels; mapped into memory
INDEX/index.faiss     of an approximate index alone

Half of all normal chests are reported in the same words. So what is searched is distinct texts, and a text counts as
long as a study that says it does: one of another patient, with the labels that are wanted.

Array names: Q queries, M distinct texts, E entries, D dimensions, K neighbours.
"""

import json
from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from eclip.errors import InputError
from eclip.models.model import Model

Level = Literal["report", "sentence"]
Kind = Literal["exact", "ivf", "hnsw"]
FORMAT_VERSION = 1
CELLS = 50_000_000  # similarities held at a time
MANIFEST, VECTORS, TEXTS, ENTRIES, FAISS = (
    "manifest.json",
    "vectors.npy",
    "texts.arrow",
    "entries.arrow",
    "index.faiss",
)


class ReportIndex:
    """An index on disk, opened by memory map: nothing is read until it is asked for.

    Attributes:
        path: The folder.
        manifest: What stands in manifest.json.
        vectors: (M, D) float32 unit vectors.
        texts: Column of the M texts.
        entries: Table `text` (its number), `study_id`, `patient_id`, `labels`; in the order of the texts.
    """

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path, self.manifest = path, manifest
        self.vectors: np.ndarray = np.load(path / VECTORS, mmap_mode="r", allow_pickle=False)
        self.texts = pa.ipc.open_file(pa.memory_map(str(path / TEXTS))).read_all()["text"]
        self.entries = pa.ipc.open_file(pa.memory_map(str(path / ENTRIES))).read_all()

    @classmethod
    def open(cls, path: Path | str, *, model: Model | None = None) -> "ReportIndex":
        """Open an index.

        Args:
            path: Its folder.
            model: Which has to be the one that made it.

        Raises:
            InputError: Not an index, a file of it is missing or damaged, or another model made it.
        """
        path = Path(path)
        try:
            manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
            if not isinstance(manifest, dict) or "model_fingerprint" not in manifest:
                raise InputError(f"{path}: not a report index; `eclip index` makes one")
            if manifest["format"] != FORMAT_VERSION:
                raise InputError(
                    f"{path}: an index of format {manifest['format']}; build it again with `eclip index`"
                )
            index = cls(path, manifest)
            whole = len(index.vectors) == len(index.texts) == manifest["texts"]
            whole &= len(index.entries) == manifest["entries"]
            if not whole or (manifest["kind"] != "exact" and not (path / FAISS).is_file()):
                raise ValueError("its files do not belong together")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise InputError(
                f"{path}: not a report index (no {MANIFEST} or what it names); `eclip index` makes one"
            ) from error
        except (OSError, ValueError, TypeError, KeyError, pa.ArrowException) as error:
            raise InputError(
                f"{path}: damaged ({' '.join(str(error).split())}); build it again with `eclip index`"
            ) from error
        if model is not None and model.fingerprint != manifest["model_fingerprint"]:
            raise InputError(
                f"{path}: made with model {manifest['model_fingerprint']}, and this one is {model.fingerprint}; give "
                "that model, or index the reports with this one"
            )
        return index

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def level(self) -> Level:
        """What a text is: a whole report or a sentence."""
        return self.manifest["level"]

    def text(self, number: int) -> str:
        """One of the M texts."""
        return self.texts[int(number)].as_py()

    def sayers(
        self, number: int, *, exclude_patients: Collection[str] = (), labels: Collection[str] = ()
    ) -> np.ndarray:
        """Rows of `entries` that say a text, in the order of the store.

        Args:
            number: Of the text.
            exclude_patients: Whose studies do not count.
            labels: Findings that have to be present in a study.
        """
        rows = np.arange(self._starts[number], self._starts[number + 1])
        for patient in exclude_patients:
            if patient in self._code_of:
                rows = rows[self._patient_codes[rows] != self._code_of[patient]]
        for label in labels:
            rows = rows[self._has_label(label)[rows]]
        return rows

    def study_id(self, row: int) -> str:
        """Of a row of `entries`."""
        return self._study_ids[int(row)].as_py()

    def counts(self) -> np.ndarray:
        """(M,) how many studies say each text."""
        return np.diff(self._starts)

    def studies(self) -> set[str]:
        """Every study that is in it."""
        return set(self.entries["study_id"].to_pylist())

    def patients(self) -> set[str]:
        """Every patient that is in it."""
        return set(self._code_of)

    def labels(self) -> set[str]:
        """Every finding that is present in a study."""
        return set(self._labels)

    def texts_of(self, patient: str) -> int:
        """How many texts a patient's studies say."""
        return int(self._texts_of_code[self._code_of[patient]]) if patient in self._code_of else 0

    def texts_with(self, labels: Collection[str]) -> np.ndarray:
        """Numbers of the texts that some study with all of these findings says."""
        has_E = np.logical_and.reduce([self._has_label(name) for name in labels])
        return np.unique(self.entries["text"].to_numpy()[has_E])

    def search(
        self, query_QD: np.ndarray, count: int, *, among: np.ndarray | None = None, exact: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """The nearest texts of each query, by cosine.

        Args:
            query_QD: Unit vectors.
            count: How many; fewer if there are not so many.
            among: Numbers of the texts that may be found, each of which is compared; all may if not given.
            exact: Compare with every text, whatever the kind of the index.

        Returns:
            Cosines (Q, K) from the highest, and numbers (Q, K); where cosines are equal, the lower number first. An
            approximate index that finds fewer gives −inf and −1.

        Raises:
            InputError: Vectors of another dimension.
        """
        query_QD = np.ascontiguousarray(np.atleast_2d(query_QD), np.float32)
        if query_QD.shape[1] != self.vectors.shape[1]:
            raise InputError(
                f"{self.path}: vectors of {self.vectors.shape[1]} dimensions, and the query has {query_QD.shape[1]}; "
                "give the model that made the index"
            )
        vectors_MD = self.vectors if among is None else self.vectors[among]
        count = int(min(count, len(vectors_MD)))
        if self._approximate is not None and among is None and not exact:
            cosine_QK, number_QK = self._approximate.search(query_QD, count)
            cosine_QK[number_QK < 0] = -np.inf
        else:
            size = CELLS // max(1, len(vectors_MD))
            found = [_compared(vectors_MD, block, count) for block in blocks(query_QD, size)]
            cosine_QK, number_QK = (np.concatenate(parts) for parts in zip(*found, strict=True))
            number_QK = number_QK if among is None else among[number_QK]
        order_QK = np.lexsort((number_QK, -cosine_QK), axis=1)
        return np.take_along_axis(cosine_QK, order_QK, 1), np.take_along_axis(number_QK, order_QK, 1)

    @cached_property
    def _approximate(self) -> Any:
        if self.manifest["kind"] == "exact":
            return None
        import faiss

        return faiss.read_index(str(self.path / FAISS), faiss.IO_FLAG_MMAP_IFC)

    @cached_property
    def _starts(self) -> np.ndarray:
        """(M + 1,) where the entries of each text begin; they lie in the order of the texts."""
        return np.searchsorted(self.entries["text"].to_numpy(), np.arange(len(self) + 1))

    @cached_property
    def _study_ids(self) -> pa.Array:
        return self.entries["study_id"].combine_chunks()

    @cached_property
    def _coded_patients(self) -> pa.DictionaryArray:
        return self.entries["patient_id"].combine_chunks().dictionary_encode()

    @cached_property
    def _patient_codes(self) -> np.ndarray:
        return self._coded_patients.indices.to_numpy()

    @cached_property
    def _code_of(self) -> dict[str, int]:
        return {name: code for code, name in enumerate(self._coded_patients.dictionary.to_pylist())}

    @cached_property
    def _texts_of_code(self) -> np.ndarray:
        pairs = np.unique(np.stack([self._patient_codes, self.entries["text"].to_numpy()]), axis=1)
        return np.bincount(pairs[0], minlength=len(self._code_of))

    @cached_property
    def _labels(self) -> dict[str, np.ndarray]:
        """(E,) bool of each finding."""
        lists = self.entries["labels"].combine_chunks()
        rows, names = pc.list_parent_indices(lists).to_numpy(), lists.flatten().dictionary_encode()
        found = {}
        for code, name in enumerate(names.dictionary.to_pylist()):
            found[name] = np.zeros(len(lists), bool)
            found[name][rows[names.indices.to_numpy() == code]] = True
        return found

    def _has_label(self, name: str) -> np.ndarray:
        if name not in self._labels:
            raise InputError(
                f"{self.path}: no study with finding {name!r}; there are {', '.join(sorted(self._labels))}"
            )
        return self._labels[name]


def _compared(vectors_MD: np.ndarray, query_QD: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    cosine_QM = (vectors_MD @ query_QD.T).T if len(query_QD) == 1 else query_QD @ vectors_MD.T
    last = len(vectors_MD) - count
    number_QK = (
        np.argpartition(cosine_QM, last, axis=1)[:, last:]
        if last
        else np.tile(np.arange(count), (len(query_QD), 1))
    )
    return np.take_along_axis(cosine_QM, number_QK, 1), number_QK


def blocks(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Rows, so many at a time; at least one block."""
    size = max(1, size)
    return (rows[start : start + size] for start in range(0, max(1, len(rows)), size))
