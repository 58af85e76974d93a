"""The phantom study, small: that it runs, goes on where it was, and writes what it found. Its numbers say nothing."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

STUDY = Path(__file__).parents[1] / "benchmarks" / "phantom_study"
sys.path.insert(0, str(STUDY))

import grid  # noqa: E402 (a benchmark, not a package)
import runs  # noqa: E402

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


def test_every_arm_is_a_configuration_and_every_part_a_plan():
    for arm, config in grid.ARMS.items():
        made = config(grid.FULL)
        made.method.check()
        assert made.loading.plain_rows == "all", arm
    for part in grid.PARTS:
        assert {run.arm for run in grid.plan(part)} <= set(grid.ARMS)
    chosen, confirmed = ({run.seed for run in grid.plan(part)} for part in ("choose", "main"))
    assert not chosen & confirmed
