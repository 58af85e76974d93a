"""docs/extending.md works: its blocks, put into a copy of the project as they stand, pass their tests and train."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text()
BLOCKS = re.findall(r"^`([\w/.]+)`:\n\n```(python|diff)\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
FILES = [path for path, kind, _ in BLOCKS if kind == "python"]
TESTS = [path for path in FILES if path.startswith("tests/")]
WALKING = ["tests/training/methods/test_every_setting.py", "tests/test_recipes.py", "tests/test_any_clip.py"]
COMMANDS = re.findall(r"^eclip .*", PAGE, flags=re.MULTILINE)
MAIN = "import shlex, sys; from eclip.cli import main; sys.exit(any(main(shlex.split(c)[1:]) for c in sys.argv[1:]))"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with what the page adds."""
    copy = tmp_path_factory.mktemp("extended")
    for part in ("src", "tests"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__", "golden"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    for path, kind, text in BLOCKS:
        if kind == "python":
            assert not (copy / path).exists()
            (copy / path).write_text(text)
        else:
            (copy / path).write_text(changed((copy / path).read_text(), text))
    return copy


def changed(text, diff):
    """The text with each hunk of a diff applied; `@@` stands between hunks."""
    for hunk in diff.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        before, after = ("".join(line[1:] for line in lines if line[0] in kept) for kept in (" -", " +"))
        assert text.count(before) == 1, f"not there, or not once: {before}"
        text = text.replace(before, after)
    return text


def run(project, *arguments):
    environment = os.environ | {"PYTHONPATH": str(project / "src")}
    result = subprocess.run(
        [sys.executable, *arguments], cwd=project, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_each_addition_is_one_file_one_entry_and_its_test():
    sources, diffs = set(FILES) - set(TESTS), [text for _, kind, text in BLOCKS if kind == "diff"]
    assert len(sources) == len(TESTS) == 3
    assert len(diffs) == 2  # a loss is imported by its method
    for diff in diffs:
        added = [line for line in diff.splitlines() if line[0] in "+-"]
        assert len([line for line in added if "import" not in line]) <= 1
        assert len([line for line in added if "import" in line]) == 1
    for source in map(Path, sources):
        assert str(Path("tests", *source.parts[2:-1], f"test_{source.name}")) in TESTS


def test_the_tests_of_the_additions_pass_and_those_that_walk_all_methods(project):
    run(project, "-m", "pytest", "-x", "-k", "smoothed or bag_of_words", *TESTS, *WALKING)


def test_the_additions_are_as_tidy_as_the_rest(project):
    run(project, "-m", "ruff", "check", *FILES)
    run(project, "-m", "ruff", "format", "--check", *FILES)


def test_they_train_and_what_was_trained_opens_again(project, phantom_store):
    (project / "stores").mkdir()
    (project / "stores" / "phantom").symlink_to(phantom_store)
    assert len(COMMANDS) == 3
    run(project, "-c", MAIN, *COMMANDS)
    assert (project / "runs" / "smoothed" / "model" / "config.json").is_file()
    assert (project / "texts.parquet").is_file()
