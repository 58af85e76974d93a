"""What moves the image moves the gaze, by the same amount, and nothing else is random than the seed."""

import pytest
import torch

from eclip.data.augmentation import Augmentation, AugmentationConfig

CALM = AugmentationConfig(contrast=0.0, noise=0.0, degrees=25, translate=0.1, scale=(0.8, 1.25))


def cross(size, x, y, width=1.2):
    """A soft spot at fractions (x, y)."""
    centre = (torch.arange(size) + 0.5) / size
    across, down = (centre - x) * size, (centre - y) * size
    return torch.exp(-(down[:, None] ** 2 + across[None] ** 2) / (2 * width**2))


def centroid(image_HW):
    size = image_HW.shape[-1]
    centre = (torch.arange(size) + 0.5) / size
    weight = image_HW / image_HW.sum()
    return torch.stack([(weight.sum(0) * centre).sum(), (weight.sum(1) * centre).sum()])


@pytest.mark.parametrize("size", [64, 129])
def test_a_drawn_spot_and_its_point_stay_together(size):
    points = torch.tensor([[0.3, 0.4], [0.5, 0.5], [0.62, 0.35], [0.45, 0.7]])
    images = torch.stack([cross(size, *point) for point in points.tolist()])[:, None]
    for seed in range(5):
        moved, maps, matrix = Augmentation(CALM)(images, images, seed=seed)
        homogeneous = torch.cat([points, torch.ones(4, 1)], dim=1)[..., None]
        expected = (matrix @ homogeneous)[:, :2, 0]
        for i in range(4):
            assert (centroid(moved[i, 0]) - expected[i]).abs().max() * size < 0.1  # pixels
            torch.testing.assert_close(maps[i], moved[i])


def test_depends_on_the_seed_alone():
    images = torch.rand(3, 1, 32, 32)
    augment = Augmentation(AugmentationConfig())
    first, _, matrix = augment(images, seed=5)
    torch.rand(10)  # the global generator moves on
    again, _, matrix_again = Augmentation(AugmentationConfig())(images, seed=5)
    torch.testing.assert_close(first, again, atol=0, rtol=0)
    torch.testing.assert_close(matrix, matrix_again, atol=0, rtol=0)
    assert not torch.equal(first, augment(images, seed=6)[0])


def test_leaves_the_global_generator_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    Augmentation(AugmentationConfig())(torch.rand(1, 1, 16, 16, generator=torch.Generator()), seed=1)
    assert torch.equal(torch.rand(3), expected)


def test_photometry_does_not_touch_the_map_and_stays_in_range():
    images, maps = torch.rand(2, 1, 32, 32), torch.rand(2, 1, 32, 32)
    still = AugmentationConfig(degrees=0, translate=0, scale=(1, 1), contrast=0.5, noise=0.2)
    moved, moved_maps, matrix = Augmentation(still)(images, maps, seed=0)
    torch.testing.assert_close(moved_maps, maps, atol=1e-4, rtol=0)
    torch.testing.assert_close(matrix, torch.eye(3).expand(2, 3, 3), atol=1e-5, rtol=0)
    assert not torch.allclose(moved, images, atol=1e-2)
    assert moved.min() >= 0
    assert moved.max() <= 1
