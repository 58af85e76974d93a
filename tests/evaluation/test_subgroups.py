"""Subgroups against a pandas groupby; small groups; stores that tell nothing."""

import numpy as np
import pandas as pd
import pytest

from eclip.errors import InputError
from eclip.evaluation import subgroups
from small_evaluations import embeddings, unit_rows

ROWS = 200


def case(seed=0):
    draw = np.random.default_rng(seed)
    vectors = unit_rows(ROWS, 3)
    patients = [f"p{n // 2}" for n in range(ROWS)]
    sex = [str(s) for s in draw.choice(["F", "M", ""], ROWS)]
    age = [None if a < 20 else int(a) for a in draw.integers(10, 95, ROWS)]
    view = ["AP" if n < 30 else "PA" for n in range(ROWS)]
    right = np.where(draw.random(ROWS) < 0.1, np.nan, (draw.random(ROWS) < 0.6).astype(float))
    table = subgroups.per_sample({"accuracy": right}, sex=sex, age=age, view=view)
    return table, embeddings(vectors, vectors, patients=patients)


def values(table, of):
    numbers = subgroups.statistics(table, of)
    return {name: float(s.of(np.ones((1, ROWS), np.float32))[0]) for name, s in numbers.items()}


@pytest.mark.parametrize("seed", range(3))
def test_groups_and_gaps_are_those_of_pandas(seed):
    table, of = case(seed)
    found = values(table, of)
    for attribute in ("sex", "age"):
        means = table.groupby(f"group/{attribute}")["accuracy"].mean()
        assert len(means) >= 2
        for name, value in means.items():
            assert found[f"accuracy/{attribute} {name}"] == pytest.approx(value)
        assert found[f"accuracy_gap_{attribute}"] == pytest.approx(means.max() - means.min())


def test_a_small_group_takes_no_part():
    table, of = case()
    assert not [name for name in values(table, of) if "view" in name]  # thirty images, of fifteen patients


@pytest.mark.parametrize(
    ("years", "band"), [(39, "below 40"), (40, "40 to 59"), (79, "60 to 79"), (80, "80 and above")]
)
def test_age_bands(years, band):
    table = subgroups.per_sample({}, sex=["F", "M"], age=[years, None], view=["", ""])
    assert table["group/age"][0] == band
    assert pd.isna(table["group/age"][1])


def test_a_store_that_tells_nothing_is_told_in_one_line():
    with pytest.raises(InputError, match="no sex, age or view by which images differ"):
        subgroups.per_sample({}, sex=["", ""], age=[None, None], view=["PA", "PA"])
