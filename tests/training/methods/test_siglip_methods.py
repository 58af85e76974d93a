"""`siglip` and `siglip-eclip`: the sigmoid loss in the place of InfoNCE, its bias learned with the rest."""

import pytest
import torch
from torch import nn

from eclip.losses.sigmoid import sigmoid_loss
from eclip.models.heatmap_processor import HeatmapProcessorConfig
from eclip.models.two_towers import TwoTowers
from eclip.training.methods import EclipConfig
from eclip.training.methods.siglip import SiglipConfig
from eclip.training.methods.siglip_eclip import SiglipEclipConfig
from small_models import small_batch, small_encoder

PROCESSOR = HeatmapProcessorConfig(patch_size=8, width=16, heads=2)


def method(config, encoder=None):
    encoder = encoder or small_encoder()
    torch.manual_seed(1)
    return config.build(encoder, steps=50, seed=3).eval()


def test_siglip_is_the_sigmoid_loss_of_the_pairs():
    siglip, batch = method(SiglipConfig()), small_batch()
    encoder = siglip.encoder
    image = encoder.encode_image(encoder.preprocessing.normalise(batch.image_B1HW))
    losses = siglip(batch)
    expected = sigmoid_loss(image, encoder.encode_text(batch.tokens), encoder.scale, -10.0)
    torch.testing.assert_close(losses.total, expected)
    losses.total.backward()
    assert siglip.contrast.bias.grad.abs() > 0


def test_siglip_eclip_is_eclip_with_that_loss():
    """Its embeddings are those of eclip: caught on their way into the loss."""
    for step, experts in ((2, 0), (30, 3)):
        batch, seen = small_batch(step, experts=experts), []
        eclip = method(EclipConfig(processor=PROCESSOR))
        eclip.contrast = lambda *embeddings, seen=seen: seen.extend(embeddings) or embeddings[0].sum()
        eclips = eclip(batch)
        losses = method(SiglipEclipConfig(processor=PROCESSOR, bias=-4.0))(batch)
        torch.testing.assert_close(losses.terms["contrastive"], sigmoid_loss(*seen, -4.0))
        assert losses.weights == eclips.weights
        if step == 2:
            torch.testing.assert_close(losses.terms["priming"], eclips.terms["priming"])


def test_a_model_with_a_bias_of_its_own_keeps_and_trains_it(monkeypatch):
    encoder = small_encoder()
    monkeypatch.delattr(TwoTowers, "logit_bias")  # None: two towers have none
    encoder.logit_bias = nn.Parameter(torch.tensor(-7.0))
    siglip = method(SiglipConfig(), encoder)
    siglip(small_batch()).total.backward()
    assert encoder.logit_bias == -7
    assert encoder.logit_bias.grad.abs() > 0
    assert sum(parameter is encoder.logit_bias for parameter in siglip.parameters()) == 1
    assert method(SiglipConfig(bias=-2.0), encoder).encoder.logit_bias == -2


@pytest.mark.parametrize("config", [SiglipConfig(), SiglipEclipConfig(processor=PROCESSOR)])
def test_the_bias_starts_where_the_paper_starts_it(config):
    assert method(config).contrast.bias == -10
