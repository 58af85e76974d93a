"""The attention processor: shapes, gradients, the structure the paper gives it, and what priming teaches it."""

import pytest
import torch
import torch.nn.functional as F

from eclip.models.heatmap_processor import AttentionProcessor, HeatmapProcessorConfig

SMALL = HeatmapProcessorConfig(patch_size=8, width=32, heads=4)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(32, 32), (40, 24), (37, 50), (8, 8)])
def test_view_has_the_shape_of_the_image(channels, size):
    processor = AttentionProcessor(SMALL, channels=channels)
    image, heatmap = torch.randn(2, channels, *size), torch.rand(2, 1, *size)
    assert processor(image, heatmap).shape == image.shape


def test_gradient_reaches_every_parameter():
    processor = AttentionProcessor(SMALL)
    processor(torch.randn(2, 1, 32, 32), torch.rand(2, 1, 32, 32)).square().sum().backward()
    for name, parameter in processor.named_parameters():
        assert parameter.grad is not None, name
        if name != "attention.in_proj_bias":  # a bias of the keys cancels in the softmax
            assert parameter.grad.abs().sum() > 0, name


def test_published_size_has_the_published_number_of_parameters():
    processor = AttentionProcessor(HeatmapProcessorConfig(), channels=3)
    assert (
        sum(parameter.numel() for parameter in processor.parameters()) == 722_435
    )  # eclip_spec.md, section 2.1


def test_equals_attention_written_out():
    """Queries from patches of E ⊙ I, keys and values from patches of I, heads side by side."""
    torch.manual_seed(0)
    processor = AttentionProcessor(SMALL).double()
    image, heatmap = torch.randn(1, 1, 16, 24).double(), torch.rand(1, 1, 16, 24).double()

    def patches(picture):
        cut = picture.unfold(2, 8, 8).unfold(3, 8, 8).reshape(6, 64)
        return cut @ processor.patchify.weight.reshape(32, 64).T + processor.patchify.bias

    weights, biases = processor.attention.in_proj_weight.chunk(3), processor.attention.in_proj_bias.chunk(3)
    query = patches(image * heatmap) @ weights[0].T + biases[0]
    key, value = (patches(image) @ weights[i].T + biases[i] for i in (1, 2))
    heads = []
    for head in range(4):
        part = slice(8 * head, 8 * head + 8)
        heads.append(torch.softmax(query[:, part] @ key[:, part].T / 8**0.5, dim=1) @ value[:, part])
    attended = processor.projection(processor.attention.out_proj(torch.cat(heads, dim=1)))
    pixels = attended @ processor.unpatchify.weight.reshape(32, 64) + processor.unpatchify.bias
    expected = pixels.reshape(2, 3, 8, 8).permute(0, 2, 1, 3).reshape(1, 1, 16, 24)
    torch.testing.assert_close(processor(image, heatmap), expected)


def test_moving_patches_moves_the_view():
    """No position is built in: permuted patches give permuted patches."""
    torch.manual_seed(0)
    processor = AttentionProcessor(SMALL)
    image, heatmap = torch.randn(1, 1, 32, 32), torch.rand(1, 1, 32, 32)
    swapped = processor(image.roll(8, 3), heatmap.roll(8, 3))
    torch.testing.assert_close(swapped, processor(image, heatmap).roll(8, 3), atol=1e-5, rtol=1e-4)


def test_priming_brings_it_towards_the_identity():
    torch.manual_seed(0)
    processor = AttentionProcessor(SMALL)
    coarse = torch.randn(8, 1, 4, 4)
    image = F.interpolate(coarse, size=(32, 32), mode="bilinear")
    optimizer = torch.optim.AdamW(processor.parameters(), lr=3e-3)
    errors = []
    for _ in range(150):
        loss = F.mse_loss(processor(image, torch.ones(8, 1, 32, 32)), image)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(loss.item())
    assert errors[-1] < 0.5 * errors[0]
