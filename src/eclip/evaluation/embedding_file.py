"""Embeddings made elsewhere, in the place of a model.

Parquet or NumPy's .npz, with the names that `eclip embed` writes:

    --model FILE                image_id (N,), image_embedding (N, D), text_embedding (N, D), which may be left out
    --prompt-embeddings FILE    input (M,) the sentences, embedding (M, D)
"""

import hashlib
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console

from eclip.errors import InputError
from eclip.models.model import Model, load

_SUFFIXES = (".npz", ".parquet")
_UNIT = 1e-4  # how far from 1 the length of a unit vector in float32 may be
_SAME = 0.99  # cosine of two embeddings of one text, however they were rounded
_Vectors = tuple[list[str], dict[str, np.ndarray]]


class EmbeddingFile:
    """Unit vectors by image id and by sentence; it answers as a `Model` does, but for what is not in the file.

    Attributes:
        path: The file.
        fingerprint: Sixteen hexadecimal digits that change with any byte of the files.
        prompts: The file of prompts, if any.
        has_texts: Whether there are embeddings of the images' texts.
    """

    card: Mapping[str, Any] = {}

    def __init__(self, path: Path, *, prompts: Path | None = None) -> None:
        """Read it.

        Args:
            path: Embeddings of images and, if there, of their texts.
            prompts: Embeddings of the prompt set's sentences, for zero-shot classification.

        Raises:
            InputError: Not such files, another dimension, rows that come twice or are not finite.
        """
        self.path = path
        ids, vectors = _read(
            path, "image_id", ("image_embedding", "text_embedding"), optional="text_embedding"
        )
        self._row_of = {name: row for row, name in enumerate(ids)}
        self._image_ND = vectors["image_embedding"]
        self._text_ND = vectors.get("text_embedding")
        self.has_texts = self._text_ND is not None
        if self._text_ND is not None:
            self._check_dimension(path, "text_embedding", self._text_ND)
        self.prompts = prompts
        self._prompt_of: dict[str, np.ndarray] = {}
        if prompts is not None:
            sentences, vectors = _read(prompts, "input", ("embedding",))
            self._check_dimension(prompts, "embedding", vectors["embedding"])
            self._prompt_of = dict(zip(sentences, vectors["embedding"], strict=True))
        digest = hashlib.sha256()
        for file in (path, prompts):
            digest.update(b"" if file is None else file.read_bytes())
        self.fingerprint = digest.hexdigest()[:16]

    @property
    def scale(self) -> None:
        """What the model multiplied cosines with is not known."""

    def of_images(self, image_ids: Sequence[str]) -> np.ndarray:
        """Unit vectors (N, D) of images by their ids."""
        return self._image_ND[self._rows(image_ids)]

    def of_texts(self, image_ids: Sequence[str], texts: Sequence[str], text_of_N: np.ndarray) -> np.ndarray:
        """Unit vectors (T, D) of distinct texts, each from the first image that has it.

        Args:
            image_ids: (N,).
            texts: (T,); the embedding of "" means nothing and is not compared.
            text_of_N: Which text each image has, 0 … T - 1.

        Raises:
            InputError: No embeddings of texts, or one text has two that differ.
        """
        if self._text_ND is None:
            raise InputError(f"{self.path}: no text_embedding; tasks that need texts cannot be done")
        text_ND = self._text_ND[self._rows(image_ids)]
        first_T = np.unique(text_of_N, return_index=True)[1]
        text_TD = text_ND[first_T]
        cosine_N = (text_ND * text_TD[text_of_N]).sum(1)
        told_N = np.array([texts[t] != "" for t in text_of_N])
        for row in np.flatnonzero(told_N & (cosine_N < _SAME))[:1]:
            other = image_ids[first_T[text_of_N[row]]]
            raise InputError(
                f"{self.path}: images {other!r} and {image_ids[row]!r} have the same text in the store, but their "
                f"text_embedding differ (cosine {cosine_N[row]:.2f}); embed the store's column `text`"
            )
        return text_TD

    def embed_texts(self, texts: Sequence[str], **_: Any) -> np.ndarray:
        """Unit vectors (N, D) of sentences, from the file of prompts.

        Raises:
            InputError: It has not been given, or lacks one.
        """
        missing = [text for text in texts if text not in self._prompt_of]
        if missing and self.prompts is None:
            raise InputError(
                f"{self.path}: a file cannot embed prompts; print them with `eclip prompts`, embed them with the same "
                "model, and give the file to --prompt-embeddings"
            )
        if missing:
            raise InputError(
                f"{self.prompts}: {len(missing)} of {len(texts)} prompts are not among its `input`, such as "
                f"{missing[0]!r}; `eclip prompts` prints what is needed"
            )
        return np.stack([self._prompt_of[text] for text in texts])

    def embed_images(self, images: Sequence[Any], **_: Any) -> NoReturn:
        """Not possible.

        Raises:
            InputError: Always.
        """
        self._needs_model()

    @property
    def encoder(self) -> Any:
        """There is none.

        Raises:
            InputError: Always.
        """
        self._needs_model()

    def expert_view(self, image_HW: np.ndarray, heatmap_HW: np.ndarray) -> None:
        """There is none."""

    def _needs_model(self) -> NoReturn:
        raise InputError(
            f"{self.path}: a file of embeddings cannot look at an image; this task needs the model itself"
        )

    def _rows(self, image_ids: Sequence[str]) -> list[int]:
        missing = [name for name in image_ids if name not in self._row_of]
        if missing:
            raise InputError(
                f"{self.path}: {len(missing)} of {len(image_ids)} images are not among its image_id, such as "
                f"{missing[0]!r}; embed the whole split"
            )
        return [self._row_of[name] for name in image_ids]

    def _check_dimension(self, path: Path, column: str, vectors_MD: np.ndarray) -> None:
        wanted, given = self._image_ND.shape[1], vectors_MD.shape[1]
        if wanted != given:
            raise InputError(
                f"{path}: {column} has {given} dimensions, and image_embedding of {self.path} {wanted}; they must "
                "be of the same model"
            )


def open_model(source: Path, *, prompt_embeddings: Path | None = None) -> "Model | EmbeddingFile":
    """What `--model` names: a file of embeddings, or what `eclip.load` opens.

    Raises:
        InputError: Not one of them, or a file of prompts beside a model that embeds them itself.
    """
    if source.suffix.lower() in _SUFFIXES and not source.is_dir():
        return EmbeddingFile(source, prompts=prompt_embeddings)
    if prompt_embeddings is not None:
        raise InputError(
            f"--prompt-embeddings {prompt_embeddings}: has no effect on a model, which embeds prompts itself; it "
            "belongs to a --model that is a file of embeddings (.npz or .parquet)"
        )
    return load(source)


def _read(path: Path, names: str, columns: Sequence[str], *, optional: str = "") -> _Vectors:
    """Names, and unit vectors (N, D) float32 by column."""
    try:
        content = _npz(path) if path.suffix.lower() == ".npz" else _parquet(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, pa.ArrowException) as error:
        kinds = "an .npz without pickled objects" if path.suffix.lower() == ".npz" else "Parquet"
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"{path}: cannot be read as {kinds} ({reason})") from error
    needed = [names, *(column for column in columns if column != optional)]
    if missing := [name for name in needed if name not in content]:
        raise InputError(
            f"{path}: no {' and no '.join(missing)}; expected {', '.join([names, *columns])}, as `eclip embed` writes"
        )
    rows = [str(name) for name in _listed(content[names])]
    if twice := _first_twice(rows):
        raise InputError(f"{path}: {names} {twice!r} comes twice; give each one row")
    vectors = {
        column: _vectors(path, column, content[column], rows) for column in columns if column in content
    }
    return rows, vectors


def _npz(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _parquet(path: Path) -> dict[str, Any]:
    table = pq.read_table(path)
    return {name: table[name].combine_chunks() for name in table.column_names}


def _listed(column: Any) -> Iterable[Any]:
    return column.to_pylist() if isinstance(column, pa.Array) else np.ravel(column).tolist()


def _first_twice(names: Sequence[str]) -> str | None:
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), None)  # type: ignore[func-returns-value]


def _vectors(path: Path, column: str, values: Any, names: Sequence[str]) -> np.ndarray:
    """Unit vectors (N, D) float32."""
    matrix_ND = _matrix(values)
    if matrix_ND is None or matrix_ND.shape[0] != len(names) or not matrix_ND.shape[1]:
        raise InputError(
            f"{path}: {column}: expected a row of numbers for each of {len(names)} rows, all of one length"
        )
    length_N = np.linalg.norm(matrix_ND, axis=1)
    if len(bad := np.flatnonzero(~(np.isfinite(length_N) & (length_N > 0)))):
        raise InputError(
            f"{path}: {column} of {names[bad[0]]!r} is zero or not finite ({len(bad)} such rows); embed it again"
        )
    if np.abs(length_N - 1).max(initial=0) > _UNIT:
        Console(stderr=True).print(
            f"{path}: {column}: rows are not of unit length; normalised", highlight=False, soft_wrap=True
        )
        matrix_ND = matrix_ND / length_N[:, None]
    return matrix_ND.astype(np.float32)


def _matrix(values: Any) -> np.ndarray | None:
    """A column of lists, or an array, as (N, D) float64; None where it is none."""
    if isinstance(values, pa.Array):
        if not hasattr(values.type, "value_type") or values.null_count:
            return None
        lengths = pc.list_value_length(values).unique()
        if len(lengths) != 1:
            return None
        values = values.flatten().to_numpy(zero_copy_only=False).reshape(len(values), -1)
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        return None
    return np.asarray(values, np.float64)
