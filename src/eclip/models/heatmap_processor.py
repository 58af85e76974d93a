"""Heatmap processors: image + heatmap -> the expert's view of the image (section 3.2 of the paper).

A processor is a part of training. The CLIP it serves never knows of it.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(slots=True, kw_only=True)
class HeatmapProcessorConfig:
    """Size of the attention processor; the published model has patch 16, width 256 and 8 heads."""

    patch_size: int = 16
    width: int = 256
    heads: int = 8


class AttentionProcessor(nn.Module):
    """The paper's processor: multi-head attention over patches.

    Queries are patches of the image covered by the heatmap (E ⊙ I), keys and values are patches of the image; the
    attended patches are put together to an image again. Without annotation E = 1, where priming teaches it to give
    the image back. `channels` is that of the images, 1 or 3; any height and width.
    """

    def __init__(self, config: HeatmapProcessorConfig, *, channels: int = 1) -> None:
        super().__init__()
        self.config, self.channels = config, channels
        patch, width = config.patch_size, config.width
        self.patchify = nn.Conv2d(channels, width, patch, stride=patch)
        self.attention = nn.MultiheadAttention(width, config.heads, batch_first=True)
        self.projection = nn.Linear(width, width)
        self.unpatchify = nn.ConvTranspose2d(width, channels, patch, stride=patch)

    def forward(self, image_BCHW: Tensor, heatmap_B1HW: Tensor) -> Tensor:
        """Normalised images (B, C, H, W) and heatmaps (B, 1, H, W) in [0, 1] to expert views (B, C, H, W)."""
        height, width = image_BCHW.shape[-2:]
        patch = self.config.patch_size
        padding = (0, -width % patch, 0, -height % patch)
        image = F.pad(image_BCHW, padding, mode="replicate")
        heatmap = F.pad(heatmap_B1HW, padding, mode="replicate")
        query_BCrc = self.patchify(image * heatmap)
        query_BNC = query_BCrc.flatten(2).transpose(1, 2)
        key_BNC = self.patchify(image).flatten(2).transpose(1, 2)
        attended_BNC, _ = self.attention(query_BNC, key_BNC, key_BNC, need_weights=False)
        patches_BCrc = self.projection(attended_BNC).transpose(1, 2).unflatten(2, query_BCrc.shape[2:])
        return self.unpatchify(patches_BCrc)[..., :height, :width]
