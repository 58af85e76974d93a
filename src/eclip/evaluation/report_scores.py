"""The numbers of drafted reports, from the table that `eclip report` writes.

    BLEU-n        min(1, e^{1 - r/c}) · (Π_{k≤n} matches_k / total_k)^{1/n}, all sums over drafts (Papineni et al. 2002)
    finding F1    2 TP / (2 TP + FP + FN) of findings that are present; uncertain and unmentioned ones are not

Array names: B bootstrap replicates, N drafts, F findings.
"""

import numpy as np
import pandas as pd

from eclip.evaluation.statistics import Statistic, average, mean

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
    n = int(known_N.sum())

    def f1(found_N: np.ndarray, written_N: np.ndarray) -> Statistic:
        both_N, either_N = 2 * found_N * written_N, found_N + written_N

        def of(weights_BN: np.ndarray) -> np.ndarray:
            sums = weights_BN[:, known_N] @ np.stack([both_N, either_N, written_N], axis=1)
            return np.where(sums[:, 2] > 0, _ratio(sums[:, 0], sums[:, 1]), np.nan)

        return Statistic(of=of, n=n)

    def share(part_N: np.ndarray, whole_N: np.ndarray) -> Statistic:
        def of(weights_BN: np.ndarray) -> np.ndarray:
            sums = weights_BN[:, known_N] @ np.stack([part_N, whole_N], axis=1)
            return _ratio(sums[:, 0], sums[:, 1])

        return Statistic(of=of, n=n)

    single = {name: f1(stated[:, i], written[:, i]) for i, name in enumerate(names) if written[:, i].any()}
    both_N, stated_N, written_N = ((stated * written).sum(1), stated.sum(1), written.sum(1))
    numbers = {f"{labeler}_f1": average(list(single.values()), n=n)} if single else {}
    return numbers | {
        f"{labeler}_f1_micro": share(2 * both_N, stated_N + written_N),
        f"{labeler}_precision": share(both_N, stated_N),
        f"{labeler}_recall": share(both_N, written_N),
        **{f"{labeler}_f1/{name}": statistic for name, statistic in single.items()},
    }


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)
