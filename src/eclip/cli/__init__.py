"""The command line: thin. Each command is a function; its docstring is its help."""

import os
import sys
from collections.abc import Callable

import tyro

from eclip import __version__
from eclip.cli.data_commands import data_build, data_inspect, data_phantom
from eclip.cli.evaluation_commands import compare, evaluate, prompts
from eclip.cli.model_commands import demo, embed, export, train
from eclip.cli.printing import console, print_table
from eclip.cli.report_commands import index, report
from eclip.errors import InputError

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
    "index": index,
    "report": report,
    "export": export,
    "demo": demo,
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Status 0: done; 2: bad usage or bad input, told in one line; 130: interrupted."""
    # Before torch is imported: threads that spin while they wait take the core from the process that loads the data,
    # which made training four times slower on two cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments == ["--version"]:
        print(f"eclip {__version__}")
        return 0
    name = next((name for name in COMMANDS if arguments[: len(name.split())] == name.split()), None)
    if name is None:
        wants_help = not arguments or arguments[0] in {"-h", "--help"}
        inside = [name.split()[1] for name in COMMANDS if name.split()[:-1] == arguments[:1]]
        if not wants_help and arguments[-1] not in {"-h", "--help"}:
            word = " ".join(arguments[: 2 if inside else 1])
            there = f"there are {', '.join(inside)}" if inside else "`eclip --help` lists them"
            print(f"eclip: no command {word!r}; {there}", file=sys.stderr)
            return 2
        _print_commands()
        return 0
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
    print_table(
        {f"eclip {name}": (command.__doc__ or "").splitlines()[0] for name, command in COMMANDS.items()}
    )
    console.print("\nEach command explains itself with --help. Research use only; not a medical device.")
