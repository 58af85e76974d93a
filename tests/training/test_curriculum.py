"""The curriculum against the paper's breakpoints and against what is drawn from it."""

import numpy as np
import pytest

from eclip.data.draws import generator
from eclip.errors import InputError
from eclip.training.curriculum import ALWAYS, Curriculum


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


def test_always_has_an_expert_batch_at_every_step_and_no_phases():
    ALWAYS.check()
    ALWAYS.check_phases()
    assert {ALWAYS.probability(step, steps=steps) for steps in (1, 7, 100) for step in range(steps)} == {1}


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("cold", [0.0, 0.2])
def test_phases_are_for_changes_and_changes_for_phases(probability, cold):
    flat = {"cold": cold, "start": probability, "peak": probability, "final": probability}
    Curriculum(**flat, warm=0, cool=0).check_phases()
    Curriculum(cold=cold).check_phases()
    for name in ("warm", "cool"):
        with pytest.raises(InputError, match=f"--method.curriculum.{name} 0.1: the probability goes"):
            Curriculum(**flat | {"warm": 0, "cool": 0, name: 0.1}).check_phases()
        with pytest.raises(InputError, match=f"--method.curriculum.{name} 0: the probability goes"):
            Curriculum(**{name: 0}).check_phases()
