"""`sentence-eclip` against its formula: views of sentences beside those of reports, without negatives that are none."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback

from eclip import load
from eclip.data.draws import generator
from eclip.errors import InputError
from eclip.models.heatmap_processor import HeatmapProcessorConfig
from eclip.training.config import LoadingConfig, TrainConfig
from eclip.training.curriculum import Curriculum
from eclip.training.methods import METHODS, EclipConfig
from eclip.training.methods.sentence_eclip import SentenceEclipConfig
from eclip.training.train import train
from small_models import BERT, small_batch, small_config, small_encoder
from small_stores import small_store

PROCESSOR = HeatmapProcessorConfig(patch_size=8, width=16, heads=2)
COLD, WARM = 2, 30  # of 50 steps


def method(config_class=SentenceEclipConfig, **changes):
    encoder = small_encoder()
    torch.manual_seed(1)
    config = config_class(**{"processor": PROCESSOR} | changes)
    return config.build(encoder, steps=50, seed=3).eval()


def batch_of(step=WARM, **changes):
    """Three expert images; two sentences of the last, one of the first."""
    batch = small_batch(step, experts=3, sentences=True, **changes)
    batch.expert.rows = [7, 2, 5]
    batch.expert.sentences.index_S = torch.tensor([2, 0, 2])
    batch.expert.sentences.rows = [5, 7, 5]
    batch.key_N2[7:, 0] = batch.key_N2[[6, 4, 6], 0]
    return batch


def loss_loop(eclip, batch, shares):
    """From the formula: every view alone, every denominator alone."""
    encoder, expert, sentences = eclip.encoder, batch.expert, batch.expert.sentences
    normalise = encoder.preprocessing.normalise
    views = [normalise(image[None]) for image in batch.image_B1HW]
    pairs = [(i, heatmap) for i, heatmap in enumerate(expert.heatmap_E1HW)]
    pairs += list(zip(sentences.index_S.tolist(), sentences.heatmap_STHW, strict=True))
    for i, heatmap in pairs:
        image = normalise(expert.image_E1HW[i][None])
        view = eclip.heatmap_processor(image, heatmap[None])
        views.append(shares[i] * image + (1 - shares[i]) * view)
    v = F.normalize(torch.cat([encoder.encode_image(view) for view in views]), dim=1)
    t = torch.cat([encoder.encode_text(tokens) for tokens in (batch.tokens, sentences.tokens)])
    scale, total = encoder.scale, 0.0
    for i in range(len(v)):
        for own, others in ((v, t), (t, v)):
            below = [
                (scale * own[i] @ others[j]).exp()
                for j in range(len(v))
                if i == j or not (batch.key_N2[i] == batch.key_N2[j]).any()
            ]
            total += -(scale * own[i] @ others[i]) + torch.stack(below).sum().log()
    return total / (2 * len(v))


def test_sentences_are_further_positives_with_the_gaze_of_their_seconds():
    eclip, batch = method(), batch_of()
    share = generator(3, WARM, "mixup").beta(0.3, 0.3)
    torch.testing.assert_close(eclip(batch).total, loss_loop(eclip, batch, [share] * 3), atol=1e-5, rtol=1e-4)


def test_a_sentence_is_mixed_as_its_image_is():
    eclip, batch = method(mixup_per="sample"), batch_of()
    shares = [generator(3, WARM, f"mixup of row {row}").beta(0.3, 0.3) for row in (7, 2, 5)]
    torch.testing.assert_close(eclip(batch).total, loss_loop(eclip, batch, shares), atol=1e-5, rtol=1e-4)


def test_two_studies_that_share_a_sentence_do_not_push_each_other_away():
    """Equal texts of other studies are left out; without that, the loss is another."""
    eclip, batch = method(mixup_alpha=None), batch_of()
    apart = eclip(batch).total
    batch.key_N2[8, 1] = batch.key_N2[7, 1]  # what was said of the last was said of the first
    shared = eclip(batch).total
    assert shared < apart
    torch.testing.assert_close(shared, loss_loop(eclip, batch, [0.0] * 3), atol=1e-5, rtol=1e-4)


def test_equal_reports_are_no_negatives_on_ordinary_steps_either():
    eclip, batch = method(), small_batch(WARM, sentences=True)
    torch.testing.assert_close(eclip(batch).total, method(EclipConfig)(batch).total)
    batch.key_N2[1, 1] = batch.key_N2[0, 1]
    assert eclip(batch).total < method(EclipConfig)(batch).total


def test_without_a_usable_sentence_a_step_is_that_of_eclip():
    batch = small_batch(WARM, experts=3, sentences=True)
    batch.key_N2 = batch.key_N2[:7]
    batch.expert.sentences = dataclasses.replace(
        batch.expert.sentences,
        heatmap_STHW=batch.expert.sentences.heatmap_STHW[:0],
        index_S=batch.expert.sentences.index_S[:0],
        rows=[],
        tokens={},
    )
    torch.testing.assert_close(method()(batch).total, method(EclipConfig)(batch).total)


def test_the_cold_start_is_primed_as_in_eclip():
    batch = small_batch(COLD, sentences=True)
    found, expected = method()(batch), method(EclipConfig)(batch)
    assert found.weights == expected.weights
    torch.testing.assert_close(found.total, expected.total)


def test_sentences_may_come_in_slices_of_their_time():
    eclip = method(processor=dataclasses.replace(PROCESSOR, slices=4))
    batch = small_batch(WARM, experts=3, sentences=True, slices=4)
    whole = small_batch(WARM, experts=3, sentences=True, slices=4)
    whole.expert.slices_ETHW = None
    whole.expert.sentences.heatmap_STHW = whole.expert.sentences.heatmap_STHW.sum(1, keepdim=True)
    torch.testing.assert_close(eclip(batch).total, method()(whole).total, atol=1e-5, rtol=1e-4)


def test_gradient_reaches_the_processor_through_the_sentences_alone():
    eclip, batch = method(), batch_of()
    maps = batch.expert.sentences.heatmap_STHW.requires_grad_()
    eclip(batch).total.backward()
    assert all(heatmap.abs().sum() > 0 for heatmap in maps.grad)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sentences": 0}, "--method.sentences 0: must be at least 1; train `eclip`"),
        ({"lead": -1.0}, "--method.lead -1.0: must be a number of seconds from 0"),
        ({"lead": float("nan")}, "--method.lead nan"),
        ({"batch_share": 0.0}, "--method.batch-share 0.0"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        SentenceEclipConfig(**changes).check()
    assert "\n" not in str(caught.value)


def test_methods_ask_for_sentences_or_not():
    config = SentenceEclipConfig(sentences=3, lead=0.7)
    config.check()
    assert (config.expert_sentences, config.sentence_lead) == (3, 0.7)
    assert {name for name, m in METHODS.items() if m().expert_sentences} == {
        "sentence-eclip",
        "gaze-grounding",
    }


class Killed(Callback):
    """Ends a run as a failure would, right after step 5."""

    def on_train_batch_end(self, trainer, *args):
        if trainer.global_step == 5:
            raise RuntimeError("killed")


def test_a_run_of_sentences_in_slices_resumes_bit_for_bit(tmp_path):
    store = small_store(tmp_path / "store", annotation="dictation").path
    config = TrainConfig(
        method=SentenceEclipConfig(
            processor=dataclasses.replace(PROCESSOR, slices=3),
            curriculum=Curriculum(cold=0.2, start=1, peak=1, final=1),
            sentences=2,
        ),
        model=small_config(text=BERT | {"vocab_size": 300}),
        loading=LoadingConfig(workers=0),
        steps=8,
        batch_size=6,
        precision="32",
        validate_every=2,
    )
    whole = train(config, data=store, out=tmp_path / "whole")
    with pytest.raises(RuntimeError, match="killed"):
        train(config, data=store, out=tmp_path / "killed", callbacks=[Killed()])
    killed = train(config, data=store, out=tmp_path / "killed", resume=True)
    states = [
        torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for run in (whole, killed)
    ]
    for name, tensor in states[0].items():
        assert torch.equal(tensor, states[1][name]), name
    assert load(killed).fingerprint == load(whole).fingerprint
    assert load(killed).heatmap_processor.config.slices == 3
