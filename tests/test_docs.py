"""Every command in the documentation runs, in the order in which a newcomer meets it."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from docs_commands import commands_of
from eclip.cli import main

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


def test_python_of_the_readme_runs(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    (code,) = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), flags=re.DOTALL | re.MULTILINE
    )
    image = next((workplace / "phantom").rglob("*.jpg"))
    (workplace / "image.jpg").write_bytes(image.read_bytes())
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102
    assert list(names["table"].columns) == ["effusion", "clear"]
    assert names["table"].to_numpy().sum() == pytest.approx(1, abs=1e-5)
