"""Many scan paths at once: carried through the augmentation of their images, and drawn as heatmaps.

A heatmap may be drawn in T slices: what was looked at in each of T equal shares of the reading's time. The slices add
up to the heatmap.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from eclip.annotations.annotation import Fixation
from eclip.annotations.heatmap import NEGLIGIBLE, Floats, drawable, near

_NOTHING = (0.5, 0.5, 0, 1, 1, 0, 0, 1, 1)  # fills shorter scan paths: no seconds, no weight
_CHUNK = 16  # slices of images whose profiles and maps stay in the processor's cache


@dataclass(frozen=True, slots=True)
class GazeBatch:
    """The fixations of B images in T slices each, padded to the longest N with fixations that last 0 seconds.

    Row b · T + t holds the fixations of slice t of image b. Coordinates and sigmas are fractions of image width and
    height.

    Attributes:
        x: (B · T, N).
        y: (B · T, N).
        weight: Seconds, (B · T, N).
        sigma_x: (B · T, N).
        sigma_y: (B · T, N).
        visible: x0, y0, x1, y1 of what was on the screen, (B · T, N, 4).
        slices: T.
    """

    x: Tensor
    y: Tensor
    weight: Tensor
    sigma_x: Tensor
    sigma_y: Tensor
    visible: Tensor
    slices: int = 1

    @classmethod
    def pack(
        cls, fixations: Sequence[Sequence[Fixation]], *, aspect: Sequence[float] | float = 1.0
    ) -> "GazeBatch":
        """Pack scan paths, without the fixations that cannot be drawn, in one slice.

        Args:
            fixations: One scan path for each image.
            aspect: Width of the images divided by their height, for fixations that have no sigma of their own.
        """
        return cls.pack_readings([[path] for path in fixations], aspect=aspect)

    @classmethod
    def pack_readings(
        cls,
        readings: Sequence[Sequence[Sequence[Fixation]]],
        *,
        aspect: Sequence[float] | float = 1.0,
        slices: int = 1,
    ) -> "GazeBatch":
        """Pack what several readers looked at, each reading cut into slices along its own time.

        Args:
            readings: For each image one scan path a reading.
            aspect: As for `pack`.
            slices: T, equal shares of the time from a reading's first fixation to the end of its last; a fixation
                that crosses a border is cut there.
        """
        rows: list[Floats] = []
        for paths, ratio in zip(readings, np.broadcast_to(aspect, len(readings)), strict=True):
            drawn = [drawable(path, float(ratio)) for path in paths]
            cut = [in_slices(path_NX, slices) for path_NX in drawn if len(path_NX)]
            rows += map(np.concatenate, zip(*cut, strict=True)) if cut else [np.empty((0, 9))] * slices
        numbers_RN9 = np.full((len(rows), max([1, *map(len, rows)]), 9), _NOTHING, np.float32)
        for row, path_N9 in zip(numbers_RN9, rows, strict=True):
            row[: len(path_N9)] = path_N9
        x, y, weight, sigma_x, sigma_y = torch.from_numpy(numbers_RN9[..., :5]).unbind(-1)
        return cls(x, y, weight, sigma_x, sigma_y, torch.from_numpy(numbers_RN9[..., 5:]), slices)

    def transform(self, matrix_B33: Tensor) -> "GazeBatch":
        """Move the fixations along with their images.

        Args:
            matrix_B33: Affine maps from fractions of the old images to fractions of the new: `M @ (x, y, 1)`.

        Returns:
            Fixations whose sigmas are the extents of the mapped Gaussians (square roots of the diagonal of
            `J Σ Jᵀ`), visible in the upright box around the corners of what was visible.
        """
        matrix_R33 = matrix_B33.to(self.x).repeat_interleave(self.slices, 0)
        (xx, xy, dx), (yx, yy, dy) = matrix_R33[:, :2].permute(1, 2, 0)[..., None]  # (B · T, 1) each
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

        Returns:
            Heatmaps (B, H, W) in [0, 1], and which of them show anything, (B,) bool; the others are zero.
        """
        map_BTHW, usable_B = self.render_slices(height, width)
        return map_BTHW.sum(1) if self.slices > 1 else map_BTHW[:, 0], usable_B

    def render_slices(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Draw the slices of all heatmaps; they add up to what `render` gives, of which the highest point is 1.

        A Gaussian along x times one along y: the sum over fixations is one matrix product for each image.

        Returns:
            Slices (B, T, H, W), and which images have one that shows anything, (B,) bool; the others are zero.
        """
        x0, y0, x1, y1 = self.visible.unbind(-1)
        peak_RN = self.weight / (self.sigma_x * self.sigma_y)
        map_RHW = self.x.new_empty((len(self.x), height, width))
        map_BTHW = map_RHW.unflatten(0, (-1, self.slices))
        highest_B = self.x.new_empty(len(map_BTHW))
        images = max(1, _CHUNK // self.slices)
        for first in range(0, len(map_BTHW), images):
            part, rows = (slice(first * size, (first + images) * size) for size in (1, self.slices))
            x_RNW = _profile(self.x[rows], self.sigma_x[rows], x0[rows], x1[rows], width)
            y_RNH = _profile(self.y[rows], self.sigma_y[rows], y0[rows], y1[rows], height)
            y_RNH *= peak_RN[rows, :, None]
            torch.bmm(y_RNH.mT, x_RNW, out=map_RHW[rows])
            whole_BHW = map_BTHW[part].sum(1) if self.slices > 1 else map_RHW[rows]
            torch.amax(whole_BHW.flatten(1), 1, out=highest_B[part])
            map_BTHW[part].mul_((1 / highest_B[part])[:, None, None, None])
        near_RN = near(self.x, self.y, self.sigma_x, self.sigma_y) & (self.weight > 0)
        near_B = near_RN.any(1).unflatten(0, (-1, self.slices)).any(1)
        usable_B = near_B & (highest_B > 0) & highest_B.isfinite()
        if not usable_B.all():
            map_BTHW[~usable_B] = 0
        return map_BTHW, usable_B


def in_slices(path_NX: Floats, slices: int) -> list[Floats]:
    """What `drawable` gives of one reading, cut at the borders of T equal shares of its time.

    Returns:
        For each slice its fixations (n, 9), the third number being their seconds in this slice.
    """
    *_, start_N, end_N = path_NX.T
    share_T1 = np.arange(slices + 1) / slices
    border_T1 = (
        start_N.min() * (1 - share_T1) + end_N.max() * share_T1
    )  # exact at both ends, without overflow
    cut = []
    for low, high in pairwise(border_T1):
        seconds_N = np.minimum(end_N, high) - np.maximum(start_N, low)
        slice_N9 = path_NX[:, :9].copy()
        slice_N9[:, 2] = seconds_N
        cut.append(slice_N9[seconds_N > 0])
    return cut


def _profile(centre_BN: Tensor, sigma_BN: Tensor, low_BN: Tensor, high_BN: Tensor, size: int) -> Tensor:
    """The Gaussians (B, N, size) along one side of the images, zero beside what was visible of them."""
    pixel = (torch.arange(size, device=centre_BN.device) + 0.5) / size
    steepness = (0.5**0.5 / sigma_BN)[..., None]
    gaussian = (pixel - centre_BN[..., None]).mul_(steepness).square_().neg_().exp_()
    torch.threshold_(gaussian, NEGLIGIBLE, 0.0)
    if bool(((low_BN > pixel[0]) | (high_BN < pixel[-1])).any()):
        gaussian *= (low_BN[..., None] <= pixel) & (pixel <= high_BN[..., None])
    return gaussian
