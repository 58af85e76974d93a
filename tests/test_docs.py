"""Every command in the documentation runs, in the order in which a newcomer meets it."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from docs_commands import commands_of
from eclip.cli import main
from eclip.data.store import Store

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))]
NEEDS_REAL_DATA = {"docs/your-own-data.md"}  # tests/test_real_cxr.py runs it


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """Where a newcomer stands; pages after the README build on what the README made."""
    return tmp_path_factory.mktemp("workplace")


@pytest.mark.parametrize("page", [page for page in PAGES if page not in NEEDS_REAL_DATA])
def test_commands_of_the_page_run(page, workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    dataset = Path(page).stem
    if (ROOT / "tests" / "fabricated" / f"{dataset.replace('-', '_')}.py").is_file():
        import_module(f"fabricated.{dataset.replace('-', '_')}").write(workplace / dataset)
    for command in commands_of(ROOT / page):
        with capsys.disabled():
            print(f"\n$ {command}")
        assert main(shlex.split(command)[1:]) == 0, command


@pytest.mark.parametrize("page", PAGES)
def test_links_of_the_page_lead_somewhere(page):
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if not target.startswith("http"):
            assert (ROOT / page).parent.joinpath(target).exists(), target


def python_of(page):
    """What the names of a page's one Python block are when it has run."""
    (code,) = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), flags=re.DOTALL | re.MULTILINE)
    names: dict[str, object] = {}
    exec(compile(code, page, "exec"), names)  # noqa: S102
    return names


def test_python_of_the_readme_runs(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    image = next((workplace / "phantom").rglob("*.jpg"))
    (workplace / "image.jpg").write_bytes(image.read_bytes())
    table = python_of("README.md")["table"]
    assert list(table.columns) == ["effusion", "clear"]
    assert table.to_numpy().sum() == pytest.approx(1, abs=1e-5)


def test_python_of_the_stores_page_reads_all_of_it(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    rows = python_of("docs/stores.md")["rows"]
    store = Store.open("stores/checked")
    assert rows["text"].tolist() == store.column("text")
    assert rows["image_id"].tolist() == store.column("image_id")
