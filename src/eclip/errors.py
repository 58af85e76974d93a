"""The one exception that means: the input is wrong, and here is how to put it right; and what many commands refuse."""

from pathlib import Path


class InputError(ValueError):
    """Bad usage or bad input, told in one line: which file, row or field, what was expected, what to do.

    The command line prints the message and exits with status 2; it never shows a traceback for it.
    """


def refuse_present_folder(out: Path) -> None:
    """What is written beside its place and moved there when it is whole cannot be the folder one is in.

    Raises:
        InputError: `out` is that folder.
    """
    if out.resolve() == Path.cwd():
        raise InputError(f"{out}: the folder you are in, which cannot be replaced; give a new one to --out")


def check_seed(seed: int) -> None:
    """Refuse a seed that nothing can be drawn with, before the work.

    Raises:
        InputError: It is negative.
    """
    if seed < 0:
        raise InputError(f"--seed {seed}: expected 0 or more")
