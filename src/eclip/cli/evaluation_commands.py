"""Judging models."""

from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from eclip.cli.printing import print_table


def evaluate(
    *,
    model: Path,
    data: Path,
    out: Path,
    tasks: tuple[str, ...] = (),
    split: str = "test",
    prompts: str = "",
    ensemble: Literal["embeddings", "logits", "max"] = "embeddings",
    seed: int = 0,
    prompt_embeddings: Path | None = None,
    allow_leaks: bool = False,
    cache: bool = True,
) -> None:
    """Judge a model on a store: results.json, per-sample values and a page, an interval on every number.

    Example: eclip evaluate --model runs/eclip --data stores/phantom --out runs/eclip/evaluation

    Example: eclip evaluate --model embeddings.parquet --data stores/phantom --out evaluation --tasks retrieval

    Args:
        model: Model folder, training run, hub id, open_clip:NAME/PRETRAINED, or a file of embeddings made elsewhere
            (.parquet, .npz).
        data: Study store.
        out: Folder to write to.
        tasks: zero-shot, linear-probe, retrieval, embedding-quality, grounding, subgroups, all that the store allows
            if not given; and robustness, which embeds all images ten times more.
        split: Which studies: train, validate or test.
        prompts: Prompt set for zero-shot classification: a name or a YAML file; that which fits the store's labels if
            not given.
        ensemble: How the prompts of a class come together: the mean of their embeddings, the mean of their cosines, or
            the highest.
        seed: Of the bootstrap.
        prompt_embeddings: Where the model is a file: embeddings of the prompts (input, embedding).
        allow_leaks: Go on although the model was trained on patients of the split.
        cache: Keep embeddings in $ECLIP_CACHE, or ~/.cache/eclip/embeddings, and take them from there.
    """
    from eclip.data.store import Store
    from eclip.evaluation.cache import cache_folder
    from eclip.evaluation.embedding_file import open_model
    from eclip.evaluation.evaluate import evaluate as run

    run(
        open_model(model, prompt_embeddings=prompt_embeddings),
        Store.open(data),
        out=out,
        tasks=tasks,
        split=split,
        prompts=prompts,
        ensemble=ensemble,
        seed=seed,
        allow_leaks=allow_leaks,
        cache=cache_folder() if cache else None,
    )


def prompts(name: Positional[str] = "", /) -> None:
    """Print the sentences of a prompt set, one a line; without a name, the sets that come along.

    Example: eclip prompts chexpert > sentences.txt

    Args:
        name: Of a set, or a YAML file.
    """
    from eclip.evaluation.prompts import FOLDER, prompt_set

    if name:
        print("\n".join(prompt_set(name).sentences))
        return
    sets = [prompt_set(path.stem) for path in sorted(FOLDER.glob("*.yaml"))]
    print_table({found.name: found.description for found in sets})


def compare(
    models: Positional[tuple[Path, ...]],
    /,
    *,
    out: Path | None = None,
    metrics: tuple[str, ...] = (),
    margin: float | None = None,
    seed: int = 0,
) -> None:
    """Compare evaluations on the same studies: differences to the first, paired intervals and p values.

    Example: eclip compare runs/clip/evaluation runs/eclip/evaluation

    Example: eclip compare clip=runs/clip-0,runs/clip-1 eclip=runs/eclip-0,runs/eclip-1 --out table.tex

    Args:
        models: Folders that `eclip evaluate` wrote; NAME=A,B,C for several training runs of one model.
        out: File to write to, .json, .md or .tex; comparison.json in the last folder if not given.
        metrics: Compare only these: TASK or TASK/METRIC. p is corrected for their number, so choose before you look.
        margin: A difference as small as this does not matter; says which are equivalent.
        seed: Of the bootstrap.
    """
    from eclip.evaluation.comparison import compare as run

    run(list(models), out=out, metrics=metrics, margin=margin, seed=seed)
