"""GLoRIA's local loss against NumPy loops and the autograd of their like, closed forms, invariances, many processes."""

import math

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F

import eclip.losses.word_attention as room
from eclip.losses.word_attention import matching_scores, word_attention_loss
from many_processes import on_many, on_one

PUBLISHED = {"attention_temperature": 0.25, "word_temperature": 0.2, "temperature": 0.1}
SCORES = {name: PUBLISHED[name] for name in ("attention_temperature", "word_temperature")}


def drawn(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some_pairs(images=4, regions=5, words=3, width=6, *, ragged=True):
    """Regions, words and masks; texts have different numbers of words where asked for."""
    mask = torch.ones(images, words, dtype=torch.bool)
    if ragged:
        for text in range(images):
            mask[text, 1 + text % words :] = False
    return drawn(images, regions, width, seed=0), drawn(images, words, width, seed=1), mask


def score_loop(regions, words, attention_temperature, word_temperature):
    """Z of one image and one text, word by word: section 3.3 as written."""
    similarity = [[float(word @ region) for region in regions] for word in words]
    total = 0.0
    for place, word in enumerate(words):
        over_words = []
        for r in range(len(regions)):
            column = [similarity[other][r] for other in range(len(words))]
            over_words.append(math.exp(column[place]) / sum(math.exp(value) for value in column))
        weights = [math.exp(value / attention_temperature) for value in over_words]
        context = sum(weight / sum(weights) * region for weight, region in zip(weights, regions, strict=True))
        cosine = float(context @ word) / math.sqrt(float(context @ context) * float(word @ word))
        total += math.exp(cosine / word_temperature)
    return math.log(total)


def score_table(region, word, mask, attention_temperature, word_temperature):
    return np.array(
        [
            [
                score_loop(regions, words[there], attention_temperature, word_temperature)
                for words, there in zip(word.numpy(), mask.numpy(), strict=True)
            ]
            for regions in region.numpy()
        ]
    )


def loss_loop(region, word, mask, attention_temperature, word_temperature, temperature):
    scores = score_table(region, word, mask, attention_temperature, word_temperature) / temperature
    total = 0.0
    for i in range(len(scores)):
        total -= scores[i, i] - math.log(sum(math.exp(value) for value in scores[i]))
        total -= scores[i, i] - math.log(sum(math.exp(value) for value in scores[:, i]))
    return total / (2 * len(scores))


def naive(region, word, mask, attention_temperature, word_temperature, temperature):
    """The same loops in torch, for its gradients."""
    rows = []
    for regions in region:
        row = []
        for words, there in zip(word, mask, strict=True):
            cosines = []
            over_words = torch.stack([w @ regions.T for w in words[there]]).exp()
            over_words = over_words / over_words.sum(0)
            for shares, w in zip(over_words, words[there], strict=True):
                weights = (shares / attention_temperature).exp()
                context = (weights[:, None] * regions).sum(0) / weights.sum()
                cosines.append(context @ w / (context.norm() * w.norm()))
            row.append((torch.stack(cosines) / word_temperature).exp().sum().log())
        rows.append(torch.stack(row))
    logits = torch.stack(rows) / temperature
    own = torch.arange(len(logits))
    return -(logits.log_softmax(1)[own, own] + logits.log_softmax(0)[own, own]).mean() / 2


SETTINGS = [PUBLISHED, {"attention_temperature": 1.0, "word_temperature": 0.7, "temperature": 2.0}]
SHAPES = [(4, 5, 3, 6), (1, 3, 2, 4), (2, 1, 1, 3), (5, 4, 7, 3)]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_the_loop_written_from_the_formula(shape, settings):
    region, word, mask = some_pairs(*shape)
    found = matching_scores(region, word, mask, **{name: settings[name] for name in SCORES})
    np.testing.assert_allclose(
        found, score_table(region, word, mask, *list(settings.values())[:2]), rtol=1e-9
    )
    loss = word_attention_loss(region, word, mask, **settings)
    assert float(loss) == pytest.approx(loss_loop(region, word, mask, **settings), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_equals_that_of_the_naive_form(shape, settings):
    region, word, mask = some_pairs(*shape)
    inputs = region.requires_grad_(), word.requires_grad_()
    found = torch.autograd.grad(word_attention_loss(region, word, mask, **settings), inputs)
    expected = torch.autograd.grad(naive(region, word, mask, **settings), inputs)
    for gradient, by_loop in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, by_loop, rtol=1e-8, atol=1e-12)


def test_gradient_equals_finite_differences():
    region, word, mask = some_pairs(3, 2, 2, 3)
    inputs = region.requires_grad_(), word.requires_grad_()
    assert torch.autograd.gradcheck(lambda r, w: word_attention_loss(r, w, mask, **SETTINGS[1]), inputs)


@pytest.mark.parametrize("most", [1, 150, 2**24])
def test_texts_in_turns_are_all_texts_at_once(monkeypatch, most):
    """With one, two and all seven texts in a turn: value and gradient, in as many turns as are due."""
    region, word, mask = some_pairs(7, 3, 2, 5)
    inputs = region.requires_grad_(), word.requires_grad_()
    expected = torch.autograd.grad(naive(region, word, mask, **PUBLISHED), inputs)
    calls, original = [], room._scores
    monkeypatch.setattr(room, "MOST_AT_ONCE", most)
    monkeypatch.setattr(room, "_scores", lambda *given: calls.append(len(given[1])) or original(*given))
    loss = word_attention_loss(region, word, mask, **PUBLISHED)
    assert calls == {1: [1] * 7, 150: [2, 2, 2, 1], 2**24: [7]}[most]
    for gradient, whole in zip(torch.autograd.grad(loss, inputs), expected, strict=True):
        torch.testing.assert_close(gradient, whole, rtol=1e-8, atol=1e-12)
    assert (
        len(calls) == {1: 14, 150: 8, 2**24: 1}[most]
    )  # computed again on the way back, but for a single turn


@pytest.mark.parametrize("rows", [1, 2, 6])
def test_pairs_that_are_all_alike_give_log_n(rows):
    region, word = drawn(1, 4, 5, seed=0).expand(rows, -1, -1), drawn(1, 3, 5, seed=1).expand(rows, -1, -1)
    loss = word_attention_loss(region, word, torch.ones(rows, 3, dtype=torch.bool), **PUBLISHED)
    assert float(loss) == pytest.approx(math.log(rows), abs=1e-9)


def test_one_region_and_words_along_it_give_the_closed_form():
    """Every word sees the one region: Z = log(L) + cos/τ₂."""
    region, mask = torch.eye(3, dtype=torch.float64)[:, None], torch.ones(3, 4, dtype=torch.bool)
    word = 2 * region.expand(-1, 4, -1)
    expected = math.log(4) + 5 * torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(matching_scores(region, word, mask, **SCORES), expected)
    loss = word_attention_loss(region, word, mask, **PUBLISHED)
    assert float(loss) == pytest.approx(math.log(1 + 2 * math.exp(-50)))


def test_a_word_looks_at_its_own_region():
    """Two regions, two words, far apart: s̄ is 1 or 0, so that the own region weighs e⁴ against 1."""
    far = 100 * torch.eye(2, dtype=torch.float64)[None]
    weights = np.exp([4.0, 0.0]) / np.exp([4.0, 0.0]).sum()
    expected = math.log(2) + 5 * weights[0] / np.linalg.norm(weights)
    found = matching_scores(far, far / 10, torch.ones(1, 2, dtype=torch.bool), **SCORES)
    assert float(found) == pytest.approx(expected)


def test_is_blind_to_the_order_of_words_regions_and_pairs():
    region, word, mask = some_pairs(6, 5, 4, 6)
    loss = word_attention_loss(region, word, mask, **PUBLISHED)
    pairs, regions, words = torch.randperm(6), torch.randperm(5), torch.randperm(4)
    for other in (
        (region[pairs], word[pairs], mask[pairs]),
        (region[:, regions], word, mask),
        (region, word[:, words], mask[:, words]),
    ):
        torch.testing.assert_close(word_attention_loss(*other, **PUBLISHED), loss)


@pytest.mark.parametrize("filling", [0.0, 7.0, 1e6])
def test_padding_changes_nothing(filling):
    region, word, mask = some_pairs()
    padded = F.pad(word, (0, 0, 0, 3), value=filling).requires_grad_()
    loss = word_attention_loss(region, padded, F.pad(mask, (0, 3)), **PUBLISHED)
    torch.testing.assert_close(loss, word_attention_loss(region, word, mask, **PUBLISHED))
    loss.backward()
    assert torch.isfinite(padded.grad).all()
    assert not padded.grad[:, 3:].any()
    assert not padded.grad[:, :3][~mask].any()


def test_pairs_whose_text_has_no_words_are_left_out():
    region, word, mask = some_pairs(4)
    mask[2] = False
    kept = torch.tensor([0, 1, 3])
    inputs = region.requires_grad_(), word.requires_grad_()
    loss = word_attention_loss(*inputs, mask, **PUBLISHED)
    torch.testing.assert_close(loss, word_attention_loss(region[kept], word[kept], mask[kept], **PUBLISHED))
    assert all(torch.isfinite(gradient).all() for gradient in torch.autograd.grad(loss, inputs))
    assert word_attention_loss(region, word, torch.zeros_like(mask), **PUBLISHED) == 0


def test_half_precision_stays_near():
    region, word, mask = some_pairs(8, 9, 7, 64)
    expected = matching_scores(region, word, mask, **SCORES)
    found = matching_scores(region.bfloat16(), word.bfloat16(), mask, **SCORES)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected.float(), atol=0.03, rtol=0)


def loss_of_rows(image, text, scale, bias):
    """Regions and words made of the rows, some of which have few words or none; one rank pads its texts."""
    region = torch.stack([image, image.flip(1), 2 * image.roll(1, 1)], 1)
    word = torch.stack([3 * text, text.roll(1, 1), text * text], 1)
    mask = torch.stack([text[:, 3] > 0.3, text[:, 1] > 0.3, text[:, 2] > 0], 1)
    if dist.is_initialized() and dist.get_rank() == 1:
        word, mask = F.pad(word, (0, 0, 0, 2), value=5.0), F.pad(mask, (0, 2))
    assert mask.any(1).sum() < len(mask) or dist.is_initialized()
    return word_attention_loss(region, word, mask, **PUBLISHED)


@pytest.mark.parametrize("sizes", [[4, 4], [6, 2], [8, 0]], ids=["even", "uneven", "none on one"])
def test_two_processes_equal_one_in_value_and_gradient(sizes):
    found, expected = on_many(loss_of_rows, sizes), on_one(loss_of_rows, sum(sizes))
    assert len(found) == len(expected) == 2
    for many, one in zip(found, expected, strict=True):
        np.testing.assert_allclose(many, one, rtol=1e-9, atol=1e-12)
