"""The command line: thin. Each command is a function; its docstring is its help."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.table import Column, Table
from tyro.conf import Positional

from eclip.errors import InputError

console = Console()
_lists = tyro.constructors.ConstructorRegistry()


@_lists.primitive_rule
def _comma_separated(
    info: tyro.constructors.PrimitiveTypeInfo,
) -> tyro.constructors.PrimitiveConstructorSpec[Any] | None:
    """How lists of strings are given to `eclip data build`: A,B."""
    if info.type != tuple[str, ...]:
        return None
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="A,B",
        instance_from_str=lambda words: tuple(name.strip() for name in words[0].split(",") if name.strip()),
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda names: [",".join(names)],
    )


def data_phantom(
    *, out: Path, studies: int = 2000, annotated: int = 200, seed: int = 0, workers: int | None = None
) -> None:
    """Generate phantom chest radiographs, reports and readings in the real datasets' own formats.

    Example: eclip data phantom --out phantom --studies 500 --annotated 100

    Args:
        out: Folder to make; gets mimic-cxr-jpg, egd-cxr and reflacx.
        studies: Number of studies in all.
        annotated: How many of them a radiologist's gaze was recorded for.
        seed: Same seed, same bytes; other seed, other patients.
        workers: Processes; all cores if not given.
    """
    from eclip.data.phantom.trees import write_phantom

    write_phantom(out, studies=studies, annotated=annotated, seed=seed, workers=workers)
    console.print(f"{studies} phantom studies, {annotated} of them with gaze: {out}")


def data_inspect(store: Positional[Path], /, *, out: Path | None = None) -> None:
    """Say what a store holds, check it, and draw a contact sheet with heatmaps.

    Example: eclip data inspect stores/phantom --out sheet.png

    Args:
        store: The study store.
        out: PNG or HTML file to write a contact sheet to.
    """
    from eclip.data.inspection.inspect import inspect
    from eclip.data.store import Store

    inspect(Store.open(store), out=out)


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
    _print_table({found.name: found.description for found in sets})


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


def embed(
    *,
    model: Path,
    out: Path,
    data: Path | None = None,
    images: tuple[Path, ...] = (),
    texts: tuple[str, ...] = (),
    precision: Literal["auto", "32", "bf16"] = "auto",
) -> None:
    """Write embeddings as Parquet.

    Example: eclip embed --model runs/eclip --data stores/phantom --out embeddings.parquet
    Example: eclip embed --model runs/eclip --images a.jpg b.jpg --out images.parquet

    Args:
        model: Model folder, training run, hub id or open_clip:NAME/PRETRAINED.
        out: Parquet file: image_id, image_embedding, text_embedding, or input, embedding.
        data: Study store: one row an image.
        images: Image files.
        texts: Texts.
        precision: Of the computation: auto is bf16 where the processor is faster with it; 32 gives what evaluate uses.
    """
    from eclip.data.store import Store
    from eclip.evaluation.embeddings import write_embeddings
    from eclip.models.model import load

    if (data is not None) + bool(images) + bool(texts) != 1:
        raise InputError("eclip embed: give exactly one of --data, --images and --texts")
    store = Store.open(data) if data is not None else None
    rows = write_embeddings(load(model), out, store=store, images=images, texts=texts, precision=precision)
    console.print(f"{rows} rows: {out}")


def export(
    *,
    model: Path,
    out: Path,
    format: Literal["transformers", "open_clip", "onnx"] | None = None,
    results: Path | None = None,
) -> None:
    """Write a model for other libraries: same embeddings, with tokenizer, preprocessing and a model card.

    Example: eclip export --model runs/eclip --out exported
    Example: eclip export --model runs/eclip --out exported-onnx --format onnx --results runs/eclip/evaluation

    Args:
        model: Model folder, training run or hub id.
        out: Folder to make.
        format: Of the library that the model's architecture comes from, if not given.
        results: Folder of its evaluation, whose numbers the model card then shows.
    """
    from eclip.evaluation.results import Evaluation
    from eclip.evaluation.tasks import headlines
    from eclip.models.model import load

    evaluation = None
    if results is not None:
        evaluation = Evaluation.read(results)
        main = {task: {n: of[n] for n in headlines(of)} for task, of in evaluation.metrics.items()}
        evaluation = replace(evaluation, metrics=main)
    load(model).export(out, format=format, evaluation=evaluation)
    console.print(f"Exported model: {out}")


def demo(*, out: Path = Path("runs/demo"), seed: int = 0) -> None:
    """The whole way on the phantom: data, stores, clip and eclip trained, evaluated, compared, and a page to look at.

    Example: eclip demo

    Args:
        out: Folder to write to.
        seed: Of the phantom and of training.
    """
    from eclip.demo import run_demo

    run_demo(out, seed=seed)


def train(arguments: list[str]) -> None:
    """Train a recipe: `eclip train RECIPE --data STORE --out RUN`, options below; `eclip train --list` names recipes.

    Example: eclip train phantom-eclip --data stores/phantom --out runs/eclip --steps 400 --optim.lr 5e-4
    """
    from eclip.recipes import RECIPES
    from eclip.training.config import TrainConfig
    from eclip.training.train import train as run

    if arguments == ["--list"]:
        _print_table({name: (recipe.__doc__ or "").strip() for name, recipe in RECIPES.items()})
        return
    names = [word for word in arguments[:1] if not word.startswith("-")]
    if names and names[0] not in RECIPES:
        raise InputError(f"eclip train: no recipe {names[0]!r}; there are {', '.join(RECIPES)}")
    name = names[0] if names else "RECIPE"
    config = RECIPES[name]() if names else TrainConfig()

    def command(
        *,
        data: Path,
        out: Path,
        resume: bool = False,
        config: Annotated[TrainConfig, tyro.conf.arg(name="")] = config,
    ) -> None:
        if not names:
            raise InputError("eclip train: which recipe? `eclip train --list` names them")
        run(config, data=data, out=out, recipe=name, resume=resume)
        console.print(f"Model: {out}")

    command.__doc__ = f"""{train.__doc__}
    Args:
        data: Study store.
        out: Run folder.
        resume: Go on with the run in that folder.
    """
    tyro.cli(
        command,
        args=arguments[len(names) :],
        prog=f"eclip train {name}",
        config=(tyro.conf.AvoidSubcommands,),
    )


def data_build(arguments: list[str]) -> None:
    """Build a study store from a dataset: `eclip data build SOURCE --out STORE`; its --help names the sources.

    Example: eclip data build mimic-cxr --root mimic-cxr-jpg --gaze egd-cxr=egd-cxr --gaze reflacx=reflacx --out store
    Example: eclip data build csv --table studies.csv --image file --text report --out store
    """
    from eclip.data.build import build
    from eclip.data.sources.registry import SOURCES

    name = arguments[0] if arguments else ""
    if name in {"", "-h", "--help"}:
        console.print((data_build.__doc__ or "").replace("\n    ", "\n"), highlight=False)
        _print_table({name: (kind.__doc__ or "").splitlines()[0] for name, kind in SOURCES.items()})
        console.print(
            "\nEach source has options of its own: eclip data build SOURCE --help.", highlight=False
        )
        raise SystemExit(0 if name else 2)
    if name not in SOURCES:
        raise InputError(f"eclip data build: no source {name!r}; there are {', '.join(SOURCES)}")
    kind = SOURCES[name]

    def command(
        *,
        source: Annotated[kind, tyro.conf.arg(name="")],  # type: ignore[valid-type]
        out: Path,
        image_size: int = 256,
        workers: int | None = None,
        allow_leaks: bool = False,
        exclude: tuple[Path, ...] = (),
    ) -> None:
        build(source, out, image_size=image_size, workers=workers, allow_leaks=allow_leaks, exclude=exclude)

    command.__doc__ = f"""{(kind.__doc__ or "").partition("Attributes:")[0].strip()}

    Rows that cannot be used are left out, counted and listed in manifest.json. A build that was killed goes on where
    it was when it is started again.

    Args:
        out: Store to make.
        image_size: Shorter side of the stored images, in pixels.
        workers: Processes; all cores if not given.
        allow_leaks: Store patients, and images that look alike, although they are in several splits.
        exclude: Stores whose patients are left out, such as one of test images.
    """
    tyro.cli(
        command,
        args=_joined(arguments[1:], (field.name for field in fields(kind) if field.type == tuple[str, ...])),
        prog=f"eclip data build {name}",
        config=(tyro.conf.AvoidSubcommands,),
        registry=_lists,
    )


def _joined(arguments: list[str], lists: Iterable[str]) -> list[str]:
    """Lists that were given in several pieces, `--gaze A --gaze B`, as one, `--gaze A,B`."""
    flags = {f"--{name.replace('_', '-')}" for name in lists}
    others: list[str] = []
    pieces: dict[str, list[str]] = {}
    words = iter(arguments)
    for word in words:
        flag, equals, value = word.partition("=")
        if flag in flags:
            pieces.setdefault(flag, []).append(value if equals else next(words, ""))
        else:
            others.append(word)
    return others + [word for flag, values in pieces.items() for word in (flag, ",".join(values))]


TAKES_ARGUMENTS = (
    train,
    data_build,
)  # their options depend on the arguments; tyro reads the others' signatures

COMMANDS: dict[str, Callable[..., None]] = {
    "data phantom": data_phantom,
    "data build": data_build,
    "data inspect": data_inspect,
    "train": train,
    "evaluate": evaluate,
    "prompts": prompts,
    "compare": compare,
    "embed": embed,
    "export": export,
    "demo": demo,
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Status 0: done; 2: bad usage or bad input, told in one line; 130: interrupted."""
    # Before torch is imported: threads that spin while they wait take the core from the process that loads the data,
    # which made training four times slower on two cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    arguments = sys.argv[1:] if arguments is None else arguments
    name = next((name for name in COMMANDS if arguments[: len(name.split())] == name.split()), None)
    if name is None:
        wants_help = not arguments or arguments[0] in {"-h", "--help"}
        if not wants_help and arguments[0] not in {command.split()[0] for command in COMMANDS}:
            print(f"eclip: no command {arguments[0]!r}; `eclip --help` lists them", file=sys.stderr)
            return 2
        _print_commands()
        return 0 if wants_help or arguments[-1] in {"-h", "--help"} else 2
    command, rest = COMMANDS[name], arguments[len(name.split()) :]
    try:
        if command in TAKES_ARGUMENTS:
            command(rest)
        else:
            tyro.cli(command, args=rest, prog=f"eclip {name}")
    except InputError as error:
        print(f"eclip: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("eclip: interrupted", file=sys.stderr)
        return 130
    return 0


def _print_commands() -> None:
    console.print("[bold]eclip[/]: medical image-text models that learn from expert annotations\n")
    _print_table(
        {f"eclip {name}": (command.__doc__ or "").splitlines()[0] for name, command in COMMANDS.items()}
    )
    console.print("\nEach command explains itself with --help. Research use only; not a medical device.")


def _print_table(rows: Mapping[str, str]) -> None:
    table = Table.grid("", Column(no_wrap=True), "", padding=(0, 2))  # names stay whole, to be copied
    for name, text in rows.items():
        table.add_row("", f"[bold]{name}[/]", text)
    console.print(table)
