"""The demo, small: what it leaves, and that it goes on where it was stopped."""

import dataclasses
import json

import pytest

import eclip
from eclip import demo, recipes


@pytest.fixture
def small_demo(monkeypatch):
    def small(recipe):
        config = recipe()
        config.model.preprocessing = dataclasses.replace(config.model.preprocessing, size=64)
        return dataclasses.replace(config, steps=10, batch_size=8, validate_every=5)

    monkeypatch.setattr(demo, "STUDIES", 120)
    monkeypatch.setattr(demo, "ANNOTATED", 40)
    small_recipes = {
        name: lambda recipe=recipe: small(recipe)
        for name, recipe in recipes.RECIPES.items()
        if "phantom" in name
    }
    monkeypatch.setattr(demo, "RECIPES", small_recipes)


def test_demo_leaves_models_scores_and_a_page_and_can_be_run_again(small_demo, tmp_path, capsys):
    out = tmp_path / "demo"
    demo.run_demo(out)
    first = {path: path.stat().st_mtime_ns for path in [*out.glob("*/model/*"), *out.glob("store/*.parquet")]}
    assert "index.html" in capsys.readouterr().out.replace("\n", "")
    results = json.loads((out / "results.json").read_text())
    for method in ("clip", "eclip"):
        assert eclip.load(out / method).embed_texts(["Clear lungs."]).shape == (1, 128)
        assert 0 <= results[method]["zero-shot"]["accuracy"]["value"] <= 1
        assert results[method]["retrieval"]["image_to_text_recall@10"]["n"] == results[method]["meta"]["n"]
    assert results["reports"]["drafts"]["finding_f1"]["n"] == results["eclip"]["meta"]["n"]
    assert "not a medical device" in (out / "drafts" / "index.html").read_text()
    page = (out / "index.html").read_text()
    assert "phantom" in page
    assert "within noise" in page
    demo.run_demo(out)
    assert {path: path.stat().st_mtime_ns for path in first} == first
    assert json.loads((out / "results.json").read_text()) == results
