"""`naive` is the expert view itself, at every step: nothing mixed, nothing primed."""

import torch

from eclip.losses.contrastive import info_nce
from eclip.models.heatmap_processor import HeatmapProcessorConfig
from eclip.training.methods.naive import NaiveConfig
from small_models import small_batch, small_encoder

CONFIG = NaiveConfig(processor=HeatmapProcessorConfig(patch_size=8, width=16, heads=2))


def test_loss_is_info_nce_over_images_and_unmixed_views_from_the_first_step():
    for step in (0, 40):
        method, batch = CONFIG.build(small_encoder(), steps=50, seed=3).eval(), small_batch(step, experts=3)
        encoder, losses = method.encoder, method(batch)
        expert = encoder.preprocessing.normalise(batch.expert.image_E1HW)
        views = method.heatmap_processor(expert, batch.expert.heatmap_E1HW)
        image = torch.cat([encoder.preprocessing.normalise(batch.image_B1HW), views])
        expected = info_nce(encoder.encode_image(image), encoder.encode_text(batch.tokens), encoder.scale)
        torch.testing.assert_close(losses.total, expected)
        assert list(losses.terms) == ["contrastive"]


def test_every_step_has_an_expert_batch():
    assert all(CONFIG.expert_probability(step, steps=50) == 1 for step in range(50))
