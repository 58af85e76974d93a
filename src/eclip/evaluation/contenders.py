"""The models that are compared: their names, and the evaluations of their training runs, all on the same studies."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eclip.errors import InputError
from eclip.evaluation.results import RESULTS, Evaluation

_OF_PROMPTS = {"zero-shot", "linear-probe", "robustness", "subgroups"}  # whose classes a prompt set decides
_OF_A_SEED = {"linear-probe", "robustness"}  # which draw more than a bootstrap


@dataclass(frozen=True, slots=True)
class Contender:
    """A model: its name and its evaluations, one a training run."""

    name: str
    runs: Sequence[Evaluation]


def contenders_of(words: Sequence[Path | str]) -> list[Contender]:
    """The models that words name, and that they can be compared.

    Args:
        words: FOLDER, or NAME=FOLDER,FOLDER,… for several training runs of one model. A folder is what `eclip
            evaluate` wrote, or a run that holds it in `evaluation`; one that exists is never taken apart.

    Raises:
        InputError: Fewer than two models, two of one name, a run that comes twice, a folder that is not an
            evaluation, or evaluations of different studies.
    """
    if len(words) < 2:
        raise InputError("eclip compare: give two or more folders that `eclip evaluate` wrote")
    named = [_named(str(word)) for word in words]
    alone = [runs[0].name for name, runs in named if not name]
    contenders = [
        Contender(name or (str(runs[0].folder) if alone.count(runs[0].name) > 1 else runs[0].name), runs)
        for name, runs in named
    ]
    for i, contender in enumerate(contenders):
        folders = [run.folder.resolve() for run in contender.runs]
        if len(set(folders)) < len(folders):
            raise InputError(f"{contender.name}: a run is given twice; each counts as a training of its own")
        for other in contenders[:i]:
            if other.name == contender.name and folders != [run.folder.resolve() for run in other.runs]:
                raise InputError(f"two models are called {other.name!r}; give them names: NAME=FOLDER")
    check_same_studies([run for contender in contenders for run in contender.runs])
    return contenders


def check_same_studies(evaluations: Sequence[Evaluation]) -> None:
    """A paired test needs the same images in the same order, from the same store.

    Raises:
        InputError: They differ, were classified with other prompts, or learned from other draws of the training data.
    """
    for other in evaluations[1:]:
        _check_pair(evaluations[0], other)
    for tasks, check in ((_OF_PROMPTS, _check_prompts), (_OF_A_SEED, _check_seed)):
        of_these = [evaluation for evaluation in evaluations if tasks & set(evaluation.metrics)]
        for other in of_these[1:]:
            check(of_these[0], other)


def _check_prompts(first: Evaluation, other: Evaluation) -> None:
    if first.meta.get("prompts_fingerprint") != other.meta.get("prompts_fingerprint"):
        raise InputError(
            f"{other.folder}: prompt set {other.meta.get('prompts')!r} is not the {first.meta.get('prompts')!r} "
            f"of {first.folder}; evaluate both with the same --prompts"
        )
    if first.meta.get("ensemble") != other.meta.get("ensemble"):
        raise InputError(
            f"{other.folder}: --ensemble {other.meta.get('ensemble')} is not the {first.meta.get('ensemble')} of "
            f"{first.folder}; evaluate both with the same"
        )


def _check_seed(first: Evaluation, other: Evaluation) -> None:
    if first.meta.get("seed") != other.meta.get("seed"):
        raise InputError(
            f"{other.folder}: --seed {other.meta.get('seed')} is not the {first.meta.get('seed')} of {first.folder}, "
            "and decides what is drawn; evaluate both with the same"
        )


def _check_pair(first: Evaluation, second: Evaluation) -> None:
    one, other = (e.per_sample["image_id"] for e in (first, second))
    same_data = first.meta.get("data_fingerprint") == second.meta.get("data_fingerprint")
    if not same_data or not one.equals(other):
        raise InputError(
            f"{second.folder}: {len(other)} images, not the same data as the {len(one)} of {first.folder}; "
            "evaluate both on the same store and split"
        )


def _named(word: str) -> tuple[str, list[Evaluation]]:
    """A model's name, empty where none is given, and its evaluations."""
    name, equals, rest = word.partition("=")
    if Path(word).exists() or not (name and equals):
        return "", [_read(word)]
    return name, [_read(folder) for folder in ([rest] if Path(rest).exists() else rest.split(","))]


def _read(folder: str) -> Evaluation:
    inside = Path(folder) / "evaluation"
    return Evaluation.read(inside if (inside / RESULTS).is_file() else folder)
