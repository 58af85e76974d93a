"""Each map is replaced by its own name's draw, whatever else is in the batch; test_expert_loading has the rest."""

import pytest
import torch

from eclip.data.heatmap_control import HeatmapControl, show_anything
from small_stores import small_store

CONTROLS = ["recorded", "random", "shuffled", "uniform", "centre"]
ROWS = [24, 25, 26]  # annotated ones of the store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(tmp_path_factory.mktemp("data") / "store")


def maps():
    return torch.rand(3, 2, 16, 16, generator=torch.Generator().manual_seed(0))


def number_of(studies):
    """A map for each study that says which one it is."""
    numbers = [float(study.study_id.removeprefix("study-")) for study in studies]
    return torch.tensor(numbers)[:, None, None, None].expand(-1, 2, 16, 16)


def controlled(store, heatmaps, picked=(0, 1, 2), *, seed=3, step=7):
    picked = list(picked)
    control = HeatmapControl(store, heatmaps, seed=seed)
    given = maps()[picked]
    before = given.clone()
    found = control(
        given,
        rows=[ROWS[i] for i in picked],
        names=[f"row {ROWS[i]}" for i in picked],
        step=step,
        of_others=number_of,
    )
    assert torch.equal(given, before)  # what was recorded is not touched
    assert found.shape == given.shape
    return found


@pytest.mark.parametrize("heatmaps", CONTROLS)
def test_a_map_depends_on_its_own_name_alone(store, heatmaps):
    whole = controlled(store, heatmaps)
    for picked in ([1], [2, 0], [], [0, 2]):
        assert torch.equal(controlled(store, heatmaps, picked), whole[picked])


@pytest.mark.parametrize("heatmaps", ["random", "shuffled"])
def test_seed_and_step_decide(store, heatmaps):
    draws = {controlled(store, heatmaps, step=step).numpy().tobytes() for step in range(6)}
    assert len(draws) > 3
    assert not torch.equal(controlled(store, heatmaps), controlled(store, heatmaps, seed=4))


def test_a_donor_that_shows_nothing_is_passed_over(store):
    asked = []

    def blank_at_first(studies):
        asked.append([study.study_id for study in studies])
        return number_of(studies) * (len(asked) > 2)

    control = HeatmapControl(store, "shuffled", seed=0)
    found = control(maps(), rows=ROWS, names=["a", "b", "c"], step=0, of_others=blank_at_first)
    assert show_anything(found).all()
    assert len(asked) == 3
    for donors in zip(*asked, strict=True):
        assert len(set(donors)) == 3  # another one each time


def test_what_shows_nothing_is_told_from_what_does():
    some = maps()
    some[1] = 0
    assert show_anything(some).tolist() == [True, False, True]
