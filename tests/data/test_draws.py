"""Draws are functions of seed, step and purpose, and the stream of rows visits all of them equally."""

from itertools import islice

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eclip.data.draws import generator, shuffled, torch_seed


def test_same_key_same_draw_and_any_other_key_another():
    keys = [(s, t, p) for s in range(3) for t in range(3) for p in ("coin", "order")]
    assert generator(1, 2, "coin").random() == generator(1, 2, "coin").random()
    assert len({generator(*key).random() for key in keys}) == len(keys)
    assert len({torch_seed(*key) for key in keys}) == len(keys)


@given(rows=st.integers(1, 30), start=st.integers(0, 100), count=st.integers(1, 100))
def test_stream_visits_every_row_once_before_any_twice(rows, start, count):
    values = np.arange(rows) * 10
    whole = [*islice(shuffled(values, 0, start=0, purpose="order"), start + count)]
    assert [*islice(shuffled(values, 0, start=start, purpose="order"), count)] == whole[start:]
    for epoch in range(len(whole) // rows):
        assert sorted(whole[epoch * rows : (epoch + 1) * rows]) == values.tolist()


def test_order_changes_between_epochs_and_seeds():
    rows = np.arange(50)
    first, second, other = (
        [*islice(shuffled(rows, seed, start=start, purpose="order"), 50)]
        for seed, start in ((0, 0), (0, 50), (1, 0))
    )
    assert first != second
    assert first != other
