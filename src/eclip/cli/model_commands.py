"""Training a model, embedding with it, exporting it, and the demo."""

from contextlib import nullcontext
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from eclip.cli.printing import console, print_table
from eclip.errors import InputError

_names = tyro.constructors.ConstructorRegistry()


@_names.primitive_rule
def _hub_name(
    info: tyro.constructors.PrimitiveTypeInfo,
) -> tyro.constructors.PrimitiveConstructorSpec[Any] | None:
    """A tower that is a name stays one: of a name or settings, tyro makes an argument without a name."""
    if info.type != str | dict[str, Any]:
        return None
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="NAME",
        instance_from_str=lambda words: words[0],
        is_instance=lambda value: isinstance(value, str),
        str_from_instance=lambda name: [name],
    )


def train(arguments: list[str]) -> None:
    """Train a recipe: `eclip train RECIPE --data STORE --out RUN`, options below; `eclip train --list` names recipes.

    Example: eclip train phantom-eclip --data stores/phantom --out runs/eclip --steps 400 --optim.lr 5e-4
    """
    from eclip.recipes import RECIPES
    from eclip.training.config import TrainConfig
    from eclip.training.train import train as run

    if arguments == ["--list"]:
        print_table({name: (recipe.__doc__ or "").strip() for name, recipe in RECIPES.items()})
        return
    names = [word for word in arguments[:1] if not word.startswith("-")]
    if names and names[0] not in RECIPES:
        near = get_close_matches(names[0], RECIPES, 5)
        hint = f"; near are {', '.join(near)}" if near else ""
        raise InputError(f"eclip train: no recipe {names[0]!r}{hint}; `eclip train --list` names them")
    if not names and not {"-h", "--help"} & set(arguments):
        raise InputError("eclip train: which recipe? `eclip train --list` names them")
    name = names[0] if names else "RECIPE"
    config = RECIPES[name]() if names else TrainConfig()

    def command(
        *,
        data: Path,
        out: Path,
        resume: bool = False,
        config: Annotated[TrainConfig, tyro.conf.arg(name="")] = config,
    ) -> None:
        run(config, data=data, out=out, recipe=name, resume=resume)
        console.print(f"Model: {out}")

    command.__doc__ = f"""{train.__doc__}
    Args:
        data: Study store.
        out: Run folder.
        resume: Go on with the run in that folder.
    """
    with _names if isinstance(config.model.image, str) else nullcontext():
        tyro.cli(
            command,
            args=arguments[len(names) :],
            prog=f"eclip train {name}",
            config=(tyro.conf.AvoidSubcommands,),
        )


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
    if out.suffix != ".parquet":
        raise InputError(f"--out {out}: embeddings are written as Parquet; give a name that ends in .parquet")
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
