"""The learned tokenizer: lossless on what it saw, padded and cut as asked."""

import subprocess
import sys

import pytest

from eclip.models.tokenizer import tokenize, train_tokenizer

TEXTS = ["No pleural effusion or pneumothorax.", "The heart is mildly enlarged.", "Clear."]


@pytest.mark.parametrize("text", [*TEXTS, "Ünseen wörds: 4×5 mm"])
def test_any_text_comes_back(text):
    tokenizer = train_tokenizer(TEXTS, vocab_size=400)
    ids = tokenize(tokenizer, [text], max_length=99)["input_ids"][0]
    plain = text.lower().replace("ü", "u").replace("ö", "o")  # accents go, as in BERT
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == plain


def test_same_texts_same_tokenizer_in_every_process():
    """WordPiece's trainer fails this: it numbers its alphabet by hash order."""
    command = (
        f"from eclip.models.tokenizer import *; print(sorted(train_tokenizer({TEXTS!r}).get_vocab().items()))"
    )
    run = [subprocess.run([sys.executable, "-c", command], capture_output=True, check=True) for _ in range(2)]
    assert run[0].stdout == run[1].stdout
    assert len(run[0].stdout) > 1000


def test_padding_is_masked_and_length_is_bounded():
    tokens = tokenize(train_tokenizer(TEXTS, vocab_size=400), TEXTS, max_length=6)
    assert tokens["input_ids"].shape == tokens["attention_mask"].shape == (3, 6)
    assert tokens["attention_mask"][2].tolist() == [1, 1, 1, 1, 0, 0]  # [CLS] clear . [SEP]
    assert set(tokens) == {"input_ids", "attention_mask"}
