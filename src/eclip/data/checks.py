"""What may be wrong with a store as a whole: leaks between its splits, gaze that does not lie on its image."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from eclip.data.image_hash import near_duplicates

REPEATED_IMAGE = "image id that came before"
NO_TEXT = ("empty report", "no report", "no text")  # how reasons for leaving a row out begin
_EXAMPLES = 20
_COLUMNS = ("image_id", "patient_id", "split", "image_hash", "text")
_FEW_FIXATIONS = 10
_CORNER = 0.1  # of width and height


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked for.

    Attributes:
        count: How often it was found.
        examples: Up to 20, in words.
        leak: Whether it makes a model's test scores better than they should be.
    """

    count: int
    examples: tuple[str, ...] = ()
    leak: bool = False

    @classmethod
    def of(cls, found: Sequence[str], *, leak: bool = False) -> "Check":
        """A check from all that was found."""
        return cls(len(found), tuple(found[:_EXAMPLES]), leak)

    def to_dict(self) -> dict[str, Any]:
        """As the manifest holds it."""
        return asdict(self) | {"examples": list(self.examples)}


def check_store(shards: Sequence[Path], rejected: Iterable[Mapping[str, str]]) -> dict[str, Check]:
    """Check the rows of a store, a shard at a time; of all rows together only ids and hashes are held.

    A patient in two splits, and an image that looks like one of another split, are leaks. Texts are not: half of all
    normal chests are reported in the same words, so a text in two splits is counted and no more.

    Args:
        shards: Parquet files with `eclip.data.study.SCHEMA`.
        rejected: What the build left out: dictionaries of file, row, reason.

    Returns:
        Name to check: duplicate_image_ids, patients_in_several_splits, near_duplicate_images_across_splits,
        texts_in_several_splits, gaze_off_the_image, empty_reports.
    """
    ids: list[str] = []
    splits: list[str] = []
    hashes: list[str] = []
    patients: dict[str, set[str]] = {}
    texts: dict[bytes, set[str]] = {}
    off: list[str] = []
    for shard in shards:
        for batch in pq.ParquetFile(shard).iter_batches(columns=[*_COLUMNS, "annotations"]):
            columns = {name: batch[name].to_pylist() for name in _COLUMNS}
            ids += columns["image_id"]
            splits += columns["split"]
            hashes += columns["image_hash"]
            for patient, text, split in zip(
                columns["patient_id"], columns["text"], columns["split"], strict=True
            ):
                patients.setdefault(patient, set()).add(split)
                if text:
                    texts.setdefault(hashlib.sha256(text.encode()).digest()[:12], set()).add(split)
            off += [columns["image_id"][row] for row in gaze_off_the_image(batch["annotations"])]
    reasons = list(rejected)
    repeated = [id_ for id_, count in Counter(ids).items() if count > 1]
    repeated += [f"{r['row']} of {r['file']}" for r in reasons if r["reason"] == REPEATED_IMAGE]
    apart = [
        f"{patient}: {', '.join(sorted(found))}" for patient, found in patients.items() if len(found) > 1
    ]
    alike = [
        f"{ids[a]} ({splits[a]}) and {ids[b]} ({splits[b]})"
        for a, b in _alike(hashes, np.array(splits, dtype=object))
    ]
    shared = sum(len(found) > 1 for found in texts.values())
    empty = [f"{r['row']} of {r['file']}" for r in reasons if r["reason"].startswith(NO_TEXT)]
    return {
        "duplicate_image_ids": Check.of(repeated),
        "patients_in_several_splits": Check.of(apart, leak=True),
        "near_duplicate_images_across_splits": Check.of(alike, leak=True),
        "texts_in_several_splits": Check(shared),
        "gaze_off_the_image": Check.of(off),
        "empty_reports": Check.of(empty),
    }


def _alike(hashes: Sequence[str], split_N: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of rows in different splits whose images are near-duplicates."""
    pairs = []
    for split, others in (("test", ("train", "validate")), ("validate", ("train",))):
        some, rest = (
            np.flatnonzero(split_N == split).tolist(),
            np.flatnonzero(np.isin(split_N, others)).tolist(),
        )
        found = near_duplicates([hashes[i] for i in some], [hashes[i] for i in rest])
        pairs += [(some[i], rest[j]) for i, j in found]
    return pairs


def gaze_off_the_image(annotations: pa.ListArray) -> list[int]:
    """Rows with gaze that cannot be of their image: most of it lies beside it, or all of it in one small corner.

    So it looks when pixels of the screen were taken for pixels of the image, or of one image for another's. A corner
    is a tenth of width and height, and counts where there are ten fixations or more.

    Args:
        annotations: The column of a store's rows.
    """
    row_A = pc.list_parent_indices(annotations).to_numpy()
    fixations = pc.struct_field(pc.list_flatten(annotations), "fixations")
    annotation_F = pc.list_parent_indices(fixations).to_numpy()
    if not len(annotation_F):
        return []
    flat = pc.list_flatten(fixations)
    x_F, y_F = (pc.struct_field(flat, name).to_numpy(zero_copy_only=False) for name in ("x", "y"))
    starts = np.flatnonzero(np.diff(annotation_F, prepend=-1))
    count_P = np.diff(starts, append=len(x_F))
    beside_P = np.add.reduceat(((x_F < 0) | (x_F > 1) | (y_F < 0) | (y_F > 1)).astype(np.int64), starts)
    extent_P = np.maximum(
        *(np.maximum.reduceat(v, starts) - np.minimum.reduceat(v, starts) for v in (x_F, y_F))
    )
    off_P = (2 * beside_P > count_P) | ((count_P >= _FEW_FIXATIONS) & (extent_P < _CORNER))
    return np.unique(row_A[annotation_F[starts[off_P]]]).tolist()
