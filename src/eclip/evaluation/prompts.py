"""Prompt sets: the sentences that stand for a class in zero-shot classification."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from eclip.errors import InputError

FOLDER = Path(__file__).parent / "prompts"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSet:
    """Sentences for each class.

    Attributes:
        name: What `--prompts` calls it.
        description: What it is for.
        source: Where the wording comes from.
        classes: Class name, as the store's labels spell it, to its sentences.
    """

    name: str
    description: str
    source: str
    classes: dict[str, list[str]]

    @property
    def sentences(self) -> list[str]:
        """All sentences, each once."""
        return list(dict.fromkeys(sentence for texts in self.classes.values() for sentence in texts))

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with any class or sentence, and with nothing else."""
        return hashlib.sha256(json.dumps(self.classes).encode()).hexdigest()[:16]


def prompt_set(name_or_file: str | Path) -> PromptSet:
    """Read a prompt set by its name (`phantom`, `chexpert`) or from a YAML file.

    A class is a list of sentences, or parts (lists of phrases, "" to leave one out) of which every combination is
    made, in the order of the file. A sentence that comes up twice counts once.

    Raises:
        InputError: No such set, or the file is not one.
    """
    known = {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}
    path = known.get(str(name_or_file), Path(name_or_file))
    if not path.is_file():
        raise InputError(
            f"--prompts {name_or_file}: no such set or file; there are {', '.join(known)}, or give a YAML file"
        )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML ({' '.join(str(error).split())})") from error
    classes = content.get("classes") if isinstance(content, dict) else None
    if not isinstance(classes, dict) or len(classes) < 2:
        raise InputError(f"{path}: expected `classes:` with two or more class names and their prompts")
    return PromptSet(
        name=str(content.get("name", path.stem)),
        description=str(content.get("description", "")),
        source=str(content.get("source", "")),
        classes={str(name): _sentences(entry, path, str(name)) for name, entry in classes.items()},
    )


def _sentences(entry: Any, path: Path, name: str) -> list[str]:
    entry = entry.get("prompts", entry) if isinstance(entry, Mapping) else entry
    parts = list(entry.values()) if isinstance(entry, Mapping) else [entry]
    if not all(isinstance(part, list) and all(isinstance(phrase, str) for phrase in part) for part in parts):
        raise InputError(
            f"{path}: class {name!r}: expected a list of sentences, or named lists of phrases to combine"
        )
    sentences = [" ".join(" ".join(phrases).split()) for phrases in product(*parts)]
    sentences = [sentence for sentence in dict.fromkeys(sentences) if sentence]
    if not sentences:
        raise InputError(f"{path}: class {name!r} has no prompt; give at least one sentence")
    return sentences
