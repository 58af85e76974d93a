"""Positions of patches: all apart, and of equal length."""

import torch

from eclip.models.positions import positions


def test_positions_tell_every_patch_apart():
    place_NC = positions(14, 20, 32)
    assert place_NC.shape == (280, 32)
    assert torch.cdist(place_NC, place_NC).fill_diagonal_(1).min() > 0.1
    torch.testing.assert_close(place_NC.square().sum(1), torch.full((280,), 16.0))
