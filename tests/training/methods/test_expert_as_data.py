"""`expert-as-data` takes in the studies of `eclip`, on the same steps, and never their heatmaps."""

import torch

from eclip.data.loading import TrainingBatches
from eclip.losses.contrastive import info_nce
from eclip.training.methods import EclipConfig
from eclip.training.methods.expert_as_data import ExpertAsDataConfig
from small_models import small_batch, small_encoder
from small_stores import small_store


def test_loss_is_info_nce_over_all_images_whatever_the_heatmaps():
    method, batch = (
        ExpertAsDataConfig().build(small_encoder(), steps=50, seed=3).eval(),
        small_batch(experts=3),
    )
    encoder = method.encoder
    image = encoder.preprocessing.normalise(torch.cat([batch.image_B1HW, batch.expert.image_E1HW]))
    expected = info_nce(encoder.encode_image(image), encoder.encode_text(batch.tokens), encoder.scale)
    torch.testing.assert_close(method(batch).total, expected)
    batch.expert.heatmap_E1HW.zero_()
    torch.testing.assert_close(method(batch).total, expected)
    assert method.heatmap_processor is None


def test_studies_and_steps_are_those_of_eclip(tmp_path):
    store = small_store(tmp_path / "store")

    def batches(config):
        return TrainingBatches(
            store,
            tokenize=lambda texts: {"texts": texts},
            size=32,
            batch_size=6,
            expert_batch_size=round(6 * config.expert_share),
            expert_probability=lambda step: config.expert_probability(step, steps=60),
        )

    ours, eclips = batches(ExpertAsDataConfig()), batches(EclipConfig())
    found = [(ours[step].expert, eclips[step].expert) for step in range(60)]
    for own, eclip in found:
        assert (own is None) == (eclip is None)
        assert own is None or own.rows == eclip.rows
    assert 5 < sum(own is not None for own, _ in found) < 40
