"""Metrics of other packages, asked for by name: trained models whose weights and licences are their own, and CIDEr.

Nothing here is imported unless it is asked for. Each says which package it needs and where its weights come from.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import pandas as pd

from eclip.errors import InputError
from eclip.reporting.consensus import words_of
from eclip.reporting.text_metrics import TextMetric

Columns = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class LearnedMetric:
    """A metric that another package computes.

    Attributes:
        meaning: In a line.
        package: What to install.
        weights: Where they come from.
        of: References, drafts and the model that was named ("" if none) to columns, one value a pair.
        needs_model: Whether a model has to be named.
    """

    meaning: str
    package: str
    weights: str
    of: Callable[[Sequence[str], Sequence[str], str], Columns]
    needs_model: bool = False


def _cider(references: Sequence[str], drafts: Sequence[str], _: str) -> Columns:
    from pycocoevalcap.cider.cider import Cider

    def spaced(texts: Sequence[str]) -> dict[int, list[str]]:
        return {i: [" ".join(words_of(text))] for i, text in enumerate(texts)}

    return {"cider": np.asarray(Cider().compute_score(spaced(references), spaced(drafts))[1], np.float64)}


def _bertscore(references: Sequence[str], drafts: Sequence[str], model: str) -> Columns:
    from bert_score import BERTScorer
    from transformers import AutoConfig

    layers = AutoConfig.from_pretrained(model).num_hidden_layers
    said = [draft if draft.strip() else "." for draft in drafts]  # the package fails at empty texts
    f1 = BERTScorer(model_type=model, num_layers=layers).score(said, list(references))[2]
    return {"bertscore": np.where([bool(d.strip()) for d in drafts], f1.double().numpy(), 0.0)}


def _sentence_similarity(references: Sequence[str], drafts: Sequence[str], model: str) -> Columns:
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(model, trust_remote_code=False)
    first, second = (
        encoder.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        for texts in (references, drafts)
    )
    cosine = (first * second).sum(1).astype(np.float64)
    return {"sentence_similarity": np.where([bool(d.strip()) for d in drafts], cosine, 0.0)}


def _radgraph(references: Sequence[str], drafts: Sequence[str], model: str) -> Columns:
    from radgraph import F1RadGraph

    found = F1RadGraph(reward_level="partial", model_type=model or "modern-radgraph-xl")(
        hyps=[draft.strip() for draft in drafts], refs=list(references)
    )
    return {"radgraph_f1": np.asarray(found[1], np.float64)}


def _chexbert(references: Sequence[str], drafts: Sequence[str], _: str) -> Columns:
    from f1chexbert import F1CheXbert

    labeler: Any = F1CheXbert()
    names, words = list(labeler.target_names), labeler.tokenizer
    if not hasattr(words, "encode_plus"):  # f1chexbert 0.0.2 calls it; transformers 5 has none
        ends = words.cls_token_id, words.sep_token_id
        words.encode_plus = lambda tokens: {
            "input_ids": [ends[0], *words.convert_tokens_to_ids(tokens), ends[1]]
        }

    def labels(text: str) -> list[float]:
        if not text.strip():
            return [np.nan] * len(names)
        # its default mode takes uncertain for present
        found = labeler.get_label(text, mode="classification")
        return [np.nan if label == "" else label for label in found]

    columns: Columns = {}
    for kind, texts in (("draft", drafts), ("reference", references)):
        label_NC = np.array([labels(text) for text in texts], np.float64)
        columns |= {f"chexbert_{kind}/{name}": label_NC[:, c] for c, name in enumerate(names)}
    return columns


LEARNED: Mapping[str, LearnedMetric] = {
    "cider": LearnedMetric(
        "consensus of n-grams, weighted by how rare they are among the reports (CIDEr-D)",
        "pycocoevalcap",
        "none",
        _cider,
    ),
    "bertscore": LearnedMetric(
        "F1 of token embeddings, last layer, without rescaling",
        "bert-score",
        "any BERT, such as bertscore:microsoft/BiomedVLP-CXR-BERT-general or a folder",
        _bertscore,
        needs_model=True,
    ),
    "sentence-similarity": LearnedMetric(
        "cosine of sentence embeddings",
        "sentence-transformers",
        "any of its models, such as sentence-similarity:sentence-transformers/all-MiniLM-L6-v2 or a folder",
        _sentence_similarity,
        needs_model=True,
    ),
    "radgraph": LearnedMetric(
        "F1 of entities and relations (RadGraph, partial)",
        "radgraph",
        "hub repository StanfordAIMI/RRG_scorers, fetched by the package; 0.1.18 fails with transformers 5",
        _radgraph,
    ),
    "chexbert": LearnedMetric(
        "findings that are present, mean F1, labelled by CheXbert",
        "f1chexbert",
        "hf download StanfordAIMI/RRG_scorers chexbert.pth --local-dir ~/.cache/chexbert",
        _chexbert,
    ),
}


def check_learned(names: Sequence[str]) -> None:
    """Stop at what cannot be computed, before the long work.

    Raises:
        InputError: No such metric, one twice, a model has to be named and is not, or a package is not installed.
    """
    kinds = [name.partition(":")[0] for name in names]
    for name in names:
        kind, _, model = name.partition(":")
        if kind not in LEARNED:
            raise InputError(f"--metrics {name}: no such metric; there are {', '.join(LEARNED)}")
        if LEARNED[kind].needs_model and not model:
            raise InputError(f"--metrics {name}: with which model? {LEARNED[kind].weights}")
        if kinds.count(kind) > 1:
            raise InputError(f"--metrics {name}: {kind} comes twice; name it once, with one model")
    for kind in kinds:
        try:
            version(LEARNED[kind].package)
        except PackageNotFoundError as error:
            raise InputError(_missing(kind, LEARNED[kind])) from error


def learned_columns(names: Sequence[str], references: Sequence[str], drafts: Sequence[str]) -> pd.DataFrame:
    """What the named metrics find, one row a pair.

    Args:
        names: "NAME" or "NAME:MODEL".
        references: (N,) what was written.
        drafts: (N,) what is judged.

    Raises:
        InputError: A package or its weights are missing.
    """
    columns: Columns = {}
    for name in names:
        kind, _, model = name.partition(":")
        metric = LEARNED[kind]
        try:
            columns |= metric.of(references, drafts, model)
        except ImportError as error:
            raise InputError(_missing(name, metric)) from error
        except Exception as error:  # whatever a package raises without its weights
            # others than those of files may quote a report
            told = " ".join(str(error).split())[:150] if isinstance(error, OSError) else type(error).__name__
            raise InputError(
                f"--metrics {name}: {metric.package} failed ({told}); its weights: {metric.weights}"
            ) from error
    return pd.DataFrame(columns, index=range(len(references)))


def _missing(name: str, metric: LearnedMetric) -> str:
    return f"--metrics {name}: needs the package {metric.package}; pip install {metric.package}"


def described(names: Sequence[str]) -> dict[str, TextMetric]:
    """What the named metrics are, with the versions of their packages."""
    found = {}
    for name in names:
        metric = LEARNED[name.partition(":")[0]]
        try:
            installed = version(metric.package)
        except PackageNotFoundError:
            installed = "not installed"
        found[name] = TextMetric(metric.meaning, "higher", f"{metric.package} {installed}")
    return found
