"""The curriculum against the paper's breakpoints and against what is drawn from it."""

import numpy as np
import pytest

from eclip.data.draws import generator
from eclip.training.curriculum import Curriculum


@pytest.mark.parametrize(
    ("step", "probability"),
    [
        (0, 0.0),
        (999, 0.0),
        (1000, 0.05),
        (2500, 0.275),  # halfway up
        (4000, 0.5),
        (6000, 0.3),  # halfway down
        (8000, 0.1),
        (9999, 0.1),
    ],
)
def test_breakpoints_of_the_paper_at_ten_thousand_steps(step, probability):
    assert Curriculum().probability(step, steps=10_000) == pytest.approx(probability, abs=1e-4)


def test_cold_start_ends_where_the_probability_begins():
    curriculum = Curriculum(cold=0.25)
    for step in range(40):
        assert curriculum.is_cold(step, steps=40) == (step < 10)
        assert (curriculum.probability(step, steps=40) == 0) == (step < 10)


def test_number_of_expert_batches_is_that_of_the_probabilities():
    curriculum, steps = Curriculum(), 10_000
    probabilities = np.array([curriculum.probability(step, steps=steps) for step in range(steps)])
    coins = np.array([generator(0, step, "coin").random() for step in range(steps)])
    drawn, sigma = (coins < probabilities).sum(), np.sqrt((probabilities * (1 - probabilities)).sum())
    assert abs(drawn - probabilities.sum()) < 3 * sigma
    assert probabilities.sum() == pytest.approx(
        2225, abs=2
    )  # eclip_spec.md, section 1: with a cool-down to 0.1
