"""How the embeddings lie on the sphere: alignment, uniformity, modality gap, effective rank, hubness.

For image vectors x_i and text vectors y_i of unit length (Wang & Isola 2020; Liang et al. 2022):

    alignment     mean_i ‖x_i - y_i‖²                              0 where each image meets its text; lower is better
    uniformity    log mean_{i<j} exp(-2 ‖z_i - z_j‖²)               lower is better: vectors use the whole sphere
                  z: the images, the texts, or both together (joint)
    modality gap  ‖mean_i x_i - mean_i y_i‖                        lower is better

And `modality_separability`: how often a logistic regression, fitted on the images and texts of other patients, tells an
image from a text; 0.5 where the modalities lie in one place, 1 where a plane parts them (Liang et al. 2022).

`effective_rank_image`, `effective_rank_text`: how many dimensions the vectors of a modality use around their mean, as
the participation ratio (tr Σ)² / tr Σ² of their covariance Σ, in which both are estimated without bias (Chen, Zhang &
Zhong 2010): D for a round cloud, 1 for a line. (The exponential of the entropy of singular values, also called so, is
larger and depends on the number of images.)

`hubness_text`, `hubness_image`: the skewness of N_10, how often a report is among the 10 nearest of other patients'
images, or an image among those of their reports (Radovanović et al. 2010): 0 where all are found about as often, and
high where a few, the hubs, are found by everything.

All are the same in any rotation of the space. Only images with a report take part.

Array names: N pairs, D dimensions, B bootstrap replicates.
"""

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from eclip.evaluation.embeddings import Embeddings
from eclip.evaluation.statistics import Statistic, mean, skewness

EXACT_UP_TO = 5000
NEIGHBOURS = 10
_CHUNK = 500
_FOLDS = 5


def per_sample(embeddings: Embeddings) -> pd.DataFrame:
    """`alignment` of each image with its report, ‖x - y‖², and the others that are made of one value an image.

    Returns:
        `alignment`, `modality_separability`, `found_text`, `found_image` (N_10 of the report and of the image); NaN for
        images without a report.
    """
    distance_N = np.square(embeddings.image_ND - embeddings.text_ND, dtype=np.float64).sum(1)
    columns = {"alignment": np.where(_has_text(embeddings), distance_N, np.nan)}
    columns["modality_separability"] = separability(embeddings)
    rows = _evenly(np.flatnonzero(_has_text(embeddings)))
    image_ND, text_ND = embeddings.image_ND[rows], embeddings.text_ND[rows]
    patient_N = np.array(embeddings.patient_id, dtype=object)[rows]
    for name, query_ND, candidate_ND in (("text", image_ND, text_ND), ("image", text_ND, image_ND)):
        columns[f"found_{name}"] = np.full(len(embeddings), np.nan)
        if len(set(patient_N)) > NEIGHBOURS:
            columns[f"found_{name}"][rows] = found_by(query_ND, candidate_ND, patient_N)
    return pd.DataFrame(columns)


def found_by(query_ND: np.ndarray, candidate_ND: np.ndarray, patient_N: np.ndarray) -> np.ndarray:
    """How often each candidate (N,) is among the 10 nearest of the queries of other patients.

    Of ties for the last places each counts in part; equal candidates are one product, so that they tie bit for bit.
    """
    count_N = np.zeros(len(candidate_ND))
    distinct_MD, of_N = np.unique(candidate_ND, axis=0, return_inverse=True)
    of_N = of_N.ravel()
    for start in range(0, len(query_ND), _CHUNK):
        rows = slice(start, start + _CHUNK)
        similarity_QN = (query_ND[rows] @ distinct_MD.T)[:, of_N]
        similarity_QN[patient_N[rows, None] == patient_N] = -np.inf
        last_Q1 = np.partition(similarity_QN, -NEIGHBOURS, axis=1)[:, -NEIGHBOURS, None]
        above_QN, tied_QN = similarity_QN > last_Q1, similarity_QN == last_Q1
        places_Q = NEIGHBOURS - above_QN.sum(1)
        count_N += above_QN.sum(0) + (places_Q / tied_QN.sum(1)) @ tied_QN
    return count_N


def separability(embeddings: Embeddings) -> np.ndarray:
    """How much of each image and its text (N,) is told apart by what was learned from other patients; NaN without text.

    Five folds, the patients by their sorted ids in turns; at most 5,000 evenly spaced images.
    """
    told_N = np.full(len(embeddings), np.nan)
    rows = _evenly(np.flatnonzero(_has_text(embeddings)))
    names, patient_of_row = np.unique(
        np.array(embeddings.patient_id, dtype=object)[rows], return_inverse=True
    )
    if len(names) < _FOLDS:
        return told_N
    both = np.stack([embeddings.image_ND[rows], embeddings.text_ND[rows]]).astype(np.float64)
    is_text = np.broadcast_to(np.array([[0], [1]]), both.shape[:2])
    for fold in range(_FOLDS):
        held = patient_of_row % _FOLDS == fold
        learned = ~held
        mean_D = both[:, learned].mean((0, 1))
        size = both[:, learned].std() or 1.0
        probe = LogisticRegression(max_iter=1000)
        with threadpool_limits(1):  # sums come out the same on every machine
            probe.fit(
                ((both[:, learned] - mean_D) / size).reshape(-1, both.shape[2]), is_text[:, learned].ravel()
            )
            guess = probe.predict(((both[:, held] - mean_D) / size).reshape(-1, both.shape[2]))
        told_N[rows[held]] = (guess.reshape(2, -1) == is_text[:, held]).mean(0)
    return told_N


def statistics(per_sample: pd.DataFrame, embeddings: Embeddings) -> dict[str, Statistic]:
    """The task's numbers, from its per-sample table and the embeddings.

    What is made of pairs is made of all pairs up to 5,000 images, and of those among 5,000 evenly spaced ones beyond.
    """
    rows = np.flatnonzero(_has_text(embeddings))
    image_ND, text_ND = embeddings.image_ND, embeddings.text_ND
    paired = image_ND[rows], text_ND[rows]
    fewer = _evenly(rows)

    def spread(*modalities_ND: np.ndarray) -> Statistic:
        kept = [vectors_ND[fewer] for vectors_ND in modalities_ND]
        return Statistic(
            of=lambda weights_BN: uniformity(weights_BN[:, fewer], *kept), n=len(fewer), direction="lower"
        )

    def rank_of(vectors_ND: np.ndarray) -> Statistic:
        kept_ND = vectors_ND[fewer]
        return Statistic(of=lambda weights_BN: effective_rank(weights_BN[:, fewer], kept_ND), n=len(fewer))

    numbers = {
        "alignment": mean(per_sample["alignment"].to_numpy(), direction="lower"),
        "uniformity_image": spread(image_ND),
        "uniformity_text": spread(text_ND),
        "uniformity_joint": spread(image_ND, text_ND),
        "modality_separability": mean(
            per_sample["modality_separability"].to_numpy(), direction="lower", chance=0.5
        ),
        "modality_gap": Statistic(
            of=lambda weights_BN: modality_gap(weights_BN[:, rows], *paired),
            n=len(rows),
            direction="lower",
        ),
        "effective_rank_image": rank_of(image_ND),
        "effective_rank_text": rank_of(text_ND),
    }
    for name in ("text", "image"):
        found_N = per_sample[f"found_{name}"].to_numpy()
        if not np.isnan(found_N).all():
            numbers[f"hubness_{name}"] = skewness(found_N, direction="lower")
    return numbers


def modality_gap(weights_BN: np.ndarray, image_ND: np.ndarray, text_ND: np.ndarray) -> np.ndarray:
    """Distance between the centroids of the two modalities, (B,); a sample drawn twice makes no pair with itself.

    Without that rule the length of a resampled mean would be too large on average, and so would its interval.
    """
    apart_ND = image_ND - text_ND
    copies_BN = np.square(weights_BN) - weights_BN
    square_B = np.square(weights_BN @ apart_ND, dtype=np.float64).sum(1)
    square_B -= copies_BN @ np.square(apart_ND, dtype=np.float64).sum(1)
    pairs_B = np.square(weights_BN.sum(1, dtype=np.float64)) - copies_BN.sum(1)
    square_B = np.maximum(square_B, 0)
    return np.sqrt(np.divide(square_B, pairs_B, out=np.full(len(pairs_B), np.nan), where=pairs_B > 0))


def uniformity(weights_BN: np.ndarray, *modalities_ND: np.ndarray) -> np.ndarray:
    """Log of the mean of exp(-2 ‖z_i - z_j‖²) over pairs, (B,); NaN where a draw has no pair.

    Here, too, a sample drawn twice makes no pair with itself, neither of its image with its image nor, once more, of
    its image with its text.

    Args:
        weights_BN: How often each sample counts.
        modalities_ND: Unit vectors of the same samples; of several modalities for the joint one.
    """
    count_B = weights_BN.sum(1, dtype=np.float64)
    sum_B, pairs_B = np.zeros(len(weights_BN)), np.zeros(len(weights_BN))
    for a, first_ND in enumerate(modalities_ND):
        for second_ND in modalities_ND[a:]:
            within = second_ND is first_ND
            pairs = count_B * (count_B - 1) if within else 2 * count_B**2
            sum_B += pairs * _mean_potential(weights_BN, first_ND, second_ND, within=within)
            pairs_B += pairs
    return np.log(sum_B / pairs_B)


def _mean_potential(
    weights_BN: np.ndarray, first_ND: np.ndarray, second_ND: np.ndarray, *, within: bool
) -> np.ndarray:
    """Mean over pairs of exp(-2 ‖a_i - b_j‖²), (B,): over i ≠ j within one modality, over all i, j between two."""
    left_out_BN = np.square(weights_BN) - (0 if within else weights_BN)
    sum_B, pairs_B = np.zeros(len(weights_BN)), np.square(weights_BN.sum(1, dtype=np.float64))
    for start in range(0, len(first_ND), _CHUNK):
        rows = slice(start, min(start + _CHUNK, len(first_ND)))
        kernel = np.exp(4 * (first_ND[rows] @ second_ND.T) - 4)  # ‖a - b‖² = 2 - 2 a·b for unit vectors
        own = kernel[np.arange(len(kernel)), np.arange(rows.start, rows.stop)]
        sum_B += (weights_BN[:, rows] * (weights_BN @ kernel.T)).sum(1, dtype=np.float64)
        sum_B -= left_out_BN[:, rows] @ own
        pairs_B -= left_out_BN[:, rows].sum(1)
    return np.divide(sum_B, pairs_B, out=np.full(len(sum_B), np.nan), where=pairs_B > 0)


def effective_rank(weights_BN: np.ndarray, vectors_ND: np.ndarray) -> np.ndarray:
    """(tr Σ)² / tr Σ² of unit vectors, (B,), from means over distinct samples; NaN with fewer than four.

    With k_ij = x_i · x_j over distinct i, j, k, l, whatever the mean: |μ|² is the mean of k_ij, tr E(xxᵀ)² that of
    k_ij², μᵀ E(xxᵀ) μ that of k_ij k_ik and |μ|⁴ that of k_ij k_kl. A sample that is drawn twice makes no pair with
    itself, as above: the sums leave out all terms in which one occurs twice.
    """
    weights_BN = weights_BN.astype(np.float64)
    square_BN, cube_BN = np.square(weights_BN), weights_BN**3
    first_B, paired_B, chained_B, doubled_B = (np.zeros(len(weights_BN)) for _ in range(4))
    for start in range(0, len(vectors_ND), _CHUNK):
        rows = slice(start, min(start + _CHUNK, len(vectors_ND)))
        kernel = (vectors_ND[rows] @ vectors_ND.T).astype(np.float64)
        kernel[np.arange(len(kernel)), np.arange(rows.start, rows.stop)] = 0
        near_BR = weights_BN @ kernel.T
        both_BR = square_BN @ np.square(kernel).T
        first_B += (weights_BN[:, rows] * near_BR).sum(1)
        paired_B += (weights_BN[:, rows] * (weights_BN @ np.square(kernel).T)).sum(1)
        chained_B += (weights_BN[:, rows] * (np.square(near_BR) - both_BR)).sum(1)
        # what S² holds beyond distinct i, j, k, l: i of one pair met again in the other, in four places, or both
        doubled_B += (square_BN[:, rows] * (4 * (np.square(near_BR) - both_BR) + 2 * both_BR)).sum(1)
    total_B, two_B, three_B = weights_BN.sum(1), square_BN.sum(1), cube_BN.sum(1)
    four_B = (square_BN**2).sum(1)
    pairs_B = total_B**2 - two_B
    triples_B = total_B**3 - 3 * total_B * two_B + 2 * three_B
    quadruples_B = total_B**4 - 6 * total_B**2 * two_B + 8 * total_B * three_B + 3 * two_B**2 - 6 * four_B
    with np.errstate(divide="ignore", invalid="ignore"):
        length_B = (first_B**2 - doubled_B) / quadruples_B
        trace_square_B = 1 - 2 * first_B / pairs_B + length_B
        square_trace_B = paired_B / pairs_B - 2 * chained_B / triples_B + length_B
        known = (quadruples_B > 0.5) & (square_trace_B > 1e-12)  # below is rounding
        return np.where(known, trace_square_B / square_trace_B, np.nan)


def _evenly(rows: np.ndarray) -> np.ndarray:
    """At most 5,000 of the rows, evenly spaced."""
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), EXACT_UP_TO)).astype(int)]


def _has_text(embeddings: Embeddings) -> np.ndarray:
    return np.array([text != "" for text in embeddings.text])
