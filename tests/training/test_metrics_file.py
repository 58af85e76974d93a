"""The CSV of a run: whole at any moment, and continued where a resumed run starts."""

import csv

from eclip.training.metrics_file import MetricsFile


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_values_of_one_step_make_one_row(tmp_path):
    log = MetricsFile(tmp_path / "metrics.csv")
    log.log_metrics({"train/loss": 1.5, "epoch": 0}, step=0)
    log.log_metrics({"train/loss": 1.0}, step=10)
    log.log_metrics({"validation/loss": 0.9}, step=10)
    log.save()
    assert read(log.path) == [
        {"step": "0", "train/loss": "1.5", "validation/loss": ""},
        {"step": "10", "train/loss": "1.0", "validation/loss": "0.9"},
    ]


def test_a_resumed_run_keeps_what_was_and_measures_the_rest_anew(tmp_path):
    path = tmp_path / "metrics.csv"
    log = MetricsFile(path)
    for step in range(5):
        log.log_metrics({"train/loss": float(step)}, step=step)
    log.save()
    again = MetricsFile(path, first_step=3)
    again.log_metrics({"train/loss": 30.0, "new": 1.0}, step=3)
    again.save()
    assert [(row["step"], row["train/loss"]) for row in read(path)] == [
        ("0", "0.0"), ("1", "1.0"), ("2", "2.0"), ("3", "30.0"),
    ]  # fmt: skip
