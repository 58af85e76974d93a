"""`m2mix` and `m3mix`: the losses of their formulas, with their weights, λ from (seed, step)."""

import pytest
import torch

from eclip.data.draws import generator
from eclip.errors import InputError
from eclip.losses.contrastive import info_nce
from eclip.losses.geodesic import m2_mix, unimodal_mix, vl_mix
from eclip.training.methods.m2mix import M2mixConfig
from eclip.training.methods.m3mix import M3mixConfig
from small_models import small_batch, small_encoder


def embeddings(encoder, batch):
    image = encoder.encode_image(encoder.preprocessing.normalise(batch.image_B1HW))
    return image, encoder.encode_text(batch.tokens)


def share(term, alpha):
    return generator(3, 7, term).beta(alpha, alpha)


def test_m2mix_adds_hard_negatives():
    config, batch = M2mixConfig(weight=0.2, alpha=0.7, temperature=0.05), small_batch(7)
    losses = config.build(small_encoder(), steps=50, seed=3).eval()(batch)
    image, text = embeddings(encoder := small_encoder().eval(), batch)
    mixed = m2_mix(image, text, share("m2", 0.7), 20.0)
    torch.testing.assert_close(losses.total, info_nce(image, text, encoder.scale) + 0.2 * mixed)


def test_m3mix_adds_four_terms():
    config, batch = M3mixConfig(), small_batch(7)
    losses = config.build(small_encoder(), steps=50, seed=3).eval()(batch)
    image, text = embeddings(encoder := small_encoder().eval(), batch)
    expected = info_nce(image, text, encoder.scale)
    expected += 0.01 * m2_mix(image, text, share("m2", 0.2), 100.0)
    expected += 0.05 * unimodal_mix(image, text, share("v", 0.5), encoder.scale)
    expected += 0.05 * unimodal_mix(text, image, share("l", 0.5), encoder.scale)
    expected += 0.1 * vl_mix(image, text, share("vl", 0.5), encoder.scale)
    torch.testing.assert_close(losses.total, expected)
    assert list(losses.terms) == ["contrastive", "m2", "v", "l", "vl"]


@pytest.mark.parametrize(
    "config",
    [M2mixConfig(weight=0), M2mixConfig(temperature=0), M3mixConfig(vl_weight=0), M3mixConfig(m2_alpha=-1)],
)
def test_terms_that_would_be_nothing_are_refused(config):
    with pytest.raises(InputError, match="must be above 0"):
        config.check()
