"""What is frozen stays as it is, bit for bit; adapters alone are trained, and merged; nothing is silent."""

import itertools
import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch import nn

import eclip
import eclip.training.tuning
from eclip.errors import InputError
from eclip.models.heatmap_processor import HeatmapProcessorConfig
from eclip.training.config import LoadingConfig, OptimConfig, TrainConfig
from eclip.training.curriculum import Curriculum
from eclip.training.layer_decay import parameters_of
from eclip.training.methods import ClipConfig, EclipConfig
from eclip.training.module import parameter_groups
from eclip.training.train import train
from eclip.training.tuning import TuningConfig, tune
from small_clips import ARCHITECTURES, TEXTS, architecture, checkpoint
from small_models import BERT, RESNET, VIT, small_batch, small_config, small_encoder
from small_stores import small_store

PROCESSOR = HeatmapProcessorConfig(patch_size=8, width=16, heads=2)
ECLIP = EclipConfig(curriculum=Curriculum(cold=0.2, start=1, peak=1, final=1), processor=PROCESSOR)
NEVER_USED = "mask_token"  # DINOv2's, of its own pre-training
SIDES = (("image",), ("text",), ("image", "text"))
WITHOUT_LINEAR_LAYERS = ("ResNet + BERT", "RegNet + BERT")


def tuned(encoder, tuning, method=ECLIP):
    """The method around the tuned encoder, in training mode, and its adapters."""
    tuning.check()
    method = method.build(encoder, steps=10, seed=0)
    adapters = tune(encoder, tuning)
    method.train()
    return method, adapters


def trained(method, *, experts=2, layer_decay=1.0):
    groups = parameter_groups(method, OptimConfig(lr=1e-2, weight_decay=0.1), layer_decay=layer_decay)
    optimiser = torch.optim.AdamW(groups)
    for step in (5, 6):  # after the cold start
        optimiser.zero_grad()
        method(small_batch(step, plain=4, experts=experts, seed=step)).total.backward()
        optimiser.step()


def copies(module):
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def unchanged(module, before):
    return {name for name, tensor in module.state_dict().items() if torch.equal(tensor, before[name])}


def names_of(encoder, sides):
    return {name for side in sides for name in parameters_of(encoder, encoder.towers[side])}


def embeddings(encoder):
    encoder.eval()
    draw = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        image = encoder.encode_image(torch.randn(2, 1, 32, 32, generator=draw))
        return image, encoder.encode_text(small_batch().tokens)


# ---- frozen towers


@pytest.mark.parametrize("sides", SIDES, ids="+".join)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_frozen_tower_is_as_it_was_bit_for_bit_and_all_else_is_trained(name, sides):
    encoder = architecture(name)
    method, _ = tuned(encoder, TuningConfig(freeze=sides))
    before, frozen = copies(encoder), names_of(encoder, sides)
    processor = copies(method.heatmap_processor)
    trained(method)
    same = unchanged(encoder, before)
    assert frozen <= same
    parameters = {key for key, _ in encoder.named_parameters()}
    left = {key for key in parameters & same - frozen if NEVER_USED not in key and "logit_bias" not in key}
    assert left == set()
    paths = tuple(part for side in sides for part in encoder.towers[side].parts)
    assert {key for key in before if key.startswith(paths)} - parameters <= same  # statistics
    assert unchanged(method.heatmap_processor, processor) == set()
    assert all(p.grad is None for key, p in encoder.named_parameters() if key in frozen)


def test_projections_are_trained_where_towers_are_frozen():
    encoder = architecture("SigLIP")
    tuned(encoder, TuningConfig(freeze=("image", "text")))
    assert {key for key, p in encoder.named_parameters() if p.requires_grad} == {
        "model.logit_scale",
        "model.logit_bias",
        "model.text_model.head.weight",
        "model.text_model.head.bias",
    }


def test_glorias_own_projections_are_of_no_tower():
    encoder = small_encoder(RESNET, local_features="own")
    tuned(encoder, TuningConfig(freeze=("image", "text")), ClipConfig())
    left = {key.split(".")[0] for key, p in encoder.named_parameters() if p.requires_grad}
    projections = {f"{name}_projection" for name in ("image", "region", "text", "word")}
    assert left == projections | {"logit_scale"}


@pytest.mark.parametrize("sides", SIDES, ids="+".join)
def test_frozen_towers_stay_in_evaluation_mode(sides):
    """Batch norms of the ResNet, dropout of the BERT."""
    encoder = small_encoder(RESNET, text=BERT | {"hidden_dropout_prob": 0.5})
    method, _ = tuned(encoder, TuningConfig(freeze=sides))
    for mode, owner in itertools.product((False, True), (encoder, method)):
        owner.train(mode)
        for side in ("image", "text"):
            modes = {module.training for module in getattr(encoder, f"{side}_model").modules()}
            assert modes == {mode and side not in sides}, side
        assert encoder.image_projection.training == mode
    assert embeds_twice_the_same(encoder, "image") == ("image" in sides)
    assert embeds_twice_the_same(encoder, "text") == ("text" in sides)


def embeds_twice_the_same(encoder, side):
    batch = small_batch()
    if side == "text":
        return torch.equal(encoder.encode_text(batch.tokens), encoder.encode_text(batch.tokens))
    before = copies(encoder.image_model)
    encoder.encode_image(batch.image_B1HW)
    return len(unchanged(encoder.image_model, before)) == len(before)


def saved_for_backward(function):
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
        function()
    return sum(sizes)


@pytest.mark.parametrize("image", [VIT, RESNET], ids=["vit", "resnet"])
def test_a_frozen_tower_keeps_nothing_for_a_backward_pass_but_of_expert_views(image):
    encoder = small_encoder(image)
    pixels = torch.randn(2, 1, 32, 32)
    see = {"pixel_values": pixels.expand(-1, encoder.image_model.config.num_channels, -1, -1)}
    whole = saved_for_backward(lambda: encoder.image_model(**see))
    method, _ = tuned(encoder, TuningConfig(freeze=("image",)))
    assert saved_for_backward(lambda: encoder.image_model(**see)) == 0 < whole
    assert not encoder.image_model(**see).last_hidden_state.requires_grad
    method(small_batch(5, plain=4, experts=2)).total.backward()
    for name, parameter in method.heatmap_processor.named_parameters():
        assert parameter.grad.abs().sum() > 0, name
    assert all(parameter.grad is None for parameter in encoder.image_model.parameters())


def test_a_processor_learns_the_same_through_a_frozen_tower_as_through_one_that_is_not():
    found = []
    for tuning in (TuningConfig(), TuningConfig(freeze=("image", "text"))):
        torch.manual_seed(0)
        method, _ = tuned(small_encoder(VIT), tuning)
        method.eval()  # without dropout
        method(small_batch(5, plain=4, experts=2)).total.backward()
        found.append([p.grad.clone() for p in method.heatmap_processor.parameters()])
    for first, second in zip(*found, strict=True):
        torch.testing.assert_close(first, second)


def test_a_model_with_nothing_left_to_train_is_refused():
    encoder = small_encoder(VIT)
    encoder.image_projection = encoder.text_projection = nn.Identity()
    with pytest.raises(InputError, match=r"--tuning\.freeze image text: leaves nothing to train"):
        tune(encoder, TuningConfig(freeze=("image", "text")))


# ---- adapters

LORA = TuningConfig(lora_rank=2, lora_alpha=6)


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name not in WITHOUT_LINEAR_LAYERS])
def test_adapters_alone_are_trained_and_merged_they_compute_the_same(name):
    encoder = architecture(name)
    with torch.no_grad():
        for (
            parameter
        ) in encoder.parameters():  # DeiT's class token and positions are zero, and so are gradients there
            parameter.add_(0.05 * torch.randn_like(parameter))
    keys, expected = set(encoder.state_dict()), embeddings(encoder)
    method, adapters = tuned(encoder, LORA)
    added = [parameter for key, parameter in encoder.named_parameters() if ".lora_B" in key]
    assert added  # they start at nothing, and adding nothing may change the last digit
    assert not any(parameter.any() for parameter in added)
    for start, plain in zip(embeddings(encoder), expected, strict=True):
        torch.testing.assert_close(start, plain, atol=1e-6, rtol=0)
    method.train()
    before, processor = copies(encoder), copies(method.heatmap_processor)
    base = names_of(encoder, ("image", "text"))
    base = {key for key in base if ".lora_" not in key}
    trained(method)
    same = unchanged(encoder, before)
    assert base <= same
    silent = {key for key in same - base if ".lora_" in key}
    assert silent == set(), "adapters that are never asked"
    moved = {key for key, _ in encoder.named_parameters()} - same
    assert all(".lora_" in key or "proj" in key or "head" in key or "logit" in key for key in moved)
    assert len([key for key in moved if ".lora_" not in key]) in {3, 4}  # projections, temperature
    assert unchanged(method.heatmap_processor, processor) == set()
    adapted = embeddings(encoder)
    assert not any(map(torch.allclose, adapted, expected))
    assert adapters.merge_and_unload() is encoder
    for merged, found in zip(embeddings(encoder), adapted, strict=True):
        torch.testing.assert_close(merged, found, atol=1e-5, rtol=0)
    assert set(encoder.state_dict()) == keys


@pytest.mark.parametrize("name", WITHOUT_LINEAR_LAYERS)
def test_a_tower_without_linear_layers_is_refused_adapters(name):
    with pytest.raises(InputError, match="the image tower has no linear layers"):
        tune(architecture(name), LORA)
    encoder = architecture(name)
    tune(encoder, replace(LORA, lora_towers=("text",)))
    assert all(p.requires_grad for p in encoder.image_model.parameters())


def test_what_is_merged_is_the_formula():
    """W + α/r · B A (Hu et al. 2022, section 4.1), for a linear layer and for an attention's joint weight."""
    encoder = architecture("SigLIP")
    method, adapters = tuned(encoder, LORA, ClipConfig())
    trained(method, experts=0)
    state = {name: tensor.double().numpy() for name, tensor in copies(encoder).items()}
    expected = {}
    for name in state:
        if name.endswith(".lora_A.default.weight"):
            layer = name.removesuffix(".lora_A.default.weight")
            base = "in_proj_weight" if "attention" in layer else "weight"
            product = state[f"{layer}.lora_B.default.weight"] @ state[name]
            expected[f"{layer}.{base}"] = state[f"{layer}.base_layer.{base}"] + 6 / 2 * product
    adapters.merge_and_unload()
    assert sum("in_proj_weight" in name for name in expected) == 1
    assert (
        len(expected) == 6 + 6 + 1 + 2
    )  # each tower's block; the pooling head's attention and its two layers
    for name, weight in expected.items():
        np.testing.assert_allclose(encoder.state_dict()[name].numpy(), weight, atol=1e-6)


def test_alpha_without_a_value_is_a_factor_of_one():
    scales = []
    for alpha in (None, 4, 8):
        encoder = small_encoder(VIT)
        tune(encoder, TuningConfig(lora_rank=4, lora_alpha=alpha))
        layers = [module for module in encoder.modules() if hasattr(module, "lora_A")]
        (scale,) = {layer.scaling["default"] for layer in layers}
        scales.append(scale)
    assert scales == [1, 1, 2]


def test_norms_and_biases_are_not_decayed_and_nothing_frozen_is_in_the_optimiser():
    text = BERT | {"num_hidden_layers": 2}
    settings = (
        TuningConfig(freeze=("image",)),
        TuningConfig(freeze=("text",), layer_decay=0.7),
        TuningConfig(lora_rank=2, layer_decay=0.7),
        TuningConfig(lora_rank=2, lora_towers=("text",), freeze=("image",)),
    )
    for tuning in settings:
        encoder = small_encoder(VIT, text=text)
        method, _ = tuned(encoder, tuning)
        groups = parameter_groups(
            method, OptimConfig(lr=1.0, weight_decay=0.1), layer_decay=tuning.layer_decay
        )
        found = {id(p): group for group in groups for p in group["params"]}
        assert set(found) == {id(p) for p in method.parameters() if p.requires_grad}
        kinds = {id(p): type(module) for module in method.modules() for p in module.parameters(recurse=False)}
        for name, parameter in method.named_parameters():
            if id(parameter) in found:
                weighty = kinds[id(parameter)] in {nn.Linear, nn.Conv2d, nn.Embedding} and parameter.ndim > 1
                if "heatmap" not in name:
                    assert (found[id(parameter)]["weight_decay"] > 0) == weighty, name
                if "lora" in name:
                    layer = int(name.split("layers." if "image" in name else "layer.")[1][0])
                    above = 1 if "image" in name else 2 - layer
                    assert found[id(parameter)]["lr"] == pytest.approx(tuning.layer_decay**above), name


# ---- settings

REFUSED = [
    (TuningConfig(layer_decay=0), r"--tuning\.layer-decay 0: must be above 0"),
    (TuningConfig(layer_decay=1.1), r"--tuning\.layer-decay 1\.1: must be"),
    (TuningConfig(layer_decay=float("nan")), r"--tuning\.layer-decay nan: must be"),
    (TuningConfig(layer_decay=0.9, freeze=("text", "image")), r"--tuning\.layer-decay 0\.9: has no effect"),
    (TuningConfig(lora_rank=-1), r"--tuning\.lora-rank -1: must be"),
    (TuningConfig(lora_alpha=8), r"--tuning\.lora-alpha: has no effect without adapters"),
    (TuningConfig(lora_rank=4, lora_alpha=0), r"--tuning\.lora-alpha 0: must be above 0"),
    (TuningConfig(lora_towers=("text",)), r"--tuning\.lora-towers: has no effect without adapters"),
    (TuningConfig(lora_rank=4, lora_towers=()), r"--tuning\.lora-towers: name at least one"),
    (TuningConfig(lora_rank=4, freeze=("image",)), r"--tuning\.freeze image: adapters are to train"),
    (TuningConfig(freeze=("image", "image")), r"--tuning\.freeze image image: names a tower twice"),
    (TuningConfig(lora_rank=4, lora_towers=("text", "text")), r"--tuning\.lora-towers text text: names"),
]


@pytest.mark.parametrize(("tuning", "message"), REFUSED)
def test_what_has_no_effect_or_makes_no_sense_is_refused_in_one_line(tuning, message):
    with pytest.raises(InputError, match=message) as caught:
        tuning.check()
    assert "\n" not in str(caught.value)


def test_adapters_without_peft_are_refused_before_anything_is_made(store, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    config = TrainConfig(model=small_config(VIT), tuning=TuningConfig(lora_rank=4))
    with pytest.raises(InputError, match=r"--tuning\.lora-rank 4: needs peft; pip install 'eclip\[lora\]'"):
        train(config, data=store, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


STARTS = {"none": TuningConfig(), "adapters": TuningConfig(lora_rank=2)}
CHANGES = {
    "freeze": [("image",), ("text",), ("image", "text")],
    "layer_decay": [0.5, 0.9],
    "lora_rank": [0, 1, 2],
    "lora_alpha": [1, 8],
    "lora_towers": [("image",), ("text",)],
}


def computation(tuning):
    """What a run would do: the losses of some steps, and what is trained, how fast."""
    tuning.check()
    torch.manual_seed(1)
    method, _ = tuned(small_encoder(VIT, text=BERT | {"hidden_dropout_prob": 0.0}), tuning)
    trained(method, layer_decay=tuning.layer_decay)
    groups = parameter_groups(method, OptimConfig(), layer_decay=tuning.layer_decay)
    return method(small_batch(9)).total.item(), [(group["lr"], len(group["params"])) for group in groups]


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in CHANGES.items() for value in values]
)
def test_a_setting_that_is_changed_changes_the_computation_or_is_refused(start, name, value):
    before = STARTS[start]
    if getattr(before, name) == value:
        return
    try:
        found = computation(replace(before, **{name: value}))
    except InputError:
        return  # refused is not silent
    assert found[0] != computation(before)[0]


def test_every_setting_was_walked():
    assert set(CHANGES) == {field.name for field in fields(TuningConfig)}


# ---- runs


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(tmp_path_factory.mktemp("data") / "store").path


def run(tuning, **changes):
    settings = {"steps": 6, "batch_size": 6, "precision": "32", "validate_every": 2, "log_every": 1}
    settings |= {"loading": LoadingConfig(workers=0), "optim": OptimConfig(lr=1e-2)}
    return TrainConfig(method=ECLIP, tuning=tuning, **settings | changes)


class StopAt(Callback):
    def __init__(self, step):
        self.step = step

    def on_train_batch_end(self, trainer, *args):
        if trainer.global_step == self.step:
            raise RuntimeError("stopped by the test")


def test_a_run_leaves_the_frozen_tower_of_its_start_as_it_was_and_the_text_side_learns(store, tmp_path):
    """From a model whose image tower has batch norms: its statistics stay, through validation too."""
    text = BERT | {"vocab_size": 300, "hidden_dropout_prob": 0.1}
    first = train(run(TuningConfig(), model=small_config(text=text)), data=store, out=tmp_path / "first")
    config = run(TuningConfig(freeze=("image",)), start_from=str(first))
    before, after = eclip.load(first), eclip.load(train(config, data=store, out=tmp_path / "second"))
    old, new = before.encoder.state_dict(), after.encoder.state_dict()
    same = {name for name in old if torch.equal(old[name], new[name])}
    assert same == {name for name in old if name.startswith("image_model.")}
    assert any("running_mean" in name for name in same)
    assert after.heatmap_processor is not None


@pytest.mark.parametrize("tuning", [LORA, TuningConfig(freeze=("text",), layer_decay=0.5)], ids=repr)
def test_stopped_and_resumed_equals_uninterrupted_bit_for_bit(store, tmp_path, tuning):
    checkpoint(tmp_path / "hub", "SigLIP")
    config = run(tuning, start_from=str(tmp_path / "hub"))
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(config, data=store, out=whole)
    with pytest.raises(RuntimeError, match="stopped by the test"):
        train(config, data=store, out=stopped, callbacks=[StopAt(3)])
    train(config, data=store, out=stopped, resume=True)
    states = [torch.load(out / "checkpoints" / "last.ckpt", weights_only=True) for out in (whole, stopped)]
    for name, tensor in states[0]["state_dict"].items():
        assert torch.equal(tensor, states[1]["state_dict"][name]), name
    assert eclip.load(whole).fingerprint == eclip.load(stopped).fingerprint
    assert eclip.load(whole).fingerprint != eclip.load(tmp_path / "hub").fingerprint


def test_a_run_with_adapters_leaves_a_plain_model_that_needs_no_peft(store, tmp_path):
    """The best checkpoint's adapters are in its weights; it exports to the format it came from."""
    checkpoint(tmp_path / "hub", "CLIP")
    config = run(LORA, start_from=str(tmp_path / "hub"))
    out = train(config, data=store, out=tmp_path / "run")
    best = torch.load(out / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    base = "method.encoder.model.text_model.encoder.layers.0.mlp.fc1"
    a, b = (best[f"{base}.lora_{side}.default.weight"] for side in "AB")
    merged = best[f"{base}.base_layer.weight"] + 3 * b @ a
    assert b.abs().sum() > 0
    model = eclip.load(out)
    found = model.encoder.state_dict()[base.removeprefix("method.encoder.") + ".weight"]
    torch.testing.assert_close(found, merged, atol=1e-6, rtol=0)
    assert set(model.encoder.state_dict()) == set(eclip.load(tmp_path / "hub").encoder.state_dict())
    script = (
        "import sys; sys.modules['peft'] = None\n"
        "import eclip, numpy as np\n"
        f"model = eclip.load({str(out)!r}); model.export({str(tmp_path / 'export')!r})\n"
        f"np.save({str(tmp_path / 'rows.npy')!r}, model.embed_texts({TEXTS!r}))\n"
        f"assert (eclip.load({str(tmp_path / 'export')!r}).embed_texts({TEXTS!r}) == "
        f"np.load({str(tmp_path / 'rows.npy')!r})).all()\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    np.testing.assert_allclose(np.load(tmp_path / "rows.npy"), model.embed_texts(TEXTS), atol=1e-6)
