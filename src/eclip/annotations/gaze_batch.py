"""The gaze of a batch as tensors: moved with the images, then rendered at the size needed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from eclip.annotations.annotation import Fixation
from eclip.annotations.heatmap import DEFAULT_SIGMA, NEGLIGIBLE

_FIELDS = 9  # x, y, seconds, σx, σy, left, top, right, bottom
_CHUNK = 16  # images whose profiles and maps stay in the processor's cache


@dataclass(frozen=True, slots=True)
class GazeBatch:
    """Fixations of B images, padded to the longest scan path N; padding has no duration.

    Attributes:
        x: (B, N) fractions of the width; y: (B, N) fractions of the height.
        seconds: (B, N) durations.
        sigma_x: (B, N) fractions of the width; sigma_y: (B, N) fractions of the height.
        visible: (B, N, 4) left, top, right, bottom of what was on the screen.
    """

    x: Tensor
    y: Tensor
    seconds: Tensor
    sigma_x: Tensor
    sigma_y: Tensor
    visible: Tensor

    @classmethod
    def pack(
        cls, paths: Sequence[Sequence[Fixation]], *, aspect: Sequence[float] | float = 1.0
    ) -> "GazeBatch":
        """One tensor row an image.

        Args:
            paths: Fixations of each image, possibly none.
            aspect: Width / height of each image, for fixations whose σ is not known.
        """
        ratios = [aspect] * len(paths) if isinstance(aspect, int | float) else list(aspect)
        longest = max((len(path) for path in paths), default=0)
        padding = (0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0)
        rows = [
            [
                (
                    f.x, f.y, f.duration,
                    f.sigma_x or DEFAULT_SIGMA, f.sigma_y or DEFAULT_SIGMA * ratio,
                    *f.visible,
                )
                for f in path
            ]
            + [padding] * (longest - len(path))
            for path, ratio in zip(paths, ratios, strict=True)
        ]  # fmt: skip
        table_BNF = torch.tensor(rows, dtype=torch.float32).reshape(len(paths), longest, _FIELDS)
        broken_BN = ~torch.isfinite(table_BNF).all(-1)
        table_BNF[broken_BN] = torch.tensor(padding)
        return cls(*table_BNF[..., :5].unbind(-1), table_BNF[..., 5:])

    def transform(self, matrix_B33: Tensor) -> "GazeBatch":
        """The gaze on images that were moved by affine maps of fractions, (B, 3, 3).

        A Gaussian keeps its variance along each axis of the new image; a visible box becomes the box around it.
        """
        matrix = matrix_B33.to(self.x)
        (a, b, c), (d, e, f) = matrix[:, 0, :, None].unbind(1), matrix[:, 1, :, None].unbind(1)
        corners_x = self.visible[..., [0, 2, 0, 2]]
        corners_y = self.visible[..., [1, 1, 3, 3]]
        moved_x = a[..., None] * corners_x + b[..., None] * corners_y + c[..., None]
        moved_y = d[..., None] * corners_x + e[..., None] * corners_y + f[..., None]
        box = (moved_x.amin(-1), moved_y.amin(-1), moved_x.amax(-1), moved_y.amax(-1))
        return GazeBatch(
            x=a * self.x + b * self.y + c,
            y=d * self.x + e * self.y + f,
            seconds=self.seconds,
            sigma_x=torch.hypot(a * self.sigma_x, b * self.sigma_y),
            sigma_y=torch.hypot(d * self.sigma_x, e * self.sigma_y),
            visible=torch.stack(box, dim=-1),
        )

    def render(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """The maps of `eclip.annotations.render`, all at once.

        Each Gaussian is a product of a row and a column, and a sum of such products is a product of matrices: N·(H + W)
        exponentials and one matrix product an image instead of N·H·W exponentials.

        Returns:
            (B, H, W) float32 with maximum 1, zero where there is no annotation; and (B,) bool, whether there is one.
        """
        left, top, right, bottom = self.visible.unbind(-1)
        weight_BN = self.seconds / (self.sigma_x * self.sigma_y)
        map_BHW = self.x.new_empty((len(self.x), height, width))
        for rows in torch.arange(len(self.x)).split(_CHUNK):
            part = slice(int(rows[0]), int(rows[-1]) + 1)
            across_BNW = _profile(self.x[part], self.sigma_x[part], left[part], right[part], width)
            down_BNH = _profile(self.y[part], self.sigma_y[part], top[part], bottom[part], height)
            down_BNH *= weight_BN[part, :, None]
            map_bHW = torch.bmm(down_BNH.transpose(1, 2), across_BNW, out=map_BHW[part])
            highest_b = map_bHW.flatten(1).amax(1)
            map_bHW *= torch.where(torch.isfinite(highest_b) & (highest_b > 0), 1 / highest_b, 0.0)[:, None, None]
        return map_BHW, map_BHW.flatten(1).amax(1) > 0


def _profile(centre_BN: Tensor, sigma_BN: Tensor, low_BN: Tensor, high_BN: Tensor, size: int) -> Tensor:
    """One side of separable Gaussians, (B, N, size), zero at pixel centres outside [low, high]."""
    at = (torch.arange(size, dtype=torch.float32, device=centre_BN.device) + 0.5) / size
    steepness = (0.5**0.5 / sigma_BN)[..., None]
    values = (at - centre_BN[..., None]).mul_(steepness).square_().neg_().exp_()
    values = torch.threshold_(values, NEGLIGIBLE, 0.0)
    if bool((low_BN > at[0]).any() | (high_BN < at[-1]).any()):
        values *= (at >= low_BN[..., None]) & (at <= high_BN[..., None])
    return values
