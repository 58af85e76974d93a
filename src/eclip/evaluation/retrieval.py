"""Retrieval: does an image find its report among all reports, and a report its image?

A query's rank is that of the best candidate that counts as right. *Strict*: its own study's report (or image).
*Any equal text*: any study's whose report says the same, word for word, because nothing tells those apart. Reports
that many studies share score by being frequent alone; how far that goes is the *image-blind* floor, which ranks
reports by how often their text occurs in training and never looks at the image.

*Precision@K by label*: the share of the first K other studies' reports (or images) whose findings are the query's. The
own report is left out, which would count once more what recall counts; so are studies with an uncertain finding, or
without labels.

Ties are broken at random, in expectation: a hit within K counts with its probability, a rank is the expected one.

Array names: Q queries, M candidates, N studies' images, D dimensions.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from eclip.errors import InputError
from eclip.evaluation.embeddings import Embeddings
from eclip.evaluation.statistics import Statistic, mean, median

CUTOFFS = (1, 5, 10)
PRECISION_CUTOFFS = (5, 10, 50)
ANY_EQUAL_TEXT, IMAGE_BLIND = "_any_equal_text", "_image_blind"
_CELLS = 8_000_000  # similarities held at a time


@dataclass(frozen=True, slots=True)
class Ranks:
    """Where the best right candidate of each query stands, (Q,) each.

    Attributes:
        above: Candidates that score higher.
        tied: Wrong candidates with the same score.
        right: Right candidates with that score, at least one.
        right_in_all: Right candidates at any score.
        candidates: Number of candidates, the same for all queries.
    """

    above: np.ndarray
    tied: np.ndarray
    right: np.ndarray
    right_in_all: np.ndarray
    candidates: int

    @property
    def expected(self) -> np.ndarray:
        """Expected rank of the first right one, from 1: of t wrong and k right in random order, 1 + t / (k + 1)."""
        return self.above + 1 + self.tied / (self.right + 1)

    def hit(self, cutoff: int) -> np.ndarray:
        """Probability that a right one is among the first `cutoff`."""
        return 1 - _all_wrong(self.tied, self.right, np.maximum(0, cutoff - self.above))

    def chance(self, cutoff: int) -> np.ndarray:
        """The same if all candidates stood in random order."""
        drawn_Q = np.full(len(self.right_in_all), cutoff)
        return 1 - _all_wrong(self.candidates - self.right_in_all, self.right_in_all, drawn_Q)

    @property
    def chance_rank(self) -> np.ndarray:
        """Expected rank in random order: of M candidates with k right ones (M + 1) / (k + 1)."""
        return (self.candidates + 1) / (self.right_in_all + 1)

    @property
    def reciprocal(self) -> np.ndarray:
        """Expected reciprocal rank; not one over the expected rank, which ties would make too small."""
        return _mean_reciprocal(self.above, self.tied, self.right)

    @property
    def chance_reciprocal(self) -> np.ndarray:
        """Expected reciprocal rank in random order."""
        wrong_Q = self.candidates - self.right_in_all
        return _mean_reciprocal(np.zeros_like(wrong_Q), wrong_Q, self.right_in_all)


def rank(similarity_QM: np.ndarray, right_QM: np.ndarray) -> Ranks:
    """Rank the best right candidate of each query; every row needs one."""
    best_Q1 = np.where(right_QM, similarity_QM, -np.inf).max(1, keepdims=True)
    equal_QM = similarity_QM == best_Q1
    return Ranks(
        above=(similarity_QM > best_Q1).sum(1),
        tied=(equal_QM & ~right_QM).sum(1),
        right=(equal_QM & right_QM).sum(1),
        right_in_all=right_QM.sum(1),
        candidates=right_QM.shape[1],
    )


def per_sample(
    embeddings: Embeddings, *, train_texts: Sequence[str] = (), cells: int = _CELLS
) -> pd.DataFrame:
    """Ranks and hits of each image and its report, both ways.

    Queries are the images with a report; candidates are those images, and their reports, one a study. Computed a
    block of queries at a time, so memory does not grow with their number squared.

    Args:
        embeddings: Images and reports.
        train_texts: Reports seen in training, for the image-blind floor; none, no floor.
        cells: Similarities held at a time.

    Returns:
        One row an image, NaN for those without report: `image_to_text_rank`, `…_reciprocal`, `…_recall@K`; the same
        for `text_to_image`; each also with `_any_equal_text`; those of `image_to_text` also with `_image_blind`; what
        random order would get, `…_chance@K`, `…_chance_rank`, `…_chance_reciprocal`; and by label
        `image_to_text_precision@K` and `text_to_image_precision@K` with their `…_precision_chance`, where there are
        labels and enough candidates.

    Raises:
        InputError: Fewer than two studies have a report.
    """
    rows = np.flatnonzero([text != "" for text in embeddings.text])
    texts = np.array(embeddings.text, dtype=object)[rows]
    text_N = np.unique(texts, return_inverse=True)[1]
    study_N = np.unique(np.array(embeddings.study_id, dtype=object)[rows], return_inverse=True)[1]
    reports = np.unique(np.stack([study_N, text_N]), axis=1, return_index=True)[1]  # one a study
    if len(reports) < 2:
        raise InputError("retrieval: needs two or more studies with a report; build the store with texts")
    image_ND, text_ND = embeddings.image_ND[rows], embeddings.text_ND[rows]
    distinct_MD = text_ND[np.unique(text_N, return_index=True)[1]]  # equal texts score the same, bit for bit
    frequency = Counter(train_texts)
    in_training_M = np.array([float(frequency[text]) for text in texts[reports]])
    kind_N = _kinds(embeddings)[rows]
    blocks = []
    for block in _blocks(len(rows), len(rows), cells):
        to_text = (image_ND[block] @ distinct_MD.T)[:, text_N[reports]]
        to_image = text_ND[block] @ image_ND.T
        own, same = study_N[block, None], text_N[block, None]
        columns: dict[str, np.ndarray] = {}
        for variant, is_report, is_image in (
            ("", own == study_N[reports], own == study_N),
            (ANY_EQUAL_TEXT, same == text_N[reports], same == text_N),
        ):
            columns |= _columns("image_to_text", variant, rank(to_text, is_report))
            columns |= _columns("text_to_image", variant, rank(to_image, is_image))
            if frequency:
                blind = rank(np.broadcast_to(in_training_M, is_report.shape), is_report)
                columns |= _columns("image_to_text", f"{variant}{IMAGE_BLIND}", blind)
        for direction, similarity, candidates in (
            ("image_to_text", to_text, reports),
            ("text_to_image", to_image, np.arange(len(rows))),
        ):
            open_QM = (kind_N[block, None] >= 0) & (kind_N[candidates] >= 0) & (own != study_N[candidates])
            alike_QM = open_QM & (kind_N[block, None] == kind_N[candidates])
            columns |= _precisions(direction, np.where(open_QM, similarity, -np.inf), alike_QM, open_QM)
        blocks.append(pd.DataFrame(columns))
    table = pd.concat(blocks, ignore_index=True)
    return table.set_axis(rows).reindex(range(len(embeddings)))


def statistics(per_sample: pd.DataFrame) -> dict[str, Statistic]:
    """The task's numbers, from its per-sample table.

    For each direction and variant: `…_recall@K` (mean hit), `…_median_rank`, `…_mrr` (mean reciprocal rank).
    """
    numbers: dict[str, Statistic] = {}
    for column in per_sample.columns:
        values = per_sample[column].to_numpy()
        if "_precision@" in column:
            if not np.isnan(values).all():
                expected = per_sample[f"{column.partition('@')[0]}_chance"]
                numbers[column] = mean(values, chance=float(expected[~np.isnan(values)].mean()))
        elif "_recall@" in column:
            chance = per_sample.get(column.replace("_recall@", "_chance@"))
            numbers[column] = mean(values, chance=None if chance is None else float(chance.mean()))
        elif "_chance_" in column:
            continue
        elif "_reciprocal" in column:
            expected = per_sample[column.replace("_reciprocal", "_chance_reciprocal")]
            numbers[column.replace("_reciprocal", "_mrr")] = mean(values, chance=float(expected.mean()))
        elif "_rank" in column:
            expected = per_sample[column.replace("_rank", "_chance_rank")]
            # where many candidates are right for some queries, the median of expected ranks is not the expected median
            expected_median = None if ANY_EQUAL_TEXT in column else float(expected.median())
            numbers[column.replace("_rank", "_median_rank")] = median(
                values, direction="lower", chance=expected_median
            )
    return numbers


def _columns(direction: str, variant: str, ranks: Ranks) -> dict[str, np.ndarray]:
    columns = {
        f"{direction}_rank{variant}": ranks.expected,
        f"{direction}_reciprocal{variant}": ranks.reciprocal,
    }
    columns |= {f"{direction}_recall@{cutoff}{variant}": ranks.hit(cutoff) for cutoff in CUTOFFS}
    columns |= {f"{direction}_chance@{cutoff}{variant}": ranks.chance(cutoff) for cutoff in CUTOFFS}
    return columns | {
        f"{direction}_chance_rank{variant}": ranks.chance_rank,
        f"{direction}_chance_reciprocal{variant}": ranks.chance_reciprocal,
    }


def precision(similarity_QM: np.ndarray, alike_QM: np.ndarray, cutoffs: Sequence[int]) -> list[np.ndarray]:
    """For each cutoff the expected share (Q,) of alike candidates among the first K; of ties each may come first.

    Args:
        similarity_QM: −inf where a candidate takes no part.
        alike_QM: bool.
        cutoffs: K, each at most M.
    """
    last = [similarity_QM.shape[1] - cutoff for cutoff in cutoffs]
    sorted_QM = np.partition(similarity_QM, last, axis=1)
    shares = []
    for cutoff, place in zip(cutoffs, last, strict=True):
        last_Q1 = sorted_QM[:, place : place + 1]
        above_QM, tied_QM = similarity_QM > last_Q1, similarity_QM == last_Q1
        places_Q = cutoff - above_QM.sum(1)
        hits_Q = (alike_QM & tied_QM).sum(1) * places_Q / np.maximum(tied_QM.sum(1), 1)
        shares.append(((alike_QM & above_QM).sum(1) + hits_Q) / cutoff)
    return shares


def _precisions(
    direction: str, similarity_QM: np.ndarray, alike_QM: np.ndarray, open_QM: np.ndarray
) -> dict[str, np.ndarray]:
    """Of each cutoff; NaN where a query has fewer candidates."""
    candidates_Q = open_QM.sum(1)
    columns = {f"{direction}_precision_chance": alike_QM.sum(1) / np.maximum(candidates_Q, 1)}
    cutoffs = [cutoff for cutoff in PRECISION_CUTOFFS if cutoff <= candidates_Q.max(initial=0)]
    found = precision(similarity_QM, alike_QM, cutoffs) if cutoffs else []
    for cutoff, share_Q in zip(cutoffs, found, strict=True):
        columns[f"{direction}_precision@{cutoff}"] = np.where(candidates_Q >= cutoff, share_Q, np.nan)
    return columns


def _kinds(embeddings: Embeddings) -> np.ndarray:
    """A number (N,) for each set of findings that are present; −1 where one is uncertain or none is labelled."""
    label_NC = embeddings.label_NC
    if not label_NC.size:
        return np.full(len(embeddings), -1)
    kind_N = np.unique(label_NC == 1, axis=0, return_inverse=True)[1].ravel()
    return np.where(np.isnan(label_NC).all(1) | (label_NC < 0).any(1), -1, kind_N)


def _blocks(queries: int, candidates: int, cells: int) -> Iterator[slice]:
    size = max(1, cells // candidates)
    return (slice(start, min(start + size, queries)) for start in range(0, queries, size))


def _all_wrong(wrong: np.ndarray, right: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Probability that `drawn` of `wrong` + `right` candidates in random order are all wrong."""
    none = np.ones(len(drawn))
    for i in range(int(np.max(drawn, initial=0))):
        left = (wrong - i) / np.maximum(wrong + right - i, 1)
        none = np.where(i < drawn, none * np.clip(left, 0, 1), none)
    return none


def _mean_reciprocal(above: np.ndarray, tied: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Mean of 1 / (above + r), r the place of the first right one among `tied` wrong and `right` in random order."""
    means_Q = 1 / (above + 1)
    among = tied > 0
    cases, which = np.unique(np.stack([above, tied, right])[:, among], axis=1, return_inverse=True)
    found = []
    for before, wrong, good in cases.T:
        place = np.arange(wrong + 1)  # wrong ones that come first
        left = wrong + good - place
        all_wrong = np.cumprod(np.r_[1.0, (wrong - place[:-1]) / left[:-1]])
        found.append((all_wrong * good / left / (before + place + 1)).sum())
    means_Q[among] = np.array(found)[which.ravel()] if found else []
    return means_Q
