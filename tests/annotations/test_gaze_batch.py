"""Oracles: `render` of each scan path alone; points carried through the affine map one by one."""

import dataclasses
import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eclip.annotations import Fixation, render
from eclip.annotations.gaze_batch import GazeBatch

HEIGHT, WIDTH = 11, 14
ANYTHING = st.floats(width=64)
FIXATION = st.builds(
    Fixation,
    x=st.floats(-0.2, 1.2),
    y=st.floats(-0.2, 1.2),
    start=st.just(1.0),
    end=st.floats(1.05, 4.0),
    sigma_x=st.none() | st.floats(0.05, 0.3),
    sigma_y=st.none() | st.floats(0.05, 0.3),
    visible=st.sampled_from([(0.0, 0.0, 1.0, 1.0), (0.11, 0.23, 0.71, 0.97), (0.5, 0.0, 0.9, 0.3)]),
)


def path(draw, count):
    return [Fixation(*draw.random(2), 0.0, draw.uniform(0.1, 1)) for _ in range(count)]


@settings(max_examples=60)
@given(st.lists(st.lists(FIXATION, max_size=5), min_size=1, max_size=4))
def test_a_batch_is_what_render_draws_for_each(paths):
    maps, usable = GazeBatch.pack(paths, aspect=WIDTH / HEIGHT).render(HEIGHT, WIDTH)
    assert (maps.dtype, usable.dtype) == (torch.float32, torch.bool)
    for fixations, drawn, shows in zip(paths, maps, usable, strict=True):
        expected = render(fixations, HEIGHT, WIDTH)
        assert shows == (expected is not None)
        np.testing.assert_allclose(
            drawn, np.zeros((HEIGHT, WIDTH)) if expected is None else expected, atol=1e-5
        )


def test_long_batches_at_the_size_of_training_agree_with_render():
    draw = np.random.default_rng(0)
    paths = [path(draw, count) for count in [60, 1, 0, *draw.integers(2, 60, 37)]]
    maps, usable = GazeBatch.pack(paths).render(224, 224)
    assert usable.tolist() == [bool(fixations) for fixations in paths]
    for fixations, drawn in zip(paths, maps, strict=True):
        if fixations:
            np.testing.assert_allclose(drawn, render(fixations, 224, 224), atol=1e-5)


def test_each_image_has_its_own_aspect():
    fixations = [Fixation(0.5, 0.5, 0, 1)]
    gaze = GazeBatch.pack([fixations, fixations], aspect=[1.0, 2.0])
    torch.testing.assert_close(gaze.sigma_x, torch.tensor([[0.05], [0.05]]))
    torch.testing.assert_close(gaze.sigma_y, torch.tensor([[0.05], [0.1]]))


@settings(max_examples=150)
@given(
    st.lists(
        st.lists(
            st.builds(
                Fixation,
                *[ANYTHING] * 4,
                sigma_x=st.none() | ANYTHING,
                sigma_y=st.none() | ANYTHING,
                visible=st.tuples(*[ANYTHING] * 4),
            ),
            max_size=3,
        ),
        max_size=3,
    )
)
def test_whatever_the_numbers_maps_are_finite(paths):
    maps, usable = GazeBatch.pack(paths).render(5, 6)
    assert maps.shape == (len(paths), 5, 6)
    assert maps.isfinite().all()
    assert (maps >= 0).all()
    assert (maps[usable].amax((1, 2)) - 1).abs().max().item() < 1e-6 if usable.any() else True
    assert (maps[~usable] == 0).all()


def moved(fixation, matrix):
    """By hand: a point through the matrix, a Gaussian's variance along each new axis, the box around a box."""
    (a, b, c), (d, e, f) = matrix[:2].tolist()
    x0, y0, x1, y1 = fixation.visible
    xs = [a * x + b * y + c for x in (x0, x1) for y in (y0, y1)]
    ys = [d * x + e * y + f for x in (x0, x1) for y in (y0, y1)]
    return dataclasses.replace(
        fixation,
        x=a * fixation.x + b * fixation.y + c,
        y=d * fixation.x + e * fixation.y + f,
        sigma_x=math.sqrt((a * fixation.sigma_x) ** 2 + (b * fixation.sigma_y) ** 2),
        sigma_y=math.sqrt((d * fixation.sigma_x) ** 2 + (e * fixation.sigma_y) ** 2),
        visible=(min(xs), min(ys), max(xs), max(ys)),
    )


def test_fixations_move_with_their_image():
    draw = np.random.default_rng(1)
    paths = [
        [
            Fixation(*draw.random(2), 0.0, 1.0, *draw.uniform(0.03, 0.2, 2), (0.1, 0.2, 0.83, 0.94))
            for _ in range(n)
        ]
        for n in (3, 5)
    ]
    matrices = torch.tensor(
        [[[0.8, 0.3, 0.05], [-0.2, 1.1, 0.02], [0, 0, 1]], [[0, 1.3, -0.1], [1.2, 0, 0.1], [0, 0, 1]]],
        dtype=torch.float64,
    )
    maps, _ = GazeBatch.pack(paths).transform(matrices).render(HEIGHT, WIDTH)
    for fixations, matrix, drawn in zip(paths, matrices, maps, strict=True):
        expected = render([moved(fixation, matrix) for fixation in fixations], HEIGHT, WIDTH)
        np.testing.assert_allclose(drawn, expected, atol=1e-5)


def test_a_mirrored_image_has_the_mirrored_map_and_maps_compose():
    draw = np.random.default_rng(2)
    gaze = GazeBatch.pack([path(draw, 7)])
    mirror = torch.tensor([[[-1.0, 0, 1], [0, 1, 0], [0, 0, 1]]])
    shift = torch.tensor([[[1.0, 0, 0.25], [0, 1, -0.1], [0, 0, 1]]])
    torch.testing.assert_close(gaze.transform(mirror).render(16, 16)[0], gaze.render(16, 16)[0].flip(-1))
    torch.testing.assert_close(
        gaze.transform(mirror).transform(shift).render(16, 16)[0],
        gaze.transform(shift @ mirror).render(16, 16)[0],
    )


def test_what_leaves_the_image_shows_nothing():
    gaze = GazeBatch.pack([[Fixation(0.5, 0.5, 0, 1)]] * 2)
    away = torch.eye(3).repeat(2, 1, 1)
    away[0, 0, 2] = 4.0
    maps, usable = gaze.transform(away).render(8, 8)
    assert usable.tolist() == [False, True]
    assert maps[0].abs().sum() == 0


TIMED = st.builds(
    lambda x, y, start, seconds, sigma, visible: Fixation(
        x, y, start, start + seconds, sigma, sigma, visible
    ),
    st.floats(0.0, 1.0),
    st.floats(0.0, 1.0),
    st.floats(-3.0, 9.0),
    st.floats(0.05, 4.0),
    st.none() | st.floats(0.05, 0.3),
    st.sampled_from([(0.0, 0.0, 1.0, 1.0), (0.11, 0.23, 0.71, 0.97)]),
)
SLICES = st.integers(1, 9)


def slices_loop(readings, slices):
    """The definition in a loop: each reading's time in equal shares, each fixation cut, divided by the highest sum."""
    drawn = np.zeros((slices, HEIGHT, WIDTH))
    for reading in readings:
        if not reading:
            continue
        begin, end = min(f.start for f in reading), max(f.end for f in reading)
        for t in range(slices):
            low, high = (begin + (end - begin) * i / slices for i in (t, t + 1))
            for f in reading:
                seconds = max(0.0, min(f.end, high) - max(f.start, low))
                sigma_x = f.sigma_x or 0.05
                sigma_y = f.sigma_y or 0.05 * WIDTH / HEIGHT
                x0, y0, x1, y1 = f.visible
                for row in range(HEIGHT):
                    for column in range(WIDTH):
                        x, y = (column + 0.5) / WIDTH, (row + 0.5) / HEIGHT
                        if x0 <= x <= x1 and y0 <= y <= y1:
                            bell = math.exp(
                                -((x - f.x) ** 2) / (2 * sigma_x**2) - (y - f.y) ** 2 / (2 * sigma_y**2)
                            )
                            drawn[t, row, column] += seconds / (sigma_x * sigma_y) * bell
    highest = drawn.sum(0).max()
    return drawn / highest if highest > 0 else drawn


def packed(readings, slices):
    return GazeBatch.pack_readings(readings, aspect=WIDTH / HEIGHT, slices=slices)


@settings(max_examples=25)
@given(st.lists(st.lists(TIMED, max_size=4), max_size=3), SLICES)
def test_each_slice_is_what_was_looked_at_in_its_share_of_each_readings_time(readings, slices):
    maps, usable = packed([readings], slices).render_slices(HEIGHT, WIDTH)
    expected = slices_loop(readings, slices)
    assert maps.shape == (1, slices, HEIGHT, WIDTH)
    assert usable.item() == any(readings)
    np.testing.assert_allclose(maps[0], expected, atol=1e-5)


@settings(max_examples=60)
@given(st.lists(st.lists(st.lists(TIMED, max_size=5), max_size=3), min_size=1, max_size=4), SLICES)
def test_slices_add_up_to_the_heatmap(readings, slices):
    gaze = packed(readings, slices)
    maps, usable = gaze.render_slices(HEIGHT, WIDTH)
    whole, whole_usable = packed(readings, 1).render(HEIGHT, WIDTH)
    assert torch.equal(usable, whole_usable)
    torch.testing.assert_close(maps.sum(1), whole, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(gaze.render(HEIGHT, WIDTH)[0], maps.sum(1))


@settings(max_examples=40)
@given(st.lists(TIMED, min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_the_order_in_the_list_does_not_matter(fixations, random):
    again = list(fixations)
    random.shuffle(again)
    first, second = (packed([[path]], 4).render_slices(HEIGHT, WIDTH)[0] for path in (fixations, again))
    torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-4)


def test_when_something_was_looked_at_matters_and_the_sum_does_not_change():
    first, second = Fixation(0.2, 0.3, 0.0, 1.0), Fixation(0.7, 0.6, 1.0, 2.0)
    exchanged = [
        dataclasses.replace(first, start=1.0, end=2.0),
        dataclasses.replace(second, start=0.0, end=1.0),
    ]
    there, back = (packed([[path]], 2).render_slices(16, 16)[0][0] for path in ([first, second], exchanged))
    torch.testing.assert_close(there, back.flip(0))
    assert (there[0] - there[1]).abs().max() > 0.9
    torch.testing.assert_close(there.sum(0), back.sum(0))


def test_a_fixation_across_a_border_is_cut_there():
    long, short = Fixation(0.2, 0.2, 0.0, 3.0), Fixation(0.8, 0.8, 3.0, 4.0)
    weights = packed([[[long, short]]], 2).weight
    assert weights.tolist() == [[2.0, 0.0], [1.0, 1.0]]


def test_each_reading_has_a_time_of_its_own():
    """The second one, dictated hours later, is as long in every slice."""
    one = [Fixation(0.3, 0.3, 0.0, 4.0)]
    other = [Fixation(0.3, 0.3, 9000.0, 9002.0)]
    maps = packed([[one, other]], 4).render_slices(16, 16)[0][0]
    torch.testing.assert_close(maps, maps[:1].expand_as(maps), atol=1e-5, rtol=1e-4)
    together = packed([[one + other]], 4).render_slices(16, 16)[0][0]
    assert together[1].max() == 0


def test_slices_move_with_their_image():
    draw = np.random.default_rng(3)
    readings = [
        [[Fixation(*draw.random(2), float(i), i + 1.5, 0.1, 0.08) for i in range(n)]] for n in (5, 0, 3)
    ]
    turn = torch.tensor([[0.8, 0.3, 0.05], [-0.2, 1.1, 0.02], [0, 0, 1]]).repeat(3, 1, 1)
    turn[2, 0, 2] = -0.1
    maps = packed(readings, 3).transform(turn).render_slices(HEIGHT, WIDTH)[0]
    for i, reading in enumerate(readings):
        alone = packed([reading], 3).transform(turn[i : i + 1]).render_slices(HEIGHT, WIDTH)[0]
        torch.testing.assert_close(maps[i : i + 1], alone)
    whole = packed(readings, 1).transform(turn).render(HEIGHT, WIDTH)[0]
    torch.testing.assert_close(maps.sum(1), whole, atol=1e-5, rtol=1e-4)


@settings(max_examples=60)
@given(
    st.lists(st.builds(Fixation, *[ANYTHING] * 4, sigma_x=st.none() | ANYTHING), max_size=4),
    st.integers(2, 4),
)
def test_whatever_the_numbers_slices_are_finite(fixations, slices):
    maps, _ = GazeBatch.pack_readings([[fixations]], slices=slices).render_slices(5, 6)
    assert maps.shape == (1, slices, 5, 6)
    assert maps.isfinite().all()
    assert (maps >= 0).all()


def test_no_images_have_no_maps():
    maps, usable = GazeBatch.pack_readings([], slices=3).transform(torch.zeros(0, 3, 3)).render_slices(5, 6)
    assert (maps.shape, usable.shape) == ((0, 3, 5, 6), (0,))
