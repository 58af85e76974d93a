"""Settings of a run that cannot be trained with are refused in one line, before anything is read or written."""

from dataclasses import replace

import pytest

from eclip.errors import InputError
from eclip.recipes import RECIPES
from eclip.training.config import LoadingConfig, OptimConfig, TrainConfig
from eclip.training.methods import ClipConfig, EclipConfig
from eclip.training.train import train

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        *(("steps", value, "--steps") for value in (0, -1)),
        *(("batch_size", value, "--batch-size") for value in (0, -1)),
        *(("validate_every", value, "--validate-every") for value in (0, -1)),
        *(("log_every", value, "--log-every") for value in (0, -1)),
        ("seed", -1, "--seed -1: expected 0 or more"),
        ("loading", LoadingConfig(workers=-1), "--loading.workers -1"),
        *(("optim", OptimConfig(lr=value), "--optim.lr") for value in (-1e-3, NAN, INF)),
        *(("optim", OptimConfig(weight_decay=value), "--optim.weight-decay") for value in (-1, NAN, INF)),
        *(("optim", OptimConfig(warmup=value), "--optim.warmup") for value in (-1, 2, NAN)),
        *(("optim", OptimConfig(clip_norm=value), "--optim.clip-norm") for value in (-1, NAN, INF)),
        ("optim", OptimConfig(betas=(0.9, 1.0)), "--optim.betas"),
        *(("method", EclipConfig(processor_lr=value), "--method.processor-lr") for value in (0, -1, NAN, INF)),
        *(("method", EclipConfig(batch_share=value), message)
          for value, message in ((INF, "an expert batch"), (1e-4, "an expert batch"), (NAN, "--method.batch-share"))),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_with_is_refused(setting, value, message, tmp_path):
    config = replace(TrainConfig(), **{setting: value})
    with pytest.raises(InputError, match=message) as told:
        train(config, data=tmp_path / "nowhere", out=tmp_path / "run")
    assert "\n" not in str(told.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("temperature", [0.0, -1.0, 0.005, NAN, INF])
def test_a_temperature_beyond_its_bound_is_refused(temperature):
    config = TrainConfig()
    config.model.temperature = temperature
    with pytest.raises(InputError, match=r"--model\.temperature"):
        config.check()


def test_an_expert_batch_has_a_study():
    with pytest.raises(InputError, match=r"--batch-size 2: an expert batch of 0\.2 of it has no study"):
        TrainConfig(method=EclipConfig(batch_share=0.2), batch_size=2).check()
    TrainConfig(method=EclipConfig(), batch_size=2).check()
    with pytest.raises(InputError, match="--batch-size 1: expected 2 or more"):
        TrainConfig(method=ClipConfig(), batch_size=1).check()


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_can_be_trained_with(name):
    config = RECIPES[name]()
    if name.startswith("post-"):
        with pytest.raises(InputError, match="--start-from: which model is to go on"):
            config.check()
        config.start_from = "some/model"
    config.check()
