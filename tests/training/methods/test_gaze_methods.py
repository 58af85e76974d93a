"""`gaze-pooling` and `gaze-attention`: the losses of their formulas, on local features, and nothing at inference."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from eclip.errors import InputError
from eclip.losses.contrastive import info_nce
from eclip.losses.gaze import gaze_divergence
from eclip.models.dual_encoder import ImageFeatures
from eclip.models.local_features import has_grid
from eclip.training.curriculum import Curriculum
from eclip.training.methods import METHODS
from eclip.training.methods.expert_as_data import ExpertAsDataConfig
from eclip.training.methods.gaze_attention import GazeAttentionConfig
from eclip.training.methods.gaze_pooling import GazePoolingConfig
from small_models import RESNET, SWIN, VIT, small_batch, small_encoder

CONFIGS = [GazePoolingConfig(), GazeAttentionConfig()]
NAMES = [config.name for config in CONFIGS]


def method(config, image=RESNET):
    return config.build(small_encoder(image), steps=50, seed=3).eval()


def parts(encoder, batch):
    """Local features, unit vectors of the reports and the shares of the gaze on the annotated images, cell by cell."""
    grid = encoder.image_features(encoder.preprocessing.normalise(batch.expert.image_E1HW)).grid
    rows, columns = grid.shape[1:3]
    blocks = batch.expert.heatmap_E1HW[:, 0].unflatten(2, (columns, -1)).unflatten(1, (rows, -1))
    mean = blocks.mean((2, 4))
    text = encoder.encode_text(batch.tokens)[len(batch.image_B1HW) :]
    return grid, text, mean / mean.sum((1, 2), keepdim=True)


@pytest.mark.parametrize("image", [RESNET, VIT, SWIN], ids=["ResNet", "ViT", "Swin"])
@pytest.mark.parametrize("pairs", [True, False])
def test_gaze_pooling_adds_the_contrast_of_pooled_local_features(image, pairs):
    pooling, batch = method(GazePoolingConfig(weight=0.3, pairs=pairs), image), small_batch(experts=3)
    encoder = pooling.encoder
    grid, text, weights = parts(encoder, batch)
    pooled = F.normalize(torch.einsum("ehwd,ehw->ed", grid, weights), dim=1)
    losses = pooling(batch)
    torch.testing.assert_close(losses.terms["gaze"], info_nce(pooled, text, encoder.scale))
    torch.testing.assert_close(losses.total, losses.terms["contrastive"] + 0.3 * losses.terms["gaze"])
    assert losses.terms["contrastive"] == contrastive(encoder, batch, pairs=pairs)


def contrastive(encoder, batch, *, pairs):
    """That of `expert-as-data`, or of the ordinary images alone."""
    if not pairs:
        ordinary = len(batch.image_B1HW)
        tokens = {name: values[:ordinary] for name, values in batch.tokens.items()}
        batch = dataclasses.replace(batch, tokens=tokens, expert=None)
    return ExpertAsDataConfig().build(encoder, steps=50, seed=3)(batch).terms["contrastive"]


@pytest.mark.parametrize("image", [RESNET, VIT, SWIN], ids=["ResNet", "ViT", "Swin"])
def test_gaze_attention_adds_the_divergence_of_gaze_and_attention(image):
    attention = method(GazeAttentionConfig(weight=0.3, temperature=0.2), image)
    batch = small_batch(experts=3)
    losses = attention(batch)
    expected = gaze_divergence(*parts(attention.encoder, batch), 0.2)
    torch.testing.assert_close(losses.terms["gaze"], expected)
    torch.testing.assert_close(losses.total, losses.terms["contrastive"] + 0.3 * expected)
    assert losses.terms["contrastive"] == contrastive(attention.encoder, batch, pairs=True)


def test_even_gaze_pools_to_the_image_vector_where_pooling_is_a_mean():
    """A ResNet's pooled vector is the mean of its last grid, and two towers project linearly."""
    pooling, batch = method(GazePoolingConfig()), small_batch(experts=3)
    encoder = pooling.encoder
    batch.expert.heatmap_E1HW.fill_(0.7)
    image = encoder.encode_image(encoder.preprocessing.normalise(batch.expert.image_E1HW))
    expected = info_nce(image, encoder.encode_text(batch.tokens)[4:], encoder.scale)
    torch.testing.assert_close(pooling(batch).terms["gaze"], expected)


@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
@pytest.mark.parametrize(("axis", "rows", "columns"), [(1, 4, 4), (2, 4, 8), (2, 8, 2)])
def test_mirrored_features_and_heatmaps_cost_the_same(config, axis, rows, columns, monkeypatch):
    guided, batch = method(config), small_batch(experts=3)
    draw = torch.Generator().manual_seed(0)
    pooled, grid = torch.randn(7, 12, generator=draw), torch.randn(7, rows, columns, 12, generator=draw)

    def cost(grid):
        monkeypatch.setattr(guided.encoder, "image_features", lambda pixels: ImageFeatures(pooled, grid))
        return guided(batch).total

    expected = cost(grid)
    assert (cost(grid.flip(axis)) - expected).abs() > 1e-3
    batch.expert.heatmap_E1HW = batch.expert.heatmap_E1HW.flip(axis + 1)
    torch.testing.assert_close(cost(grid.flip(axis)), expected)


@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
def test_heatmaps_matter_and_steps_without_experts_are_plain(config):
    guided, batch = method(config), small_batch(experts=3)
    before = guided(batch).total
    batch.expert.heatmap_E1HW = batch.expert.heatmap_E1HW.flip(3) ** 4
    assert guided(batch).total != before
    plain = guided(small_batch())
    assert list(plain.terms) == ["contrastive"]
    assert plain.total == METHODS["clip"]().build(guided.encoder, steps=50, seed=3)(small_batch()).total


@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
def test_an_expert_batch_that_lost_all_its_studies_leaves_the_plain_loss(config):
    guided, batch, one = method(config), small_batch(), small_batch(experts=1)
    expert = dataclasses.replace(
        one.expert, image_E1HW=one.expert.image_E1HW[:0], heatmap_E1HW=one.expert.heatmap_E1HW[:0], rows=[]
    )
    losses = guided(dataclasses.replace(batch, expert=expert))
    losses.total.backward()
    torch.testing.assert_close(losses.total, guided(batch).total)
    assert losses.terms["gaze"].item() == 0


@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
def test_all_images_go_through_the_encoder_once(config):
    guided, sizes = method(config).train(), []
    original = guided.encoder.image_features
    guided.encoder.image_features = lambda pixels: sizes.append(len(pixels)) or original(pixels)
    guided(small_batch(experts=3)).total.backward()
    assert sizes == [7]


@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
def test_experts_come_at_every_step_and_nothing_is_added_to_the_encoder(config):
    assert {config.expert_probability(step, steps=50) for step in range(50)} == {1}
    guided = method(config)
    assert guided.heatmap_processor is None
    assert len(list(guided.parameters())) == len(list(guided.encoder.parameters()))


@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
@pytest.mark.parametrize("training", [True, False])
def test_an_encoder_without_local_features_is_refused_and_left_as_it_was(config, training, monkeypatch):
    encoder = small_encoder().train(training)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    assert has_grid(encoder)
    original = encoder.image_features
    monkeypatch.setattr(
        encoder, "image_features", lambda pixels: ImageFeatures(original(pixels).pooled, None)
    )
    with pytest.raises(InputError, match=f"method {config.name}: needs local features"):
        config.build(encoder, steps=50, seed=3)
    assert all(module.training == training for module in encoder.modules())
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


@pytest.mark.parametrize("config", CONFIGS, ids=NAMES)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight": 0.0}, "weight 0.0: must be above 0; train `expert-as-data`"),
        ({"weight": float("nan")}, "weight nan: must be above 0"),
        ({"batch_share": 0.0}, "batch-share 0.0: must be above 0; train `clip`"),
        ({"curriculum": Curriculum(peak=1.5)}, "curriculum.peak 1.5: must be from 0 to 1"),
        (
            {"curriculum": Curriculum(cold=0, warm=0, cool=0, start=0.5, peak=1, final=1)},
            "curriculum.warm 0: the probability goes from start 0.5 to peak 1 in this phase",
        ),
        (
            {"curriculum": Curriculum(cold=0, warm=0, cool=0.4, start=1, peak=1, final=1)},
            "curriculum.cool 0.4: the probability goes from peak 1 to final 1 in this phase",
        ),
    ],
)
def test_settings_that_would_do_nothing_or_harm_are_refused(config, changes, message):
    config.check()
    dataclasses.replace(config, curriculum=Curriculum()).check()  # the paper's
    with pytest.raises(InputError, match=message):
        dataclasses.replace(config, **changes).check()


def test_a_temperature_of_nothing_is_refused():
    with pytest.raises(InputError, match=r"temperature 0\.0: must be above 0"):
        GazeAttentionConfig(temperature=0.0).check()
