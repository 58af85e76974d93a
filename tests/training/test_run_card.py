"""What a run tells about itself: in config.json, and as the model card that is rendered from it."""

import json

import pytest
import yaml

import eclip
from eclip.cli import main
from eclip.data.store import Store
from eclip.evaluation.tasks import headlines
from eclip.models.model import Model
from eclip.training.config import LoadingConfig, OptimConfig, TrainConfig
from eclip.training.methods import EclipConfig
from eclip.training.metrics_file import MetricsFile
from eclip.training.run_card import run_card, validation_at_best
from eclip.training.train import train
from small_models import BERT, small_config
from small_stores import small_store


def run_config(**changes):
    text = BERT | {"vocab_size": 300}
    settings = {"steps": 6, "batch_size": 6, "precision": "32", "validate_every": 2, "log_every": 1}
    settings |= {"loading": LoadingConfig(workers=0), "optim": OptimConfig(lr=1e-2)}
    return TrainConfig(model=small_config(text=text), **(settings | changes))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return small_store(tmp_path_factory.mktemp("data") / "store")


@pytest.fixture(scope="module")
def run(store, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    return train(run_config(), data=store.path, out=out, recipe="small-clip")


def card_of(run):
    return json.loads((run / "model" / "config.json").read_text())["card"]


def test_the_card_says_what_the_run_was(run, store):
    card = card_of(run)
    assert card["trained_on"] == {
        "source": "test",
        "phantom": False,
        "data_fingerprint": store.fingerprint,
        "splits": {
            "test": {"rows": 12, "annotated": 0},
            "train": {"rows": 32, "annotated": 8},
            "validate": {"rows": 6, "annotated": 0},
        },
        "kinds": {"gaze": 8},
    }
    assert (card["recipe"], card["method"], card["seed"], card["steps"]) == ("small-clip", "clip", 0, 6)
    assert card["precision"] == "32-true"
    assert card["settings"] == {
        "optim.lr": 1e-2,
        "loading.workers": 0,
        "batch_size": 6,
        "validate_every": 2,
    }
    assert card["pretrained"] == {}
    assert card["versions"]["eclip"] == eclip.__version__
    assert eclip.load(run).card == card


def test_the_validation_is_that_of_the_chosen_step(run):
    """The row of metrics.csv with the lowest loss; rows count steps from 0."""
    card = card_of(run)
    lines = (run / "logs" / "metrics.csv").read_text().splitlines()
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    best = min((row for row in rows if row["validation/loss"]), key=lambda row: float(row["validation/loss"]))
    assert card["validation"] == {
        "loss": float(best["validation/loss"]),
        "accuracy": float(best["validation/accuracy"]),
    }
    assert card["step"] == int(best["step"]) + 1


def test_of_a_tie_the_first_validation_counts_as_in_the_checkpoint(tmp_path):
    metrics = MetricsFile(tmp_path / "metrics.csv")
    for step, loss, accuracy in [(9, 0.5, 0.9), (3, 0.5, 0.1), (6, 0.7, 0.2)]:
        metrics.log_metrics({"validation/loss": loss, "validation/accuracy": accuracy}, step)
    metrics.log_metrics({"train/loss": 0.1}, 4)
    assert validation_at_best(metrics) == {"loss": 0.5, "accuracy": 0.1}
    assert validation_at_best(MetricsFile(tmp_path / "other.csv")) == {}


def test_rows_that_an_earlier_session_wrote_count_too(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("step,train/loss,validation/accuracy,validation/loss\n2,0.3,,\n3,,0.4,0.6\n")
    assert validation_at_best(MetricsFile(path, first_step=8)) == {"loss": 0.6, "accuracy": 0.4}


def test_only_changed_settings_of_the_method_are_told(store):
    config = run_config(method=EclipConfig(mixup_alpha=None), loading=LoadingConfig(), batch_size=512)
    told = run_card(config, store=store, recipe="", step=1, precision="32-true", validation={})
    assert told["settings"] == {"optim.lr": 1e-2, "validate_every": 2, "method.mixup_alpha": None}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"start_from": "openai/clip-vit-base-patch32"}, {"goes on from": "openai/clip-vit-base-patch32"}),
        ({"start_from": "{tmp_path}"}, {"goes on from": "a-model"}),
    ],
)
def test_weights_are_named_by_hub_id_or_folder_without_its_path(store, tmp_path, given, expected):
    (tmp_path / "a-model").mkdir()
    given = {name: value.format(tmp_path=tmp_path / "a-model") for name, value in given.items()}
    card = run_card(run_config(**given), store=store, recipe="", step=1, precision="32", validation={})
    assert card["pretrained"] == expected
    card = run_card(TrainConfig(), store=store, recipe="", step=1, precision="32", validation={})
    assert card["pretrained"] == {
        "image weights from": "microsoft/swin-tiny-patch4-window7-224",
        "text weights from": "emilyalsentzer/Bio_ClinicalBERT",
    }


def test_the_page_has_a_header_as_the_hub_reads_it_and_the_card(run, store):
    page = (run / "model" / "README.md").read_text()
    _, header, body = page.split("---\n", 2)
    header = yaml.safe_load(header)
    assert header["library_name"] == "eclip"
    assert header["pipeline_tag"] == "zero-shot-image-classification"
    assert "inherits" in header["license_name"]
    assert {"eclip", "chest-x-ray", "eclip-method-clip"} <= set(header["tags"])
    card = card_of(run)
    for told in (
        "# small-clip",
        "not a medical device",
        "| architecture | resnet + bert |",
        f"| fingerprint | `{store.fingerprint}` |",
        "| train | 32 images, 8 annotated |",
        "| images with gaze | 8 |",
        f"| chosen step | {card['step']} of 6 |",
        f"| validation loss at that step | {card['validation']['loss']:.4f} |",
        "| `optim.lr` | 0.01 |",
        'eclip.load("FOLDER")',
        eclip.load(run).fingerprint,
    ):
        assert told in body, told
    assert "phantom" not in body


def test_no_text_of_a_study_and_no_name_is_in_the_folder(run, store):
    written = "".join(path.read_text() for path in (run / "model").glob("*.[jm][sd]*"))
    for study in store:
        for secret in (study.text, study.image_id, study.study_id, study.patient_id):
            assert secret not in written
    assert str(store.path) not in written


def test_a_phantom_is_called_one(phantom_store, tmp_path):
    store = Store.open(phantom_store)
    assert store.manifest["phantom"] is True
    card = run_card(run_config(), store=store, recipe="r", step=1, precision="32", validation={})
    model = eclip.load(train(run_config(steps=2), data=phantom_store, out=tmp_path / "run"))
    assert model.card["trained_on"] == card["trained_on"]
    page = (tmp_path / "run" / "model" / "README.md").read_text()
    assert "It learned from a phantom" in page
    assert "| source | mimic-cxr (phantom) |" in page


def test_an_evaluation_fills_the_card_of_an_export(run, store, tmp_path):
    evaluation, out = tmp_path / "evaluation", tmp_path / "exported"
    command = f"evaluate --model {run} --data {store.path} --out {evaluation} --tasks retrieval"
    assert main(command.split()) == 0
    assert main(f"export --model {run} --out {out} --results {evaluation}".split()) == 0
    page = (out / "README.md").read_text()
    results = json.loads((evaluation / "results.json").read_text())
    for name in headlines(results["retrieval"]):
        metric = results["retrieval"][name]
        value, low, high = (f"{metric[part]:.3f}" for part in ("value", "low", "high"))
        assert f"| retrieval | {name} | {value} | {low} … {high} | {metric['n']} |" in page
    assert "`eclip evaluate` measures it" not in page
    assert eclip.load(out).fingerprint == eclip.load(run).fingerprint


def test_a_folder_without_a_card_or_an_older_one_still_opens_and_has_a_page(run, tmp_path):
    for number, card in enumerate([{}, {"recipe": "old", "method": "clip", "step": 9, "seed": 1}]):
        model = eclip.load(run)
        model.card = card
        model.save(tmp_path / str(number))
        page = (tmp_path / str(number) / "README.md").read_text()
        assert "It is not known" in page  # what it was trained on
        assert eclip.load(tmp_path / str(number)).card == card
    assert "| chosen step | 9 |" in page
    (tmp_path / "1" / "README.md").unlink()  # as in folders from before there was one
    assert isinstance(eclip.load(tmp_path / "1"), Model)
