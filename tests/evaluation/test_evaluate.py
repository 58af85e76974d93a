"""An evaluation from store to folder: contract, equal bytes, what is left out, what is refused."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from eclip.data.store import Store, write_store
from eclip.errors import InputError
from eclip.evaluation import retrieval
from eclip.evaluation.context import Context
from eclip.evaluation.evaluate import evaluate
from eclip.evaluation.results import Evaluation
from eclip.evaluation.zero_shot import DECISION
from small_evaluations import SpotModel
from small_stores import FINDINGS, small_store, small_study


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(tmp_path_factory.mktemp("store") / "store", test=40)


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    file = tmp_path_factory.mktemp("prompts") / "small.yaml"
    classes = "\n".join(f"  {name}: [There is {name.lower()}., Mild {name.lower()}.]" for name in FINDINGS)
    file.write_text(f"classes:\n{classes}\n")
    return str(file)


@pytest.fixture(scope="module")
def folder(store, prompts, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "evaluation"
    evaluate(SpotModel(), store, out=out, prompts=prompts)
    return out


def test_results_are_as_designed(folder, store):
    results = json.loads((folder / "results.json").read_text())
    meta = results.pop("meta")
    assert list(results) == ["zero-shot", "linear-probe", "retrieval", "embedding-quality"]
    for numbers in results.values():
        for name, metric in numbers.items():
            assert {"value", "low", "high", "n", "direction"} <= set(metric), name
            assert metric["low"] <= metric["value"] <= metric["high"], name
            assert metric["direction"] in {"higher", "lower"}
    assert {"accuracy", "balanced_accuracy", "macro_f1", "auroc"} <= set(results["zero-shot"])
    assert {"image_to_text_recall@10", "text_to_image_mrr"} <= set(results["retrieval"])
    assert {"alignment", "uniformity_joint", "modality_gap"} <= set(results["embedding-quality"])
    assert meta["n"] == 40
    assert (meta["model_fingerprint"], meta["data_fingerprint"]) == (
        SpotModel().fingerprint,
        store.fingerprint,
    )
    assert meta["command"].startswith("eclip evaluate --model")
    assert results["zero-shot"]["accuracy"]["value"] > 0.9  # the spot model knows what it sees


def test_per_sample_values_average_to_the_results(folder):
    evaluation = Evaluation.read(folder)
    assert len(evaluation.per_sample) == evaluation.per_sample["image_id"].nunique() == 40
    zero_shot, retrieval = evaluation.task("zero-shot"), evaluation.task("retrieval")
    right = zero_shot["target"] == zero_shot["prediction"]
    assert evaluation.metrics["zero-shot"]["accuracy"].value == pytest.approx(right.mean(), abs=1e-6)
    for name in ("image_to_text_recall@5", "text_to_image_recall@10_any_equal_text"):
        assert evaluation.metrics["retrieval"][name].value == pytest.approx(retrieval[name].mean(), abs=1e-6)


def test_of_other_splits_images_alone_are_embedded(store, prompts, tmp_path):
    model = SpotModel()
    context = Context(model=model, store=store, prompts=None)
    judged = set(context.embeddings.text)
    assert set(context.training.text) == {""}
    assert judged != {""}
    assert model.calls == 3  # images and texts of the judged split, images of the other


def test_twice_gives_the_same_bytes_and_another_seed_other_intervals(folder, store, prompts, tmp_path):
    evaluate(SpotModel(), store, out=tmp_path / "again", prompts=prompts)
    again = (tmp_path / "again" / "results.json").read_bytes()
    assert again == (folder / "results.json").read_bytes()
    other = evaluate(SpotModel(), store, out=tmp_path / "other", prompts=prompts, seed=1, tasks=["retrieval"])
    one = json.loads(again)["retrieval"]["image_to_text_mrr"]
    assert other["retrieval"]["image_to_text_mrr"]["value"] == one["value"]
    assert other["retrieval"]["image_to_text_mrr"]["low"] != one["low"]
    assert list(other) == ["retrieval", "meta"]


def test_studies_are_embedded_once(store, prompts, tmp_path):
    model = SpotModel()
    evaluate(model, store, out=tmp_path / "out", prompts=prompts)
    assert model.calls == 2 + 1 + 1 + 1  # the judged split; images to learn from and to choose by; prompts


def test_what_several_tasks_need_is_found_once(store, prompts, tmp_path, monkeypatch):
    studies = [dataclasses.replace(study, sex="FM"[i % 2]) for i, study in enumerate(store)]
    write_store(tmp_path / "store", studies, source="test")
    found = []
    real = retrieval.per_sample
    monkeypatch.setattr(retrieval, "per_sample", lambda *a, **k: found.append(1) or real(*a, **k))
    results = evaluate(SpotModel(), Store.open(tmp_path / "store"), out=tmp_path / "out", prompts=prompts)
    assert {"retrieval", "subgroups"} <= set(results)
    assert len(found) == 1


def test_without_labels_zero_shot_is_left_out_unless_asked_for(tmp_path, capsys):
    studies = [dataclasses.replace(small_study(i, split="test"), labels={}) for i in range(12)]
    write_store(tmp_path / "store", studies, source="test")
    store = Store.open(tmp_path / "store")
    results = evaluate(SpotModel(), store, out=tmp_path / "out")
    assert list(results) == ["retrieval", "embedding-quality", "meta"]
    assert "Left out: zero-shot" in capsys.readouterr().err
    assert (tmp_path / "out" / "index.html").is_file()
    with pytest.raises(InputError, match="no labels"):
        evaluate(SpotModel(), store, out=tmp_path / "out", tasks=["zero-shot"])


def test_a_task_without_any_number_is_left_out_unless_asked_for(tmp_path, capsys):
    studies = [dataclasses.replace(small_study(i, split="test"), sex="FM"[i % 2]) for i in range(12)]
    write_store(tmp_path / "store", studies, source="test")
    store = Store.open(tmp_path / "store")
    assert "subgroups" not in evaluate(SpotModel(), store, out=tmp_path / "out")
    assert "Left out: subgroups: split 'test' has too few patients" in capsys.readouterr().err
    with pytest.raises(InputError, match="too few patients"):
        evaluate(SpotModel(), store, out=tmp_path / "out", tasks=["subgroups"])


def test_a_label_that_one_split_does_not_list_takes_nothing_from_the_others(tmp_path, prompts):
    """Stores list what is mentioned: nobody has an edema among those that choose, or among those that are judged."""
    for silent in ("validate", "test"):
        whole = list(small_store(tmp_path / f"whole-{silent}", test=40))
        studies = [
            dataclasses.replace(s, labels={n: v for n, v in s.labels.items() if n != "Edema"})
            if s.split == silent
            else s
            for s in whole
        ]
        write_store(tmp_path / silent, studies, source="test")
        tasks = ["zero-shot", "linear-probe"]
        out = tmp_path / f"out-{silent}"
        evaluate(SpotModel(), Store.open(tmp_path / silent), out=out, prompts=prompts, tasks=tasks)
        found = Evaluation.read(out).metrics
        assert {"auroc/Atelectasis", "f1/Atelectasis", "sensitivity/Cardiomegaly"} <= set(found["zero-shot"])
        assert ("auroc/Edema" in found["zero-shot"]) == (silent == "validate")
        assert "f1/Edema" not in found["zero-shot"]
        assert "auroc@100%/Atelectasis" in found["linear-probe"]


def test_thresholds_come_from_the_validation_split(store, prompts, tmp_path):
    """Its labels exchanged, they are others; the labels that are judged exchanged, they are not."""
    next_of = dict(zip(FINDINGS, (*FINDINGS[1:], FINDINGS[0]), strict=True))
    exchanged = {
        split: [
            dataclasses.replace(s, labels={next_of[n]: v for n, v in s.labels.items()})
            if s.split == split
            else s
            for s in store
        ]
        for split in ("validate", "test")
    }
    found = {"": store}
    for split, studies in exchanged.items():
        write_store(tmp_path / split, studies, source="test")
        found[split] = Store.open(tmp_path / split)
    decided = {}
    for name, one in found.items():
        out = tmp_path / f"out{name}"
        evaluate(SpotModel(), one, out=out, prompts=prompts, tasks=["zero-shot"])
        table = Evaluation.read(out).task("zero-shot")
        decided[name] = table[[column for column in table if column.startswith(DECISION)]]
    assert len(decided[""].columns) == 3
    assert decided["test"].equals(decided[""])
    assert not decided["validate"].equals(decided[""])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": ["zeroshot"]}, "no such task; there are zero-shot, linear-probe"),
        ({"prompts": "none"}, "no such set or file"),
        ({"prompts": "phantom", "tasks": ["zero-shot"]}, "no study has a label 'Consolidation'"),
        ({"split": "validation"}, "no study in split 'validation'"),
        ({"seed": -1}, "--seed -1: expected 0 or more"),
    ],
)
def test_bad_input_is_told_in_one_line(store, tmp_path, options, message):
    with pytest.raises(InputError, match=message) as told:
        evaluate(SpotModel(), store, out=tmp_path / "out", **options)
    assert "\n" not in str(told.value)
    assert not (tmp_path / "out").exists()


def test_the_training_transform_cannot_reach_evaluation():
    """Nothing in the package can name it: no file imports augmentation, loading or training."""
    import ast
    from pathlib import Path

    import eclip.evaluation

    for path in Path(eclip.evaluation.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith(
                    ("eclip.training", "eclip.data.augm", "eclip.data.load")
                )


def test_per_sample_opens_in_pandas(folder):
    table = pd.read_parquet(folder / "per_sample.parquet")
    assert {"image_id", "patient_id", "zero-shot/prediction", "retrieval/image_to_text_rank"} <= set(
        table.columns
    )
    assert np.isfinite(table["embedding-quality/alignment"]).all()
