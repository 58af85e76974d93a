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


@settings(max_examples=60, deadline=None)
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


@settings(max_examples=150, deadline=None)
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
