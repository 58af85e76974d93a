"""Many scan paths at once: carried through the augmentation of their images, and drawn as heatmaps."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from eclip.annotations.annotation import Fixation
from eclip.annotations.heatmap import NEGLIGIBLE, drawable

_NOTHING = (0.5, 0.5, 0, 1, 1, 0, 0, 1, 1)  # fills shorter scan paths: no seconds, no weight
_CHUNK = 16  # images whose profiles and maps stay in the processor's cache


@dataclass(frozen=True, slots=True)
class GazeBatch:
    """The fixations of B images, padded to the longest scan path N with fixations that last 0 seconds.

    Coordinates and sigmas are fractions of image width and height.

    Attributes:
        x: (B, N).
        y: (B, N).
        weight: Seconds, (B, N).
        sigma_x: (B, N).
        sigma_y: (B, N).
        visible: x0, y0, x1, y1 of what was on the screen, (B, N, 4).
    """

    x: Tensor
    y: Tensor
    weight: Tensor
    sigma_x: Tensor
    sigma_y: Tensor
    visible: Tensor

    @classmethod
    def pack(
        cls, fixations: Sequence[Sequence[Fixation]], *, aspect: Sequence[float] | float = 1.0
    ) -> "GazeBatch":
        """Pack scan paths, without the fixations that cannot be drawn.

        Args:
            fixations: One scan path for each image.
            aspect: Width of the images divided by their height, for fixations that have no sigma of their own.
        """
        aspects = np.broadcast_to(aspect, len(fixations))
        paths = [drawable(path, float(ratio)) for path, ratio in zip(fixations, aspects, strict=True)]
        numbers_BN9 = np.full((len(paths), max([1, *map(len, paths)]), 9), _NOTHING, np.float32)
        for row, path_N9 in zip(numbers_BN9, paths, strict=True):
            row[: len(path_N9)] = path_N9
        x, y, weight, sigma_x, sigma_y = torch.from_numpy(numbers_BN9[..., :5]).unbind(-1)
        return cls(x, y, weight, sigma_x, sigma_y, torch.from_numpy(numbers_BN9[..., 5:]))

    def transform(self, matrix_B33: Tensor) -> "GazeBatch":
        """Move the fixations along with their images.

        Args:
            matrix_B33: Affine maps from fractions of the old images to fractions of the new: `M @ (x, y, 1)`.

        Returns:
            Fixations whose sigmas are the extents of the mapped Gaussians (square roots of the diagonal of
            `J Σ Jᵀ`), visible in the upright box around the corners of what was visible.
        """
        (xx, xy, dx), (yx, yy, dy) = matrix_B33.to(self.x)[:, :2].permute(1, 2, 0)[..., None]  # (B, 1) each
        x0, y0, x1, y1 = self.visible.unbind(-1)
        corner_x, corner_y = torch.stack([x0, x1, x0, x1]), torch.stack([y0, y0, y1, y1])
        new_x = xx * corner_x + xy * corner_y + dx
        new_y = yx * corner_x + yy * corner_y + dy
        return replace(
            self,
            x=xx * self.x + xy * self.y + dx,
            y=yx * self.x + yy * self.y + dy,
            sigma_x=torch.hypot(xx * self.sigma_x, xy * self.sigma_y),
            sigma_y=torch.hypot(yx * self.sigma_x, yy * self.sigma_y),
            visible=torch.stack([new_x.amin(0), new_y.amin(0), new_x.amax(0), new_y.amax(0)], dim=-1),
        )

    def render(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Draw all heatmaps; the same numbers as `eclip.annotations.render`.

        A Gaussian along x times one along y: the sum over fixations is one matrix product for each image.

        Returns:
            Heatmaps (B, H, W) in [0, 1], and which of them show anything, (B,) bool; the others are zero.
        """
        x0, y0, x1, y1 = self.visible.unbind(-1)
        peak_BN = self.weight / (self.sigma_x * self.sigma_y)
        map_BHW = self.x.new_empty((len(self.x), height, width))
        highest_B = self.x.new_empty(len(self.x))
        for first in range(0, len(self.x), _CHUNK):
            part = slice(first, first + _CHUNK)
            x_BNW = _profile(self.x[part], self.sigma_x[part], x0[part], x1[part], width)
            y_BNH = _profile(self.y[part], self.sigma_y[part], y0[part], y1[part], height)
            y_BNH *= peak_BN[part, :, None]
            torch.bmm(y_BNH.mT, x_BNW, out=map_BHW[part])
            torch.amax(map_BHW[part].flatten(1), 1, out=highest_B[part])
            map_BHW[part].mul_((1 / highest_B[part])[:, None, None])
        usable_B = (highest_B > 0) & highest_B.isfinite()
        if not usable_B.all():
            map_BHW[~usable_B] = 0
        return map_BHW, usable_B


def _profile(centre_BN: Tensor, sigma_BN: Tensor, low_BN: Tensor, high_BN: Tensor, size: int) -> Tensor:
    """The Gaussians (B, N, size) along one side of the images, zero beside what was visible of them."""
    pixel = (torch.arange(size, device=centre_BN.device) + 0.5) / size
    steepness = (0.5**0.5 / sigma_BN)[..., None]
    gaussian = (pixel - centre_BN[..., None]).mul_(steepness).square_().neg_().exp_()
    torch.threshold_(gaussian, NEGLIGIBLE, 0.0)
    if bool(((low_BN > pixel[0]) | (high_BN < pixel[-1])).any()):
        gaussian *= (low_BN[..., None] <= pixel) & (pixel <= high_BN[..., None])
    return gaussian
