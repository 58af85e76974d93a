"""How commands print."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Column, Table

console = Console()


def print_table(rows: Mapping[str, str]) -> None:
    """Print names and what they are, in two columns; names stay whole, to be copied."""
    table = Table.grid("", Column(no_wrap=True), "", padding=(0, 2))
    for name, text in rows.items():
        table.add_row("", f"[bold]{name}[/]", text)
    console.print(table)
