"""Recipes: the published values are the published values, and each is a whole configuration."""

import dataclasses

import pytest
import yaml

from eclip.recipes import RECIPES


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


@pytest.mark.parametrize("name", RECIPES)
def test_each_recipe_explains_itself_and_is_made_anew_each_time(name):
    assert RECIPES[name].__doc__
    first, second = RECIPES[name](), RECIPES[name]()
    assert first == second
    assert first is not second
    assert first.model is not second.model
    assert yaml.safe_load(yaml.safe_dump(first.to_dict())) == first.to_dict()
