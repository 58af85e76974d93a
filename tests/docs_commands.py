"""The commands that the documentation shows."""

import re


def commands_of(page):
    """Lines that begin with `eclip` in the page's shell blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line.startswith("eclip ")]
