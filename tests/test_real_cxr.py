"""Real input: the commands of `docs/your-own-data.md`, run on the 176 real radiographs where they are."""

import json
import shlex
from pathlib import Path

import pandas as pd
import pytest

from docs_commands import commands_of
from eclip.cli import main
from eclip.data.store import Store

PAGE = Path(__file__).parents[1] / "docs" / "your-own-data.md"


@pytest.mark.real
def test_commands_of_your_own_data_run_on_real_radiographs(real_cxr, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "real_cxr").symlink_to(real_cxr)
    for command in commands_of(PAGE):
        assert main(shlex.split(command)[1:]) == 0, command

    store = Store.open(tmp_path / "stores" / "real")
    assert len(store) == 84
    assert {a.kind for row in range(84) for a in store[row].annotations} == {"mask"}
    assert len(store.manifest["rejected"]) == 176 - 84
    table = pd.read_csv(real_cxr / "metadata.csv")
    for rejection in store.manifest["rejected"]:
        row = int(rejection["row"].split()[-1])
        assert not isinstance(table["text"][row - 2], str)  # line 1 is the header
    results = json.loads((tmp_path / "runs/real/evaluation/results.json").read_text())
    assert results["retrieval"]["image_to_text_recall@10"]["n"] == len(store.rows(split="test"))
    embeddings = pd.read_parquet(tmp_path / "runs/real-embeddings.parquet")
    assert sorted(embeddings["image_id"]) == sorted(store.column("image_id"))
    assert (tmp_path / "runs/real/evaluation/index.html").stat().st_size > 10_000
