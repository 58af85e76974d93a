"""GLoRIA's encoder by hand: regions of the third stage, words as sums of pieces; and the words of every encoder."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import eclip
from eclip.errors import InputError
from eclip.models.dual_encoder import DualEncoderConfig
from eclip.models.encoders import build_encoder
from eclip.models.gloria import GloriaTowers, sum_of_pieces
from eclip.models.model import Model
from eclip.models.tokenizer import tokenize, train_tokenizer
from small_clips import ARCHITECTURES, DUAL_MODELS, architecture, letters, small_clip
from small_models import BERT, RESNET, SWIN, VIT, small_config, small_encoder

DEEP = BERT | {"num_hidden_layers": 6}
WORD_IDS = torch.tensor([[-1, 0, 0, 1, 2, -1], [-1, 0, 1, 1, -1, -1]])
TOKENS = {
    "input_ids": torch.tensor([[1, 20, 21, 22, 23, 2], [1, 30, 31, 32, 2, 0]]),
    "attention_mask": torch.tensor([[1] * 6, [1] * 5 + [0]]),
    "word_ids": WORD_IDS,
}
PLAIN = {name: TOKENS[name] for name in ("input_ids", "attention_mask")}
TEXTS = ["No pleural effusion.", "Cardiomegaly.", ""]


def gloria(**changes):
    return small_encoder(text=DEEP, local_features="own", **changes).eval()


def test_regions_are_the_stage_before_the_last_projected_on_their_own():
    encoder, image = gloria(), torch.randn(2, 1, 32, 32)
    embedder, stages = encoder.image_model.embedder, encoder.image_model.encoder.stages
    third = stages[0](embedder(image))
    features = encoder.image_features(image)
    expected = third.permute(0, 2, 3, 1) @ encoder.region_projection.weight.T
    torch.testing.assert_close(features.grid, expected)
    pooled = stages[1](third).mean((2, 3)) @ encoder.image_projection.weight.T
    torch.testing.assert_close(features.pooled, pooled, atol=1e-5, rtol=1e-5)


def test_a_resnet_50_has_nineteen_regions_a_side_at_299_pixels():
    settings = RESNET | {"hidden_sizes": [4, 4, 8, 8], "depths": [1, 1, 1, 1], "layer_type": "bottleneck"}
    encoder = small_encoder(settings, local_features="own").eval()
    assert encoder.image_features(torch.randn(1, 1, 299, 299)).grid.shape == (1, 19, 19, 12)


@pytest.mark.parametrize("layers", [6, 2])
def test_words_are_the_sums_of_their_pieces_in_the_sum_of_the_last_four_layers(layers):
    encoder = small_encoder(text=BERT | {"num_hidden_layers": layers}, local_features="own").eval()
    states = encoder.text_model(**PLAIN, output_hidden_states=True).hidden_states[max(1, layers - 3) :]
    assert len(states) == min(4, layers)
    summed = sum(states)
    features = encoder.text_features(TOKENS)
    pieces = [[[1, 2], [3], [4]], [[1], [2, 3], []]]
    for text, words in enumerate(pieces):
        for place, word in enumerate(words):
            expected = summed[text, word].sum(0) @ encoder.word_projection.weight.T
            torch.testing.assert_close(features.words[text, place], expected, atol=1e-5, rtol=1e-5)
    assert features.mask.tolist() == [[True, True, True], [True, True, False]]
    torch.testing.assert_close(features.pooled, summed[:, 0] @ encoder.text_projection.weight.T)


def test_texts_without_words_have_none():
    words, mask = sum_of_pieces(torch.randn(2, 3, 5), {"word_ids": torch.full((2, 3), -1)})
    assert words.shape == (2, 1, 5)
    assert not mask.any()
    assert not words.any()


def test_the_mean_over_tokens_may_be_the_text():
    encoder = gloria(text_pooling="mean")
    summed = sum(encoder.text_model(**PLAIN, output_hidden_states=True).hidden_states[3:])
    expected = F.normalize(summed[1, :5].mean(0) @ encoder.text_projection.weight.T, dim=0)
    torch.testing.assert_close(encoder.encode_text(PLAIN)[1], expected, atol=1e-6, rtol=1e-5)


def test_only_texts_of_own_local_features_see_the_numbers_of_words():
    """The pooled vector is the same, bit for bit, with and without them."""
    for name in ARCHITECTURES:
        encoder = architecture(name).eval()
        plain = encoder.encode_text(PLAIN)
        assert torch.equal(encoder.encode_text(TOKENS), plain), name
        assert torch.equal(F.normalize(encoder.text_features(TOKENS).pooled, dim=1), plain), name


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_encoder_has_words_and_knows_which_are_none(name):
    encoder = architecture(name).eval()
    features = encoder.text_features(TOKENS)
    assert features.words.shape == (2, 6, encoder.embedding_dim)
    assert torch.equal(features.mask, WORD_IDS >= 0)
    assert torch.equal(encoder.text_features(PLAIN).mask, PLAIN["attention_mask"] > 0)


@pytest.mark.parametrize("name", [name for name in DUAL_MODELS if name not in {"VisionTextDualEncoder"}])
def test_the_token_that_a_model_pools_is_projected_to_its_pooled_vector(name):
    encoder = small_clip(name).eval()
    ids = torch.randint(5, 48, (2, 24), generator=torch.Generator().manual_seed(0))
    ids[:, -1] = 49  # the end, where a model looks for one
    features = encoder.text_features({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
    place = 0 if name in {"Chinese-CLIP", "AltCLIP"} else -1
    torch.testing.assert_close(features.words[:, place], features.pooled)


def test_a_model_with_a_pooler_puts_each_token_through_it():
    encoder = small_clip("VisionTextDualEncoder").eval()
    model = encoder.model
    states = model.text_model(**PLAIN).last_hidden_state
    dense = model.text_model.pooler.dense
    expected = (states @ dense.weight.T + dense.bias).tanh() @ model.text_projection.weight.T
    features = encoder.text_features(TOKENS)
    torch.testing.assert_close(features.words, expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(features.words[:, 0], features.pooled, atol=1e-6, rtol=1e-5)


def test_words_of_two_towers_are_its_projection_on_each_token():
    encoder = small_encoder().eval()
    expected = encoder.text_model(**PLAIN).last_hidden_state @ encoder.text_projection.weight.T
    torch.testing.assert_close(encoder.text_features(TOKENS).words, expected)


def test_saved_and_loaded_it_is_the_same_model(tmp_path):
    tokenizer = train_tokenizer(TEXTS, vocab_size=280)
    encoder = small_encoder(text=BERT | {"vocab_size": len(tokenizer)}, local_features="own")
    first = Model(encoder, tokenizer)
    first.save(tmp_path)
    again = eclip.load(tmp_path)
    assert isinstance(again.encoder, GloriaTowers)
    assert again.fingerprint == first.fingerprint
    np.testing.assert_array_equal(again.embed_texts(TEXTS), first.embed_texts(TEXTS))
    image = torch.randn(1, 1, 32, 32)
    assert torch.equal(again.encoder.image_features(image).grid, encoder.image_features(image).grid)


def test_settings_of_others_are_what_they_were():
    """So are their fingerprints, and folders from before there was a choice open."""
    assert "local_features" not in small_encoder().settings
    assert gloria().settings["local_features"] == "own"


@pytest.mark.parametrize("image", [VIT, SWIN])
def test_an_image_model_without_stages_is_refused(image):
    with pytest.raises(InputError, match=r"local-features own: image model .* has no stages") as caught:
        build_encoder(small_config(image, local_features="own"))
    assert "\n" not in str(caught.value)


def test_a_whole_model_has_its_own():
    with pytest.raises(InputError, match=r"--model\.local-features: no effect"):
        build_encoder(DualEncoderConfig(dual=DUAL_MODELS["CLIP"], local_features="own"))


def test_pieces_know_their_word_and_special_tokens_have_none():
    tokenizer = train_tokenizer(["effusion effusion left"], vocab_size=266)
    tokens = tokenize(tokenizer, ["left effusion.", "", "left"], max_length=24, word_ids=True)
    assert tokens["word_ids"].shape == tokens["input_ids"].shape
    for row, text in zip(range(3), (["left", "effusion", "."], [], ["left"]), strict=True):
        for word, expected in enumerate(text):
            ids = tokens["input_ids"][row][tokens["word_ids"][row] == word]
            assert tokenizer.decode(ids).strip() == expected
        assert tokens["word_ids"][row].max() == len(text) - 1
    special = (tokens["word_ids"] == -1).sum(1)
    padding = (tokens["attention_mask"] == 0).sum(1)
    assert torch.equal(special, padding + 2)


def test_cut_texts_keep_their_shape():
    tokens = tokenize(train_tokenizer(TEXTS, vocab_size=280), TEXTS, max_length=4, word_ids=True)
    assert tokens["word_ids"].shape == tokens["input_ids"].shape == (3, 4)


def test_a_tokenizer_that_knows_no_words_is_refused():
    class Slow:
        is_fast = False
        data = None

    with pytest.raises(InputError, match="function: does not tell which word"):
        tokenize(lambda *_, **__: Slow(), ["left"], max_length=4, word_ids=True)


def test_padding_in_front_is_none_as_well():
    tokens = tokenize(letters(), TEXTS[:2], max_length=24, word_ids=True)
    assert torch.equal(tokens["word_ids"] < 0, tokens["attention_mask"] == 0)
