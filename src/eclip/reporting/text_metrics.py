"""How near a draft is to the report that a radiologist wrote: words, and findings.

`bleu_1` … `bleu_4`   n-grams of the draft that the report has too (sacrebleu), over all drafts together, unsmoothed
`rouge_l`            longest common subsequence of words, F1 (rouge-score), mean over drafts
`meteor`             words and their stems aligned (NLTK); without WordNet, whose synonyms cannot be shipped
`finding_f1` …       findings that are present, by the rules of `findings.py`
`text_similarity`    cosine of the two texts by the text encoder that is passed in

Words reward a negated report: "no effusion" shares more words with "effusion" than most true paraphrases do. Findings
do not; docs/tasks/report-metrics.md shows it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import numpy as np
import pandas as pd
from nltk.translate.meteor_score import single_meteor_score
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu import BLEU

from eclip.errors import InputError
from eclip.reporting.consensus import words_of
from eclip.reporting.findings import FINDINGS, findings_of

ORDERS = (1, 2, 3, 4)
_BLEU = BLEU(lowercase=True, smooth_method="none", max_ngram_order=max(ORDERS))


@dataclass(frozen=True, slots=True)
class TextMetric:
    """What a metric is.

    Attributes:
        meaning: In a line.
        direction: Which way is better.
        version: Of the library that counts.
    """

    meaning: str
    direction: Literal["higher", "lower"]
    version: str


def _described() -> dict[str, TextMetric]:
    def of(meaning: str, library: str) -> TextMetric:
        return TextMetric(meaning, "higher", f"{library} {version(library)}")

    signature = "case:lc, tok:13a, smooth:none"
    return {
        **{
            f"bleu_{n}": of(f"BLEU of n-grams up to {n}, over all drafts ({signature})", "sacrebleu")
            for n in ORDERS
        },
        "rouge_l": of("longest common subsequence, F1, no stemming", "rouge-score"),
        "meteor": of("aligned words and stems, without WordNet's synonyms", "nltk"),
        "finding_f1": of("present findings, mean F1 over those that occur", "eclip"),
        "finding_f1_micro": of("present findings, F1 over all together", "eclip"),
        "finding_precision": of("share of stated findings that the report states, over all", "eclip"),
        "finding_recall": of("share of the report's findings that are stated, over all", "eclip"),
        "text_similarity": of("cosine of the texts by the model's text encoder", "eclip"),
        "supported": of("share of a draft's sentences that a retrieved sentence stands behind", "eclip"),
    }


METRICS: Mapping[str, TextMetric] = _described()


def per_sample(
    references: Sequence[str],
    drafts: Sequence[str],
    *,
    embed: Callable[[Sequence[str]], np.ndarray] | None = None,
) -> pd.DataFrame:
    """What the numbers are made of, one row a pair of texts.

    Args:
        references: (N,) what was written; none empty.
        drafts: (N,) what is judged; an empty one scores 0.
        embed: Texts to unit vectors, for `text_similarity`.

    Returns:
        `bleu_matches_n`, `bleu_total_n`, `bleu_length`, `bleu_reference_length`; `rouge_l`, `meteor`,
        `text_similarity`; `finding_draft/NAME`, `finding_reference/NAME` (1, 0, −1, NaN where not mentioned).

    Raises:
        InputError: Not as many drafts as references, or an empty reference.
    """
    if len(references) != len(drafts):
        raise InputError(f"{len(references)} reports and {len(drafts)} drafts; expected one draft a report")
    if empty := [i for i, text in enumerate(references) if not text.strip()]:
        raise InputError(f"report {empty[0]} is empty; only studies with a report can be judged")
    rouge = RougeScorer(["rougeL"], tokenizer=_Words())
    rows: list[dict[str, float]] = []
    for reference, draft in zip(references, drafts, strict=True):
        bleu = _BLEU.corpus_score([draft], [[reference]])
        row: dict[str, float] = {"bleu_length": bleu.sys_len, "bleu_reference_length": bleu.ref_len}
        for n in ORDERS:
            row |= {f"bleu_matches_{n}": bleu.counts[n - 1], f"bleu_total_{n}": bleu.totals[n - 1]}
        row["rouge_l"] = rouge.score(reference, draft)["rougeL"].fmeasure
        row["meteor"] = _meteor(reference, draft)
        stated, written = findings_of(draft), findings_of(reference)
        for name in FINDINGS:
            row[f"finding_draft/{name}"] = stated.get(name, np.nan)
            row[f"finding_reference/{name}"] = written.get(name, np.nan)
        rows.append(row)
    table = pd.DataFrame(rows)
    if embed is not None:
        texts, where = np.unique(np.array([*references, *drafts], dtype=object), return_inverse=True)
        vectors = embed(texts.tolist())[where]
        cosine = (vectors[: len(drafts)] * vectors[len(drafts) :]).sum(1, dtype=np.float64)
        table["text_similarity"] = np.where([bool(draft.strip()) for draft in drafts], cosine, 0.0)
    return table


class _Words:
    """The package's own tokenizer knows a to z alone."""

    def tokenize(self, text: str) -> list[str]:
        return words_of(text)


class _NoSynonyms:
    def synsets(self, word: str) -> list[str]:
        return []


def _meteor(reference: str, draft: str) -> float:
    words, others = words_of(reference), words_of(draft)
    return float(single_meteor_score(words, others, wordnet=_NoSynonyms())) if words and others else 0.0
