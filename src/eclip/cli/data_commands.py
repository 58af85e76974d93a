"""`eclip data …`: the phantom, study stores, and a look at them."""

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import Positional

from eclip.cli.printing import console, print_table
from eclip.errors import InputError

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
    *, out: Path, studies: int = 2000, annotated: int | None = None, seed: int = 0, workers: int | None = None
) -> None:
    """Generate phantom chest radiographs, reports and readings in the real datasets' own formats.

    Example: eclip data phantom --out phantom --studies 500 --annotated 100

    Args:
        out: Folder to make; gets mimic-cxr-jpg, egd-cxr and reflacx.
        studies: Number of studies in all.
        annotated: How many of them a radiologist's gaze was recorded for; a tenth if not given.
        seed: Same seed, same bytes; other seed, other patients.
        workers: Processes; all cores if not given.
    """
    from eclip.data.phantom.trees import write_phantom

    annotated = studies // 10 if annotated is None else annotated
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
        print_table({name: (kind.__doc__ or "").splitlines()[0] for name, kind in SOURCES.items()})
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
