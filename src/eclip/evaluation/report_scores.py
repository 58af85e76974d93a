"""The numbers of drafted reports, from the table that `eclip report` writes.

    BLEU-n        min(1, e^{1 - r/c}) · (Π_{k≤n} matches_k / total_k)^{1/n}, all sums over drafts (Papineni et al. 2002)
    finding F1    2 TP / (2 TP + FP + FN) of findings that are present; uncertain and unmentioned ones are not

Array names: B bootstrap replicates, N drafts, F findings.
"""

import numpy as np
import pandas as pd

from eclip.evaluation.statistics import Statistic, mean

_MEANS = (
    "rouge_l", "meteor", "text_similarity", "supported", "cider", "bertscore", "sentence_similarity", "radgraph_f1",
)  # fmt: skip


def statistics(per_sample: pd.DataFrame) -> dict[str, Statistic]:
    """`bleu_1` to `bleu_4`, `rouge_l`, `meteor`, `text_similarity`, `supported`, `finding_f1` and its kin."""
    numbers: dict[str, Statistic] = {f"bleu_{n}": _bleu(per_sample, n) for n in range(1, 5)}
    numbers |= {name: mean(per_sample[name].to_numpy()) for name in _MEANS if name in per_sample}
    numbers |= _findings(per_sample, "finding")
    if any(column.startswith("chexbert_") for column in per_sample.columns):
        numbers |= _findings(per_sample, "chexbert")
    return numbers


def _bleu(table: pd.DataFrame, order: int) -> Statistic:
    names = [f"bleu_{kind}_{n}" for kind in ("matches", "total") for n in range(1, order + 1)]
    known_N = ~table["bleu_length"].isna().to_numpy()
    counts = table.loc[known_N, [*names, "bleu_length", "bleu_reference_length"]].to_numpy(np.float64)

    def of(weights_BN: np.ndarray) -> np.ndarray:
        sums = weights_BN[:, known_N].astype(np.float64) @ counts
        matches, totals = sums[:, :order], sums[:, order : 2 * order]
        length, reference = sums[:, -2], sums[:, -1]
        with np.errstate(divide="ignore", invalid="ignore"):
            score = np.exp(np.log(matches / totals).mean(1) + np.minimum(0, 1 - reference / length))
        return np.where(reference > 0, np.where((matches > 0).all(1), score, 0.0), np.nan)

    return Statistic(of=of, n=int(known_N.sum()))


def _findings(table: pd.DataFrame, labeler: str) -> dict[str, Statistic]:
    draft, reference = f"{labeler}_draft/", f"{labeler}_reference/"
    names = [column.removeprefix(reference) for column in table.columns if column.startswith(reference)]
    known_N = ~table["bleu_length"].isna().to_numpy()
    stated, written = (
        (table.loc[known_N, [prefix + name for name in names]].to_numpy(float) == 1).astype(np.float64)
        for prefix in (draft, reference)
    )
    both = stated * written
    occurring = [i for i in range(len(names)) if written[:, i].any()]

    def sums(weights_BN: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        return weights_BN[:, known_N].astype(np.float64) @ matrix

    def ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
        return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)

    def f1_of(weights_BN: np.ndarray) -> np.ndarray:
        f1 = ratio(2 * sums(weights_BN, both), sums(weights_BN, stated) + sums(weights_BN, written))
        return np.where(sums(weights_BN, written) > 0, f1, np.nan)

    def macro(weights_BN: np.ndarray) -> np.ndarray:
        found = f1_of(weights_BN)[:, occurring]
        defined = ~np.isnan(found)
        return ratio(np.where(defined, found, 0.0).sum(1), defined.sum(1))

    def over_all(top: np.ndarray, bottom: np.ndarray) -> Statistic:
        def of(weights_BN: np.ndarray) -> np.ndarray:
            return ratio(sums(weights_BN, top).sum(1), sums(weights_BN, bottom).sum(1))

        return Statistic(of=of, n=n)

    n = int(known_N.sum())
    numbers = {
        f"{labeler}_f1": Statistic(of=macro, n=n),
        f"{labeler}_f1_micro": over_all(2 * both, stated + written),
        f"{labeler}_precision": over_all(both, stated),
        f"{labeler}_recall": over_all(both, written),
    }
    for i in occurring:
        numbers[f"{labeler}_f1/{names[i]}"] = Statistic(of=lambda w, i=i: f1_of(w)[:, i], n=n)  # type: ignore[misc]
    return numbers
