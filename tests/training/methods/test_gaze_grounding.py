"""`gaze-grounding`: its four losses from their formulas, one sentence and one cell at a time; nothing at inference."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback

from eclip import load
from eclip.errors import InputError
from eclip.models.dual_encoder import ImageFeatures
from eclip.training.config import LoadingConfig, TrainConfig
from eclip.training.curriculum import Curriculum
from eclip.training.methods import METHODS
from eclip.training.methods.expert_as_data import ExpertAsDataConfig
from eclip.training.methods.gaze_grounding import GazeGroundingConfig
from eclip.training.train import train
from small_models import BERT, RESNET, SWIN, VIT, small_batch, small_config, small_encoder
from small_stores import small_store

PLAIN, EXPERTS = 4, 3


def method(image=RESNET, **changes):
    encoder = small_encoder(image)
    torch.manual_seed(1)
    return GazeGroundingConfig(**changes).build(encoder, steps=50, seed=3).eval()


def batch_of():
    """Two sentences of the last annotated image, one of the first."""
    batch = small_batch(experts=EXPERTS, sentences=True)
    batch.expert.sentences.index_S = torch.tensor([2, 0, 2])
    batch.expert.sentences.rows = [2, 0, 2]
    batch.key_N2[7:, 0] = batch.key_N2[[6, 4, 6], 0]
    return batch


def shares(heatmap_HW, rows, columns):
    """Of the gaze, by cell: the mean of the map there, divided by the sum of these."""
    blocks = heatmap_HW.unflatten(1, (columns, -1)).unflatten(0, (rows, -1)).mean((1, 3))
    return blocks / blocks.sum()


def nce_loop(images, texts, scale, kin=lambda i, j: False):
    """Symmetric InfoNCE, one denominator at a time; kin are no negatives."""
    total = 0.0
    for i in range(len(images)):
        for own, others in ((images[i], texts), (texts[i], images)):
            below = sum(
                (scale * own @ others[j]).exp() for j in range(len(images)) if i == j or not kin(i, j)
            )
            total += torch.log(below) - scale * images[i] @ texts[i]
    return total / (2 * len(images))


def kl_loop(gaze, guess):
    """KL divergence of two lists of shares, 0 · log 0 = 0."""
    return sum(g * math.log(g / a) for g, a in zip(gaze, guess, strict=True) if g)


@pytest.mark.parametrize("image", [RESNET, VIT, SWIN], ids=["ResNet", "ViT", "Swin"])
@pytest.mark.parametrize("pairs", [True, False])
@torch.no_grad()
def test_the_losses_are_those_of_their_formulas(image, pairs):
    grounding = method(
        image, pairs=pairs, weight=0.7, guess_weight=0.2, alignment_weight=0.4, temperature=0.3
    )
    batch, encoder = batch_of(), grounding.encoder
    pixels = torch.cat([batch.image_B1HW, batch.expert.image_E1HW])
    features = encoder.image_features(encoder.preprocessing.normalise(pixels))
    vectors, grid = F.normalize(features.pooled, dim=1), features.grid
    text = torch.cat([encoder.encode_text(t) for t in (batch.tokens, batch.expert.sentences.tokens)])
    (rows, columns), scale = grid.shape[1:3], encoder.scale
    sentences, keys = batch.expert.sentences, batch.key_N2[7:]

    regions, attention = [], 0.0
    for number, i in enumerate(sentences.index_S.tolist()):
        local, t = grid[PLAIN + i].flatten(0, 1), text[7 + number]
        gaze = shares(sentences.heatmap_STHW[number, 0], rows, columns).flatten()
        regions.append(F.normalize(sum(w * g for w, g in zip(gaze, local, strict=True)), dim=0))
        exponentials = [math.exp(float(F.cosine_similarity(g, t, dim=0)) / 0.3) for g in local]
        attention += kl_loop(gaze.tolist(), [e / sum(exponentials) for e in exponentials]) / 3
    region = nce_loop(regions, text[7:], scale, kin=lambda i, j: bool((keys[i] == keys[j]).any()))

    salient, saliency = [], 0.0
    weight, bias = grounding.saliency.weight[0], grounding.saliency.bias[0]
    for i, local in enumerate(grid.flatten(1, 2)):
        logits = [float(weight @ (g / g.square().mean().sqrt()) + bias) for g in local]
        guess = [math.exp(x) / sum(math.exp(y) for y in logits) for x in logits]
        salient.append(F.normalize(sum(a * g for a, g in zip(guess, local, strict=True)), dim=0))
        if i >= PLAIN:
            gaze = shares(batch.expert.heatmap_E1HW[i - PLAIN, 0], rows, columns).flatten()
            saliency += kl_loop(gaze.tolist(), guess) / EXPERTS
    paired = PLAIN + EXPERTS if pairs else PLAIN

    losses = grounding(batch)
    expected = {
        "region": region,
        "attention": torch.tensor(attention),
        "saliency": torch.tensor(saliency),
        "salient": nce_loop(salient[:paired], text[:paired], scale),
        "alignment": sum((v - t).norm() ** 2 for v, t in zip(vectors[:paired], text, strict=False)) / paired,
    }
    for name, value in expected.items():
        torch.testing.assert_close(losses.terms[name], value, atol=1e-4, rtol=1e-4)
    whole = losses.terms["contrastive"] + 0.7 * (region + attention) + 0.2 * (saliency + expected["salient"])
    whole += 0.4 * expected["alignment"]
    torch.testing.assert_close(losses.total, whole, atol=1e-4, rtol=1e-4)


def test_the_contrast_is_that_of_expert_as_data():
    grounding, batch = method(), batch_of()
    as_data = ExpertAsDataConfig().build(grounding.encoder, steps=50, seed=3)(batch)
    torch.testing.assert_close(grounding(batch).terms["contrastive"], as_data.total)


def test_without_a_guess_there_is_no_head_and_sentences_are_left():
    alone, both = method(guess_weight=0.0, alignment_weight=0.0), method()
    assert alone.saliency is None
    assert len(list(alone.parameters())) == len(list(alone.encoder.parameters()))
    found, whole = alone(batch_of()), both(batch_of())
    assert list(found.terms) == ["contrastive", "region", "attention"]
    assert all(torch.equal(found.terms[name], whole.terms[name]) for name in found.terms)


def test_the_guess_learns_from_gaze_alone():
    """The contrast of all images takes the guess as it is: it would move the gaze to where the texts are matched."""
    grounding = method()
    losses = grounding(batch_of())
    losses.terms["salient"].backward(retain_graph=True)
    assert grounding.saliency.weight.grad is None
    losses.terms["saliency"].backward()
    assert grounding.saliency.weight.grad.abs().max() > 0


@pytest.mark.parametrize("axis", [1, 2])
def test_mirrored_features_and_heatmaps_cost_the_same(axis, monkeypatch):
    grounding, batch = method(), batch_of()
    draw = torch.Generator().manual_seed(0)
    pooled, grid = torch.randn(7, 12, generator=draw), torch.randn(7, 4, 8, 12, generator=draw)

    def cost(grid):
        monkeypatch.setattr(grounding.encoder, "image_features", lambda pixels: ImageFeatures(pooled, grid))
        return grounding(batch).total

    expected = cost(grid)
    assert (cost(grid.flip(axis)) - expected).abs() > 1e-3
    batch.expert.heatmap_E1HW = batch.expert.heatmap_E1HW.flip(axis + 1)
    batch.expert.sentences.heatmap_STHW = batch.expert.sentences.heatmap_STHW.flip(axis + 1)
    torch.testing.assert_close(cost(grid.flip(axis)), expected)


def test_steps_without_experts_are_plain():
    grounding = method(alignment_weight=0.0)
    plain = grounding(small_batch(sentences=True))
    assert list(plain.terms) == ["contrastive"]
    assert plain.total == METHODS["clip"]().build(grounding.encoder, steps=50, seed=3)(small_batch()).total


@pytest.mark.parametrize("images", [0, EXPERTS])
def test_a_batch_that_lost_its_sentences_or_its_studies_is_no_error(images):
    grounding, batch = method(), batch_of()
    expert, rows = batch.expert, PLAIN + images
    sentences = dataclasses.replace(
        expert.sentences,
        heatmap_STHW=expert.sentences.heatmap_STHW[:0],
        index_S=expert.sentences.index_S[:0],
        rows=[],
        tokens={},
    )
    batch.expert = dataclasses.replace(
        expert,
        image_E1HW=expert.image_E1HW[:images],
        heatmap_E1HW=expert.heatmap_E1HW[:images],
        rows=expert.rows[:images],
        sentences=sentences,
    )
    batch.tokens = {name: ids[:rows] for name, ids in batch.tokens.items()}
    batch.key_N2 = batch.key_N2[:rows]
    losses = grounding(batch)
    losses.total.backward()
    assert torch.isfinite(losses.total)
    assert losses.terms["region"].item() == losses.terms["attention"].item() == 0
    assert (losses.terms["saliency"].item() == 0) == (images == 0)


def test_all_images_go_through_the_encoder_once():
    grounding, sizes = method().train(), []
    original = grounding.encoder.image_features
    grounding.encoder.image_features = lambda pixels: sizes.append(len(pixels)) or original(pixels)
    grounding(batch_of()).total.backward()
    assert sizes == [7]


class Killed(Callback):
    """Ends a run as a failure would, right after step 3."""

    def on_train_batch_end(self, trainer, *args):
        if trainer.global_step == 3:
            raise RuntimeError("killed")


def test_a_run_resumes_bit_for_bit_with_its_head_and_leaves_a_folder_without(tmp_path):
    store = small_store(tmp_path / "store", annotation="dictation").path
    config = TrainConfig(
        method=GazeGroundingConfig(),
        model=small_config(text=BERT | {"vocab_size": 300}),
        loading=LoadingConfig(workers=0),
        steps=5,
        batch_size=6,
        precision="32",
        validate_every=1,
    )
    whole = train(config, data=store, out=tmp_path / "whole")
    with pytest.raises(RuntimeError, match="killed"):
        train(config, data=store, out=tmp_path / "killed", callbacks=[Killed()])
    killed = train(config, data=store, out=tmp_path / "killed", resume=True)
    states = [
        torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for run in (whole, killed)
    ]
    assert "method.saliency.weight" in states[0]
    for name, tensor in states[0].items():
        assert torch.equal(tensor, states[1][name]), name
    model = load(killed)
    assert model.fingerprint == load(whole).fingerprint
    assert not any("saliency" in name for name, _ in model.encoder.named_parameters())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight": 0.0}, "weight 0.0: must be above 0"),
        ({"guess_weight": -0.1}, "guess-weight -0.1: must be at least 0"),
        ({"alignment_weight": -1.0}, "alignment-weight -1.0: must be at least 0"),
        ({"guess_weight": float("nan")}, "guess-weight nan: must be at least 0"),
        ({"temperature": 0.0}, r"temperature 0\.0: must be above 0"),
        ({"sentences": 0}, "sentences 0: must be at least 1; train `gaze-pooling`"),
        ({"lead": -1.0}, "lead -1.0: must be a number of seconds from 0"),
        ({"lead": float("inf")}, "lead inf: must be a number of seconds from 0"),
        ({"batch_share": 0.0}, "batch-share 0.0: must be above 0; train `clip`"),
        ({"curriculum": Curriculum(peak=1.5)}, "curriculum.peak 1.5: must be from 0 to 1"),
    ],
)
def test_settings_that_would_do_nothing_or_harm_are_refused(changes, message):
    GazeGroundingConfig().check()
    with pytest.raises(InputError, match=message):
        dataclasses.replace(GazeGroundingConfig(), **changes).check()


@pytest.mark.parametrize("training", [True, False])
def test_an_encoder_without_local_features_is_refused(training, monkeypatch):
    encoder = small_encoder().train(training)
    original = encoder.image_features
    monkeypatch.setattr(
        encoder, "image_features", lambda pixels: ImageFeatures(original(pixels).pooled, None)
    )
    with pytest.raises(InputError, match="method gaze-grounding: needs local features"):
        GazeGroundingConfig().build(encoder, steps=50, seed=3)
