"""Draws are functions of seed, step and purpose, and the stream of rows visits all of them equally."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eclip.data.draws import generator, shuffled, torch_seed


def test_same_key_same_draw_and_any_other_key_another():
    keys = [(s, t, p) for s in range(3) for t in range(3) for p in ("coin", "order")]
    assert generator(1, 2, "coin").random() == generator(1, 2, "coin").random()
    assert len({generator(*key).random() for key in keys}) == len(keys)
    assert len({torch_seed(*key) for key in keys}) == len(keys)


@given(rows=st.integers(1, 30), size=st.integers(1, 40), steps=st.integers(1, 12))
def test_stream_visits_every_row_once_before_any_twice(rows, size, steps):
    values = np.arange(rows) * 10
    stream = np.concatenate(
        [shuffled(values, 0, start=t * size, count=size, purpose="order") for t in range(steps)]
    )
    for epoch in range(len(stream) // rows):
        assert sorted(stream[epoch * rows : (epoch + 1) * rows]) == values.tolist()


def test_order_changes_between_epochs_and_seeds():
    rows = np.arange(50)
    first = shuffled(rows, 0, start=0, count=50, purpose="order")
    assert not np.array_equal(first, shuffled(rows, 0, start=50, count=50, purpose="order"))
    assert not np.array_equal(first, shuffled(rows, 1, start=0, count=50, purpose="order"))
