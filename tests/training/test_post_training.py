"""A stock CLIP-like checkpoint goes through training, to a model folder, and can be resumed."""

import numpy as np
import pytest
import torch

import eclip
from eclip.errors import InputError
from eclip.models.dual_encoder import DualEncoderConfig
from eclip.models.heatmap_processor import HeatmapProcessorConfig
from eclip.training.config import LoadingConfig, OptimConfig, TrainConfig
from eclip.training.curriculum import Curriculum
from eclip.training.methods import ClipConfig, EclipConfig
from eclip.training.methods.siglip_eclip import SiglipEclipConfig
from eclip.training.train import train
from small_clips import DUAL_MODELS, TEXTS, checkpoint
from small_stores import small_store

PROCESSOR = HeatmapProcessorConfig(patch_size=8, width=16, heads=2)
CURRICULUM = Curriculum(cold=0.2, start=1, peak=1, final=1)
METHODS = {
    "clip": ClipConfig(),
    "eclip": EclipConfig(curriculum=CURRICULUM, processor=PROCESSOR),
    "siglip-eclip": SiglipEclipConfig(curriculum=CURRICULUM, processor=PROCESSOR),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(tmp_path_factory.mktemp("data") / "store").path


def run_from(folder, method, *, lr=1e-3):
    return TrainConfig(
        method=METHODS[method],
        start_from=str(folder),
        steps=4,
        batch_size=6,
        precision="32",
        validate_every=2,
        optim=OptimConfig(lr=lr),
        loading=LoadingConfig(workers=0),
    )


@pytest.mark.parametrize(
    ("name", "method"), [("CLIP", "eclip"), ("SigLIP 2", "siglip-eclip"), ("AltCLIP", "clip")]
)
def test_a_stock_checkpoint_is_trained_on(store, tmp_path, name, method):
    checkpoint(tmp_path / "hub", name)
    before = eclip.load(tmp_path / "hub")
    config = run_from(tmp_path / "hub", method)
    run = train(config, data=store, out=tmp_path / "run")
    after = eclip.load(run)
    assert after.encoder.preprocessing == before.encoder.preprocessing
    assert after.fingerprint != before.fingerprint
    assert np.isfinite(after.embed_texts(TEXTS)).all()
    if method != "clip":
        assert after.heatmap_processor.channels == 3
    train(config, data=store, out=run, resume=True)  # its settings are those of config.yaml
    assert eclip.load(run).fingerprint == after.fingerprint


def test_a_learning_rate_of_zero_gives_the_checkpoint_back(store, tmp_path):
    checkpoint(tmp_path / "hub", "CLIP")
    run = train(run_from(tmp_path / "hub", "clip", lr=0.0), data=store, out=tmp_path / "run")
    before, after = eclip.load(tmp_path / "hub"), eclip.load(run)
    assert after.fingerprint == before.fingerprint
    for name, tensor in before.encoder.state_dict().items():
        assert torch.equal(after.encoder.state_dict()[name], tensor), name


def test_settings_without_weights_are_refused(store, tmp_path):
    config = TrainConfig(model=DualEncoderConfig(dual=DUAL_MODELS["CLIP"]))
    with pytest.raises(InputError, match="--start-from"):
        train(config, data=store, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
