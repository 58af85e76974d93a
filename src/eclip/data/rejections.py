"""What could not be used, told briefly."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_PARTICULARS = re.compile(r"\S*/\S*|'[^']*'|(?<![\w-])-?\d[\d.]*")


@dataclass(frozen=True, slots=True)
class Group:
    """Rejections that differ in names and numbers only."""

    count: int
    reason: str
    example: str


def grouped(rejected: Iterable[Mapping[str, str]]) -> list[Group]:
    """Group rejections as a manifest lists them (file, row, reason); the most frequent first."""
    counts: dict[str, int] = {}
    examples: dict[str, str] = {}
    for rejection in rejected:
        reason = _PARTICULARS.sub("…", rejection["reason"]).removeprefix("… ")
        counts[reason] = counts.get(reason, 0) + 1
        where = ", ".join(filter(None, (rejection["file"], rejection["row"])))
        examples.setdefault(reason, f"{where}: {rejection['reason']}")
    order = sorted(counts, key=lambda reason: -counts[reason])
    return [Group(counts[reason], reason, examples[reason]) for reason in order]
