"""Where the tokens of a vision model lie in the image."""

import math
from types import SimpleNamespace
from typing import Any

from torch import Tensor
from transformers import PretrainedConfig

MOST_EXTRA_TOKENS = 8  # a class token, a distillation token and registers come before the patches


def token_grid(
    hidden: Tensor, config: PretrainedConfig | SimpleNamespace, *, height: int, width: int
) -> Tensor | None:
    """The patch tokens of a last hidden state by row and column.

    Args:
        hidden: (B, T, C) with class, distillation and register tokens first; or (B, C, h, w), convolutional.
        config: Of the vision model: `patch_size`, and `depths` where stages halve the grid (Swin).
        height: Of the image, in pixels.
        width: The same.

    Returns:
        (B, h, w, C), or None where the tokens are not those of a grid.
    """
    if hidden.ndim == 4:
        return hidden.permute(0, 2, 3, 1)
    patch = getattr(config, "patch_size", None)
    if patch is None:
        return None
    patches = patch if isinstance(patch, tuple | list) else (patch, patch)
    depths = getattr(config, "depths", None)
    if depths:  # hierarchical models fill up the borders, and halve the grid between stages
        stride = 2 ** (len(depths) - 1)
        rows, columns = (
            math.ceil(math.ceil(side / step) / stride)
            for side, step in zip((height, width), patches, strict=True)
        )
    else:
        rows, columns = height // patches[0], width // patches[1]
    extra = hidden.shape[1] - rows * columns
    if not 0 <= extra <= MOST_EXTRA_TOKENS:
        return None
    return hidden[:, extra:].unflatten(1, (rows, columns))


def timm_grid(hidden: Tensor, model: Any, *, height: int, width: int) -> Tensor | None:
    """The same for a timm model, some of which put channels last: (B, h, w, C)."""
    if hidden.ndim == 4:
        channels_last = getattr(model, "output_fmt", None) == "NHWC"
        return hidden if channels_last else hidden.permute(0, 2, 3, 1)
    patch = getattr(getattr(model, "patch_embed", None), "patch_size", None)
    return token_grid(hidden, SimpleNamespace(patch_size=patch), height=height, width=width)
