"""What a store holds, in numbers: counted column by column, so that no picture and no report is loaded whole."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from eclip.data.store import SPLITS, Store

_BARS = 20
_COLUMNS = ("split", "view", "sex", "patient_id", "study_id")


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often a quantity takes which values, for one group of rows.

    Attributes:
        group: The rows: a split, or "all".
        edges: (B + 1,) rising; the last bar also holds what is beyond its edge.
        counts: (B,).
        quantiles: Minimum, 5 %, median, 95 %, maximum.
    """

    group: str
    edges: np.ndarray
    counts: np.ndarray
    quantiles: tuple[float, ...]

    @property
    def total(self) -> int:
        """How many values there are."""
        return int(self.counts.sum())


@dataclass(frozen=True, slots=True)
class SplitCount:
    """One split, or all of them: how many images, studies, patients, and of what kind."""

    name: str
    images: int
    studies: int
    patients: int
    annotated: int
    views: dict[str, int]
    sexes: dict[str, int]
    median_age: float | None


@dataclass(frozen=True, slots=True)
class LabelCount:
    """How many images a label is present, absent, uncertain in, and its presence in each split as a fraction."""

    name: str
    present: int
    absent: int
    uncertain: int
    shares: dict[str, float]


@dataclass(frozen=True, slots=True)
class KindCount:
    """How many annotations of a kind there are, on how many images, and by whom (the busiest reader first)."""

    kind: str
    annotations: int
    images: int
    readers: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """All of it.

    Attributes:
        splits: Those that have rows, in order, then "all".
        views: Names of views, the most frequent first.
        sizes: (width, height) of the stored images to how many, the most frequent first.
        words: Words of a text, by split.
        fixations: Fixations of a study that has any, by split.
        seconds: Time that one reader's fixations on one image last, all splits.
        milliseconds: Mean length of a fixation of one reader on one image, all splits.
        ages: Years, by split; those that are told.
        labels: The most often present first.
        kinds: The most annotations first.
        sentences_N: Sentences that were dictated on each row.
    """

    splits: list[SplitCount]
    views: list[str]
    sizes: list[tuple[tuple[int, int], int]]
    words: list[Histogram]
    fixations: list[Histogram]
    seconds: list[Histogram]
    milliseconds: list[Histogram]
    ages: list[Histogram]
    labels: list[LabelCount]
    kinds: list[KindCount]
    sentences_N: np.ndarray

    def distributions(self) -> dict[str, list[Histogram]]:
        """The histograms by what they count; those of which there is anything."""
        named = {
            "words a text": self.words,
            "fixations a study": self.fixations,
            "seconds a reading": self.seconds,
            "fixation in ms": self.milliseconds,
            "years of age": self.ages,
        }
        return {name: found for name, found in named.items() if found}


def take_census(store: Store) -> Census:
    """Count what a store holds."""
    table = store.table([*_COLUMNS, "age", "text", "labels", "annotations"])
    rows = table.select(_COLUMNS).to_pandas(strings_to_categorical=True)
    rows["age"] = pc.cast(table["age"], pa.float64()).to_numpy()
    words_N = pc.count_substring_regex(table["text"], r"\S+").to_numpy()
    marks = _Marks()
    for chunk in table["annotations"].chunks:
        marks.add(chunk)
    fixations_N, sentences_N, rows["annotated"] = marks.per_row()
    sizes = Counter(zip(store.column("width"), store.column("height"), strict=True))
    parts = {name: rows[rows["split"] == name] for name in SPLITS} | {"all": rows}
    splits = [_split(name, part) for name, part in parts.items() if len(part)]
    split_N = rows["split"].to_numpy()
    return Census(
        splits=splits,
        views=[str(view) for view in rows["view"].value_counts().index],
        sizes=sizes.most_common(3),
        words=histograms(_by_split(words_N, split_N, words_N > 0)),
        fixations=histograms(_by_split(fixations_N, split_N, fixations_N > 0)),
        seconds=histograms({"all": np.concatenate(marks.seconds)}),
        milliseconds=histograms({"all": np.concatenate(marks.milliseconds)}),
        ages=histograms(_by_split(rows["age"].to_numpy(), split_N, rows["age"].notna().to_numpy())),
        labels=_labels(table, {split.name: split.images for split in splits}),
        kinds=marks.kinds(),
        sentences_N=sentences_N,
    )


def histograms(values: Mapping[str, np.ndarray]) -> list[Histogram]:
    """One histogram a group that has finite values, all with the same edges: whole numbers, 20 bars at most.

    The bars reach to the 99th percentile, so that one endless report does not squeeze the others into one bar.
    """
    finite = {group: v[np.isfinite(v)] for group, v in values.items()}
    finite = {group: v for group, v in finite.items() if len(v)}
    if not finite:
        return []
    together = np.concatenate(list(finite.values()))
    low, high = np.floor(together.min()), np.floor(np.quantile(together, 0.99))
    width = max(1.0, np.ceil((high - low + 1) / _BARS))
    edges = low + width * np.arange(min(_BARS, int((high - low) // width) + 1) + 1)
    bars = len(edges) - 1

    def histogram(group: str, v: np.ndarray) -> Histogram:
        bar = np.minimum(np.searchsorted(edges, v, side="right") - 1, bars - 1)
        quantiles = tuple(map(float, np.quantile(v, (0, 0.05, 0.5, 0.95, 1))))
        return Histogram(group, edges, np.bincount(bar, minlength=bars), quantiles)

    return [histogram(group, v) for group, v in finite.items()]


def _by_split(values_N: np.ndarray, split_N: np.ndarray, known_N: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values_N[(split_N == name) & known_N] for name in SPLITS}


def _split(name: str, rows: pd.DataFrame) -> SplitCount:
    ages = rows["age"].dropna()
    return SplitCount(
        name=name,
        images=len(rows),
        studies=rows["study_id"].nunique(),
        patients=rows["patient_id"].nunique(),
        annotated=int(rows["annotated"].sum()),
        views=_counted(rows["view"]),
        sexes=_counted(rows["sex"]),
        median_age=float(ages.median()) if len(ages) else None,
    )


def _counted(column: "pd.Series[Any]") -> dict[str, int]:
    return {str(name): int(n) for name, n in column.value_counts().items() if n}


def _labels(table: pa.Table, images: Mapping[str, int]) -> list[LabelCount]:
    counts: Counter[tuple[str, str, int]] = Counter()  # of (split, label, value)
    for splits, labels in zip(table["split"].chunks, table["labels"].chunks, strict=True):
        flat = labels.flatten()
        columns = {"split": splits.take(pc.list_parent_indices(labels))}
        columns |= {"name": flat.field("name"), "value": flat.field("value")}
        found = pa.table(columns).group_by(list(columns)).aggregate([([], "count_all")]).to_pydict()
        for *key, n in zip(*(found[name] for name in (*columns, "count_all")), strict=True):
            counts[*key] += n

    def of(name: str, value: int, splits: Iterable[str] = SPLITS) -> int:
        return sum(counts[split, name, value] for split in splits)

    def label(name: str) -> LabelCount:
        shares = {split: of(name, 1, [split]) / images[split] for split in SPLITS if split in images}
        return LabelCount(name, of(name, 1), of(name, 0), of(name, -1), shares)

    return sorted(map(label, {name for _, name, _ in counts}), key=lambda label: (-label.present, label.name))


class _Marks:
    """Annotations, counted a few hundred rows at a time."""

    def __init__(self) -> None:
        self.seconds: list[np.ndarray] = [np.zeros(0)]  # of one reader on one image
        self.milliseconds: list[np.ndarray] = [np.zeros(0)]
        self._rows: list[np.ndarray] = [np.zeros((3, 0), np.int64)]
        self._readers: Counter[tuple[str, str]] = Counter()
        self._images: Counter[str] = Counter()

    def add(self, annotations: pa.ListArray) -> None:
        """Add the annotations of some rows."""
        flat, row_A = annotations.flatten(), pc.list_parent_indices(annotations).to_numpy()
        fixations_A, sentences_A = (_lengths(flat.field(name)) for name in ("fixations", "sentences"))
        sums = [np.bincount(row_A, n, len(annotations)) for n in (fixations_A, sentences_A, None)]
        self._rows.append(np.stack(sums).astype(np.int64))
        if not len(flat):
            return
        fixations = flat.field("fixations").flatten()
        start_F, end_F = (fixations.field(name).to_numpy() for name in ("start", "end"))
        with np.errstate(invalid="ignore", over="ignore"):
            seconds_F = np.maximum(0, end_F - start_F)
        seconds_A = np.bincount(np.repeat(np.arange(len(flat)), fixations_A), seconds_F, len(flat))
        looked = fixations_A > 0
        self.seconds.append(seconds_A[looked])
        self.milliseconds.append(1000 * seconds_A[looked] / fixations_A[looked])
        kinds, readers = (flat.field(name).to_pylist() for name in ("kind", "reader"))
        self._readers.update(zip(kinds, readers, strict=True))
        self._images.update(kind for kind, _ in set(zip(kinds, row_A.tolist(), strict=True)))

    def per_row(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Fixations, sentences, and whether there is any annotation, of each row."""
        fixations_N, sentences_N, annotations_N = np.concatenate(self._rows, axis=1)
        return fixations_N, sentences_N, annotations_N > 0

    def kinds(self) -> list[KindCount]:
        """Kinds and their readers, the most annotations first."""
        readers: dict[str, dict[str, int]] = {}
        for (kind, reader), n in sorted(self._readers.items(), key=lambda item: (-item[1], item[0])):
            readers.setdefault(kind, {})[reader] = n
        counts = [KindCount(kind, sum(n.values()), self._images[kind], n) for kind, n in readers.items()]
        return sorted(counts, key=lambda count: (-count.annotations, count.kind))


def _lengths(lists: pa.ListArray) -> np.ndarray:
    return pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
