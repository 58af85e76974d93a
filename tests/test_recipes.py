"""Recipes: the published values are the published values, and each is a whole configuration."""

import dataclasses

import pytest
import yaml

from eclip.recipes import RECIPES
from eclip.training.methods import METHODS

KINDS = ["phantom-{}", "paper-{}-swin-tiny", "paper-{}-vit-small", "paper-{}-vit-base"]


def test_the_papers_recipe_has_every_published_value():
    """eclip_spec.md, section 1."""
    config = RECIPES["paper-eclip-swin-tiny"]()
    method, curriculum = config.method, config.method.curriculum
    assert (config.steps, config.batch_size, config.optim.lr) == (10_000, 512, 2e-4)
    assert (method.mixup_alpha, method.priming_weight, method.batch_share) == (0.3, 0.1, 0.5)
    assert (curriculum.cold, curriculum.warm, curriculum.cool) == (0.1, 0.3, 0.4)
    assert (curriculum.start, curriculum.peak, curriculum.final) == (0.05, 0.5, 0.1)
    assert (method.processor.patch_size, method.processor.width, method.processor.heads) == (16, 256, 8)
    assert (config.optim.betas, config.optim.weight_decay, config.optim.warmup) == ((0.9, 0.98), 1e-3, 0.1)
    assert (config.model.embedding_dim, config.model.text_pooling, config.model.temperature) == (
        512,
        "cls",
        0.07,
    )
    assert (config.model.preprocessing.size, config.model.preprocessing.mean) == (224, 0.58)


@pytest.mark.parametrize("kind", ["phantom-{}", "paper-{}-swin-tiny"])
def test_clip_and_eclip_differ_in_the_method_alone(kind):
    clip, eclip = (RECIPES[kind.format(method)]() for method in ("clip", "eclip"))
    assert (clip.method.name, eclip.method.name) == ("clip", "eclip")
    assert dataclasses.replace(clip, method=eclip.method) == eclip


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_a_recipe_for_the_phantom_and_for_each_of_the_papers_encoders(name):
    clip = {kind: RECIPES[f"{kind.format('clip')}"]() for kind in KINDS}
    for kind in KINDS:
        config = RECIPES[kind.format(name)]()
        assert config.method.name == name
        config.model.temperature = 0.07  # SigLIP starts at another
        assert dataclasses.replace(config, method=clip[kind].method) == clip[kind]


def test_the_papers_recipes_differ_in_the_image_encoder_alone():
    models = [RECIPES[f"paper-eclip-{image}"]().model for image in ("swin-tiny", "vit-small", "vit-base")]
    assert len({model.image for model in models}) == 3
    assert len({repr(dataclasses.replace(model, image="")) for model in models}) == 1


@pytest.mark.parametrize("name", METHODS)
def test_a_resnet_50_has_gloria_s_encoder_for_gloria_and_the_shared_one_for_others(name):
    config, clip = RECIPES[f"paper-{name}-resnet-50"](), RECIPES["paper-clip-swin-tiny"]()
    assert config.method.name == name
    assert config.model.image == "microsoft/resnet-50"
    config.model.image, clip.method = clip.model.image, config.method
    if not config.method.trains_local_features:
        config.model.temperature = 0.07
        assert config == clip
        return
    model = config.model
    assert (model.local_features, model.embedding_dim, model.text_pooling) == ("own", 768, "mean")
    assert (model.temperature, model.preprocessing.size) == (0.1, 299)
    assert RECIPES[f"paper-{name}-vit-base"]().model.local_features == "shared"


def test_gloria_has_the_published_values():
    """eclip_spec.md, section 2.8: factors of 4, 5 and 10, weights 1 and 1."""
    for name in ("gloria", "gloria-eclip"):
        losses = RECIPES[f"paper-{name}-resnet-50"]().method.losses
        assert (losses.global_weight, losses.local_weight) == (1, 1)
        temperatures = (losses.attention_temperature, losses.word_temperature, losses.local_temperature)
        assert [1 / temperature for temperature in temperatures] == [4, 5, 10]


def test_convirt_is_clip_with_other_projections():
    config, clip = RECIPES["paper-convirt-resnet-50"](), RECIPES["paper-clip-resnet-50"]()
    assert config.model.projection == "mlp"
    clip.model.projection = "mlp"
    assert config == clip


@pytest.mark.parametrize("eclip", ["phantom-eclip", "paper-eclip-swin-tiny"])
def test_each_switch_of_the_ablation_is_off_alone(eclip):
    whole = RECIPES[eclip]()
    always = dataclasses.replace(whole.method.curriculum, start=1, peak=1, final=1)
    off = {
        "mixup": {"mixup_alpha": None},
        "curriculum": {"curriculum": always},
        "priming": {"priming_weight": 0},
    }
    for switch, changes in off.items():
        method = dataclasses.replace(whole.method, **changes)
        assert RECIPES[f"{eclip}-without-{switch}"]() == dataclasses.replace(whole, method=method)
    probabilities = {step: always.probability(step, steps=1000) for step in range(1000)}
    assert set(probabilities.values()) == {0, 1}


def test_the_reference_recipe_has_the_values_of_the_published_code():
    """eclip_spec.md, sections 2.4, 3A and 5."""
    config = RECIPES["reference-eclip-swin-tiny"]()
    method, paper = config.method, RECIPES["paper-eclip-swin-tiny"]()
    assert (method.priming_weight, method.mixup_alpha, method.curriculum.final) == (0.3, 0.2, 0.05)
    assert (config.optim.lr, method.processor_lr) == (1e-4, 2)
    for step, probability in ((1000, 0.05), (4000, 0.5), (8000, 0.05), (9999, 0.05)):
        assert method.curriculum.probability(step, steps=10_000) == pytest.approx(probability)
    config.method, config.optim.lr = paper.method, paper.optim.lr
    assert config == paper


def test_a_processor_goes_on_at_the_papers_learning_rate_beside_a_model_that_is_there():
    config, paper = RECIPES["post-eclip"](), RECIPES["paper-eclip-swin-tiny"]()
    assert config.optim.lr * config.method.processor_lr == pytest.approx(paper.optim.lr)
    assert config.method.curriculum == dataclasses.replace(paper.method.curriculum, cold=0.25)
    assert RECIPES["post-naive"]().method.processor_lr == config.method.processor_lr


@pytest.mark.parametrize("name", RECIPES)
def test_each_recipe_explains_itself_and_is_made_anew_each_time(name):
    assert RECIPES[name].__doc__
    first, second = RECIPES[name](), RECIPES[name]()
    first.method.check()
    assert first == second
    assert first is not second
    assert first.model is not second.model
    assert yaml.safe_load(yaml.safe_dump(first.to_dict())) == first.to_dict()
