"""Heatmaps that know nothing of the image: what an expert method must beat to show that the expert counts."""

import numpy as np
import torch
from torch import Tensor

CENTRE_SIGMA = 0.25
"""Spread of the centre bias, as a fraction of the side."""


def centre_bias(height: int, width: int) -> Tensor:
    """A Gaussian in the middle of the image, (H, W) float32, 1 at its top: where eyes rest when they see nothing."""
    y_H1 = (torch.arange(height)[:, None] + 0.5) / height - 0.5
    x_W = (torch.arange(width) + 0.5) / width - 0.5
    return torch.exp(-(x_W**2 + y_H1**2) / (2 * CENTRE_SIGMA**2))


def elsewhere(map_HW: Tensor, draw: np.random.Generator) -> Tensor:
    """A square map turned by quarters, perhaps mirrored, and moved round its edges, each uniformly at random.

    So it has the values, the spread and the smoothness of the recorded map, at places drawn from anywhere. The slices
    (T, H, W) of a map are moved together.
    """
    assert map_HW.shape[-2] == map_HW.shape[-1]
    turned = torch.rot90(map_HW, int(draw.integers(4)), dims=(-2, -1))
    turned = turned.mT if draw.integers(2) else turned
    rows, columns = draw.integers(map_HW.shape[-1], size=2)
    return turned.roll((int(rows), int(columns)), dims=(-2, -1))
