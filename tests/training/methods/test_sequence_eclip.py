"""`sequence-eclip`: `eclip` until its processor has learned that time matters; then the order of the gaze counts."""

import dataclasses

import pytest
import torch

from eclip.data.loading import TrainingBatches
from eclip.errors import InputError
from eclip.models.heatmap_processor import HeatmapProcessorConfig
from eclip.training.methods import METHODS, EclipConfig
from eclip.training.methods.sequence_eclip import SequenceEclipConfig
from small_models import small_batch, small_encoder
from small_stores import small_store

SMALL = {"patch_size": 8, "width": 16, "heads": 2}
COLD, WARM = 2, 30  # of 50 steps


def method(config):
    encoder = small_encoder()
    torch.manual_seed(1)
    return config.build(encoder, steps=50, seed=3).eval()


def sequence(**changes):
    return SequenceEclipConfig(processor=HeatmapProcessorConfig(**SMALL, slices=4), **changes)


def sliced_batch(step=WARM, **changes):
    return small_batch(step, experts=3, slices=4, **changes)


def test_it_is_eclip_with_eight_slices():
    config = SequenceEclipConfig()
    assert (config.processor.slices, config.expert_slices) == (8, 8)
    assert config.processor == dataclasses.replace(HeatmapProcessorConfig(), slices=8)
    assert {name: m().expert_slices for name, m in METHODS.items() if m().expert_slices > 1} == {
        "sequence-eclip": 8
    }


@pytest.mark.parametrize("step", [COLD, WARM])
def test_before_training_it_is_eclip_of_the_sums(step):
    """Priming and contrast alike: the processor starts blind to time."""
    batch = sliced_batch(step)
    eclip = method(EclipConfig(processor=HeatmapProcessorConfig(**SMALL)))
    whole = dataclasses.replace(batch, expert=dataclasses.replace(batch.expert, slices_ETHW=None))
    found, expected = method(sequence())(batch), eclip(whole)
    assert set(found.terms) == set(expected.terms)
    for name, term in expected.terms.items():
        torch.testing.assert_close(found.terms[name], term, atol=1e-5, rtol=1e-4)


def test_after_a_step_it_counts_when_something_was_looked_at():
    trained, batch = method(sequence()), sliced_batch()
    backwards = dataclasses.replace(batch.expert, slices_ETHW=batch.expert.slices_ETHW.flip(1))
    optimizer = torch.optim.SGD(trained.heatmap_processor.parameters(), lr=10.0)

    def difference():
        views = [trained._mixed_views(expert, WARM) for expert in (batch.expert, backwards)]
        return float((views[0] - views[1]).detach().abs().max())

    before = difference()
    trained(batch).total.backward()
    optimizer.step()
    assert before < 1e-5
    assert difference() > 10 * before + 1e-5


def test_a_reading_backwards_in_time_changes_the_view(tmp_path):
    store = small_store(tmp_path / "store", annotation="dictation")
    loader = TrainingBatches(
        store,
        tokenize=lambda texts: {"input_ids": torch.zeros(len(texts), 1)},
        size=32,
        batch_size=4,
        expert_batch_size=4,
        expert_probability=lambda step: 1.0,
        slices=4,
    )
    expert = loader[0].expert
    trained = method(sequence())
    for parameter in trained.heatmap_processor.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    image = trained.encoder.preprocessing.normalise(expert.image_E1HW)
    view, backwards = (
        trained.heatmap_processor(image, maps) for maps in (expert.in_slices, expert.in_slices.flip(1))
    )
    assert (view - backwards).abs().max() > 1e-3


def test_slices_are_refused_where_they_would_do_nothing():
    mask = HeatmapProcessorConfig(kind="mask", slices=8)
    with pytest.raises(InputError, match=r"processor\.slices 8: has no effect on kind mask"):
        SequenceEclipConfig(processor=mask, priming_weight=0).check()
    with pytest.raises(InputError, match=r"processor\.slices 1: this is eclip"):
        SequenceEclipConfig(processor=HeatmapProcessorConfig()).check()
    sequence().check()
