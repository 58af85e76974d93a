"""A model is not judged on patients that it was trained on, unless that is meant."""

import shutil

import pytest
import yaml

from eclip.data.store import Store, write_store
from eclip.errors import InputError
from eclip.evaluation.evaluate import evaluate
from eclip.evaluation.leaks import check_leaks, patients_seen
from small_evaluations import SpotModel
from small_stores import small_store, small_study


@pytest.fixture
def trained_on(tmp_path):
    return small_store(tmp_path / "training")


def run_of(folder, store, **more):
    (folder / "model").mkdir(parents=True)
    config = {"data": str(store.path), "data_fingerprint": store.fingerprint, "start_from": ""} | more
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def store_of(folder, numbers, split="test"):
    write_store(folder, [small_study(number, split=split) for number in numbers], source="test")
    return Store.open(folder)


def test_the_test_split_of_its_own_store_is_clean_and_its_training_split_is_not(tmp_path, trained_on):
    run = run_of(tmp_path / "run", trained_on)
    assert check_leaks(run / "model", trained_on, split="test", allow=False) == 0
    with pytest.raises(
        InputError, match=r"32 patients of the split 'train' were in the training of .*patient-0"
    ):
        check_leaks(run / "model", trained_on, split="train", allow=False)
    assert check_leaks(run / "model", trained_on, split="train", allow=True) == 32


def test_patients_of_another_store_are_compared_by_id(tmp_path, trained_on):
    run = run_of(tmp_path / "run", trained_on)
    assert patients_seen(run, store_of(tmp_path / "clean", range(100, 120)), split="test") == []
    other = store_of(tmp_path / "leaky", [5, 7, *range(100, 120)])
    assert patients_seen(run, other, split="test") == ["patient-5", "patient-7"]
    with pytest.raises(InputError, match="patient-5, patient-7") as told:
        evaluate(SpotModel(path=run / "model"), other, out=tmp_path / "out", tasks=["retrieval"])
    assert "--allow-leaks" in str(told.value)
    assert "\n" not in str(told.value)
    assert not (tmp_path / "out").exists()
    found = evaluate(
        SpotModel(path=run / "model"), other, out=tmp_path / "out", tasks=["retrieval"], allow_leaks=True
    )
    assert found["meta"]["patients_in_training"] == 2
    assert "--allow-leaks" in found["meta"]["command"]


def test_the_run_that_it_started_from_counts_too(tmp_path, trained_on):
    first = run_of(tmp_path / "first", trained_on)
    second = run_of(tmp_path / "second", store_of(tmp_path / "more", [40], "train"), start_from=str(first))
    leaky = store_of(tmp_path / "leaky", [5, 40, 100])
    assert patients_seen(second, leaky, split="test") == ["patient-40", "patient-5"]


def test_a_run_that_it_started_from_and_that_is_gone_is_not_clean(tmp_path, trained_on, monkeypatch):
    first = run_of(tmp_path / "runs" / "first", trained_on)
    more, leaky = store_of(tmp_path / "more", [40], "train"), store_of(tmp_path / "leaky", [5, 100])
    monkeypatch.chdir(tmp_path)
    for number, start in enumerate((str(first), "runs/first")):
        run = run_of(tmp_path / f"run{number}", more, start_from=start)
        assert patients_seen(run, leaky, split="test") == ["patient-5"]
    shutil.rmtree(first)
    for number in range(2):
        assert patients_seen(tmp_path / f"run{number}", leaky, split="test") is None
    from_hub = run_of(tmp_path / "hub", more, start_from="organisation/model")
    assert patients_seen(from_hub, leaky, split="test") == []


def test_what_cannot_be_checked_is_said(tmp_path, trained_on, capsys):
    run = run_of(tmp_path / "run", trained_on)
    other = store_of(tmp_path / "other", [5])
    shutil.rmtree(trained_on.path)
    assert check_leaks(run / "model", other, split="test", allow=False) is None
    assert "could not be checked" in capsys.readouterr().err.replace("\n", " ")
    trained_on = small_store(tmp_path / "training", plain=3)  # another one, in its place
    assert check_leaks(run, other, split="test", allow=False) is None


@pytest.mark.parametrize("content", ["", "[1, 2]", "a: [", "data: x\n"])
def test_models_that_are_no_runs_are_not_asked(tmp_path, trained_on, content, capsys):
    assert check_leaks(None, trained_on, split="test", allow=False) is None
    assert check_leaks(tmp_path, trained_on, split="test", allow=False) is None
    assert capsys.readouterr().err == ""
    (tmp_path / "config.yaml").write_text(content)
    assert check_leaks(tmp_path, trained_on, split="test", allow=False) is None
