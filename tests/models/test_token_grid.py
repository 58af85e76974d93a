"""Where tokens lie: counted by hand for each kind of model."""

import pytest
import torch
from transformers import PretrainedConfig

from eclip.models.token_grid import token_grid


def numbered(count):
    return torch.arange(count).float()[None, :, None]


@pytest.mark.parametrize(("extra", "registers"), [(0, 0), (1, 0), (2, 0), (5, 4), (6, 4)])
def test_patches_follow_the_extra_tokens_row_by_row(extra, registers):
    config = PretrainedConfig(patch_size=8, num_register_tokens=registers)
    grid = token_grid(numbered(extra + 6), config, height=16, width=24)
    assert grid[0, ..., 0].tolist() == [[extra, extra + 1, extra + 2], [extra + 3, extra + 4, extra + 5]]


def test_pixels_beyond_the_last_whole_patch_have_none():
    assert token_grid(numbered(6), PretrainedConfig(patch_size=8), height=23, width=31).shape == (1, 2, 3, 1)


def test_patches_need_not_be_square():
    assert token_grid(numbered(8), PretrainedConfig(patch_size=[4, 8]), height=16, width=16).shape == (
        1,
        4,
        2,
        1,
    )


def test_hierarchical_models_halve_the_grid_and_fill_up_borders():
    config = PretrainedConfig(patch_size=4, depths=[2, 2, 6])  # 33 × 32 pixels: 9 × 8, 5 × 4, 3 × 2
    assert token_grid(numbered(6), config, height=33, width=32).shape == (1, 3, 2, 1)


def test_convolutional_features_are_turned():
    hidden = torch.randn(2, 5, 3, 4)
    grid = token_grid(hidden, PretrainedConfig(), height=12, width=16)
    assert torch.equal(grid[1, 2, 3], hidden[1, :, 2, 3])


@pytest.mark.parametrize("count", [5, 6 + 3])
def test_tokens_that_are_not_those_of_the_grid_have_none(count):
    assert token_grid(numbered(count), PretrainedConfig(patch_size=8), height=16, width=24) is None


def test_stages_have_no_token_beside_their_grid():
    config = PretrainedConfig(patch_size=4, depths=[1, 1])
    assert token_grid(numbered(4), config, height=16, width=16).shape == (1, 2, 2, 1)
    assert token_grid(numbered(5), config, height=16, width=16) is None


def test_a_model_without_patches_has_none():
    assert token_grid(numbered(6), PretrainedConfig(), height=16, width=24) is None
