"""How pixels reach an encoder. Travels with the weights: with other pixels than it learned, it is another model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from eclip.data.images import fit


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """Resize the shorter side to `size`, crop the centre, scale to [0, 1], normalise.

    Attributes:
        size: Side of the square the encoder sees, in pixels.
        mean: Grey level that becomes 0. The default pair is the published one for MIMIC-CXR.
        std: Grey levels that become 1.
    """

    size: int = 224
    mean: float = 0.58
    std: float = 0.26

    def normalise(self, image_BCHW: Tensor) -> Tensor:
        """Images in [0, 1] to what the encoder sees; any shape."""
        return (image_BCHW - self.mean) / self.std

    def restore(self, pixel_values_BCHW: Tensor) -> Tensor:
        """The inverse of `normalise`, clipped to [0, 1], for pictures."""
        return (pixel_values_BCHW * self.std + self.mean).clamp(0, 1)

    def __call__(self, images: Sequence[np.ndarray]) -> Tensor:
        """uint8 images (H, W) of any size to pixel values (B, 1, size, size)."""
        image_BHW = np.stack([fit(image, self.size) for image in images])
        return self.normalise(torch.from_numpy(image_BHW).unsqueeze(1).float() / 255)
