"""Heatmap processors: each kind against its formula, the identity where it is promised, gradients, and refusals."""

from typing import get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from eclip.errors import InputError
from eclip.models.heatmap_processor import (
    PROCESSORS,
    AttentionProcessor,
    HeatmapProcessorConfig,
    ProcessorKind,
    build_processor,
)

ATTENTION = {"patch_size": 8, "width": 32, "heads": 4}
SMALL = HeatmapProcessorConfig(**ATTENTION)
FORMS = {
    "attention": ATTENTION,
    "attention, masked+image": ATTENTION | {"query": "masked+image"},
    "attention, positions": ATTENTION | {"positions": True},
    "attention, both": ATTENTION | {"query": "masked+image", "positions": True},
    "mask": {"kind": "mask"},
    "convolution": {"kind": "convolution", "filters": 4, "layers": 3},
    "convolution, deep": {"kind": "convolution", "filters": 4, "layers": 5},
}
all_forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def processor_of(form, *, channels=1, seed=0, **changes):
    torch.manual_seed(seed)
    return build_processor(HeatmapProcessorConfig(**form, **changes), channels=channels)


def picture(*size, channels=1, images=2, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return (
        torch.randn(images, channels, *size, generator=draw),
        torch.rand(images, 1, *size, generator=draw),
    )


def softmax(scores):
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def array(tensor):
    return tensor.detach().double().numpy()


@all_forms
@pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(32, 32), (40, 24), (37, 50), (8, 8), (3, 65), (1, 1)])
def test_view_has_the_shape_of_the_image(form, residual, channels, size):
    image, heatmap = picture(*size, channels=channels)
    view = processor_of(form, channels=channels, residual=residual)(image, heatmap)
    assert view.shape == image.shape
    assert view.isfinite().all()


@all_forms
@pytest.mark.parametrize("patch_size", [1, 7, 16, 50])
def test_any_patch_size(form, patch_size):
    changes = {"patch_size": patch_size} if form.get("kind", "attention") == "attention" else {}
    image, heatmap = picture(20, 33)
    assert processor_of(form | changes)(image, heatmap).shape == image.shape


@all_forms
@pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])
def test_bfloat16_is_close_to_float32(form, residual):
    image, heatmap = picture(24, 40)
    processor = processor_of(form, residual=residual)
    expected = processor(image, heatmap)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(processor(image, heatmap).float(), expected, atol=0.05, rtol=0.05)
    half = processor.bfloat16()(image.bfloat16(), heatmap.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), expected, atol=0.1, rtol=0.1)


@all_forms
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(32, 32), (37, 50)])
def test_residual_is_the_identity_before_training(form, channels, size):
    """Bit for bit, whatever the heatmap, in bf16 as well."""
    image, heatmap = picture(*size, channels=channels)
    processor = processor_of(form, channels=channels, residual=True)
    for some in (heatmap, torch.zeros_like(heatmap), torch.ones_like(heatmap)):
        assert torch.equal(processor(image, some), image)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(processor(image, heatmap), image)


@all_forms
def test_without_residual_only_the_mask_is_the_identity_without_annotation(form):
    image, heatmap = picture(32, 32)
    processor = processor_of(form)
    is_identity = torch.equal(processor(image, torch.ones_like(heatmap)), image)
    assert is_identity == processor.config.starts_as_identity == (form.get("kind") == "mask")


@all_forms
@pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])
@pytest.mark.parametrize("channels", [1, 3])
def test_gradient_reaches_every_parameter(form, residual, channels):
    """After one step where the last layer starts at zero."""
    image, heatmap = picture(32, 32, channels=channels)
    processor = processor_of(form, channels=channels, residual=residual)
    parameters = dict(processor.named_parameters())
    assert bool(parameters) == processor.config.has_parameters
    if not parameters:
        return
    optimizer = torch.optim.SGD(parameters.values(), lr=0.1)
    for _ in range(1 + residual):
        optimizer.step()
        optimizer.zero_grad()
        (processor(image, heatmap) - 1).square().mean().backward()
    width = processor.config.width
    for name, parameter in parameters.items():
        gradient = parameter.grad
        assert gradient is not None, name
        if name == "attention.in_proj_bias":  # the keys' part cancels in the softmax
            gradient = torch.cat([gradient[:width], gradient[2 * width :]])
        assert gradient.abs().sum() > 0, name


@all_forms
@pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])
def test_images_of_a_batch_do_not_meet(form, residual):
    image, heatmap = picture(24, 24, images=3)
    processor = processor_of(form, residual=residual)
    for parameter in processor.parameters():  # so that the residual forms do something
        torch.nn.init.normal_(parameter, std=0.2)
    alone = torch.cat([processor(image[i : i + 1], heatmap[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(processor(image, heatmap), alone, atol=1e-5, rtol=1e-4)


def attention_loop(processor, image_CHW, heatmap_HW):
    """The formula of the paper, one patch, one head, one query at a time, in NumPy."""
    config, size = processor.config, processor.config.patch_size
    height, width = image_CHW.shape[1:]
    rows, columns = -(-height // size), -(-width // size)
    pad = ((0, rows * size - height), (0, columns * size - width))
    heatmap = np.pad(heatmap_HW, pad, mode="edge")
    image = np.pad(image_CHW, ((0, 0), *pad), mode="edge")
    weight, bias = array(processor.patchify.weight), array(processor.patchify.bias)

    def patches(of):
        cut = [
            of[:, r * size : (r + 1) * size, c * size : (c + 1) * size]
            for r in range(rows)
            for c in range(columns)
        ]
        return np.array([[(patch * kernel).sum() for kernel in weight] + bias for patch in cut])

    query, key, value = patches(image * heatmap), patches(image), patches(image)
    if config.query == "masked+image":
        query = query + key
    if config.positions:
        quarter = config.width // 4
        place = np.zeros((rows, columns, config.width))
        for r in range(rows):
            for c in range(columns):
                for k in range(quarter):
                    frequency = 10000 ** (-k / quarter)
                    place[r, c, k], place[r, c, quarter + k] = np.sin(r * frequency), np.cos(r * frequency)
                    place[r, c, 2 * quarter + k] = np.sin(c * frequency)
                    place[r, c, 3 * quarter + k] = np.cos(c * frequency)
        query, key = query + place.reshape(-1, config.width), key + place.reshape(-1, config.width)
    inner = config.width // config.heads
    weights = np.split(array(processor.attention.in_proj_weight), 3)
    biases = np.split(array(processor.attention.in_proj_bias), 3)
    q, k, v = (x @ w.T + b for x, w, b in zip((query, key, value), weights, biases, strict=True))
    attention = np.zeros((config.heads, len(q), len(k)))
    attended = np.zeros((len(q), config.width))
    for head in range(config.heads):
        part = slice(inner * head, inner * (head + 1))
        for n in range(len(q)):
            attention[head, n] = softmax(k[:, part] @ q[n, part] / np.sqrt(inner))
            attended[n, part] = attention[head, n] @ v[:, part]
    out = attended @ array(processor.attention.out_proj.weight).T + array(processor.attention.out_proj.bias)
    out = out @ array(processor.projection.weight).T + array(processor.projection.bias)
    view = np.zeros_like(image)
    kernel_DCpp = array(processor.unpatchify.weight)
    for n in range(len(q)):
        r, c = divmod(n, columns)
        view[:, r * size : (r + 1) * size, c * size : (c + 1) * size] = np.einsum(
            "d,dcij->cij", out[n], kernel_DCpp
        )
    view += array(processor.unpatchify.bias)[:, None, None]
    view = view[:, :height, :width]
    return (image_CHW + view if config.residual else view), attention


@pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])
@pytest.mark.parametrize("query", ["masked", "masked+image"])
@pytest.mark.parametrize("where", [False, True], ids=["nowhere", "positions"])
@pytest.mark.parametrize(("channels", "size"), [(1, (16, 24)), (3, (13, 18))])
def test_attention_equals_a_loop(residual, query, where, channels, size):
    form = ATTENTION | {"query": query, "positions": where, "residual": residual}
    processor = processor_of(form, channels=channels).double()
    for parameter in processor.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    image, heatmap = (x.double() for x in picture(*size, channels=channels))
    view, weights = processor(image, heatmap), processor.weights(image, heatmap)
    tolerance = 1e-6 if where else 1e-10  # positions are float32
    for i in range(2):
        expected, attention = attention_loop(processor, array(image[i]), array(heatmap[i, 0]))
        np.testing.assert_allclose(array(view[i]), expected, atol=tolerance)
        np.testing.assert_allclose(array(weights[i]), attention, atol=tolerance)


def test_keys_and_values_may_come_from_another_image():
    """Of the image itself only E ⊙ I is then left, in the queries."""
    processor = processor_of(ATTENTION)
    image, heatmap = picture(16, 24)
    assert torch.equal(processor.view(image, heatmap, source_BCHW=image), processor(image, heatmap))
    swapped = processor.view(image, heatmap, source_BCHW=image.flip(0))
    ones = torch.ones_like(heatmap)
    masked = processor.view(image * heatmap, ones, source_BCHW=image.flip(0))
    torch.testing.assert_close(swapped, masked)
    assert not torch.allclose(swapped, processor(image, heatmap), atol=1e-3)


def permuted(image, order, *, patch=8):
    """The image with its square patches in another order."""
    batch, channels, height, width = image.shape
    grid = image.unfold(2, patch, patch).unfold(3, patch, patch).flatten(2, 3)[:, :, order]
    grid = grid.unflatten(2, (height // patch, width // patch)).permute(0, 1, 2, 4, 3, 5)
    return grid.reshape(batch, channels, height, width)


@pytest.mark.parametrize("query", ["masked", "masked+image"])
def test_permuted_patches_give_permuted_patches(query):
    """No position is built in, unless it is asked for."""
    image, heatmap = picture(32, 40)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    for where in (False, True):
        processor = processor_of(ATTENTION | {"query": query, "positions": where})
        moved = processor(permuted(image, order), permuted(heatmap, order))
        same = torch.allclose(moved, permuted(processor(image, heatmap), order), atol=1e-5)
        assert same != where


@pytest.mark.parametrize("channels", [1, 3])
def test_mask_is_the_product(channels):
    image, heatmap = picture(9, 7, channels=channels)
    plain, gated = (processor_of({"kind": "mask"}, channels=channels, residual=r) for r in (False, True))
    expected = array(image) * array(heatmap)
    np.testing.assert_allclose(array(plain(image, heatmap)), expected, rtol=1e-6)
    for gate in (1.0, 0.25):
        torch.nn.init.constant_(gated.gate, gate)
        mixed = array(image) + gate * (expected - array(image))
        np.testing.assert_allclose(array(gated(image, heatmap)), mixed, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])
def test_convolution_equals_a_loop(residual):
    form = {"kind": "convolution", "filters": 3, "layers": 3, "residual": residual}
    processor = processor_of(form, channels=3).double()
    for parameter in processor.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    image, heatmap = (x.double() for x in picture(5, 6, channels=3, images=1))
    field = np.concatenate([array(image)[0], array(heatmap)[0]])
    convolutions = [layer for layer in processor.layers if isinstance(layer, torch.nn.Conv2d)]
    for number, layer in enumerate(convolutions):
        padded = np.pad(field, ((0, 0), (1, 1), (1, 1)), mode="edge")
        field = np.zeros((layer.out_channels, 5, 6))
        for d in range(layer.out_channels):
            for y in range(5):
                for x in range(6):
                    window = padded[:, y : y + 3, x : x + 3]
                    field[d, y, x] = (window * array(layer.weight[d])).sum() + array(layer.bias[d])
        if number + 1 < len(convolutions):
            field = array(F.gelu(torch.from_numpy(field)))
    expected = array(image)[0] + field if residual else field
    np.testing.assert_allclose(array(processor(image, heatmap))[0], expected, atol=1e-10)


def test_published_size_has_the_published_number_of_parameters():
    processor = build_processor(HeatmapProcessorConfig(), channels=3)
    assert isinstance(processor, AttentionProcessor)
    assert (
        sum(parameter.numel() for parameter in processor.parameters()) == 722_435
    )  # eclip_spec.md, section 2.1


def test_residual_draws_the_same_weights():
    """But for the last layer, the same seed gives the same start with and without."""
    plain, residual = (processor_of(ATTENTION, residual=r).state_dict() for r in (False, True))
    assert list(plain) == list(residual)
    for name, tensor in plain.items():
        expected = torch.zeros_like(tensor) if name.startswith("unpatchify") else tensor
        assert torch.equal(residual[name], expected), name


def test_kinds_on_the_command_line_are_those_registered():
    assert set(get_args(ProcessorKind)) == set(PROCESSORS)


@pytest.mark.parametrize("kind", PROCESSORS)
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("patch_size", 8),
        ("width", 32),
        ("heads", 4),
        ("query", "masked+image"),
        ("positions", True),
        ("filters", 8),
        ("layers", 2),
        ("slices", 4),
        ("residual", True),
    ],
)
def test_every_setting_changes_the_view_or_is_refused(kind, setting, value):
    config = HeatmapProcessorConfig(kind=kind, **{setting: value})
    if setting != "residual" and setting not in PROCESSORS[kind].settings:
        with pytest.raises(
            InputError, match=rf"--method.processor.{setting.replace('_', '-')} .*{kind}"
        ) as caught:
            build_processor(config)
        assert "\n" not in str(caught.value)
        return
    image, heatmap = picture(32, 32)
    views = []
    for settings in (HeatmapProcessorConfig(kind=kind), config):
        torch.manual_seed(0)
        processor = build_processor(settings)
        if setting == "slices":  # which change nothing before training
            for parameter in processor.parameters():
                torch.nn.init.normal_(parameter, std=0.3)
        views.append(processor(image, heatmap.expand(-1, settings.slices, -1, -1) / settings.slices))
    assert not torch.allclose(*views)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "magic"},
        {"patch_size": 0},
        {"heads": 0},
        {"width": 30, "heads": 8},
        {"width": 6, "heads": 2, "positions": True},
        {"kind": "convolution", "filters": 0},
        {"kind": "convolution", "layers": 1},
        {"slices": 0},
        {"kind": "mask", "slices": 8},
    ],
    ids=str,
)
def test_impossible_values_are_refused_in_a_line(wrong):
    with pytest.raises(InputError, match=r"^--method\.processor\.") as caught:
        build_processor(HeatmapProcessorConfig(**wrong))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "form", [ATTENTION, {"kind": "convolution", "filters": 8}], ids=["attention", "convolution"]
)
def test_priming_brings_it_towards_the_identity(form):
    processor = processor_of(form)
    coarse = torch.randn(4, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    image = F.interpolate(coarse, size=(16, 16), mode="bilinear")
    optimizer = torch.optim.AdamW(processor.parameters(), lr=1e-2)
    errors = []
    for _ in range(30):
        loss = F.mse_loss(processor(image, torch.ones_like(image)), image)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(loss.item())
    assert errors[-1] < 0.5 * errors[0]


@all_forms
def test_residual_needs_no_priming(form):
    """Its priming loss has no gradient: nothing is left to teach."""
    image, heatmap = picture(16, 16)
    processor = processor_of(form, residual=True)
    F.mse_loss(processor(image, torch.ones_like(heatmap)), image).backward()
    assert all(not parameter.grad.any() for parameter in processor.parameters() if parameter.grad is not None)


SLICED = {
    "attention": ATTENTION | {"slices": 3},
    "attention, both": ATTENTION | {"query": "masked+image", "positions": True, "slices": 3},
    "convolution": {"kind": "convolution", "filters": 4, "slices": 3},
}
all_sliced = pytest.mark.parametrize("form", SLICED.values(), ids=SLICED)
some_channels = pytest.mark.parametrize("channels", [1, 3])


def cut(heatmap, *, seed=1):
    """A heatmap (B, 1, H, W) in three slices that add up to it, at random."""
    draw = torch.Generator().manual_seed(seed)
    share = torch.rand(len(heatmap), 3, *heatmap.shape[2:], generator=draw)
    return heatmap * share / share.sum(1, keepdim=True)


def trained(processor, *, std=0.2):
    """Any weights but those of the start."""
    torch.manual_seed(5)
    for parameter in processor.parameters():
        torch.nn.init.normal_(parameter, std=std)
    return processor


@all_sliced
@some_channels
@pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])
def test_slices_matter_once_trained_and_only_their_sum_does_before(form, channels, residual):
    image, heatmap = picture(24, 40, channels=channels)
    processor = processor_of(form, channels=channels, residual=residual)
    once, again = cut(heatmap), cut(heatmap, seed=2)
    torch.testing.assert_close(processor(image, once), processor(image, again), atol=1e-5, rtol=1e-4)
    if residual:
        assert torch.equal(processor(image, once), image)
    trained(processor)
    view = processor(image, once)
    assert view.shape == image.shape
    assert (view - processor(image, again)).abs().max() > 1e-3
    assert (view - processor(image, once.flip(1))).abs().max() > 1e-3  # as were it looked at in another order


@some_channels
def test_sliced_attention_starts_as_that_of_one_heatmap(channels):
    """The same seed gives the same weights and views as without slices."""
    image, heatmap = picture(24, 40, channels=channels)
    for form in (SLICED["attention"], SLICED["attention, both"]):
        whole, sliced = (
            processor_of(form | {"slices": 1}, channels=channels),
            processor_of(form, channels=channels),
        )
        torch.testing.assert_close(sliced(image, cut(heatmap)), whole(image, heatmap), atol=1e-5, rtol=1e-4)


@some_channels
def test_sliced_attention_asks_with_all_slices_as_channels(channels):
    """Queries in a loop; the rest is the processor of one heatmap, whose queries are put in their place."""
    processor = trained(processor_of(SLICED["attention"], channels=channels))
    image, heatmap = picture(16, 24, channels=channels)
    slices = cut(heatmap)
    kernel, bias = array(processor.patchify_slices.weight), array(processor.patchify_slices.bias)
    query = np.zeros((2, 6, 32))
    for b in range(2):
        for n in range(6):
            rows, columns = slice(8 * (n // 3), 8 * (n // 3) + 8), slice(8 * (n % 3), 8 * (n % 3) + 8)
            for t in range(3):
                for c in range(channels):
                    patch = array(slices[b, t, rows, columns] * image[b, c, rows, columns])
                    query[b, n] += (kernel[:, t * channels + c] * patch).sum((1, 2))
            query[b, n] += bias
    found, _, _ = processor._tokens(image, slices, image)
    np.testing.assert_allclose(array(found), query, atol=1e-4)


def test_sliced_convolution_sees_the_slices_as_channels():
    processor = trained(processor_of(SLICED["convolution"]))
    image, heatmap = picture(9, 7)
    slices = cut(heatmap)
    expected = processor.layers(torch.cat([image, *slices.split(1, dim=1)], dim=1))
    assert torch.equal(processor(image, slices), expected)
    assert processor.layers[0].in_channels == 4


@all_sliced
def test_gradient_reaches_each_slice_apart(form):
    image, heatmap = picture(32, 32)
    processor = processor_of(form)
    (processor(image, cut(heatmap)) - 1).square().mean().backward()
    sliced = processor.patchify_slices if hasattr(processor, "patchify_slices") else processor.layers[0]
    gradients = sliced.weight.grad[:, -3:]
    for t in range(3):
        assert gradients[:, t].abs().sum() > 0
        assert not torch.allclose(gradients[:, t], gradients[:, t - 1])


@pytest.mark.parametrize("slices", [1, 3])
def test_no_annotation_is_one_everywhere_evenly_spread_over_time(slices):
    image, _ = picture(8, 16, channels=3)
    nothing = processor_of(ATTENTION | {"slices": slices}, channels=3).no_annotation(image)
    assert nothing.shape == (2, slices, 8, 16)
    torch.testing.assert_close(nothing, torch.full_like(nothing, 1 / slices))
