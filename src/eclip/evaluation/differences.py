"""The numbers of several models from their evaluation folders, and what they differ by.

A number's key is TASK/METRIC, as `zero-shot/auroc`. A model is given as its evaluations, one a training run.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from eclip.errors import InputError
from eclip.evaluation.bootstrap import Replicates, gap, over_runs, replicate
from eclip.evaluation.contenders import check_same_studies
from eclip.evaluation.grounding import OF_READERS
from eclip.evaluation.paired import corrected, difference, swapped
from eclip.evaluation.results import Evaluation
from eclip.evaluation.retrieval import IMAGE_BLIND
from eclip.evaluation.statistics import Difference, Statistic
from eclip.evaluation.tasks import TASKS, headlines

Runs = Sequence[Evaluation]
Numbers = Mapping[str, Replicates]
Differences = dict[str, dict[str, Difference]]  # task, metric


def differences(models: Sequence[Runs], *, seed: int = 0) -> list[Differences]:
    """Each model after the first minus the first, for each metric of each task that both have.

    The p values of the headlines are corrected for their number over all models.

    Args:
        models: Two or more; there is no difference of one.
        seed: Of the bootstrap.

    Raises:
        InputError: They are of different studies.
    """
    if len(models) < 2:
        return []
    check_same_studies([run for runs in models for run in runs])
    numbers = measured(models, seed=seed)
    found = differences_of(models, numbers, headline_keys(numbers), seed=seed)
    return [by_task(own) for own in found]


def measured(
    models: Sequence[Runs], *, seed: int, keys: Collection[str] | None = None
) -> list[dict[str, Replicates]]:
    """Numbers of each model, the mean over its runs, under the same draws of patients.

    Args:
        models: Whose.
        seed: Of the bootstrap.
        keys: Which numbers; None for all.
    """
    found = []
    for runs in models:
        wanted = [
            {key: s for key, s in _statistics(run).items() if keys is None or key in keys} for run in runs
        ]
        of_runs = [replicate(statistics, patients_of(models), seed=seed) for statistics in wanted]
        means = {key: over_runs([own[key] for own in of_runs]) for key in _shared(of_runs)}
        found.append({key: number for key, number in means.items() if number.defined})
    return found


def differences_of(
    models: Sequence[Runs],
    numbers: Sequence[Numbers],
    chosen: Sequence[str],
    *,
    margin: float | None = None,
    seed: int = 0,
) -> list[dict[str, Difference]]:
    """Each model after the first minus the first.

    Args:
        models: Where the numbers come from.
        numbers: What `measured` found.
        chosen: The keys whose p values are corrected for their number.
        margin: A difference as small as this does not matter.
        seed: Of the exchanges.
    """
    found = []
    for runs, own in zip(models[1:], numbers[1:], strict=True):
        p_swapped = _swapped(models[0], runs, patients_of(models), seed=seed)
        found.append(
            {
                key: replace(difference(numbers[0][key], own[key]), p_swapped=p_swapped.get(key))
                for key in _shared([numbers[0], own])
                if gap(numbers[0][key], own[key]).defined
            }
        )
    family = [(i, key) for i, own in enumerate(found) for key in chosen if key in own]
    adjusted = corrected([found[i][key] for i, key in family], margin=margin)
    for (i, key), d in zip(family, adjusted, strict=True):
        found[i][key] = d
    return found


def best_of(numbers: Sequence[Numbers], chosen: Sequence[str]) -> dict[str, int]:
    """Which model is better than each of the others, where one is; corrected for the number of comparisons."""
    pairs = [pair for key in chosen if key in _shared(numbers) for pair in _against_all(numbers, key)]
    found = corrected([difference(numbers[other][key], numbers[best][key]) for key, best, other in pairs])
    wins = [(key, best) for (key, best, _), d in zip(pairs, found, strict=True) if d.verdict == "better"]
    return {key: best for key, best in wins if wins.count((key, best)) == len(numbers) - 1}


def headline_keys(numbers: Sequence[Numbers]) -> list[str]:
    """The keys of what first tables show, of the first model and another."""
    return [key for key in _of_first_and_another(numbers) if headlines([parts(key)[1]])]


def chosen_keys(numbers: Sequence[Numbers], words: Sequence[str]) -> list[str]:
    """The keys that TASK or TASK/METRIC name; those of the headlines if there are none.

    Raises:
        InputError: A word names nothing, or there is nothing to compare.
    """
    keys, first_shown = _of_first_and_another(numbers), headline_keys(numbers)
    if not keys:
        raise InputError("the evaluations have no task in common; run the same --tasks for both")
    for word in words:
        if not any(word in (key, parts(key)[0]) for key in keys):
            raise InputError(f"--metrics {word}: not in both evaluations; there are {', '.join(first_shown)}")
    if not words:
        return first_shown
    return [key for key in keys if key in words or (key in first_shown and parts(key)[0] in words)]


def by_task(numbers: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """TASK/METRIC to number as task to metric to number."""
    tasks: dict[str, dict[str, Any]] = {}
    for key, number in numbers.items():
        task, name = parts(key)
        tasks.setdefault(task, {})[name] = number
    return tasks


def parts(key: str) -> tuple[str, str]:
    """Task and metric."""
    task, _, name = key.partition("/")
    return task, name


def patients_of(models: Sequence[Runs]) -> list[str]:
    """(N,) whose image each one is."""
    patients: list[str] = models[0][0].per_sample["patient_id"].tolist()
    return patients


def _statistics(evaluation: Evaluation) -> dict[str, Statistic]:
    """All that an evaluation's folder allows to compute, but for floors and readers, which are of no model."""
    return {
        f"{task}/{name}": statistic
        for task in TASKS
        if task in evaluation.metrics
        for name, statistic in TASKS[task].statistics(evaluation.task(task), evaluation.embeddings).items()
        if not name.endswith(IMAGE_BLIND) and not name.startswith(OF_READERS)
    }


def _swapped(first: Runs, second: Runs, patients: Sequence[str], *, seed: int) -> dict[str, float]:
    """By key; nothing where a model has several runs, whose outputs have no partner to be exchanged with."""
    if len(first) > 1 or len(second) > 1:
        return {}
    return swapped(_statistics(first[0]), _statistics(second[0]), patients, seed=seed)


def _against_all(numbers: Sequence[Numbers], key: str) -> Iterator[tuple[str, int, int]]:
    """(key, the model with the best value, each of the others)."""
    values = [own[key].value for own in numbers]
    best = int(np.argmax(values) if numbers[0][key].direction == "higher" else np.argmin(values))
    for other in range(len(numbers)):
        if other != best and gap(numbers[other][key], numbers[best][key]).defined:
            yield key, best, other


def _of_first_and_another(numbers: Sequence[Numbers]) -> list[str]:
    return [key for key in numbers[0] if any(key in own for own in numbers[1:])]


def _shared(numbers: Sequence[Mapping[str, Any]]) -> list[str]:
    return [key for key in numbers[0] if all(key in own for own in numbers)]
