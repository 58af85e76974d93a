"""Tokenizers: that of a pretrained text model, or one learned from the training reports."""

from collections.abc import Iterable, Mapping

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast


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
    tokenizer: PreTrainedTokenizerBase, texts: list[str], *, max_length: int
) -> Mapping[str, Tensor]:
    """`input_ids` and `attention_mask`, (B, L) int64, L the longest text's tokens but at most `max_length`."""
    return tokenizer(
        texts,
        padding=True,
        truncation=True,
        max_length=max_length,
        return_tensors="pt",
        return_token_type_ids=False,
        return_attention_mask=True,
    ).data
