"""The evaluation folder: what is written is read back, and a broken one is told."""

import json

import numpy as np
import pandas as pd
import pytest

from eclip.errors import InputError
from eclip.evaluation.results import Evaluation, rounded, write_results
from eclip.evaluation.statistics import Metric
from small_evaluations import embeddings, unit_rows

METRIC = Metric(value=1 / 3, low=0.25, high=0.5, n=4, direction="higher", chance=0.1)


@pytest.fixture
def folder(tmp_path):
    case = embeddings(unit_rows(4, 3), unit_rows(4, 3, seed=1))
    tables = {
        "retrieval": pd.DataFrame({"rank": [1.0, 2.0, np.nan, 4.0]}),
        "zero-shot": pd.DataFrame({"x": [0] * 4}),
    }
    out = tmp_path / "run" / "evaluation"
    write_results(out, {"retrieval": {"mrr": METRIC}}, meta={"seed": 3}, tables=tables, embeddings=case)
    return out


def test_what_is_written_is_read_back(folder):
    found = Evaluation.read(folder)
    metric = found.metrics["retrieval"]["mrr"]
    assert metric.value == pytest.approx(1 / 3, abs=1e-6)
    assert (metric.low, metric.high, metric.n, metric.direction, metric.chance) == (
        0.25,
        0.5,
        4,
        "higher",
        0.1,
    )
    assert found.meta == {"seed": 3}
    assert found.name == "run"
    assert found.task("retrieval")["rank"].tolist()[:2] == [1.0, 2.0]
    assert list(found.task("zero-shot").columns) == ["x"]
    assert found.embeddings.image_id == found.per_sample["image_id"].tolist()


def test_json_has_six_decimals_and_no_fields_that_are_not_known():
    assert rounded({"a": 1 / 3, "b": None, "n": 2, "d": "higher"}) == {"a": 0.333333, "n": 2, "d": "higher"}


def test_a_folder_that_is_no_evaluation_is_told(tmp_path):
    with pytest.raises(InputError, match=r"not an evaluation \(no results.json\)"):
        Evaluation.read(tmp_path)
    for content in ("{", "[]", '{"retrieval": {"x": {}}, "meta": {}}', "{}"):
        (tmp_path / "results.json").write_text(content)
        with pytest.raises(InputError, match="cannot be read"):
            Evaluation.read(tmp_path)


def test_missing_tables_are_told(folder):
    for file in ("per_sample.parquet", "embeddings.parquet"):
        (folder / file).unlink()
    with pytest.raises(InputError, match=r"per_sample.parquet: missing"):
        _ = Evaluation.read(folder).per_sample
    with pytest.raises(InputError, match=r"embeddings.parquet: missing"):
        _ = Evaluation.read(folder).embeddings


def test_a_folder_that_cannot_be_written_is_told(folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_results(
            tmp_path / "file" / "x", {}, meta={}, tables={}, embeddings=Evaluation.read(folder).embeddings
        )


def test_a_value_that_is_not_a_number_never_reaches_the_file(folder):
    broken = Metric(value=float("nan"), low=0, high=1, n=1, direction="higher")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_results(
            folder, {"t": {"m": broken}}, meta={}, tables={}, embeddings=Evaluation.read(folder).embeddings
        )
    json.loads((folder / "results.json").read_text())
