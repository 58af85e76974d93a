"""Losses of gaze and local features against NumPy loops, closed forms, invariances, and one process against many."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from eclip.losses.gather import mean_of_rows
from eclip.losses.gaze import gaze_divergence, gaze_pooled, gaze_weights, saliency_divergence
from many_processes import on_many, on_one

SHAPES = [(1, 1), (2, 3), (5, 4), (3, 7)]


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def case(experts, rows, columns, dim=6):
    """Local features, unit vectors of reports, shares of the gaze; some cells nobody looked at."""
    grid = rand(experts, rows, columns, dim, seed=1) - 0.5
    text = F.normalize(rand(experts, dim, seed=2) - 0.5, dim=1)
    weights = rand(experts, rows, columns, seed=3)
    weights[:, 0, 0] += 0.1
    weights[:, -1, 1:] = 0
    return grid, text, weights / weights.sum((1, 2), keepdim=True)


def weights_loop(heatmap, rows, columns):
    """Mean of the map in each cell by its definition, divided by their sum; H and W multiples of the grid."""
    high, wide = heatmap.shape[0] // rows, heatmap.shape[1] // columns
    means = np.zeros((rows, columns))
    for row in range(rows):
        for column in range(columns):
            for y in range(high):
                for x in range(wide):
                    means[row, column] += heatmap[row * high + y, column * wide + x] / (high * wide)
    return means / means.sum()


def pooled_loop(grid, weights):
    experts, rows, columns, dim = grid.shape
    pooled = np.zeros((experts, dim))
    for i in range(experts):
        for row in range(rows):
            for column in range(columns):
                pooled[i] += weights[i, row, column] * grid[i, row, column]
    return pooled


def divergence_loop(grid, text, weights, temperature):
    """KL(gaze ‖ attention) as written: one cell at a time, 0 · log 0 = 0."""
    experts, rows, columns, _ = grid.shape
    cells, total = [(row, column) for row in range(rows) for column in range(columns)], 0.0
    for i in range(experts):
        cosines = [grid[i][cell] @ text[i] / np.linalg.norm(grid[i][cell]) for cell in cells]
        exponentials = [math.exp(cosine / temperature) for cosine in cosines]
        for cell, exponential in zip(cells, exponentials, strict=True):
            share = weights[i][cell]
            if share:
                total += share * math.log(share / (exponential / sum(exponentials)))
    return total / experts


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
@pytest.mark.parametrize(("high", "wide"), [(1, 1), (4, 4), (3, 5)])
def test_weights_equal_the_means_of_the_cells(rows, columns, high, wide):
    heatmap = rand(3, 1, rows * high, columns * wide)
    found = gaze_weights(heatmap, rows, columns)
    for one, weights in zip(heatmap[:, 0].numpy(), found.numpy(), strict=True):
        np.testing.assert_allclose(weights, weights_loop(one, rows, columns), rtol=1e-12)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (50, 32), (31, 57), (3, 2)])
def test_weights_are_shares_for_any_aspect_ratio_and_turn_with_the_map(height, width):
    """Also where cells do not hold whole pixels."""
    heatmap = rand(4, 1, height, width).float()
    weights = gaze_weights(heatmap, 7, 5)
    assert weights.shape == (4, 7, 5)
    torch.testing.assert_close(weights.sum((1, 2)), torch.ones(4))
    torch.testing.assert_close(gaze_weights(heatmap.flip(2), 7, 5), weights.flip(1))
    torch.testing.assert_close(gaze_weights(heatmap.flip(3), 7, 5), weights.flip(2))
    torch.testing.assert_close(gaze_weights(heatmap.transpose(2, 3), 5, 7), weights.transpose(1, 2))
    torch.testing.assert_close(gaze_weights(0.01 * heatmap, 7, 5), weights)


def test_a_map_that_says_nothing_gives_even_weights():
    heatmap = torch.stack([torch.zeros(1, 16, 24), torch.ones(1, 16, 24)])
    torch.testing.assert_close(gaze_weights(heatmap, 2, 3), torch.full((2, 2, 3), 1 / 6))


def test_one_bright_pixel_picks_its_cell():
    heatmap = torch.zeros(1, 1, 16, 24)
    heatmap[0, 0, 9, 23] = 1e-3
    expected = torch.zeros(1, 2, 3)
    expected[0, 1, 2] = 1
    torch.testing.assert_close(gaze_weights(heatmap, 2, 3), expected)
    grid = rand(1, 2, 3, 5).float()
    torch.testing.assert_close(gaze_pooled(grid, expected), grid[:, 1, 2])


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_pooling_and_divergence_equal_the_loops_written_from_the_formulas(rows, columns):
    grid, text, weights = case(3, rows, columns)
    arrays = grid.numpy(), text.numpy(), weights.numpy()
    np.testing.assert_allclose(
        gaze_pooled(grid, weights).numpy(), pooled_loop(arrays[0], arrays[2]), rtol=1e-12
    )
    for temperature in (0.05, 1.0):
        expected = divergence_loop(*arrays, temperature)
        assert float(gaze_divergence(grid, text, weights, temperature)) == pytest.approx(expected, rel=1e-9)


def test_gradients_equal_finite_differences_of_the_loops():
    grid, text, weights = case(2, 2, 3, dim=3)
    of_pooled = rand(2, 3, seed=5)
    losses = [
        (
            lambda g, t: (gaze_pooled(g, weights) * of_pooled).sum() + 0 * t.sum(),
            lambda g, t: (pooled_loop(g, weights.numpy()) * of_pooled.numpy()).sum(),
        ),
        (
            lambda g, t: gaze_divergence(g, t, weights, 0.3),
            lambda g, t: divergence_loop(g, t, weights.numpy(), 0.3),
        ),
    ]
    for loss, loop in losses:
        inputs = [grid.clone().requires_grad_(), text.clone().requires_grad_()]
        loss(*inputs).backward()
        for moved in range(2):
            for index in np.ndindex(*inputs[moved].shape):
                values = []
                for step in (1e-6, -1e-6):
                    arrays = [one.detach().numpy().copy() for one in inputs]
                    arrays[moved][index] += step
                    values.append(loop(*arrays))
                slope = (values[0] - values[1]) / 2e-6
                assert float(inputs[moved].grad[index]) == pytest.approx(slope, abs=1e-7)


def test_even_weights_pool_to_the_mean():
    grid = rand(3, 4, 5, 6)
    even = gaze_weights(torch.ones(3, 1, 40, 40, dtype=torch.float64), 4, 5)
    torch.testing.assert_close(gaze_pooled(grid, even), grid.mean((1, 2)))


@pytest.mark.parametrize("temperature", [0.1, 2.0])
def test_nothing_is_lost_where_attention_is_the_gaze(temperature):
    grid, text, _ = case(3, 4, 5)
    cosine = (F.normalize(grid, dim=-1) * text[:, None, None]).sum(-1)
    gaze = torch.softmax(cosine.flatten(1) / temperature, 1).unflatten(1, (4, 5))
    assert float(gaze_divergence(grid, text, gaze, temperature)) == pytest.approx(0, abs=1e-12)
    assert float(gaze_divergence(grid, text, gaze.flip(1), temperature)) > 1e-3


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_even_attention_loses_what_the_gaze_knows(rows, columns):
    """log(h · w) − H(gaze)."""
    _, text, weights = case(1, rows, columns)
    entropy = -sum(share * math.log(share) for share in weights.flatten().tolist() if share)
    found = gaze_divergence(text[:, None, None].expand(-1, rows, columns, -1), text, weights, 0.1)
    assert float(found) == pytest.approx(math.log(rows * columns) - entropy, abs=1e-12)


def test_a_guess_by_logits_costs_what_the_gaze_knows_beyond_it():
    """KL of (3/4, 1/4) and the softmax of (log 3, 0) is 0; of an even guess, log 2 − H(3/4)."""
    gaze = torch.tensor([[[0.75, 0.25]]])
    assert float(saliency_divergence(torch.tensor([[[math.log(3) + 5, 5.0]]]), gaze)) == pytest.approx(
        0, abs=1e-6
    )
    expected = math.log(2) + 0.75 * math.log(0.75) + 0.25 * math.log(0.25)
    assert float(saliency_divergence(torch.zeros(1, 1, 2), gaze)) == pytest.approx(expected, abs=1e-6)


def test_losses_do_not_know_left_from_right_nor_the_order_of_the_images():
    grid, text, weights = case(4, 3, 5)
    order = torch.tensor([2, 0, 3, 1])
    pooled, divergence = gaze_pooled(grid, weights), gaze_divergence(grid, text, weights, 0.2)
    for axis in (1, 2):
        torch.testing.assert_close(gaze_pooled(grid.flip(axis), weights.flip(axis)), pooled)
        torch.testing.assert_close(
            gaze_divergence(grid.flip(axis), text, weights.flip(axis), 0.2), divergence
        )
    torch.testing.assert_close(gaze_pooled(grid[order], weights[order]), pooled[order])
    torch.testing.assert_close(gaze_divergence(grid[order], text[order], weights[order], 0.2), divergence)
    torch.testing.assert_close(gaze_divergence(7 * grid, text, weights, 0.2), divergence)


def test_no_annotated_images_cost_nothing_and_stay_in_the_graph():
    grid = torch.zeros(0, 4, 5, 6, requires_grad=True)
    weights = gaze_weights(torch.zeros(0, 1, 32, 32), 4, 5)
    loss = gaze_divergence(grid, torch.zeros(0, 6), weights, 0.1) + gaze_pooled(grid, weights).sum()
    loss.backward()
    assert loss.item() == 0


def divergence_of_images(image, text, scale, bias):
    """The images as the parts of a grid of two cells."""
    grid = torch.stack([image, image.flip(1)], 1)[:, None]
    share = torch.sigmoid(bias * text[:, :1]).detach()
    return gaze_divergence(grid, text, torch.stack([share, 1 - share], 2), 1 / scale)


def test_mean_of_rows_of_one_process_is_the_mean():
    assert float(mean_of_rows(torch.tensor([1.0, 2.0, 6.0]))) == 3
    assert float(mean_of_rows(torch.zeros(0))) == 0


@pytest.mark.parametrize("sizes", [[5, 2], [3, 0]], ids=["uneven", "none on one"])
def test_two_processes_equal_one_in_value_and_gradient(sizes):
    found, expected = on_many(divergence_of_images, sizes), on_one(divergence_of_images, sum(sizes))
    assert len(found) == 3
    for many, one in zip(found, expected, strict=True):
        np.testing.assert_allclose(many, one, rtol=1e-9, atol=1e-12)
