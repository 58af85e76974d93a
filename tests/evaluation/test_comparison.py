"""Models against each other: from folders, on the same studies or not at all."""

import json

import pandas as pd
import pytest

from eclip.errors import InputError
from eclip.evaluation.comparison import compare
from eclip.evaluation.evaluate import evaluate
from eclip.evaluation.results import Evaluation
from small_evaluations import SpotModel
from small_stores import small_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(tmp_path_factory.mktemp("store") / "store", test=60)


@pytest.fixture(scope="module")
def folders(store, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    models = {"weak": SpotModel(noise=1.5), "strong": SpotModel(noise=0.1, seed=1)}
    for name, model in models.items():
        evaluate(model, store, out=runs / name / "evaluation")
    return [runs / name / "evaluation" for name in models]


def test_differences_are_those_of_the_results_and_the_better_model_is_called_better(folders, capsys):
    content = compare(folders)
    assert content == json.loads((folders[1] / "comparison.json").read_text())
    assert content["baseline"] == "weak"
    first, second = (Evaluation.read(folder) for folder in folders)
    for task, numbers in content["models"]["strong"].items():
        assert numbers
        for name, found in numbers.items():
            assert found["first"] == first.metrics[task][name].value
            assert found["second"] == second.metrics[task][name].value
            assert found["value"] == pytest.approx(found["second"] - found["first"], abs=2e-6)
            assert found["low"] <= found["high"]
            assert (found["verdict"] == "within noise") == (found["low"] <= 0 <= found["high"])
    assert content["models"]["strong"]["embedding-quality"]["alignment"]["verdict"] == "better"
    assert not [name for name in content["models"]["strong"]["retrieval"] if "image_blind" in name]
    printed = capsys.readouterr().out
    assert "strong against weak" in printed
    assert "alignment" in printed


def test_against_itself_everything_is_within_noise(folders):
    content = compare([folders[0], folders[0]], out=folders[0] / "self.json")
    (model,) = content["models"].values()
    assert {d["verdict"] for numbers in model.values() for d in numbers.values()} == {"within noise"}
    assert (folders[0] / "self.json").is_file()


def test_swapping_the_models_swaps_the_sign(folders, tmp_path):
    there = compare(folders, out=tmp_path / "a.json")["models"]["strong"]["retrieval"]["image_to_text_mrr"]
    back = compare(folders[::-1], out=tmp_path / "b.json")["models"]["weak"]["retrieval"]["image_to_text_mrr"]
    assert (back["value"], back["low"], back["high"]) == pytest.approx(
        (-there["value"], -there["high"], -there["low"]), abs=2e-6
    )
    assert back["p"] == there["p"]


def test_rows_in_another_order_or_of_other_studies_are_refused(folders, store, tmp_path):
    evaluate(SpotModel(), store, out=tmp_path / "validate", split="validate")
    with pytest.raises(InputError, match="not the same data"):
        compare([folders[0], tmp_path / "validate"])
    other = small_store(tmp_path / "other", test=60, plain=25)
    evaluate(SpotModel(), other, out=tmp_path / "elsewhere")
    with pytest.raises(InputError, match="evaluate both on the same store"):
        compare([folders[0], tmp_path / "elsewhere"])
    evaluate(SpotModel(), store, out=tmp_path / "shuffled")
    file = tmp_path / "shuffled" / "per_sample.parquet"
    pd.read_parquet(file)[::-1].to_parquet(file)
    with pytest.raises(InputError, match="not the same data"):
        compare([folders[0], tmp_path / "shuffled"])


def test_other_prompts_are_refused(store, tmp_path):
    for name, word in (("a", "edema"), ("b", "congestion")):
        (tmp_path / f"{name}.yaml").write_text(f"classes: {{Atelectasis: [atelectasis], Edema: [{word}]}}")
        evaluate(SpotModel(), store, out=tmp_path / name, prompts=str(tmp_path / f"{name}.yaml"))
    with pytest.raises(InputError, match="same --prompts"):
        compare([tmp_path / "a", tmp_path / "b"])
    evaluate(SpotModel(), store, out=tmp_path / "b", prompts=str(tmp_path / "b.yaml"), tasks=["retrieval"])
    assert list(compare([tmp_path / "a", tmp_path / "b"])["models"]["b"]) == [
        "retrieval"
    ]  # nothing was classified


def test_one_folder_is_too_few(folders):
    with pytest.raises(InputError, match="two or more"):
        compare(folders[:1])
