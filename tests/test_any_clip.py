"""Any CLIP, untouched: each architecture trains with each method, and computes the same with a processor beside it.

`docs/any-clip.md` lists these architectures; a test compares.
"""

import dataclasses
from pathlib import Path

import pytest
import torch

from eclip.training.methods import METHODS
from small_clips import ARCHITECTURES, architecture
from small_models import small_batch

DOCS = Path(__file__).parents[1] / "docs" / "any-clip.md"
PROCESSOR = {"patch_size": 8, "width": 16, "heads": 2}
NEVER_USED = {"encoder.image_model.embeddings.mask_token"}  # DINOv2's, of its own pre-training


def build(name, encoder):
    config = METHODS[name]()
    if hasattr(config, "processor"):
        config.processor = dataclasses.replace(config.processor, **PROCESSOR)
    method = config.build(encoder, steps=10, seed=0)
    method.train()
    return method, config


def batch_for(config, step):
    return small_batch(
        step,
        plain=4,
        experts=2 if config.expert_share else 0,
        slices=config.expert_slices,
        sentences=config.expert_sentences > 0,
        seed=step,
    )


def embeddings(encoder):
    """Of the same images, with one channel and with three, and texts."""
    draw = torch.Generator().manual_seed(0)
    grey, colour = torch.randn(2, 1, 32, 32, generator=draw), torch.randn(2, 3, 32, 32, generator=draw)
    was_training = encoder.training
    encoder.eval()
    with torch.inference_mode():
        found = [
            encoder.encode_image(grey),
            encoder.encode_image(colour),
            encoder.encode_text(small_batch().tokens),
        ]
    encoder.train(was_training)
    return found


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("method", METHODS)
def test_two_steps_change_what_is_trained_and_nothing_else(name, method):
    trained, config = build(method, architecture(name))
    before = {key: tensor.detach().clone() for key, tensor in trained.named_parameters()}
    optimiser = torch.optim.AdamW(trained.parameters(), lr=1e-2, weight_decay=0)
    for step in (5, 6):  # after the cold start
        optimiser.zero_grad()
        loss = trained(batch_for(config, step)).total
        loss.backward()
        optimiser.step()
        assert torch.isfinite(loss)
    same = {key for key, tensor in trained.named_parameters() if torch.equal(tensor, before[key])}
    expected = {key for key in before if key in NEVER_USED}
    if not method.startswith("siglip"):
        expected |= {key for key in before if key.endswith("logit_bias")}
    assert same == expected


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_with_a_processor_beside_it_the_clip_computes_the_same_bit_for_bit(name):
    encoder = architecture(name)
    keys, expected = list(encoder.state_dict()), embeddings(encoder)
    method, config = build("eclip", encoder)
    assert all(map(torch.equal, embeddings(encoder), expected))
    norms = {key: tensor.clone() for key, tensor in encoder.named_buffers()}
    before = [tensor.detach().clone() for tensor in method.heatmap_processor.parameters()]
    optimiser = torch.optim.AdamW(method.heatmap_processor.parameters(), lr=1e-2)
    for step in (0, 5):  # primed, then trained on expert views
        method(batch_for(config, step)).total.backward()
        optimiser.step()
    assert not any(map(torch.equal, method.heatmap_processor.parameters(), before))
    for key, tensor in encoder.named_buffers():  # running statistics are the images' business
        tensor.copy_(norms[key])
    assert all(map(torch.equal, embeddings(encoder), expected))
    assert list(encoder.state_dict()) == keys


@pytest.mark.parametrize(("height", "width"), [(32, 32), (48, 32)])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_grid_has_the_shape_of_the_image(name, height, width):
    encoder = architecture(name).eval()
    features = encoder.image_features(torch.randn(2, 1, height, width))
    assert features.pooled.shape == (2, encoder.embedding_dim)
    assert features.grid.shape == (2, height // 8, width // 8, encoder.embedding_dim)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_grid_keeps_rows_and_columns_apart(name):
    """A spot in the second row and last column shows there in the grid most."""
    encoder = architecture(name).eval()
    draw = torch.Generator().manual_seed(0)
    plain = torch.randn(1, 1, 48, 32, generator=draw)
    spot = plain.clone()
    spot[..., 8:16, 24:] += 3 * torch.randn(8, 8, generator=draw)
    change = (encoder.image_features(spot).grid - encoder.image_features(plain).grid).norm(dim=-1)[0]
    assert divmod(int(change.argmax()), 4) == (1, 3)


def test_the_documentation_lists_what_is_tested_here():
    rows = []
    for name in ARCHITECTURES:
        encoder = architecture(name)
        channels = {1: "1", 3: "3"}[encoder.preprocessing.channels]
        grid = "yes" if encoder.eval().image_features(torch.randn(1, 1, 32, 32)).grid is not None else "no"
        words = "yes" if encoder.text_features(small_batch().tokens).words is not None else "no"
        bias = "yes" if encoder.logit_bias is not None else "no"
        rows.append(f"| {name} | `{type(encoder).__name__}` | {grid} | {words} | {channels} | {bias} |\n")
    table = "".join(rows)
    assert table in DOCS.read_text(), f"docs/any-clip.md should hold this table:\n{table}"
