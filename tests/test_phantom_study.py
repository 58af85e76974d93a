"""The phantom study, small: that it runs, goes on where it was, and writes what it found. Its numbers say nothing."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

STUDY = Path(__file__).parents[1] / "benchmarks" / "phantom_study"
sys.path.insert(0, str(STUDY))

import damage  # noqa: E402
import grid  # noqa: E402 (a benchmark, not a package)
import runs  # noqa: E402

from eclip.annotations.annotation import Fixation  # noqa: E402
from eclip.data.store import Store  # noqa: E402


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("study")


def start(out, *options):
    command = [sys.executable, str(STUDY), "--out", str(out), "--fast", *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_one_seed_of_the_main_part(out):
    assert "6 runs to do" in start(out, "--part", "main", "--seeds", "1")
    table = pd.read_parquet(out / "main.parquet")
    assert set(table["arm"]) == set(grid.MAIN)
    counts = table.groupby("arm")["metric"].nunique()
    assert counts.min() > 30
    assert table["value"].notna().all()
    page = (out / "main.html").read_text()
    assert all(arm in page for arm in grid.MAIN)
    assert "This is a phantom" in page
    assert (out / "main.md").read_text().count("\n") == 2 + len(grid.MAIN)
    before = (out / "main.parquet").read_bytes()
    assert "0 runs to do" in start(out, "--part", "main", "--seeds", "1")
    assert (out / "main.parquet").read_bytes() == before


def test_a_store_has_the_share_of_annotations_that_was_asked_for(out):
    whole = Store.open(runs.whole_store(out, grid.FAST))
    train = len(whole.rows(split="train"))
    kept = {}
    for fraction in (0.1, 0.5):
        run = grid.Run(arm="clip", fraction=fraction, train=0.5, seed=3)
        store = Store.open(runs.thinned_store(out, whole.path, run))
        assert len(store.rows(split="train")) == round(0.5 * train)
        assert len(store.rows(split="train", annotated=True)) == round(fraction * round(0.5 * train))
        for split in ("validate", "test"):
            assert len(store.rows(split=split)) == len(whole.rows(split=split))
        ids = np.array(store.column("study_id"))
        kept[fraction] = set(ids[store.rows(split="train", annotated=True)])
    assert kept[0.1] < kept[0.5]


@pytest.fixture
def reading():
    """60 fixations, one a third of a second, from the left to the right."""
    return [Fixation(x=i / 60, y=0.5, start=i / 3, end=i / 3 + 0.3, sigma_x=0.03) for i in range(60)]


@pytest.mark.parametrize("kind", list(damage.DAMAGE))
def test_damage_leaves_times_and_falls_on_places_or_on_whole_fixations(reading, kind):
    worse, again = (damage.DAMAGE[kind](reading, np.random.default_rng(4)) for _ in range(2))
    assert worse == again != reading
    times = [(f.start, f.end) for f in reading]
    assert [t for t in times if t in {(f.start, f.end) for f in worse}] == [(f.start, f.end) for f in worse]
    assert damage.DAMAGE[kind]([], np.random.default_rng(4)) == []
    moved = np.array([f.x - reading[times.index((f.start, f.end))].x for f in worse])
    if kind == "jittered":
        assert moved.std() == pytest.approx(damage.JITTER, rel=0.3)
    elif kind == "half missing":
        assert len(worse) == 30
        assert not moved.any()
    elif kind == "careless":
        assert 15 < (moved != 0).sum() < 45
    else:
        assert sorted(f.x for f in worse) == [f.x for f in reading]


def test_only_training_gaze_of_the_arm_is_damaged(out):
    whole = runs.whole_store(out, grid.FAST)
    kept, worse = (
        Store.open(runs.thinned_store(out, whole, grid.Run(arm=arm, fraction=0.5, seed=3)))
        for arm in ("gaze-grounding", "gaze-grounding, half missing")
    )
    assert kept.column("study_id") == worse.column("study_id")
    for row in range(len(kept)):
        counts = [[len(a.fixations) for a in store[row].annotations] for store in (kept, worse)]
        if kept[row].split == "train":
            assert counts[1] == [-(-count // 2) for count in counts[0]]
        else:
            assert kept[row] == worse[row]


def test_every_arm_is_a_configuration_and_every_part_a_plan():
    for arm, config in grid.ARMS.items():
        made = config(grid.FULL)
        made.method.check()
        assert made.loading.plain_rows == "all", arm
    for part in grid.PARTS:
        assert {run.arm for run in grid.plan(part)} <= set(grid.ARMS)
    chosen, confirmed = ({run.seed for run in grid.plan(part)} for part in ("choose", "main"))
    assert not chosen & confirmed
