"""Runs: killed and resumed equals uninterrupted, options are checked, the run folder is a model."""

import csv
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only

import eclip
from eclip.errors import InputError
from eclip.models.heatmap_processor import HeatmapProcessorConfig
from eclip.recipes import RECIPES
from eclip.training.config import LoadingConfig, OptimConfig, TrainConfig
from eclip.training.curriculum import Curriculum
from eclip.training.methods import ClipConfig, EclipConfig
from eclip.training.run_folder import check_empty
from eclip.training.train import train
from small_models import BERT, small_config
from small_stores import small_store

ECLIP = EclipConfig(
    curriculum=Curriculum(cold=0.2, start=0.5, peak=0.9),
    processor=HeatmapProcessorConfig(patch_size=8, width=16, heads=2),
)


class ModelsBest(Callback):
    """Notes the best score that a resumed run begins with."""

    def on_train_start(self, trainer, module):
        self.score = float(trainer.checkpoint_callback.best_model_score)


def small_run(method=ECLIP, **changes):
    settings = {"steps": 12, "batch_size": 6, "precision": "32", "validate_every": 4}
    settings |= {"log_every": 1, "loading": LoadingConfig(workers=0), "optim": OptimConfig(lr=1e-3)}
    text = BERT | {"vocab_size": 300, "hidden_dropout_prob": 0.1}
    return TrainConfig(method=method, model=small_config(text=text), **(settings | changes))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(tmp_path_factory.mktemp("data") / "store").path


@pytest.fixture(scope="module")
def whole_run(store, tmp_path_factory):
    return train(small_run(), data=store, out=tmp_path_factory.mktemp("runs") / "whole")


def weights(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def metrics(run):
    with (run / "logs" / "metrics.csv").open(newline="") as file:
        return {row.pop("step"): row | {"studies_per_second": ""} for row in csv.DictReader(file)}


def assert_same_run(first, second):
    expected = weights(first)
    for name, tensor in weights(second).items():
        assert torch.equal(tensor, expected[name]), name
    assert metrics(first) == metrics(second)
    images = [np.full((32, 32), level, np.uint8) for level in (0, 90, 200)]
    models = eclip.load(first), eclip.load(second)
    np.testing.assert_array_equal(*(model.embed_images(images) for model in models))
    assert models[0].fingerprint == models[1].fingerprint


class StopAt(Callback):
    """Ends a run as a failure would, right after a step."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_end(self, trainer, *args):
        if trainer.global_step == self.step:
            raise RuntimeError("stopped by the test")


@pytest.mark.parametrize("step", [4, 6, 11])
def test_stopped_and_resumed_equals_uninterrupted_bit_for_bit(store, whole_run, tmp_path, step):
    out = tmp_path / "run"
    with pytest.raises(RuntimeError, match="stopped by the test"):
        train(small_run(), data=store, out=out, callbacks=[StopAt(step)])
    assert not (out / "model").exists()
    train(small_run(), data=store, out=out, resume=True)
    assert_same_run(whole_run, out)


def test_killed_and_resumed_equals_uninterrupted_bit_for_bit(store, whole_run, tmp_path):
    """A real SIGKILL, wherever it falls after the first checkpoint."""
    out = tmp_path / "run"
    script = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "import time, torch; torch.set_num_threads(2)\n"
        "from pathlib import Path\n"
        "import test_train as t\n"
        "class Slow(t.Callback):\n"
        "    def on_train_batch_end(self, *args): time.sleep(0.2)\n"
        f"t.train(t.small_run(), data=Path({str(store)!r}), out=Path({str(out)!r}), callbacks=[Slow()])\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (out / "checkpoints" / "last.ckpt").exists():
        assert process.poll() is None, "the run ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "model").exists()
    train(small_run(), data=store, out=out, resume=True)
    assert_same_run(whole_run, out)


def test_ctrl_c_is_an_interruption_and_leaves_a_run_to_resume(store, whole_run, tmp_path):
    class CtrlC(Callback):
        def on_train_batch_end(self, trainer, *args):
            if trainer.global_step == 5:
                raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)  # Lightning ignores further Ctrl-C from here on
    try:
        with pytest.raises(KeyboardInterrupt):
            train(small_run(), data=store, out=tmp_path / "run", callbacks=[CtrlC()])
    finally:
        signal.signal(signal.SIGINT, handler)
    assert not (tmp_path / "run" / "model").exists()
    train(small_run(), data=store, out=tmp_path / "run", resume=True)
    assert_same_run(whole_run, tmp_path / "run")


def test_workers_change_nothing(store, whole_run, tmp_path):
    config = small_run(loading=LoadingConfig(workers=2))
    assert_same_run(whole_run, train(config, data=store, out=tmp_path / "run"))


def test_another_seed_is_another_run(store, whole_run, tmp_path):
    other = train(small_run(seed=1), data=store, out=tmp_path / "run")
    assert eclip.load(other).fingerprint != eclip.load(whole_run).fingerprint


def test_losses_and_metrics_are_logged_by_name(whole_run):
    rows = metrics(whole_run)
    assert len([row for row in rows.values() if row["train/loss"]]) == 12
    first = rows["0"]
    assert float(first["train/loss"]) == pytest.approx(
        0.9 * float(first["train/contrastive"]) + 0.1 * float(first["train/priming"]), rel=1e-5
    )
    assert {"train/accuracy", "train/expert_probability", "train/temperature", "validation/loss"} <= set(
        first
    )
    assert len([row for row in rows.values() if row["validation/loss"]]) == 3
    assert list((whole_run / "logs").glob("events.out.tfevents.*"))


def test_the_model_is_the_best_by_validation_loss(whole_run):
    losses = {
        step: float(row["validation/loss"])
        for step, row in metrics(whole_run).items()
        if row["validation/loss"]
    }
    best = min(losses, key=losses.get)
    assert eclip.load(whole_run).card["step"] == int(best) + 1


@pytest.mark.parametrize(("steps", "every"), [(11, 4), (7, 100), (8, 4), (5, 1)])
def test_the_last_step_is_validated_whatever_the_interval(store, tmp_path, steps, every):
    run = train(small_run(steps=steps, validate_every=every), data=store, out=tmp_path / "run")
    measured = [int(step) + 1 for step, row in metrics(run).items() if row["validation/loss"]]
    assert measured == sorted({*range(every, steps + 1, every), steps})
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == steps


def test_a_run_that_was_moved_goes_on_with_what_it_knows(store, whole_run, tmp_path):
    """A copy does not touch its original; neither forgets which step was best."""
    with pytest.raises(RuntimeError, match="stopped by the test"):
        train(small_run(), data=store, out=tmp_path / "old", callbacks=[StopAt(9)])
    shutil.copytree(tmp_path / "old", tmp_path / "new")
    before = [(path, path.read_bytes()) for path in (tmp_path / "old" / "checkpoints").iterdir()]
    best = ModelsBest()
    train(small_run(), data=store, out=tmp_path / "new", resume=True, callbacks=[best])
    assert [(path, path.read_bytes()) for path in (tmp_path / "old" / "checkpoints").iterdir()] == before
    losses = [float(row["validation/loss"]) for row in metrics(whole_run).values() if row["validation/loss"]]
    assert best.score == pytest.approx(min(losses[:2]))
    assert eclip.load(tmp_path / "new").card["step"] == eclip.load(whole_run).card["step"]


def test_the_model_knows_where_it_comes_from(whole_run):
    card = eclip.load(whole_run).card
    assert card["method"] == "eclip"
    assert card["trained_on"]["source"] == "test"
    assert "not a medical device" in card["intended_use"]
    saved = yaml.safe_load((whole_run / "config.yaml").read_text())
    assert saved["method"]["name"] == "eclip"
    assert saved["optim"]["lr"] == 1e-3


def test_training_the_clip_does_not_need_annotations(tmp_path):
    store = small_store(tmp_path / "store", annotated=0)
    run = train(small_run(ClipConfig()), data=store.path, out=tmp_path / "run")
    assert eclip.load(run).heatmap_processor is None


def test_training_goes_on_from_an_existing_model(store, whole_run, tmp_path):
    config = TrainConfig(
        method=ECLIP,
        start_from=str(whole_run),
        steps=2,
        batch_size=6,
        precision="32",
        optim=OptimConfig(lr=0.0),
        loading=LoadingConfig(workers=0),
    )
    seen = []

    class Look(Callback):
        def on_train_start(self, trainer, module):
            seen.append(module.method.encoder.text_model.training)

    run = train(config, data=store, out=tmp_path / "run", callbacks=[Look()])
    before, after = eclip.load(whole_run), eclip.load(run)
    for name, tensor in before.encoder.named_parameters():
        assert torch.equal(after.encoder.get_parameter(name), tensor), name
    assert after.tokenizer.get_vocab() == before.tokenizer.get_vocab()
    assert seen == [True]
    train(config, data=store, out=run, resume=True)
    moved = dataclasses.replace(config, optim=OptimConfig(lr=1e-3))
    other = eclip.load(train(moved, data=store, out=tmp_path / "other"))
    assert other.fingerprint != before.fingerprint


def test_settings_of_a_model_beside_one_to_start_from_are_refused(store, whole_run, tmp_path):
    config = small_run(start_from=str(whole_run))
    with pytest.raises(InputError, match="settings of --model have no effect"):
        train(config, data=store, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match="--start-from: which model"):
        train(RECIPES["post-eclip"](), data=store, out=tmp_path / "run")


def test_settings_that_are_refused_leave_no_run_behind(store, tmp_path):
    with pytest.raises(InputError, match="must be above 0"):
        train(small_run(dataclasses.replace(ECLIP, batch_share=0)), data=store, out=tmp_path / "run")
    run = small_run()
    run.model.text = {"model_type": "no such model"}
    with pytest.raises(InputError, match=r"--model\.text"):
        train(run, data=store, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_only_the_first_process_asks_for_an_empty_folder(whole_run, monkeypatch):
    """The others may come when it has begun."""
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    check_empty(whole_run)
    monkeypatch.setattr(rank_zero_only, "rank", 0)
    with pytest.raises(InputError, match="not empty"):
        check_empty(whole_run)


def test_a_store_without_validation_studies_trains_to_the_last_step(tmp_path):
    store = small_store(tmp_path / "store", validate=0)
    run = train(small_run(), data=store.path, out=tmp_path / "run")
    assert eclip.load(run).card["step"] == 12


def test_what_cannot_be_run_is_said_in_one_line(store, whole_run, tmp_path):
    with pytest.raises(InputError, match="not empty; add --resume"):
        train(small_run(), data=store, out=whole_run)
    with pytest.raises(InputError, match="no run to resume"):
        train(small_run(), data=store, out=tmp_path / "none", resume=True)
    with pytest.raises(InputError, match="differs from what is asked for in optim"):
        train(small_run(optim=OptimConfig(lr=5.0)), data=store, out=whole_run, resume=True)
    other = small_store(tmp_path / "other", plain=25).path
    with pytest.raises(InputError, match="data_fingerprint"):
        train(small_run(), data=other, out=whole_run, resume=True)


def test_a_checkpoint_cut_short_is_named(store, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(RuntimeError, match="stopped by the test"):
        train(small_run(), data=store, out=out, callbacks=[StopAt(5)])
    last = out / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"last\.ckpt: not a whole checkpoint"):
        train(small_run(), data=store, out=out, resume=True)


def test_config_is_told_in_plain_values():
    values = small_run().to_dict()
    assert yaml.safe_load(yaml.safe_dump(values)) == values
    assert set(values) == {field.name for field in dataclasses.fields(TrainConfig)}
