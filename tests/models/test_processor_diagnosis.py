"""The diagnosis of heatmap processors against its formulas in NumPy, and on processors whose answer is known."""

import re
from dataclasses import astuple, fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import eclip
from eclip.errors import InputError
from eclip.models.heatmap_processor import HeatmapProcessor, HeatmapProcessorConfig, build_processor
from eclip.models.model import Model
from eclip.models.processor_diagnosis import ProcessorDiagnosis, diagnose, diagnose_model
from eclip.models.tokenizer import train_tokenizer
from small_models import BERT, small_encoder
from small_stores import small_store

ATTENTION = HeatmapProcessorConfig(patch_size=8, width=16, heads=2)


def batch(*, images=3, channels=1, size=(16, 24), seed=0):
    draw = torch.Generator().manual_seed(seed)
    image = torch.randn(images, channels, *size, generator=draw) + 1
    return image, torch.rand(images, 1, *size, generator=draw)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["attention", "convolution"])
def test_errors_are_relative_to_the_variance_of_what_the_view_is_compared_with(kind, channels):
    torch.manual_seed(0)
    processor = build_processor(HeatmapProcessorConfig(kind=kind), channels=channels)
    image, heatmap = batch(channels=channels)
    found = diagnose(processor, image, heatmap)
    with torch.no_grad():
        view, whole = (processor(image, e).double().numpy() for e in (heatmap, torch.ones_like(heatmap)))
    i, e = image.double().numpy(), heatmap.double().numpy()
    expected = {
        "error_without_annotation": np.mean((whole - i) ** 2) / np.var(i),
        "error_to_image": np.mean((view - i) ** 2) / np.var(i),
        "error_to_mask": np.mean((view - e * i) ** 2) / np.var(e * i),
        "mask_to_image": np.mean((e * i - i) ** 2) / np.var(i),
        "image_change": np.sqrt(np.mean((i[[1, 2, 0]] - i) ** 2) / np.var(i)),
    }
    for name, value in expected.items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-4), name


def test_swap_change_and_entropy_of_attention():
    """Keys and values of the next image, in a loop over images, heads and queries."""
    torch.manual_seed(0)
    processor = build_processor(ATTENTION).double()
    image, heatmap = (x.double() for x in batch())
    found = diagnose(processor, image, heatmap)
    attention = processor.attention

    def tokens(of):
        return processor.patchify(of).flatten(1).T.detach().numpy()  # (6 patches, 16)

    weights = [w.detach().numpy() for w in attention.in_proj_weight.chunk(3)]
    biases = [b.detach().numpy() for b in attention.in_proj_bias.chunk(3)]
    views, swapped, entropies = [], [], []
    for n in range(3):
        query = tokens(image[n] * heatmap[n]) @ weights[0].T + biases[0]
        for source, into in ((n, views), ((n + 1) % 3, swapped)):
            key, value = (tokens(image[source]) @ weights[j].T + biases[j] for j in (1, 2))
            attended = np.zeros_like(query)
            for head in range(2):
                part = slice(8 * head, 8 * head + 8)
                for p in range(6):
                    weight = np.exp(key[:, part] @ query[p, part] / np.sqrt(8))
                    weight /= weight.sum()
                    attended[p, part] = weight @ value[:, part]
                    if into is views:
                        entropies.append(-(weight * np.log(weight)).sum() / np.log(6))
            out = processor.projection(attention.out_proj(torch.from_numpy(attended)))
            into.append(processor.unpatchify(out.T.reshape(1, 16, 2, 3)).detach().numpy())
    views, swapped = np.array(views), np.array(swapped)
    expected = np.sqrt(np.mean((swapped - views) ** 2) / np.var(views))
    assert found.swap_change == pytest.approx(expected, rel=1e-6)
    assert found.attention_entropy == pytest.approx(np.mean(entropies), rel=1e-6)


def test_mask_is_called_masking_and_identity_identity():
    image, heatmap = batch()
    mask = diagnose(build_processor(HeatmapProcessorConfig(kind="mask")), image, heatmap)
    assert mask.error_without_annotation == mask.error_to_mask == 0
    assert mask.error_to_image == mask.mask_to_image > 0
    assert mask.swap_change is mask.attention_entropy is None
    identity = diagnose(build_processor(HeatmapProcessorConfig(residual=True)), image, heatmap)
    assert identity.error_without_annotation == identity.error_to_image == identity.swap_change == 0
    assert identity.error_to_mask > 0


def test_a_grey_view_has_error_one():
    """Whatever the mean: error 1 is that of the mean of all pixels."""

    class Grey(HeatmapProcessor):
        def forward(self, image_BCHW, heatmap_B1HW):
            return torch.full_like(image_BCHW, float(image_BCHW.mean()))

    image, heatmap = batch()
    found = diagnose(Grey(HeatmapProcessorConfig(kind="mask")), image, heatmap)
    assert found.error_to_image == found.error_without_annotation == pytest.approx(1, rel=1e-5)


def test_attention_without_keys_is_uniform():
    processor = build_processor(ATTENTION)
    nn.init.zeros_(processor.attention.in_proj_weight)
    found = diagnose(processor, *batch())
    assert found.attention_entropy == pytest.approx(1, abs=1e-6)
    assert found.swap_change == 0  # values are gone as well
    assert diagnose(processor, *batch(size=(8, 8))).attention_entropy == 1  # one patch


def test_slices_are_measured_by_their_sum():
    """Before training, a processor of slices is one of the whole heatmap."""
    image, heatmap = batch()
    share = torch.rand(3, 4, *heatmap.shape[2:], generator=torch.Generator().manual_seed(3))
    slices = heatmap * share / share.sum(1, keepdim=True)
    found = []
    for count, maps in ((1, heatmap), (4, slices)):
        torch.manual_seed(0)
        found.append(diagnose(build_processor(replace(ATTENTION, slices=count)), image, maps))
    assert astuple(found[1]) == pytest.approx(astuple(found[0]), rel=1e-3)


def test_nothing_to_measure_is_said_in_a_line():
    processor = build_processor(HeatmapProcessorConfig(kind="mask"))
    image, heatmap = batch()
    with pytest.raises(InputError, match="two images or more, not on 1"):
        diagnose(processor, image[:1], heatmap[:1])
    with pytest.raises(InputError, match="heatmaps show something"):
        diagnose(processor, image, torch.zeros_like(heatmap))


def small_model(processor, channels=1):
    tokenizer = train_tokenizer(["There is edema."], vocab_size=80)
    encoder = small_encoder(text=BERT | {"vocab_size": len(tokenizer)})
    if processor:
        processor = build_processor(HeatmapProcessorConfig(kind=processor), channels=channels)
    return Model(encoder, tokenizer, heatmap_processor=processor or None)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_saved_model_is_diagnosed_on_a_store(tmp_path, channels):
    small_model("mask", channels).save(tmp_path / "model")
    store = small_store(tmp_path / "store", annotated=8)
    found = diagnose_model(eclip.load(tmp_path / "model"), store)
    assert found.error_to_mask == 0
    assert found.mask_to_image > 0
    fewer = diagnose_model(eclip.load(tmp_path / "model"), store, images=2)
    assert fewer.mask_to_image != found.mask_to_image


def test_a_model_of_slices_is_diagnosed_on_a_store(tmp_path):
    model = small_model("convolution")
    model.heatmap_processor = build_processor(HeatmapProcessorConfig(kind="convolution", slices=4))
    found = diagnose_model(model, small_store(tmp_path / "store", annotation="dictation"))
    assert found.error_to_image > 0


def test_a_model_or_store_without_what_it_takes_is_named(tmp_path):
    store = small_store(tmp_path / "store", annotated=2)
    with pytest.raises(InputError, match="without a heatmap processor"):
        diagnose_model(small_model(None), store)
    with pytest.raises(InputError, match="store: 0 annotated studies"):
        diagnose_model(small_model("mask"), store, split="validate")


def test_python_of_the_page_runs(tmp_path, monkeypatch, capsys):
    page = Path(__file__).parents[2] / "docs" / "methods" / "heatmap-processors.md"
    (code,) = re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    small_model("attention").save(tmp_path / "runs" / "docs-processor" / "model")
    small_store(tmp_path / "stores" / "phantom")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, page.name, "exec"), {})  # noqa: S102
    shown = capsys.readouterr().out
    for measure in fields(ProcessorDiagnosis):
        assert f"{measure.name}=" in shown
        assert f"| `{measure.name}` |" in page.read_text()
