"""Text metrics against the libraries that count them, and their statistics against repeated drafts."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sacrebleu
from nltk.translate.meteor_score import meteor_score
from rouge_score.rouge_scorer import RougeScorer
from sklearn.metrics import f1_score, precision_score, recall_score

from eclip.errors import InputError
from eclip.evaluation.report_scores import statistics
from eclip.reporting.findings import FINDINGS, findings_of
from eclip.reporting.text_metrics import METRICS, per_sample

SENTENCES = [
    "There is a small right pleural effusion.", "No pleural effusion.", "No pneumothorax.", "The heart is enlarged.",
    "Heart size is normal.", "Possible edema.", "Left lower lobe atelectasis.", "The lungs are clear.",
]  # fmt: skip


def pairs(count, *, seed=0):
    draw = np.random.default_rng(seed)
    return [
        [" ".join(draw.choice(SENTENCES, draw.integers(1, 5))) for _ in range(count)]
        for _ in ("reports", "drafts")
    ]


def values(table, weights=None):
    weights = np.ones((1, len(table)), np.float32) if weights is None else weights
    return {name: float(s.of(weights)[0]) for name, s in statistics(table).items()}


@pytest.mark.parametrize("seed", range(3))
def test_words_count_as_in_the_libraries(seed):
    reports, drafts = pairs(30, seed=seed)
    found = values(per_sample(reports, drafts))
    for n in range(1, 5):
        bleu = sacrebleu.BLEU(lowercase=True, max_ngram_order=n, smooth_method="none")
        assert found[f"bleu_{n}"] == pytest.approx(bleu.corpus_score(drafts, [reports]).score / 100)
    rouge = RougeScorer(["rougeL"])
    expected = [rouge.score(r, d)["rougeL"].fmeasure for r, d in zip(reports, drafts, strict=True)]
    assert found["rouge_l"] == pytest.approx(np.mean(expected))


@pytest.mark.parametrize(
    "text", ["Лёгкие чистые, выпота нет.", "肺野清晰，未见胸腔积液。", "Brak płynu w jamie opłucnej."]
)
def test_a_text_in_any_script_is_like_itself(text):
    found = per_sample([text], [text])
    assert found["rouge_l"][0] == 1
    assert found["meteor"][0] > 0


@pytest.mark.parametrize("seed", range(20))
def test_bleu_of_any_tokens_and_weights_is_sacrebleus_of_repeated_texts(seed):
    draw = np.random.default_rng(seed)
    tokens = ["a", "No", "Effusion.", "5", "1,5", "3.2", "é", "&amp;", "x"]
    reports = [" ".join(draw.choice(tokens, draw.integers(1, 9))) for _ in range(5)]
    drafts = [reports[0], "", *(" ".join(draw.choice(tokens, draw.integers(0, 9))) for _ in range(3))]
    counts = draw.integers(1, 4, 5)
    repeated = [list(np.repeat(np.array(texts, dtype=object), counts)) for texts in (drafts, reports)]
    found = values(per_sample(reports, drafts), counts[None].astype(np.float32))
    for n in range(1, 5):
        bleu = sacrebleu.BLEU(lowercase=True, max_ngram_order=n, smooth_method="none")
        expected = bleu.corpus_score(repeated[0], [repeated[1]]).score / 100
        assert found[f"bleu_{n}"] == pytest.approx(expected, abs=1e-12)


def test_the_order_of_the_pairs_does_not_matter():
    reports, drafts = pairs(15)
    order = np.random.default_rng(2).permutation(15)
    shuffled = [[texts[i] for i in order] for texts in (reports, drafts)]
    assert values(per_sample(*shuffled)) == pytest.approx(values(per_sample(reports, drafts)))


class Nothing:
    def synsets(self, _):
        return []


def test_meteor_is_nltks_of_the_words_of_each_pair():
    reports, drafts = pairs(10)
    words = [[text.lower().replace(".", "").split() for text in texts] for texts in (reports, drafts)]
    expected = [meteor_score([r], d, wordnet=Nothing()) for r, d in zip(*words, strict=True)]
    np.testing.assert_allclose(per_sample(reports, drafts)["meteor"], expected)


def test_findings_count_as_in_scikit_learn():
    reports, drafts = pairs(60)
    truth, guess = (
        np.array([[findings_of(text).get(name) == 1 for name in FINDINGS] for text in texts])
        for texts in (reports, drafts)
    )
    found = values(per_sample(reports, drafts))
    occurs = truth.any(0)
    assert found["finding_f1"] == pytest.approx(
        f1_score(truth[:, occurs], guess[:, occurs], average="macro", zero_division=0)
    )
    for name, metric in (("f1_micro", f1_score), ("precision", precision_score), ("recall", recall_score)):
        assert found[f"finding_{name}"] == pytest.approx(metric(truth, guess, average="micro")), name
    for i in np.flatnonzero(occurs):
        expected = f1_score(truth[:, i], guess[:, i], zero_division=0)
        assert found[f"finding_f1/{FINDINGS[i]}"] == pytest.approx(expected)


def test_weights_are_repeated_drafts():
    reports, drafts = pairs(12)
    counts = np.random.default_rng(1).integers(0, 4, 12)
    repeated = [
        [text for text, count in zip(texts, counts, strict=True) for _ in range(count)]
        for texts in (reports, drafts)
    ]
    whole = values(per_sample(*repeated))
    weighted = values(per_sample(reports, drafts), counts[None].astype(np.float32))
    assert {name: weighted[name] for name in whole} == pytest.approx(whole, nan_ok=True)


def test_equal_texts_score_one_and_empty_drafts_nothing():
    reports, _ = pairs(8)
    same = values(per_sample(reports, reports, embed=lambda texts: np.eye(len(texts), dtype=np.float32)))
    assert {name: v for name, v in same.items() if name != "meteor"} == pytest.approx(
        dict.fromkeys(set(same) - {"meteor"}, 1.0)
    )
    assert same["meteor"] > 0.9
    empty = values(per_sample(reports, [""] * 8, embed=lambda texts: np.ones((len(texts), 1), np.float32)))
    defined = {name: v for name, v in empty.items() if name != "finding_precision"}
    assert defined == dict.fromkeys(defined, 0.0)
    assert np.isnan(empty["finding_precision"])  # nothing was stated


def test_images_without_report_take_no_part():
    reports, drafts = pairs(6)
    table = per_sample(reports, drafts)
    wider = table.set_axis([0, 2, 3, 5, 6, 7]).reindex(range(9))
    assert values(wider) == pytest.approx(values(table))
    assert statistics(wider)["bleu_2"].n == 6


def test_what_is_said_of_each_metric():
    reports, drafts = pairs(3)
    table = per_sample(reports, drafts, embed=lambda texts: np.ones((len(texts), 1), np.float32))
    numbers = statistics(table.assign(supported=1.0))
    assert {name for name in numbers if "/" not in name} == set(METRICS)
    for name, metric in METRICS.items():
        assert metric.direction == numbers[name].direction
        assert any(character.isdigit() for character in metric.version)


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(InputError, match="one draft a report"):
        per_sample(["a"], [])
    with pytest.raises(InputError, match="report 1 is empty"):
        per_sample(["a", " "], ["a", "b"])


def test_a_negated_report_scores_high_in_words_and_not_in_findings():
    report = "There is a small right pleural effusion."
    negated, paraphrase = (
        "There is no small right pleural effusion.",
        "Blunting of the right costophrenic angle.",
    )
    words, truth = (values(pd.DataFrame(per_sample([report], [draft]))) for draft in (negated, paraphrase))
    for name in ("bleu_2", "rouge_l", "meteor"):
        assert words[name] > truth[name]
    assert (words["finding_f1"], truth["finding_f1"]) == (0, 1)


def test_the_table_of_the_documentation_is_what_the_code_counts():
    page = (Path(__file__).parents[2] / "docs" / "tasks" / "report-metrics.md").read_text()
    (report,) = re.findall(r"^Report: \*(.*)\*$", page, flags=re.MULTILINE)
    rows = re.findall(
        r"^\| (\w[^|]*\.) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", page, flags=re.MULTILINE
    )
    assert len(rows) == 2
    for draft, *shown in rows:
        found = values(per_sample([report], [draft]))
        assert [f"{found[name]:.2f}" for name in ("bleu_2", "rouge_l", "meteor", "finding_f1")] == shown
