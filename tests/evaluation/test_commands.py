"""`eclip evaluate` on the command line: bad input ends in one line and status 2, good input in scores."""

import dataclasses
import json

import numpy as np
import pytest

from eclip.cli import main
from eclip.data.augmentation import Augmentation
from eclip.data.store import write_store
from eclip.evaluation.prompts import prompt_set
from eclip.evaluation.tasks import TASKS
from models.test_model import small_model
from small_evaluations import unit_rows
from small_stores import small_store, small_study

PROMPTS = (
    "classes: {Atelectasis: [Atelectasis.], Cardiomegaly: [A large heart.], Edema: [Edema., Wet lungs.]}"
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A model, a store, a store without labels, and a prompt set."""
    place = tmp_path_factory.mktemp("place")
    small_model().save(place / "model")
    small_store(place / "store", test=24)
    plain = [dataclasses.replace(small_study(i, split="test"), labels={}) for i in range(12)]
    write_store(place / "no-labels", plain, source="test")
    (place / "prompts.yaml").write_text(PROMPTS)
    (place / "unknown.yaml").write_text("classes: {Edema: [Edema.], Scoliosis: [Scoliosis.]}")
    ids = np.array([f"image-{i}" for i in range(62)])
    np.savez(place / "images.npz", image_id=ids, image_embedding=unit_rows(62, 8))
    np.savez(place / "texts.npz", input=np.array(["Edema."]), embedding=unit_rows(1, 7))
    return place


def command(place, **options):
    defaults = {"model": place / "model", "data": place / "store", "prompts": place / "prompts.yaml"}
    options = defaults | {"out": place / "out"} | options
    return ["evaluate", *(str(word) for name, value in options.items() for word in (f"--{name}", value))]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": "zeroshot"}, "--tasks zeroshot: no such task; there are zero-shot, "),
        (
            {"prompts": "unknown.yaml", "tasks": "zero-shot"},
            "no study has a label 'Scoliosis' of the prompt set",
        ),
        ({"prompts": "nowhere.yaml"}, "nowhere.yaml: no such set or file"),
        (
            {"model": "images.npz", "prompt-embeddings": "texts.npz"},
            "embedding has 7 dimensions, and image_embed",
        ),
        ({"model": "images.npz", "tasks": "zero-shot"}, "a file cannot embed prompts"),
        ({"model": "images.npz", "tasks": "retrieval"}, "retrieval"),
        ({"model": "nowhere.npz"}, "nowhere.npz: no such file"),
        ({"prompt-embeddings": "texts.npz"}, "has no effect on a model"),
        ({"data": "no-labels", "tasks": "zero-shot"}, "the studies have no labels"),
        ({"split": "validation"}, "no study in split 'validation'"),
        ({"data": "model"}, "not a study store"),
        ({"model": "store"}, "not a model folder"),
        ({"model": "open_clip:ViT-B-32"}, "open_clip"),
    ],
)
def test_bad_input_ends_in_one_line(place, monkeypatch, capsys, options, message):
    monkeypatch.chdir(place)
    assert main(command(place, **options)) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("eclip: ")]
    assert len(told) == 1
    assert message in told[0]
    assert not (place / "out").exists()


def test_prompts_are_printed_to_be_embedded_elsewhere(place, capsys):
    assert main(["prompts", str(place / "prompts.yaml")]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed == ["Atelectasis.", "A large heart.", "Edema.", "Wet lungs."]
    assert printed == prompt_set(place / "prompts.yaml").sentences
    assert main(["prompts"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("chexpert", "rsna", "vindr", "phantom"))
    assert main(["prompts", "nowhere"]) == 2
    assert "no such set or file" in capsys.readouterr().err


def test_a_model_and_its_embeddings_in_files_get_the_same_scores(place, tmp_path):
    embed = ["embed", "--model", str(place / "model"), "--precision", "32", "--out"]
    store, prompts = str(tmp_path / "store.parquet"), str(tmp_path / "prompts.parquet")
    assert main([*embed, store, "--data", str(place / "store")]) == 0
    assert main([*embed, prompts, "--texts", *prompt_set(place / "prompts.yaml").sentences]) == 0
    tasks = {"tasks": "retrieval"}
    assert main(command(place, out=tmp_path / "model", **tasks)) == 0
    file = {"model": store, "prompt-embeddings": prompts}
    assert main(command(place, out=tmp_path / "file", **file, **tasks)) == 0
    one, other = (json.loads((tmp_path / name / "results.json").read_text()) for name in ("model", "file"))
    for name, metric in one["retrieval"].items():
        assert metric["value"] == pytest.approx(other["retrieval"][name]["value"], abs=1e-4), name


def test_no_task_calls_the_training_transform(place, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the training transform was called in evaluation")

    monkeypatch.setattr(Augmentation, "__init__", refuse)
    monkeypatch.setattr(Augmentation, "__call__", refuse)
    done = []
    for task in TASKS:
        status = main([*command(place, out=tmp_path / task, tasks=task), "--no-cache"])
        done += [task] * (status == 0)
    assert {"zero-shot", "retrieval", "embedding-quality"} <= set(done)


def test_what_runs_is_said(place, tmp_path, capsys):
    assert main(command(place, out=tmp_path / "out", tasks="retrieval")) == 0
    assert "retrieval, split 'test', 24 images" in capsys.readouterr().err
