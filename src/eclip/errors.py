"""The one exception that means: the input is wrong, and here is how to put it right."""


class InputError(ValueError):
    """Bad usage or bad input, told in one line: which file, row or field, what was expected, what to do.

    The command line prints the message and exits with status 2; it never shows a traceback for it.
    """
