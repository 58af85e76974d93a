"""Prompt sets: the sentences that stand for a class in zero-shot classification."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
        negatives: Class name to the sentences of its absence; for all classes or for none.
    """

    name: str
    description: str
    source: str
    classes: dict[str, list[str]]
    negatives: dict[str, list[str]] = field(default_factory=dict)

    @property
    def sentences(self) -> list[str]:
        """All sentences, each once."""
        texts = (*self.classes.values(), *self.negatives.values())
        return list(dict.fromkeys(sentence for own in texts for sentence in own))

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with any class or sentence, and with nothing else."""
        content = [self.classes, self.negatives] if self.negatives else self.classes
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def prompt_set(name_or_file: str | Path) -> PromptSet:
    """Read a prompt set by its name (`phantom`, `chexpert`) or from a YAML file.

    A class is a list of sentences, or parts (lists of phrases, "" to leave one out) of which every combination is
    made, in the order of the file; or `positive` and `negative`, each such a thing. A sentence that comes up twice
    counts once.

    Raises:
        InputError: No such set, or the file is not one.
    """
    known = {path.stem: path for path in sorted(FOLDER.glob("*.yaml"), key=lambda path: path.stem)}
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
    if not isinstance(classes, dict) or not classes:
        raise InputError(f"{path}: expected `classes:` with class names and their prompts")
    paired = [str(name) for name, entry in classes.items() if _is_pair(entry)]
    if not paired and len(classes) < 2:
        raise InputError(f"{path}: expected two or more classes, or `positive` and `negative` prompts of one")
    if paired and (single := [str(name) for name in classes if str(name) not in paired]):
        raise InputError(
            f"{path}: class {single[0]!r} has no `positive` and `negative`, which {paired[0]!r} has; give all or none"
        )
    parts = ("positive", "negative") if paired else (None,)
    found = [
        {
            str(name): _sentences(entry if part is None else entry.get(part, []), path, f"{name}")
            for name, entry in classes.items()
        }
        for part in parts
    ]
    return PromptSet(
        name=str(content.get("name", path.stem)),
        description=str(content.get("description", "")),
        source=str(content.get("source", "")),
        classes=found[0],
        negatives=found[1] if paired else {},
    )


def fitting_set(labels: Sequence[str], *, phantom: bool) -> PromptSet | None:
    """The set that comes along with the most classes, all of them among a store's labels; None if there is none.

    Args:
        labels: That occur in the store.
        phantom: Whether the store is the phantom; its own set fits no other.
    """
    if phantom:
        return prompt_set("phantom")
    sets = [prompt_set(path.stem) for path in sorted(FOLDER.glob("*.yaml")) if path.stem != "phantom"]
    fitting = [found for found in sets if set(found.classes) <= set(labels)]
    return max(fitting, key=lambda found: (len(found.classes), not found.negatives), default=None)


def _is_pair(entry: Any) -> bool:
    return isinstance(entry, Mapping) and bool({"positive", "negative"} & set(entry))


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
