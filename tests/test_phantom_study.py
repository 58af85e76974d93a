"""The phantom study, small: that it runs, goes on where it was, and writes what it found. Its numbers say nothing."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

STUDY = Path(__file__).parents[1] / "benchmarks" / "phantom_study"
sys.path.insert(0, str(STUDY))

import damage  # noqa: E402 (a benchmark, not a package)
import grid  # noqa: E402
import page  # noqa: E402
import record  # noqa: E402
import runs  # noqa: E402

from eclip.annotations.annotation import Fixation  # noqa: E402
from eclip.data.store import Store  # noqa: E402
from eclip.evaluation.bootstrap import Replicates  # noqa: E402


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
    html = (out / "main.html").read_text()
    assert all(arm in html for arm in grid.MAIN)
    assert "This is a phantom" in html
    assert "no arm has two seeds" in html
    assert sum(line.startswith("| ") for line in (out / "main.md").read_text().splitlines()) == 2 + len(
        grid.MAIN
    )
    assert not any((out / "runs").iterdir())
    before = (out / "main.parquet").read_bytes()
    for jobs in ("0", "2"):
        printed = start(out, "--part", "main", "--seeds", "1", "--jobs", jobs)
        assert ("0 runs to do" in printed) == (jobs == "2")
        assert (out / "main.parquet").read_bytes() == before


def test_pages_of_runs_that_are_not_there(out, tmp_path):
    command = [sys.executable, str(STUDY), "--results", str(tmp_path), "--jobs", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "no run of part main is recorded" in ended.stderr


def recorded(arm, seed, value, fraction=0.1):
    draw = np.random.default_rng([seed, round(1000 * value)])
    number = Replicates(
        value=value,
        draws_B=value + 0.01 * draw.standard_normal(record.DRAWS),
        left_out_G=value + 0.001 * draw.standard_normal(200),
        patients=500,
        n=900,
        direction="higher",
    )
    run = grid.Run(arm=arm, seed=seed, fraction=fraction)
    return record.Record(
        run=run,
        seconds=1.5,
        machine="CPU",
        metrics=dict.fromkeys(runs.SHOWN, value),
        drawn=dict.fromkeys(runs.SHOWN, number),
    )


def test_a_record_holds_until_a_setting_changes(tmp_path):
    kept = recorded("clip", 3, 0.25)
    kept.write(tmp_path, grid.FAST)
    again = record.read(kept.run, grid.FAST, tmp_path)
    for name in ("run", "seconds", "machine", "metrics"):
        assert getattr(again, name) == getattr(kept, name)
    for key, number in kept.drawn.items():
        np.testing.assert_allclose(again.drawn[key].draws_B, number.draws_B, atol=1e-4)
        np.testing.assert_allclose(again.drawn[key].left_out_G, number.left_out_G, atol=3e-6)
        assert again.drawn[key].patients == 500
    assert record.read(grid.Run(arm="clip", seed=3, fraction=0.5), grid.FAST, tmp_path) is not None
    assert record.read(grid.Run(arm="clip", seed=4), grid.FAST, tmp_path) is None
    assert record.read(kept.run, grid.FULL, tmp_path) is None


def test_the_spread_of_runs_is_pooled_over_arms():
    """Against the residuals of a one-way analysis of variance; runs without annotations count once."""
    values = {"clip": [0.30, 0.34], "naive": [0.31, 0.37, 0.34], "eclip": [0.4]}
    records = [
        recorded(arm, seed, value, fraction)
        for fraction in (0.1, 0.5)
        for arm, own in values.items()
        for seed, value in enumerate(own)
    ]
    found = page._spread(records, page.CURVE)
    squares = 0.02**2 * 2 + 2 * (0.03**2 * 2)
    assert found.freedom == 1 + 2 * 2
    assert found.variance == pytest.approx(squares / 5)
    assert found.of(2, 3) == ((pytest.approx(squares / 5 * (1 / 2 + 1 / 3)), 5),)
    assert page._spread([recorded("eclip", 0, 0.4)], page.CURVE).of(1, 1) == ()


def test_a_number_that_some_runs_lack_is_that_of_the_others(tmp_path):
    """Those of runs whose numbers were found to be wrong, and were deleted."""
    lacking = "grounding/region_contrast_to_noise"
    records = [
        recorded(arm, seed, value)
        for arm, values in {"clip": (0.3, 0.34), "naive": (0.31, 0.37), "eclip": (0.4,)}.items()
        for seed, value in enumerate(values)
    ]
    records = [
        replace(
            one,
            **{
                part: {k: v for k, v in getattr(one, part).items() if k != lacking}
                for part in ("metrics", "drawn")
            },
        )
        if one.run.seed == 0
        else one
        for one in records
    ]
    page.write(records, grid.FAST, out=tmp_path, part="table")
    rows = [line.split(" | ") for line in (tmp_path / "table.md").read_text().splitlines()]
    column = next(row.index("Region CNR") for row in rows if "Region CNR" in row)
    found = {row[0].strip("| "): row[column].split(" ")[0] for row in rows if len(row) > column}
    assert (found["clip"], found["naive"], found["eclip"]) == ("0.340", "0.370", "–")
    assert page._spread(records, lacking).freedom == 0


def test_the_records_in_the_repository_are_of_the_present_study():
    planned = {record.path_of(run, STUDY / "results"): run for part in grid.PARTS for run in grid.plan(part)}
    for path in (STUDY / "results").iterdir():
        assert path in planned
        assert record.read(planned[path], grid.FULL, STUDY / "results") is not None, path


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
