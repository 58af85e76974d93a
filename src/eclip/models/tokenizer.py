"""Tokenizers: that of a pretrained text model, or one learned from the training reports."""

from collections.abc import Iterable, Mapping

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from eclip.errors import InputError


def train_tokenizer(texts: Iterable[str], *, vocab_size: int = 2000) -> PreTrainedTokenizerFast:
    """A lower-cased byte-level BPE tokenizer whose words are those of `texts`; no text is unknown to it.

    Byte-level, because the trainers of WordPiece and plain BPE number their alphabet by hash order: the same texts
    would give another tokenizer in every process, and a resumed run other tokens.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=["[PAD]", "[CLS]", "[SEP]"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    )


def tokenize(
    tokenizer: PreTrainedTokenizerBase, texts: list[str], *, max_length: int, word_ids: bool = False
) -> Mapping[str, Tensor]:
    """Token ids and masks of texts.

    Args:
        tokenizer: Whose tokens.
        texts: B of them.
        max_length: Tokens a text is cut to.
        word_ids: Whether to tell words.

    Returns:
        `input_ids` and `attention_mask`, (B, L) int64, L the longest text's tokens but at most `max_length`; and
        `word_ids`, (B, L) int64, if asked for: which word of the text a token is a piece of, −1 for special tokens
        and padding.

    Raises:
        InputError: Words are asked for, and the tokenizer does not tell them.
    """
    encoded = tokenizer(
        texts,
        padding=True,
        truncation=True,
        max_length=max_length,
        return_tensors="pt",
        return_token_type_ids=False,
        return_attention_mask=True,
    )
    if not word_ids:
        return encoded.data
    if not encoded.is_fast:
        kind = type(tokenizer).__name__
        raise InputError(
            f"{kind}: does not tell which word a token belongs to; save the model with a fast tokenizer"
        )
    rows = [[-1 if word is None else word for word in encoded.word_ids(text)] for text in range(len(texts))]
    return encoded.data | {"word_ids": torch.tensor(rows)}
