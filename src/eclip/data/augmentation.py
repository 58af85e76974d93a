"""Paired augmentation: whatever moves the image moves the gaze. Drawn once, applied to both."""

from dataclasses import dataclass

import kornia.augmentation as K
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentationConfig:
    """How far training images are varied. No flips: left and right mean something in a report.

    Attributes:
        degrees: Largest rotation to either side.
        translate: Largest shift as a fraction of the side.
        scale: Smallest and largest magnification.
        contrast: Largest change of contrast and brightness, as a fraction.
        noise: Standard deviation of added noise, in grey levels of [0, 1].
    """

    degrees: float = 8.0
    translate: float = 0.05
    scale: tuple[float, float] = (0.9, 1.15)
    contrast: float = 0.2
    noise: float = 0.02


class Augmentation:
    """Geometry for images, maps and points together; photometry for images alone."""

    def __init__(self, config: AugmentationConfig) -> None:
        self.geometry = K.RandomAffine(
            config.degrees,
            translate=(config.translate, config.translate),
            scale=config.scale,
            padding_mode="zeros",
            p=1.0,
        )
        strength = (1 - config.contrast, 1 + config.contrast)
        self.photometry = K.ImageSequential(
            K.RandomContrast(strength, p=1.0),
            K.RandomBrightness(strength, p=1.0),
            K.RandomGaussianNoise(std=config.noise, p=1.0),
        )

    def __call__(
        self, image_B1HW: Tensor, map_B1HW: Tensor | None = None, *, seed: int
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Vary images in [0, 1].

        Args:
            image_B1HW: Square images.
            map_B1HW: Maps that belong to the images, moved with them.
            seed: The only source of randomness.

        Returns:
            Images, maps, and the matrices (B, 3, 3) that carry fractions of the old image to fractions of the new.
        """
        stack = image_B1HW if map_B1HW is None else torch.cat([image_B1HW, map_B1HW], dim=1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            moved = self.geometry(stack)
            image_B1HW = self.photometry(moved[:, :1]).clamp(0, 1)
        matrix_B33 = _in_fractions(self.geometry.transform_matrix, size=stack.shape[-1])
        return image_B1HW, moved[:, 1:] if map_B1HW is not None else None, matrix_B33


def _in_fractions(pixel_matrix_B33: Tensor, *, size: int) -> Tensor:
    """From pixel indices (the centre of the first pixel is 0) to fractions (its centre is ½ / size)."""
    half = 0.5 / size
    to_fraction = torch.tensor([[1 / size, 0, half], [0, 1 / size, half], [0, 0, 1]])
    return to_fraction @ pixel_matrix_B33 @ torch.linalg.inv(to_fraction)
