"""How pixels reach an encoder. Travels with the weights: with other pixels than it learned, it is another model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from eclip.data.images import fit

Level = float | tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """Resize the shorter side to `size`, crop the centre, scale to [0, 1], normalise.

    Attributes:
        size: Side of the square the encoder sees, in pixels.
        mean: Grey level that becomes 0; three, one a channel, for models of colour pictures. The default pair is the
            published one for MIMIC-CXR.
        std: Grey levels that become 1; one or three.
    """

    size: int = 224
    mean: Level = 0.58
    std: Level = 0.26

    @classmethod
    def from_json(cls, settings: Mapping[str, Any]) -> Self:
        """From its fields as JSON keeps them: lists where there are three levels."""
        mean, std = (tuple(of) if isinstance(of, list) else of for of in (settings["mean"], settings["std"]))
        return cls(**{**settings, "mean": mean, "std": std})

    @property
    def channels(self) -> int:
        """Of normalised grey images: 3 where channels are normalised apart, else 1."""
        return 3 if isinstance(self.mean, tuple) or isinstance(self.std, tuple) else 1

    def normalise(self, image_BCHW: Tensor) -> Tensor:
        """Images in [0, 1] to what the encoder sees; any shape, or (B, 1 or 3, H, W) to (B, 3, H, W)."""
        return (image_BCHW - _level(self.mean, image_BCHW)) / _level(self.std, image_BCHW)

    def restore(self, pixel_values_BCHW: Tensor) -> Tensor:
        """The inverse of `normalise`, clipped to [0, 1], for pictures."""
        std, mean = _level(self.std, pixel_values_BCHW), _level(self.mean, pixel_values_BCHW)
        return (pixel_values_BCHW * std + mean).clamp(0, 1)

    def __call__(self, images: Sequence[np.ndarray]) -> Tensor:
        """uint8 images (H, W) of any size to pixel values (B, 1 or 3, size, size)."""
        image_BHW = np.stack([fit(image, self.size) for image in images])
        return self.normalise(torch.from_numpy(image_BHW).unsqueeze(1).float() / 255)


def level(values: Sequence[float]) -> Level:
    """Three numbers, one a channel; one where they are alike."""
    red, green, blue = (float(value) for value in values)
    return red if red == green == blue else (red, green, blue)


def levels(of: Level) -> list[float]:
    """One number a channel, as other libraries write them."""
    return list(of) if isinstance(of, tuple) else [of] * 3


def _level(of: Level, like: Tensor) -> float | Tensor:
    """A number, or a tensor (3, 1, 1)."""
    return like.new_tensor(of)[:, None, None] if isinstance(of, tuple) else of
