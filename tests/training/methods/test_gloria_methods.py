"""`gloria` and `gloria-eclip`: both losses of what the encoder gives, the expert views in both, and honest refusals."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback

import eclip
from eclip.data.loading import Batch
from eclip.errors import InputError
from eclip.losses.contrastive import in_batch_accuracy, info_nce
from eclip.losses.word_attention import word_attention_loss
from eclip.models.dual_encoder import ImageFeatures, TextFeatures
from eclip.models.heatmap_processor import HeatmapProcessorConfig
from eclip.training.config import LoadingConfig, TrainConfig
from eclip.training.curriculum import Curriculum
from eclip.training.methods import ClipConfig, EclipConfig
from eclip.training.methods.gloria import GloriaConfig, GloriaLosses
from eclip.training.methods.gloria_eclip import GloriaEclipConfig
from eclip.training.train import train
from small_clips import small_clip
from small_models import VIT, small_batch, small_config, small_encoder
from small_stores import small_store

PROCESSOR = HeatmapProcessorConfig(patch_size=8, width=16, heads=2)
LOSSES = GloriaLosses(
    global_weight=0.7,
    local_weight=0.4,
    attention_temperature=0.5,
    word_temperature=0.3,
    local_temperature=0.2,
)
LOCAL = {"attention_temperature": 0.5, "word_temperature": 0.3, "temperature": 0.2}
CONFIGS = {
    "gloria": GloriaConfig(losses=LOSSES),
    "gloria-eclip": GloriaEclipConfig(losses=LOSSES, processor=PROCESSOR),
}
COLD, WARM = 2, 30  # of 50 steps


def method(config, *, image=None, **changes):
    encoder = small_encoder(**({} if image is None else {"image": image}), **changes)
    torch.manual_seed(1)
    return config.build(encoder, steps=50, seed=3).eval()


def batch_with_words(step=0, *, experts=0):
    batch = small_batch(step, experts=experts)
    rows = len(batch.tokens["input_ids"])
    words = torch.tensor([-1, 0, 1, 1, 2, 3, 4, -1, -1]).repeat(rows, 1)
    words[1, 4:] = -1
    return dataclasses.replace(batch, tokens={**batch.tokens, "word_ids": words})


def both_losses(encoder, pixels, tokens):
    """Of all pairs together."""
    seen, read = encoder.image_features(pixels), encoder.text_features(tokens)
    local = word_attention_loss(seen.grid.flatten(1, 2), read.words, read.mask, **LOCAL)
    image, text = F.normalize(seen.pooled, dim=1), F.normalize(read.pooled, dim=1)
    return info_nce(image, text, encoder.scale), local, in_batch_accuracy(image[:4], text[:4])


@pytest.mark.parametrize("local", ["shared", "own"])
@pytest.mark.parametrize("name", CONFIGS)
def test_without_experts_it_is_both_losses_of_the_pairs(name, local):
    trained, batch = method(CONFIGS[name], local_features=local), batch_with_words(WARM)
    losses = trained(batch)
    pixels = trained.encoder.preprocessing.normalise(batch.image_B1HW)
    whole, parts, accuracy = both_losses(trained.encoder, pixels, batch.tokens)
    torch.testing.assert_close(losses.total, 0.7 * whole + 0.4 * parts)
    torch.testing.assert_close(losses.terms["local"], parts)
    assert losses.metrics["accuracy"] == accuracy


@pytest.mark.parametrize("image", [None, VIT])
def test_expert_views_of_eclip_join_both_losses(image):
    """With batch norms in a pass of their own, without in the same: the images and views are those of eclip."""
    batch = batch_with_words(WARM, experts=3)
    plain = method(EclipConfig(processor=PROCESSOR), image=image)
    pixels = torch.cat(
        [plain.encoder.preprocessing.normalise(batch.image_B1HW), plain._mixed_views(batch.expert, WARM)]
    )
    whole, parts, accuracy = both_losses(plain.encoder, pixels, batch.tokens)
    losses = method(CONFIGS["gloria-eclip"], image=image)(batch)
    torch.testing.assert_close(losses.total, 0.7 * whole + 0.4 * parts)
    torch.testing.assert_close(losses.terms["contrastive"], plain(batch).terms["contrastive"])
    assert losses.metrics["accuracy"] == accuracy
    assert losses.metrics["expert_probability"] == plain(batch).metrics["expert_probability"]


def test_priming_weighs_against_both_losses():
    batch = batch_with_words(COLD)
    losses = method(CONFIGS["gloria-eclip"])(batch)
    terms = losses.terms
    expected = 0.1 * terms["priming"] + 0.9 * (0.7 * terms["contrastive"] + 0.4 * terms["local"])
    torch.testing.assert_close(losses.total, expected)
    eclips = method(EclipConfig(processor=PROCESSOR))(batch)
    torch.testing.assert_close(terms["priming"], eclips.terms["priming"])
    torch.testing.assert_close(terms["contrastive"], eclips.terms["contrastive"])


def test_expert_views_leave_the_statistics_of_batch_norms_alone():
    def statistics(batch):
        trained = method(CONFIGS["gloria-eclip"]).train()
        trained(batch)
        return [b.clone() for name, b in trained.encoder.named_buffers() if "running" in name]

    expected, with_expert = statistics(batch_with_words(WARM)), batch_with_words(WARM, experts=3)
    with_expert.image_B1HW = batch_with_words(WARM).image_B1HW
    with_expert.expert.image_E1HW += 50
    found = statistics(with_expert)
    assert expected
    assert all(map(torch.equal, found, expected))


def test_without_the_global_loss_regions_and_words_alone_are_trained():
    losses = method(GloriaConfig(losses=GloriaLosses(global_weight=0)))(batch_with_words())
    assert losses.total == losses.terms["local"]


@pytest.mark.parametrize("name", CONFIGS)
def test_a_batch_of_one_trains(name):
    """The published code stops there."""
    trained = method(CONFIGS[name])
    batch = small_batch(plain=1)
    total = trained(Batch(WARM, batch.image_B1HW, batch.tokens)).total
    total.backward()
    assert total == 0
    assert all(torch.isfinite(p.grad).all() for p in trained.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", CONFIGS)
def test_gradient_reaches_all_of_gloria_s_encoder(name):
    trained = method(CONFIGS[name], local_features="own").train()
    trained(batch_with_words(WARM, experts=3 if name == "gloria-eclip" else 0)).total.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in trained.encoder.parameters())


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(("regions", "words"), [(False, True), (True, False), (False, False)])
def test_an_encoder_without_regions_or_words_is_refused_by_name(name, regions, words, monkeypatch):
    encoder = small_encoder()
    see, read = encoder.image_features, encoder.text_features
    if not regions:
        monkeypatch.setattr(encoder, "image_features", lambda pixels: ImageFeatures(see(pixels).pooled, None))
    if not words:
        monkeypatch.setattr(
            encoder, "text_features", lambda t: TextFeatures(read(t).pooled, None, read(t).mask)
        )
    missing = " and ".join(["image regions"] * (not regions) + ["words"] * (not words))
    with pytest.raises(
        InputError, match=f"method {name}: this encoder has no {missing} to compare"
    ) as caught:
        CONFIGS[name].build(encoder, steps=50, seed=3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", CONFIGS)
def test_trying_the_encoder_leaves_it_as_it_was(name, training):
    encoder = small_clip("CLIP") if name == "gloria" else small_encoder()
    encoder.train(training)
    before = {key: tensor.clone() for key, tensor in encoder.state_dict().items()}
    random = torch.random.get_rng_state()
    if name == "gloria":
        CONFIGS[name].build(encoder, steps=50, seed=3)
        assert torch.equal(torch.random.get_rng_state(), random)
    else:
        CONFIGS[name].build(encoder, steps=50, seed=3)
    assert all(module.training == training for module in encoder.modules())
    assert all(torch.equal(tensor, before[key]) for key, tensor in encoder.state_dict().items())


@pytest.mark.parametrize("setting", [field.name for field in dataclasses.fields(GloriaLosses)])
@pytest.mark.parametrize("value", [-1.0, 0.0, float("nan")])
@pytest.mark.parametrize("name", CONFIGS)
def test_settings_that_would_do_nothing_or_harm_are_refused(name, setting, value):
    config = dataclasses.replace(CONFIGS[name], losses=dataclasses.replace(LOSSES, **{setting: value}))
    if setting == "global_weight" and value == 0:
        config.check()
        return
    flag = f"--method.losses.{setting.replace('_', '-')} {value}"
    with pytest.raises(InputError, match=flag):
        config.check()


def test_settings_of_eclip_are_checked_too():
    with pytest.raises(InputError, match=r"--method\.batch-share"):
        dataclasses.replace(CONFIGS["gloria-eclip"], batch_share=0.0).check()


class Watch(Callback):
    """Notes the tokens of batches, and stops as a kill would."""

    def __init__(self, *, stop_after=None):
        self.seen, self.stop_after = [], stop_after

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.seen.append(batch.tokens)
        if trainer.global_step == self.stop_after:
            raise RuntimeError("killed")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(tmp_path_factory.mktemp("data") / "store").path


def run_of(config, **changes):
    return TrainConfig(
        method=config,
        model=small_config(**changes),
        steps=6,
        batch_size=6,
        precision="32",
        validate_every=2,
        loading=LoadingConfig(workers=0),
    )


def test_a_run_reads_words_and_resumes_bit_for_bit(store, tmp_path):
    curriculum = Curriculum(cold=0.2, start=1, peak=1, final=1)
    config = run_of(dataclasses.replace(CONFIGS["gloria-eclip"], curriculum=curriculum), local_features="own")
    watch = Watch()
    whole = train(config, data=store, out=tmp_path / "whole", callbacks=[watch])
    assert len(watch.seen) == 6
    for tokens in watch.seen:
        assert tokens["word_ids"].shape == tokens["input_ids"].shape
        assert (tokens["word_ids"].max(1).values >= 1).all()  # "there", "is", …
    with pytest.raises(RuntimeError, match="killed"):
        train(config, data=store, out=tmp_path / "killed", callbacks=[Watch(stop_after=4)])
    killed = train(config, data=store, out=tmp_path / "killed", resume=True)
    assert eclip.load(killed).fingerprint == eclip.load(whole).fingerprint
    assert eclip.load(whole).encoder.image_features(torch.randn(1, 1, 32, 32)).grid.shape == (1, 8, 8, 12)


def test_other_methods_see_no_words_and_own_local_features_need_one_that_trains_them(store, tmp_path):
    watch = Watch()
    train(run_of(ClipConfig()), data=store, out=tmp_path / "clip", callbacks=[watch])
    assert set(watch.seen[0]) == {"input_ids", "attention_mask"}
    with pytest.raises(InputError, match=r"--model\.local-features own: method clip trains none"):
        train(run_of(ClipConfig(), local_features="own"), data=store, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
