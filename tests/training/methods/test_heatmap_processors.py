"""Heatmap processors inside eclip: every kind trains, and what would have no effect beside it is refused."""

import pytest
import torch

from eclip.errors import InputError
from eclip.models.heatmap_processor import PROCESSORS, HeatmapProcessorConfig
from eclip.training.config import OptimConfig
from eclip.training.curriculum import Curriculum
from eclip.training.methods import EclipConfig
from eclip.training.module import parameter_groups
from small_models import small_batch, small_encoder


@pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])
@pytest.mark.parametrize("kind", PROCESSORS)
def test_two_steps_with_every_kind_change_its_processor(kind, residual):
    processor = HeatmapProcessorConfig(kind=kind, residual=residual)
    weight = 0.0 if processor.starts_as_identity else 0.1
    config = EclipConfig(curriculum=Curriculum(cold=0.25), processor=processor, priming_weight=weight)
    config.check()
    encoder = small_encoder()
    torch.manual_seed(0)
    method = config.build(encoder, steps=8, seed=0)
    before = {name: tensor.clone() for name, tensor in method.heatmap_processor.state_dict().items()}
    optimizer = torch.optim.AdamW(parameter_groups(method, OptimConfig()))
    for step in (4, 5):
        optimizer.zero_grad()
        method(small_batch(step, experts=3)).total.backward()
        optimizer.step()
    after = method.heatmap_processor.state_dict()
    assert all(not torch.equal(after[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize(
    ("settings", "flag"),
    [
        ({"processor": HeatmapProcessorConfig(kind="mask")}, "priming-weight 0.1"),
        ({"processor": HeatmapProcessorConfig(residual=True)}, "priming-weight 0.1"),
        (
            {"processor": HeatmapProcessorConfig(kind="mask"), "priming_weight": 0, "processor_lr": 0.3},
            "processor-lr 0.3",
        ),
        ({"processor": HeatmapProcessorConfig(kind="mask", width=8)}, "processor.width 8"),
    ],
)
def test_what_would_have_no_effect_is_refused(settings, flag):
    with pytest.raises(InputError, match=f"^--method.{flag}: has no effect") as caught:
        EclipConfig(**settings).check()
    assert "\n" not in str(caught.value)
