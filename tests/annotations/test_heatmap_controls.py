"""Controls: what they keep of a recorded map and what they lose."""

import math

import numpy as np
import torch

from eclip.annotations.heatmap_controls import CENTRE_SIGMA, centre_bias, elsewhere


def test_centre_bias_is_the_gaussian_at_pixel_centres():
    found = centre_bias(6, 10)
    for row in range(6):
        for column in range(10):
            x, y = (column + 0.5) / 10 - 0.5, (row + 0.5) / 6 - 0.5
            expected = math.exp(-(x * x + y * y) / (2 * CENTRE_SIGMA**2))
            assert abs(float(found[row, column]) - expected) < 1e-6
    odd = centre_bias(7, 7)
    assert odd.argmax() == 24
    assert odd[3, 3] == 1


def test_a_map_moved_elsewhere_keeps_its_values():
    recorded = torch.rand(16, 16, generator=torch.Generator().manual_seed(0))
    for seed in range(20):
        moved = elsewhere(recorded, np.random.default_rng(seed))
        assert torch.equal(moved.flatten().sort().values, recorded.flatten().sort().values)


def test_a_map_moved_elsewhere_keeps_its_smoothness_round_the_edges():
    """Differences to the neighbours, the first and the last row being neighbours."""

    def roughness(map_HW):
        steps = [(map_HW - map_HW.roll(1, dim)).abs().sum() for dim in (0, 1)]
        return sum(steps)

    recorded = torch.rand(16, 16, generator=torch.Generator().manual_seed(0))
    for seed in range(20):
        moved = elsewhere(recorded, np.random.default_rng(seed))
        torch.testing.assert_close(roughness(moved), roughness(recorded))


def test_the_place_is_uniform_and_both_hands_come():
    """A spot of four pixels, one of them marked: 64 places and eight ways to lie, all within 4 sigma."""
    recorded = torch.zeros(8, 8)
    recorded[0, 0], recorded[0, 1], recorded[1, 0] = 1.0, 0.6, 0.3
    places, ways, draws = np.zeros(64), {}, 6400
    draw = np.random.default_rng(0)
    for _ in range(draws):
        moved = elsewhere(recorded, draw)
        top, second, third = (divmod(int((moved == value).int().argmax()), 8) for value in (1.0, 0.6, 0.3))
        places[top[0] * 8 + top[1]] += 1
        way = tuple((a - b) % 8 for other in (second, third) for a, b in zip(other, top, strict=True))
        ways[way] = ways.get(way, 0) + 1
    recorded_values = torch.tensor([1.0, 0.6, 0.3])
    assert torch.isin(recorded_values, recorded).all()
    assert np.abs(places - draws / 64).max() < 4.5 * math.sqrt(draws / 64)
    assert len(ways) == 8
    assert np.abs(np.array(list(ways.values())) - draws / 8).max() < 4 * math.sqrt(draws / 8)
