"""Embeddings of a store's studies beside what evaluation needs to know of them, and their files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import eclip
from eclip.data.store import Store
from eclip.errors import InputError
from eclip.evaluation.cache import cached
from eclip.evaluation.embedding_file import EmbeddingFile
from eclip.models.model import Model, Precision

_LABEL = "label/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    """Unit vectors of images and of their texts, one row an image.

    Attributes:
        image_id: (N,) unique.
        study_id: (N,) images of one examination share it.
        patient_id: (N,).
        text: (N,) the report text; "" where there is none.
        label_names: (C,) every label that occurs in the store.
        label_NC: float32, 1 present, 0 absent, -1 uncertain, NaN not mentioned.
        image_ND: float32.
        text_ND: float32; equal texts have equal rows, bit for bit.
    """

    image_id: list[str]
    study_id: list[str]
    patient_id: list[str]
    text: list[str]
    label_names: tuple[str, ...]
    label_NC: np.ndarray
    image_ND: np.ndarray
    text_ND: np.ndarray

    def __len__(self) -> int:
        return len(self.image_id)

    def label(self, name: str) -> np.ndarray:
        """One label of all rows, (N,) float32."""
        return self.label_NC[:, self.label_names.index(name)]

    def write(self, path: Path) -> None:
        """Write everything as Parquet; `read` is the inverse."""
        columns = {name: pa.array(getattr(self, name), pa.string()) for name in _TEXT_COLUMNS}
        columns |= {_LABEL + name: pa.array(self.label(name)) for name in self.label_names}
        columns |= _vector_columns(image_embedding=self.image_ND, text_embedding=self.text_ND)
        pq.write_table(pa.table(columns), path)

    @classmethod
    def read(cls, path: Path) -> "Embeddings":
        """Read what `write` wrote.

        Raises:
            InputError: No such file, or not one of these.
        """
        try:
            table = pq.read_table(path)
            names = tuple(name.removeprefix(_LABEL) for name in table.column_names if name.startswith(_LABEL))
            labels = [table[_LABEL + name].to_numpy() for name in names]
            return cls(
                **{name: table[name].to_pylist() for name in _TEXT_COLUMNS},
                label_names=names,
                label_NC=np.stack(labels, axis=1) if names else np.empty((len(table), 0), np.float32),
                image_ND=_matrix(table["image_embedding"]),
                text_ND=_matrix(table["text_embedding"]),
            )
        except FileNotFoundError as error:
            raise InputError(f"{path}: missing; run `eclip evaluate` again") from error
        except (pa.ArrowException, KeyError, ValueError) as error:
            raise InputError(
                f"{path}: not embeddings of an evaluation; run `eclip evaluate` again"
            ) from error


_TEXT_COLUMNS = ("image_id", "study_id", "patient_id", "text")


def embed_store(
    model: Model | EmbeddingFile,
    store: Store,
    *,
    split: str | None = "test",
    texts: bool = True,
    progress: bool = True,
    precision: Precision = "32",
    cache: Path | None = None,
) -> Embeddings:
    """Embed a store's images and texts as a trained model is used: no augmentation, each text once.

    Args:
        model: What embeds.
        store: The studies.
        split: Which of them; None for all.
        texts: Whether texts are wanted; without them, and without any in a file of embeddings, no study has a text.
        progress: Whether to show a bar.
        precision: As for `Model.embed_images`.
        cache: Folder that vectors are kept in; None to compute them.

    Raises:
        InputError: No study in that split, or the file of embeddings lacks some.
    """
    rows = store.rows(split=split)
    if not len(rows):
        raise InputError(f"{store.path}: no study in split {split!r}; choose another with --split")
    columns = {name: _select(store.column(name), rows) for name in _TEXT_COLUMNS}
    labels = store.column("labels")
    names = tuple(sorted({entry["name"] for entries in labels for entry in entries}))
    label_NC = _label_matrix(_select(labels, rows), names)
    how: dict[str, Any] = {"progress": progress, "precision": precision}
    key = {
        "eclip": eclip.__version__,  # which may decode and resize otherwise than another
        "model": model.fingerprint,
        "data": store.fingerprint,
        "split": split or "",
        "precision": precision,
    }

    def kept(what: str, compute: Callable[[], np.ndarray]) -> np.ndarray:
        folder = None if isinstance(model, EmbeddingFile) else cache
        return cached(folder, key | {"of": what}, lambda: {what: compute()})[what]

    if isinstance(model, EmbeddingFile):
        image_ND = model.of_images(columns["image_id"])
        texts = texts and model.has_texts
    else:
        image_ND = kept("images", lambda: model.embed_images(StoredImages(store, rows), **how))
    if texts:
        distinct, text_of_N = np.unique(np.array(columns["text"], dtype=object), return_inverse=True)
        if isinstance(model, EmbeddingFile):
            text_MD = model.of_texts(columns["image_id"], distinct.tolist(), text_of_N)
        else:
            text_MD = kept("texts", lambda: model.embed_texts(distinct.tolist(), **how))
        text_ND = text_MD[text_of_N]
    else:
        columns["text"] = [""] * len(rows)
        text_ND = np.zeros_like(image_ND)
    return Embeddings(**columns, label_names=names, label_NC=label_NC, image_ND=image_ND, text_ND=text_ND)


def write_embeddings(
    model: Model,
    out: Path,
    *,
    store: Store | None = None,
    images: Sequence[Path] = (),
    texts: Sequence[str] = (),
    precision: Precision = "32",
) -> int:
    """Write embeddings of a whole store, of image files, or of texts as Parquet, and return how many rows.

    A store gives `image_id`, `image_embedding`, `text_embedding`; the others give `input`, `embedding`.
    """
    if store is not None:
        all_of_it = embed_store(model, store, split=None, precision=precision)
        columns = {"image_id": pa.array(all_of_it.image_id, pa.string())}
        columns |= _vector_columns(image_embedding=all_of_it.image_ND, text_embedding=all_of_it.text_ND)
    else:
        inputs = [str(image) for image in images] or list(texts)
        how: dict[str, Any] = {"progress": True, "precision": precision}
        rows_ND = model.embed_images(images, **how) if images else model.embed_texts(inputs, **how)
        columns = {"input": pa.array(inputs, pa.string())} | _vector_columns(embedding=rows_ND)
    table = pa.table(columns)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, out)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror or error})") from error
    return len(table)


class StoredImages(Sequence[bytes]):
    """A store's encoded images, read when they are asked for: memory for one batch."""

    def __init__(self, store: Store, rows: np.ndarray) -> None:
        self.image = store.table(["image"]).column(0)  # alone: an annotated row is much more to read
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return [self._bytes(row) for row in self.rows[index]]
        return self._bytes(self.rows[index])

    def _bytes(self, row: int) -> bytes:
        return self.image[int(row)]["bytes"].as_py()


def _select(column: list[Any], rows: np.ndarray) -> list[Any]:
    return [column[row] for row in rows]


def _label_matrix(labels: list[list[dict[str, Any]]], names: Sequence[str]) -> np.ndarray:
    """Lists of {name, value} to values (N, C) of the names, NaN where one is not listed."""
    listed = [(row, entry["name"], entry["value"]) for row, entries in enumerate(labels) for entry in entries]
    column_of = {name: column for column, name in enumerate(names)}
    label_NC = np.full((len(labels), len(names)), np.nan, np.float32)
    label_NC[[row for row, *_ in listed], [column_of[name] for _, name, _ in listed]] = [
        v for *_, v in listed
    ]
    return label_NC


def _vector_columns(**matrices: np.ndarray) -> dict[str, pa.Array]:
    """Matrices (N, D) as columns of float32 lists."""
    return {
        name: pa.FixedSizeListArray.from_arrays(
            np.ascontiguousarray(matrix, np.float32).ravel(), matrix.shape[1]
        )
        for name, matrix in matrices.items()
    }


def _matrix(column: pa.ChunkedArray) -> np.ndarray:
    return column.combine_chunks().flatten().to_numpy().reshape(len(column), -1)
