"""Models against each other: from folders, on the same studies or not at all."""

import dataclasses
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from eclip.data.store import Store, write_store
from eclip.errors import InputError
from eclip.evaluation.comparison import compare
from eclip.evaluation.contenders import contenders_of
from eclip.evaluation.evaluate import evaluate
from eclip.evaluation.results import Evaluation
from eclip.evaluation.tables import comparison_latex, comparison_markdown
from small_evaluations import SpotModel
from small_stores import FINDINGS, small_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(tmp_path_factory.mktemp("store") / "store", test=60)


@pytest.fixture(scope="module")
def folders(store, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    prompts = runs / "small.yaml"
    prompts.write_text("classes:\n" + "".join(f"  {name}: [There is {name}.]\n" for name in FINDINGS))
    models = {"weak": SpotModel(noise=1.5), "strong": SpotModel(noise=0.1, seed=1)}
    for name, model in models.items():
        evaluate(model, store, out=runs / name / "evaluation", prompts=str(prompts))
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
            in_doubt = found["low"] <= 0 <= found["high"] or found.get("p_adjusted", 0) > 0.05
            assert (found["verdict"] == "within noise") == in_doubt
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


@pytest.mark.parametrize("task", ["linear-probe", "subgroups"])
def test_other_classes_are_refused_wherever_they_count(store, tmp_path, task):
    studies = [dataclasses.replace(study, sex="FM"[i % 2]) for i, study in enumerate(store)]
    write_store(tmp_path / "store", studies, source="test")
    store = Store.open(tmp_path / "store")
    for name, classes in (("a", "Atelectasis: [a], Edema: [e]"), ("b", "Edema: [e], Cardiomegaly: [c]")):
        (tmp_path / f"{name}.yaml").write_text(f"classes: {{{classes}}}")
        evaluate(
            SpotModel(), store, out=tmp_path / name, prompts=str(tmp_path / f"{name}.yaml"), tasks=[task]
        )
    with pytest.raises(InputError, match="same --prompts"):
        compare([tmp_path / "a", tmp_path / "b"])


def test_probes_that_learned_from_other_draws_are_refused(store, tmp_path):
    for seed in (0, 1):
        evaluate(SpotModel(), store, out=tmp_path / f"{seed}", tasks=["linear-probe"], seed=seed)
    with pytest.raises(InputError, match="--seed 1 is not the 0"):
        compare([tmp_path / "0", tmp_path / "1"])


def test_another_ensemble_is_refused(store, tmp_path):
    (tmp_path / "p.yaml").write_text("classes: {Atelectasis: [atelectasis], Edema: [edema]}")
    for name in ("embeddings", "max"):
        evaluate(SpotModel(), store, out=tmp_path / name, prompts=str(tmp_path / "p.yaml"), ensemble=name)
    with pytest.raises(InputError, match="--ensemble max is not the embeddings"):
        compare([tmp_path / "embeddings", tmp_path / "max"])


@pytest.fixture(scope="module")
def runs(store, tmp_path_factory):
    """Two trainings of one model, and one of another."""
    folder = tmp_path_factory.mktemp("seeds")
    for name, noise, seed in (("a-0", 0.8, 0), ("a-1", 0.8, 1), ("b-0", 0.5, 2)):
        evaluate(SpotModel(noise=noise, seed=seed), store, out=folder / name / "evaluation")
    return folder


def test_several_runs_of_a_model_count_together(runs, capsys, tmp_path):
    words = [f"a={runs / 'a-0'},{runs / 'a-1'}", f"b={runs / 'b-0'}"]
    content = compare(words, out=tmp_path / "all.json")
    single = [Evaluation.read(runs / name / "evaluation").metrics for name in ("a-0", "a-1", "b-0")]
    assert content["meta"]["runs"] == {"a": 2, "b": 1}
    for task, numbers in content["models"]["b"].items():
        for name, found in numbers.items():
            values = [metrics[task][name].value for metrics in single]
            assert found["first"] == pytest.approx(sum(values[:2]) / 2, abs=2e-6)
            assert found["second"] == pytest.approx(values[2], abs=2e-6)
            assert "p_swapped" not in found
    printed = capsys.readouterr().out
    assert "b against a" in printed
    assert "Training runs: a 2, b 1" in printed
    assert "but not that of b" in printed


def test_runs_that_differ_widen_the_interval(runs, tmp_path):
    def interval(*words):
        found = compare(words, out=tmp_path / "x.json", metrics=["embedding-quality/uniformity_image"])
        number = found["models"]["b"]["embedding-quality"]["uniformity_image"]
        return number["high"] - number["low"]

    one = interval(f"a={runs / 'a-0'}", f"b={runs / 'b-0'}")
    assert interval(f"a={runs / 'a-0'},{runs / 'a-1'}", f"b={runs / 'b-0'}") > one


def test_only_the_metrics_that_are_chosen_are_compared_and_counted(folders, tmp_path):
    everything = compare(folders, out=tmp_path / "a.json")
    chosen = ["zero-shot/accuracy", "zero-shot/auroc/Edema", "retrieval"]
    found = compare(folders, out=tmp_path / "b.json", metrics=chosen)
    compared = {
        f"{task}/{name}"
        for task, numbers in found["models"]["strong"].items()
        for name, d in numbers.items()
        if "p_adjusted" in d
    }
    assert set(chosen[:2]) < compared
    assert {key.split("/")[0] for key in compared} == {"zero-shot", "retrieval"}
    assert found["meta"]["comparisons"] == len(compared) < everything["meta"]["comparisons"]
    alone = compare(folders, out=tmp_path / "c.json", metrics=chosen[:1])["models"]["strong"]
    assert {task: list(numbers) for task, numbers in alone.items()} == {"zero-shot": ["accuracy"]}
    assert alone["zero-shot"]["accuracy"]["p_adjusted"] == alone["zero-shot"]["accuracy"]["p"]


def test_tables_for_papers(folders, tmp_path):
    content = compare(folders, out=tmp_path / "t.md")
    compare(folders, out=tmp_path / "t.tex")
    assert (tmp_path / "t.md").read_text() == comparison_markdown(content)
    assert (tmp_path / "t.tex").read_text() == comparison_latex(content)
    assert content["best"]["embedding-quality"]["alignment"] == "strong"
    assert "uniformity_image" in content["best"]["embedding-quality"]
    assert content["best"]["embedding-quality"]["uniformity_image"] == "weak"
    for task, numbers in content["models"]["strong"].items():
        for name, d in numbers.items():
            if "p_adjusted" in d:
                assert (name in content["best"].get(task, {})) == (d["verdict"] in {"better", "worse"})


def test_a_margin_says_what_is_equivalent(folders, tmp_path):
    found = compare([folders[0], folders[0]], out=tmp_path / "m.json", margin=0.01)
    assert found["meta"]["margin"] == 0.01
    (model,) = found["models"].values()
    assert model["zero-shot"]["accuracy"]["verdict"] == "equivalent within 0.01"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"out": Path("table.xlsx")}, "must end in .json, .md or .tex"),
        ({"margin": 0.0}, "--margin 0: must be above 0"),
        ({"margin": float("nan")}, "--margin nan"),
        ({"metrics": ["zero-shot/acuracy"]}, "--metrics zero-shot/acuracy: not in both evaluations"),
    ],
)
def test_bad_options_are_one_line(folders, options, words):
    with pytest.raises(InputError, match=re.escape(words)):
        compare(folders, **options)


def test_a_file_that_cannot_be_written_is_one_line(folders, tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        compare(folders, out=tmp_path / "nowhere" / "t.md")


def test_a_run_twice_and_one_name_twice_are_refused(runs):
    with pytest.raises(InputError, match="a: a run is given twice"):
        compare([f"a={runs / 'a-0'},{runs / 'a-0'}", runs / "b-0"])
    with pytest.raises(InputError, match="two models are called 'a'"):
        compare([f"a={runs / 'a-0'}", f"a={runs / 'b-0'}"])
    with pytest.raises(InputError, match="not an evaluation"):
        compare([f"a={runs / 'a-0'},{runs / 'a-9'}", runs / "b-0"])


def test_a_folder_with_an_equals_sign_and_a_comma_is_a_folder(runs, store):
    strange = runs / "lr=1,2"
    evaluate(SpotModel(), store, out=strange)
    found = contenders_of([runs / "a-0", strange, f"c={strange}"])
    assert [c.name for c in found] == ["a-0", "lr=1,2", "c"]
    assert [len(c.runs) for c in found] == [1, 1, 1]


def test_one_folder_is_too_few(folders):
    with pytest.raises(InputError, match="two or more"):
        compare(folders[:1])
