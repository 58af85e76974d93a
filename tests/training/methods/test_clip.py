"""`clip` is InfoNCE over its batch, and has no other setting."""

import dataclasses

import torch

from eclip.losses.contrastive import info_nce
from eclip.training.methods import METHODS, ClipConfig
from small_models import small_batch, small_encoder


def test_losses_are_info_nce_of_the_embeddings():
    encoder, batch = small_encoder().eval(), small_batch()
    losses = ClipConfig().build(encoder, steps=10, seed=0).eval()(batch)
    image = encoder.encode_image(encoder.preprocessing.normalise(batch.image_B1HW))
    text = encoder.encode_text(batch.tokens)
    torch.testing.assert_close(losses.total, info_nce(image, text, encoder.scale))
    assert list(losses.terms) == ["contrastive"]


def test_has_no_settings_and_never_asks_for_an_expert():
    config = ClipConfig()
    assert dataclasses.fields(config) == ()
    assert config.expert_share == 0
    assert not any(config.expert_probability(step, steps=100) for step in range(100))


def test_every_method_is_registered_under_its_own_name():
    assert {name: config.name for name, config in METHODS.items()} == {name: name for name in METHODS}
