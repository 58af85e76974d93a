"""Heatmap processors: image + heatmap -> the expert's view of the image (section 3.2 of the paper).

A processor is a part of training. The CLIP it serves never knows of it.
"""

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eclip.errors import InputError
from eclip.models.positions import positions

ProcessorKind = Literal["attention", "mask", "convolution"]


@dataclass(slots=True, kw_only=True)
class HeatmapProcessorConfig:
    """Which heatmap processor; the defaults are the published one.

    Attributes:
        kind: "attention" over patches (the paper's), "mask" (E ⊙ I), or "convolution" over image and heatmap.
        residual: Add a change that starts at zero to the image: the identity before training, nothing to prime.
        patch_size: Side of a patch in pixels; attention.
        width: Channels of a patch; attention.
        heads: Attention heads.
        query: What asks: patches of E ⊙ I, or these plus the patches of I; attention.
        positions: Whether queries and keys know where they are; attention.
        filters: Channels between the layers; convolution.
        layers: Layers of 3 × 3; convolution.
        slices: In how many equal shares of a reading's time the heatmap is given; attention and convolution.
    """

    kind: ProcessorKind = "attention"
    residual: bool = False
    patch_size: int = 16
    width: int = 256
    heads: int = 8
    query: Literal["masked", "masked+image"] = "masked"
    positions: bool = False
    filters: int = 16
    layers: int = 3
    slices: int = 1

    @property
    def starts_as_identity(self) -> bool:
        """h(I, 1) = I before any training, so that priming finds nothing to teach."""
        return self.kind == "mask" or self.residual

    @property
    def has_parameters(self) -> bool:
        """Whether there is anything to train."""
        return self.kind != "mask" or self.residual

    def check(self) -> None:
        """Refuse values out of range, and settings of another kind.

        Raises:
            InputError: Names the setting as an option of `eclip train`.
        """
        if self.kind not in PROCESSORS:
            raise InputError(f"--method.processor.kind {self.kind}: not one of {', '.join(PROCESSORS)}")
        for setting in fields(self):
            owners = [kind for kind, processor in PROCESSORS.items() if setting.name in processor.settings]
            value = getattr(self, setting.name)
            if owners and self.kind not in owners and value != setting.default:
                raise InputError(
                    f"--method.processor.{setting.name.replace('_', '-')} {value}: has no effect on kind "
                    f"{self.kind}; leave it out, or give --method.processor.kind {' or '.join(owners)}"
                )
        least_values = {"patch_size": 1, "width": 1, "heads": 1, "filters": 1, "layers": 2, "slices": 1}
        for name, least in least_values.items():
            if getattr(self, name) < least:
                flag = name.replace("_", "-")
                raise InputError(f"--method.processor.{flag} {getattr(self, name)}: must be at least {least}")
        if self.width % self.heads:
            raise InputError(
                f"--method.processor.width {self.width}: must be a multiple of the {self.heads} heads"
            )
        if self.positions and self.width % 4:
            raise InputError(
                f"--method.processor.width {self.width}: must be a multiple of 4 to hold positions"
            )


class HeatmapProcessor(nn.Module):
    """Image and heatmap to an expert view of the image.

    The heatmap may come in T slices that add up to it, one for each of T equal shares of the reading's time. A
    processor of slices starts blind to time: before training, its view depends on their sum alone.

    Attributes:
        config: What `build_processor` makes it from again.
        channels: Of the images, 1 or 3.
        settings: Those fields of the configuration that this kind has for itself.
    """

    settings: ClassVar[frozenset[str]] = frozenset()
    config: HeatmapProcessorConfig
    channels: int

    def __init__(self, config: HeatmapProcessorConfig, *, channels: int = 1) -> None:
        super().__init__()
        self.config, self.channels = config, channels

    def forward(self, image_BCHW: Tensor, heatmap_BTHW: Tensor) -> Tensor:
        """Normalised images (B, C, H, W) and heatmaps (B, T, H, W) in [0, 1] to expert views (B, C, H, W)."""
        raise NotImplementedError

    def no_annotation(self, image_BCHW: Tensor) -> Tensor:
        """The heatmaps (B, T, H, W) of images that nobody annotated: E = 1, its time evenly spread."""
        slices = self.config.slices
        return torch.ones_like(image_BCHW[:, :1]).expand(-1, slices, -1, -1) / slices


class AttentionProcessor(HeatmapProcessor):
    """The paper's processor: multi-head attention over patches.

    Queries are patches of the image covered by the heatmap (E ⊙ I), keys and values are patches of the image; the
    attended patches are put together to an image again. Without annotation E = 1, where priming teaches it to give
    the image back. Any height and width. Open in the paper, and set by the configuration:

    - `query` "masked+image": the embedded patches of I are added to those of E ⊙ I.
    - `positions`: sines and cosines of row and column (Vaswani et al. 2017, section 3.5, half of the width each)
      are added to queries and keys; values stay patches of the image.
    - `residual`: I + the above, whose last layer starts at zero.

    With slices, queries are patches of E_t ⊙ I of all t, concatenated as channels, with an embedding of their own.
    """

    settings = frozenset({"patch_size", "width", "heads", "query", "positions", "slices"})

    def __init__(self, config: HeatmapProcessorConfig, *, channels: int = 1) -> None:
        super().__init__(config, channels=channels)
        patch, width = config.patch_size, config.width
        self.patchify = nn.Conv2d(channels, width, patch, stride=patch)
        self.attention = nn.MultiheadAttention(width, config.heads, batch_first=True)
        self.projection = nn.Linear(width, width)
        self.unpatchify = nn.ConvTranspose2d(width, channels, patch, stride=patch)
        if config.residual:
            _zero(self.unpatchify)
        self.patchify_slices: nn.Conv2d | None = None
        if config.slices > 1:
            self.patchify_slices = nn.Conv2d(config.slices * channels, width, patch, stride=patch)
            blind_to_time = self.patchify.weight.detach().repeat(1, config.slices, 1, 1)
            self.patchify_slices.load_state_dict({"weight": blind_to_time, "bias": self.patchify.bias})

    def forward(self, image_BCHW: Tensor, heatmap_BTHW: Tensor) -> Tensor:
        """Normalised images (B, C, H, W) and heatmaps (B, T, H, W) in [0, 1] to expert views (B, C, H, W)."""
        return self.view(image_BCHW, heatmap_BTHW, source_BCHW=image_BCHW)

    def view(self, image_BCHW: Tensor, heatmap_BTHW: Tensor, *, source_BCHW: Tensor) -> Tensor:
        """As `forward`, but with keys and values from another image (B, C, H, W)."""
        height, width = image_BCHW.shape[-2:]
        query_BNC, key_BNC, value_BNC = self._tokens(image_BCHW, heatmap_BTHW, source_BCHW)
        attended_BNC, _ = self.attention(query_BNC, key_BNC, value_BNC, need_weights=False)
        rows = -(-height // self.config.patch_size)
        patches_BCrc = self.projection(attended_BNC).transpose(1, 2).unflatten(2, (rows, -1))
        view_BCHW = self.unpatchify(patches_BCrc)[..., :height, :width]
        return image_BCHW + view_BCHW if self.config.residual else view_BCHW

    def weights(self, image_BCHW: Tensor, heatmap_BTHW: Tensor) -> Tensor:
        """What each of the N patches attends to: (B, heads, N, N), sums over the last are 1."""
        tokens = self._tokens(image_BCHW, heatmap_BTHW, image_BCHW)
        return self.attention(*tokens, need_weights=True, average_attn_weights=False)[1]

    def _tokens(
        self, image_BCHW: Tensor, heatmap_BTHW: Tensor, source_BCHW: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values (B, N, width); patches run by row, borders are repeated to fill the last."""
        height, width = image_BCHW.shape[-2:]
        patch = self.config.patch_size
        padding = (0, -width % patch, 0, -height % patch)
        image, heatmap, source = (
            F.pad(picture, padding, mode="replicate") for picture in (image_BCHW, heatmap_BTHW, source_BCHW)
        )
        masked = (heatmap[:, :, None] * image[:, None]).flatten(1, 2)  # (B, T · C, H, W)
        query_BNC = _tokens_of(masked, self.patchify_slices or self.patchify)
        key_BNC = value_BNC = _tokens_of(source, self.patchify)
        if self.config.query == "masked+image":
            query_BNC = query_BNC + _tokens_of(image, self.patchify)
        if self.config.positions:
            rows, columns = image.shape[-2] // patch, image.shape[-1] // patch
            position_NC = positions(rows, columns, self.config.width).to(query_BNC)
            query_BNC, key_BNC = query_BNC + position_NC, key_BNC + position_NC
        return query_BNC, key_BNC, value_BNC


class MaskProcessor(HeatmapProcessor):
    """E ⊙ I, no parameters; it multiplies the normalised image, so that E = 0 gives the mean grey, not black.

    Residual: I + g (E ⊙ I − I) with one learned gate g that starts at zero.
    """

    def __init__(self, config: HeatmapProcessorConfig, *, channels: int = 1) -> None:
        super().__init__(config, channels=channels)
        self.gate = nn.Parameter(torch.zeros(())) if config.residual else None

    def forward(self, image_BCHW: Tensor, heatmap_BTHW: Tensor) -> Tensor:
        """Normalised images (B, C, H, W) and heatmaps (B, 1, H, W) in [0, 1] to expert views (B, C, H, W)."""
        masked_BCHW = heatmap_BTHW * image_BCHW
        return masked_BCHW if self.gate is None else image_BCHW + self.gate * (masked_BCHW - image_BCHW)


class ConvolutionProcessor(HeatmapProcessor):
    """A small CNN on the image and the heatmap, or its slices, as further channels: 3 × 3 layers, GELU between them.

    Borders are repeated, so that height and width may be any. Residual: I + the above, whose last layer starts at
    zero.
    """

    settings = frozenset({"filters", "layers", "slices"})

    def __init__(self, config: HeatmapProcessorConfig, *, channels: int = 1) -> None:
        super().__init__(config, channels=channels)
        widths = [channels + config.slices, *[config.filters] * (config.layers - 1), channels]
        layers: list[nn.Module] = []
        for inner, outer in pairwise(widths):
            layers += [nn.Conv2d(inner, outer, 3, padding=1, padding_mode="replicate"), nn.GELU()]
        self.layers = nn.Sequential(*layers[:-1])
        weight = self.layers[0].get_parameter("weight").data
        weight[:, channels:] = weight[:, channels : channels + 1].clone()  # blind to time
        if config.residual:
            _zero(self.layers[-1])

    def forward(self, image_BCHW: Tensor, heatmap_BTHW: Tensor) -> Tensor:
        """Normalised images (B, C, H, W) and heatmaps (B, T, H, W) in [0, 1] to expert views (B, C, H, W)."""
        view_BCHW: Tensor = self.layers(torch.cat([image_BCHW, heatmap_BTHW], dim=1))
        return image_BCHW + view_BCHW if self.config.residual else view_BCHW


PROCESSORS: dict[str, type[HeatmapProcessor]] = {
    "attention": AttentionProcessor,
    "mask": MaskProcessor,
    "convolution": ConvolutionProcessor,
}


def build_processor(config: HeatmapProcessorConfig, *, channels: int = 1) -> HeatmapProcessor:
    """The processor of that kind, with fresh weights.

    Raises:
        InputError: A value out of range, or a setting of another kind.
    """
    config.check()
    return PROCESSORS[config.kind](config, channels=channels)


def _tokens_of(image_BCHW: Tensor, patchify: nn.Conv2d) -> Tensor:
    """Embedded patches (B, N, width)."""
    return patchify(image_BCHW).flatten(2).transpose(1, 2)


def _zero(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
