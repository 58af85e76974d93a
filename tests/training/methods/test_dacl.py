"""`dacl`: the image is the larger part of every mixture, and no text is its own negative."""

import pytest
import torch

from eclip.data.draws import generator
from eclip.errors import InputError
from eclip.losses.contrastive import info_nce
from eclip.models.preprocessing import Preprocessing
from eclip.training.methods.dacl import DaclConfig
from small_models import VIT, small_batch, small_encoder


def test_loss_is_the_mean_over_two_mixed_copies():
    method, batch = DaclConfig().build(small_encoder(VIT), steps=50, seed=3).eval(), small_batch(7)
    encoder, draw, losses = method.encoder, generator(3, 7, "dacl"), []
    image = encoder.preprocessing.normalise(batch.image_B1HW)
    text = encoder.encode_text(batch.tokens)
    for _ in range(2):
        share = draw.beta(0.6, 0.6)
        share, order = max(share, 1 - share), draw.permutation(4)
        mixed = torch.stack([share * image[i] + (1 - share) * image[order[i]] for i in range(4)])
        losses.append(info_nce(encoder.encode_image(mixed), text, encoder.scale))
    torch.testing.assert_close(method(batch).total, (losses[0] + losses[1]) / 2)


def test_the_text_belongs_to_the_larger_part():
    method = DaclConfig().build(small_encoder(), steps=50, seed=3)
    method.encoder.config.preprocessing = Preprocessing(size=32, mean=0, std=1)
    batch = small_batch()
    for i, image in enumerate(batch.image_B1HW):
        image.fill_(i)
    for step in range(200):
        batch.step = step
        mixed = method._mixed(batch).mean((1, 2, 3))
        assert ((mixed - torch.arange(4).repeat(2)).abs() <= 1.5 + 1e-6).all()  # at most half of the way to 3


def test_a_pair_that_is_aligned_costs_nothing():
    """Counted twice, each text would be its own negative, and log 2 the least possible loss."""
    method, batch = DaclConfig().build(small_encoder(), steps=50, seed=3).eval(), small_batch(plain=1)
    assert method(batch).total.item() == pytest.approx(0, abs=1e-6)


def test_an_alpha_that_is_none_is_refused():
    with pytest.raises(InputError, match="mixup-alpha 0: must be above 0"):
        DaclConfig(mixup_alpha=0).check()
