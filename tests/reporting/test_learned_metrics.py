"""Metrics of other packages: CIDEr from its formula, BERTScore with a small BERT, and missing ones."""

import builtins
import math
import sys
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from eclip.errors import InputError
from eclip.evaluation.report_scores import statistics
from eclip.reporting import learned_metrics
from eclip.reporting.learned_metrics import LEARNED, check_learned, described, learned_columns
from eclip.reporting.text_metrics import per_sample

LAST = "Left lower lobe atelectasis."
REPORTS = ["There is a small right effusion.", "No edema. Heart size is normal.", "No edema.", LAST]
DRAFTS = ["There is a right effusion.", "No edema.", "Heart size is normal.", LAST]


def cider_by_hand(reports, drafts):
    """CIDEr-D of Vedantam et al. 2015, one reference each, sigma 6."""

    def grams(text):
        words = "".join(c for c in text.lower() if c.isalnum() or c == " ").split()
        return [
            Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1)) for n in range(1, 5)
        ], len(words)

    documents = [Counter(g for report in reports for g in set(grams(report)[0][n])) for n in range(4)]
    scores = []
    for report, draft in zip(reports, drafts, strict=True):
        (reference, r), (candidate, c) = grams(report), grams(draft)
        whole = 0.0
        for n in range(4):

            def weight(counts, n=n):
                return {
                    g: k * (math.log(len(reports)) - math.log(max(1.0, documents[n][g])))
                    for g, k in counts.items()
                }

            a, b = weight(candidate[n]), weight(reference[n])
            norms = [math.sqrt(sum(v * v for v in w.values())) for w in (a, b)]
            shared = sum(min(a[g], b[g]) * b[g] for g in a if g in b)
            if norms[0] and norms[1]:
                whole += shared / norms[0] / norms[1] * math.exp(-((c - r) ** 2) / 72)
        scores.append(10 * whole / 4)
    return scores


def test_cider_is_that_of_its_formula():
    pytest.importorskip("pycocoevalcap")
    found = learned_columns(["cider"], REPORTS, DRAFTS)["cider"]
    np.testing.assert_allclose(found, cider_by_hand(REPORTS, DRAFTS), atol=1e-9)
    assert found[3] == pytest.approx(10)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    words = sorted({w for text in REPORTS + DRAFTS for w in text.replace(".", " .").split()})
    vocabulary = {w: i for i, w in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words])}
    plain = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, model_max_length=64, **special)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
    )
    folder = tmp_path_factory.mktemp("bert")
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_bertscore_prefers_the_same_text(bert):
    pytest.importorskip("bert_score")
    found = learned_columns([f"bertscore:{bert}"], REPORTS, [*DRAFTS[:2], "", REPORTS[3]])["bertscore"]
    assert found[3] == pytest.approx(1, abs=1e-5)
    assert found[2] == 0  # an empty draft
    assert (found[:2] < 0.999).all()


def test_further_metrics_become_numbers_with_intervals(monkeypatch):
    """With stand-ins for the packages whose weights cannot be had here: only how their answers are taken is tested."""

    class Labeler:
        target_names = ("Edema", "Pleural Effusion")

        def __init__(self):
            self.tokenizer = SimpleNamespace(
                cls_token_id=1, sep_token_id=2, convert_tokens_to_ids=lambda tokens: [len(t) for t in tokens]
            )

        def get_label(self, text, mode="rrg"):
            assert mode == "classification"
            assert self.tokenizer.encode_plus(["No", "edema"]) == {"input_ids": [1, 2, 5, 2]}
            edema = "" if "edema" not in text else 0 if "No" in text else -1
            return [edema, 1 if "effusion" in text else ""]

    class Graph:
        def __init__(self, **_): ...

        def __call__(self, *, hyps, refs):
            each = [float(h == r) for h, r in zip(hyps, refs, strict=True)]
            return sum(each) / len(each), each, [], []

    monkeypatch.setitem(sys.modules, "f1chexbert", SimpleNamespace(F1CheXbert=Labeler))
    monkeypatch.setitem(sys.modules, "radgraph", SimpleNamespace(F1RadGraph=Graph))
    table = pd.concat(
        [per_sample(REPORTS, DRAFTS), learned_columns(["radgraph", "chexbert"], REPORTS, DRAFTS)], axis=1
    )
    numbers = {n: float(s.of(np.ones((1, 4), np.float32))[0]) for n, s in statistics(table).items()}
    assert numbers["radgraph_f1"] == 0.25
    assert numbers["chexbert_f1"] == numbers["chexbert_f1/Pleural Effusion"] == 1
    hedged = learned_columns(["chexbert"], ["Possible edema."], [""])
    assert hedged["chexbert_reference/Edema"].tolist() == [-1]  # uncertain, and so not present
    assert hedged.filter(like="chexbert_draft/").isna().to_numpy().all()


def test_what_is_missing_is_told_in_one_line(monkeypatch, bert):
    real = builtins.__import__

    def without(name, *rest):
        if name.split(".")[0] in {"radgraph", "f1chexbert", "sentence_transformers"}:
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    for name in ("radgraph", "chexbert", "sentence-similarity:x"):
        with pytest.raises(InputError, match=r"needs the package .*; pip install") as told:
            learned_columns([name], REPORTS, DRAFTS)
        assert "\n" not in str(told.value)
    quoting = replace(LEARNED["cider"], of=lambda *_: [][len("Jane Roe has a mass.")])
    monkeypatch.setattr(learned_metrics, "LEARNED", {**LEARNED, "cider": quoting})
    with pytest.raises(InputError, match=r"failed \(IndexError\)"):  # what it says may be a patient's
        learned_columns(["cider"], REPORTS, DRAFTS)
    with pytest.raises(InputError, match="its weights: any BERT"):
        learned_columns([f"bertscore:{bert}/nowhere"], REPORTS, DRAFTS)
    with pytest.raises(InputError, match="no such metric; there are cider, bertscore"):
        check_learned(["cider", "gpt"])
    with pytest.raises(InputError, match="with which model"):
        check_learned(["bertscore"])
    with pytest.raises(InputError, match="bertscore comes twice"):
        check_learned(["bertscore:a", "bertscore:b"])
    entry = replace(LEARNED["radgraph"], package="nowhere-to-be-found")
    monkeypatch.setattr(learned_metrics, "LEARNED", {**LEARNED, "radgraph": entry})
    with pytest.raises(InputError, match="needs the package nowhere-to-be-found; pip install"):
        check_learned(["radgraph"])
    pytest.importorskip("pycocoevalcap")
    check_learned(["cider"])
    assert described(["radgraph"])["radgraph"].direction == "higher"
