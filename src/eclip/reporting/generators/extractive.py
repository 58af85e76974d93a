"""Drafts without a language model: what the retrieved reports agree on, in their own sentences."""

import time
from collections.abc import Iterator, Sequence

from eclip.reporting.consensus import by_anatomy, consensus
from eclip.reporting.generators.protocol import Case, Generated, Message


class ExtractiveGenerator:
    """Consensus of the retrieved sentences, ordered by anatomy; what a language model has to beat.

    Where the reports agree on nothing, the nearest one, word for word.
    """

    name = "extractive"
    reads_messages = False
    budget: int | None = None

    def generate(self, cases: Sequence[Case]) -> Iterator[tuple[int, Generated]]:
        """Each case's number and draft, in order."""
        for number, case in enumerate(cases):
            start = time.perf_counter()
            sentences = [source.text for source in consensus(case.retrieved)]
            text = " ".join(by_anatomy(sentences)) or " ".join(case.retrieved[0].text.split())
            yield number, Generated(text=text, seconds=time.perf_counter() - start)

    def tokens(self, messages: Sequence[Message]) -> int:
        """None are read."""
        return 0
