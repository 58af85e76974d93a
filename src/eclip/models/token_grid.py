"""Where the tokens of a vision model lie in the image."""

import math
from types import SimpleNamespace
from typing import Any

from torch import Tensor
from transformers import PretrainedConfig

OF_CLASS = 2  # a class token and one for distillation come before the patches, and then registers


def token_grid(
    hidden: Tensor, config: PretrainedConfig | SimpleNamespace, *, height: int, width: int
) -> Tensor | None:
    """The patch tokens of a last hidden state by row and column.

    Args:
        hidden: (B, T, C) with class, distillation and register tokens first; or (B, C, h, w), convolutional.
        config: Of the vision model: `patch_size`, `num_register_tokens` if it has any, and `depths` where stages halve
            the grid (Swin).
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
    most = 0 if depths else OF_CLASS + (getattr(config, "num_register_tokens", 0) or 0)
    if not 0 <= extra <= most:
        return None
    return hidden[:, extra:].unflatten(1, (rows, columns))


def timm_grid(hidden: Tensor, model: Any, *, height: int, width: int) -> Tensor | None:
    """The same for a timm model, some of which put channels last: (B, h, w, C)."""
    if hidden.ndim == 4:
        channels_last = getattr(model, "output_fmt", None) == "NHWC"
        return hidden if channels_last else hidden.permute(0, 2, 3, 1)
    patch = getattr(getattr(model, "patch_embed", None), "patch_size", None)
    registers = getattr(model, "num_prefix_tokens", OF_CLASS) - OF_CLASS
    config = SimpleNamespace(patch_size=patch, num_register_tokens=registers)
    return token_grid(hidden, config, height=height, width=width)


def timm_pooled(model: Any, grid_BhwC: Tensor) -> Tensor:
    """Each cell alone through the norm of a timm model that comes after pooling, where it has one."""
    if getattr(model, "fc_norm", None) is not None:  # of ViTs that average their tokens
        normed: Tensor = model.fc_norm(grid_BhwC)
        return normed
    if getattr(getattr(model, "head", None), "norm", None) is None:
        return grid_BhwC
    cell_NC = grid_BhwC.flatten(0, 2)
    channels_last = getattr(model, "output_fmt", None) == "NHWC"
    cells = cell_NC[:, None, None] if channels_last else cell_NC[..., None, None]
    pooled: Tensor = model.forward_head(cells, pre_logits=True)
    return pooled.view_as(grid_BhwC)
