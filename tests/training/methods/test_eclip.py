"""`eclip` step by step against its formulas, and each of its switches changes the computation."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from eclip.data.draws import generator
from eclip.errors import InputError
from eclip.losses.contrastive import info_nce
from eclip.models.heatmap_processor import HeatmapProcessorConfig
from eclip.training.curriculum import Curriculum
from eclip.training.methods import ClipConfig, EclipConfig
from small_models import VIT, small_batch, small_encoder

CONFIG = EclipConfig(processor=HeatmapProcessorConfig(patch_size=8, width=16, heads=2))
COLD, WARM = 2, 30  # of 50 steps


def method(config=CONFIG, **changes):
    encoder = small_encoder()
    torch.manual_seed(1)
    return dataclasses.replace(config, **changes).build(encoder, steps=50, seed=3).eval()


def test_without_an_expert_batch_it_is_clip():
    batch = small_batch(WARM)
    expected = ClipConfig().build(small_encoder(), steps=50, seed=3).eval()(batch)
    torch.testing.assert_close(method()(batch).total, expected.total)


def test_cold_start_adds_priming_with_its_weight():
    eclip, batch = method(), small_batch(COLD)
    losses = eclip(batch)
    image = eclip.encoder.preprocessing.normalise(batch.image_B1HW)
    error = ((eclip.heatmap_processor(image, torch.ones(4, 1, 32, 32)) - image) ** 2).mean()
    torch.testing.assert_close(losses.terms["priming"], error)
    torch.testing.assert_close(losses.total, 0.1 * error + 0.9 * losses.terms["contrastive"])
    assert "priming" not in eclip(small_batch(WARM)).terms


def test_expert_views_are_mixed_and_join_the_batch():
    eclip, batch = method(), small_batch(WARM, experts=3)
    encoder = eclip.encoder
    share = generator(3, WARM, "mixup").beta(0.3, 0.3)
    image = encoder.preprocessing.normalise(batch.image_B1HW)
    expert = encoder.preprocessing.normalise(batch.expert.image_E1HW)
    mixed = share * expert + (1 - share) * eclip.heatmap_processor(expert, batch.expert.heatmap_E1HW)
    views = F.normalize(torch.cat([encoder.encode_image(image), encoder.encode_image(mixed)]), dim=1)
    expected = info_nce(views, encoder.encode_text(batch.tokens), encoder.scale)
    torch.testing.assert_close(eclip(batch).total, expected)


def test_expert_views_leave_the_statistics_of_batch_norms_alone():
    """Found on the phantom: mixed into the running statistics they cost 4 points of zero-shot accuracy."""

    def statistics(batch):
        eclip = method().train()
        eclip(batch)
        return [b.clone() for name, b in eclip.encoder.named_buffers() if "running" in name]

    plain = statistics(small_batch(WARM))
    with_expert = small_batch(WARM, experts=3)
    with_expert.image_B1HW = small_batch(WARM).image_B1HW
    with_expert.expert.image_E1HW += 50
    for expected, found in zip(plain, statistics(with_expert), strict=True):
        assert torch.equal(expected, found)


def test_encoders_without_batch_norm_see_all_in_one_pass():
    batch = small_batch(WARM, experts=3)
    eclip = CONFIG.build(small_encoder(VIT), steps=50, seed=3).eval()
    encoder, calls = eclip.encoder, []
    original = encoder.image_features
    encoder.image_features = lambda pixels: calls.append(len(pixels)) or original(pixels)
    eclip(batch)
    assert calls == [7]


def test_mixing_share_is_the_same_for_a_step_and_differs_between_steps():
    eclip, batch = method(), small_batch(WARM, experts=3)
    assert eclip(batch).total == eclip(batch).total
    assert eclip(batch).total != eclip(dataclasses.replace(batch, step=WARM + 1)).total


def views_of(eclip, batch, shares):
    """InfoNCE of the images and λ I + (1 − λ) h(I, E), λ given for each sample."""
    encoder = eclip.encoder
    image = encoder.preprocessing.normalise(batch.image_B1HW)
    expert = encoder.preprocessing.normalise(batch.expert.image_E1HW)
    view = eclip.heatmap_processor(expert, batch.expert.heatmap_E1HW)
    mixed = torch.stack(
        [share * i + (1 - share) * v for share, i, v in zip(shares, expert, view, strict=True)]
    )
    embeddings = torch.cat([encoder.encode_image(image), encoder.encode_image(mixed)])
    return info_nce(embeddings, encoder.encode_text(batch.tokens), encoder.scale)


def test_without_mixup_the_view_itself_joins():
    eclip, batch = method(mixup_alpha=None), small_batch(WARM, experts=3)
    torch.testing.assert_close(eclip(batch).total, views_of(eclip, batch, [0, 0, 0]))


def test_each_sample_may_have_a_share_of_its_own_by_its_row():
    eclip, batch = method(mixup_per="sample"), small_batch(WARM, experts=3)
    batch.expert.rows = [7, 2, 5]
    shares = [generator(3, WARM, f"mixup of row {row}").beta(0.3, 0.3) for row in (7, 2, 5)]
    torch.testing.assert_close(eclip(batch).total, views_of(eclip, batch, shares))


def test_without_priming_the_cold_start_is_clip():
    batch = small_batch(COLD)
    losses = method(priming_weight=0)(batch)
    torch.testing.assert_close(
        losses.total, ClipConfig().build(small_encoder(), steps=50, seed=3).eval()(batch).total
    )
    assert list(losses.terms) == ["contrastive"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"curriculum": Curriculum(cold=0)}, "priming-weight 0.1: has no effect without a cold start"),
        ({"mixup_alpha": None, "mixup_per": "sample"}, "mixup-per sample: has no effect without mixup"),
        ({"mixup_alpha": 0.0}, "mixup-alpha 0.0: must be above 0, or None"),
        ({"priming_weight": 1.0}, "priming-weight 1.0: must be at least 0 and below 1"),
        ({"batch_share": 0.0}, "batch-share 0.0: must be above 0; train `clip`"),
        ({"curriculum": Curriculum(peak=1.5)}, "curriculum.peak 1.5: must be from 0 to 1"),
        ({"curriculum": Curriculum(cold=0.6)}, "more than the whole run"),
    ],
)
def test_settings_that_would_do_nothing_or_harm_are_refused(changes, message):
    CONFIG.check()
    with pytest.raises(InputError, match=message):
        dataclasses.replace(CONFIG, **changes).check()


@pytest.mark.parametrize("experts", [0, 2])
def test_gradient_reaches_what_a_step_trains(experts):
    eclip = method()
    eclip(small_batch(WARM if experts else COLD, experts=experts)).total.backward()
    processor = [parameter.grad for parameter in eclip.heatmap_processor.parameters()]
    assert all(grad is not None for grad in processor)
    assert eclip.encoder.image_projection.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("name", "value", "step"),
    [
        ("mixup_alpha", 5.0, WARM),
        ("priming_weight", 0.4, COLD),
        ("curriculum", Curriculum(cold=0.0), COLD),
        ("processor", HeatmapProcessorConfig(patch_size=4, width=16, heads=2), WARM),
    ],
)
def test_each_switch_changes_the_computation(name, value, step):
    batch = small_batch(step, experts=3 if step == WARM else 0)
    assert method()(batch).total != method(**{name: value})(batch).total


def test_processor_has_its_own_learning_rate():
    eclip = method(processor_lr=3.0)
    ((module, factor),) = eclip.learning_rate_factors()
    assert module is eclip.heatmap_processor
    assert factor == 3.0


def test_share_and_probability_come_from_its_settings():
    config = EclipConfig(batch_share=0.25, curriculum=Curriculum(peak=0.9))
    assert config.expert_share == 0.25
    assert config.expert_probability(40, steps=100) == pytest.approx(0.9)
