"""Oracles: the rule written out with hashlib, and what must not change a draw."""

import hashlib
import random

import pytest

from eclip.data.sources.subset import draw, only_present
from eclip.errors import InputError

IDS = [f"image-{i}" for i in range(50)]


def drawn(ids, *, seed=0, count=5):
    return draw({"Edema": ids}, per_class=count, seed=seed, where="t.csv")["Edema"]


def test_those_with_the_smallest_hashes_are_drawn():
    by_hash = sorted((hashlib.sha256(f"7:{image_id}".encode()).hexdigest(), image_id) for image_id in IDS)
    assert drawn(IDS, seed=7) == [image_id for _, image_id in by_hash[:5]]


def test_the_order_of_the_table_does_not_matter_and_the_seed_does():
    shuffled = random.Random(0).sample(IDS, len(IDS))
    assert drawn(shuffled) == drawn(IDS)
    assert drawn(IDS, seed=1) != drawn(IDS)


def test_one_more_candidate_changes_one_id_at_most():
    for i in range(50):
        assert len(set(drawn([*IDS, f"new-{i}"])) - set(drawn(IDS))) <= 1


def test_too_few_are_told():
    with pytest.raises(InputError, match=r"t\.csv: 50 images have Edema as their only finding; 51 a class"):
        drawn(IDS, count=51)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"Edema": 1}, "Edema"),
        ({"Edema": 1, "Mass": 0}, "Edema"),
        ({"Edema": 1, "Mass": 1}, None),
        ({"Edema": 1, "Mass": -1}, None),
        ({"Edema": 0}, None),
        ({}, None),
        ({"Edema": 1, "Other": 1}, "Edema"),  # not among the classes
    ],
)
def test_only_one_may_be_present_and_none_uncertain(labels, expected):
    assert only_present(labels, ("Edema", "Mass")) == expected
