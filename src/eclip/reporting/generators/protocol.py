"""What all generators have in common: they turn cases into texts, and say which ones they could not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

Message = dict[str, str]
"""One turn of a chat: `role` (system, user, assistant) and `content`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A report, or a sentence of one, that was retrieved for an image.

    Attributes:
        study_id: The first study that says it.
        studies: How many do.
        text: What it says.
        similarity: Cosine of the image with it.
        number: Of the text in its index.
    """

    study_id: str
    text: str
    similarity: float
    studies: int = 1
    number: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a draft is written from.

    Attributes:
        image_id: The image.
        retrieved: Reports, the nearest first.
        messages: The prompt; empty for a generator that reads none.
    """

    image_id: str
    retrieved: Sequence[Source]
    messages: Sequence[Message] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """What became of a case.

    Attributes:
        text: The draft, never empty unless there is an error.
        seconds: What it took.
        error: Why there is no draft, in a few words without any text of a patient.
        again: Whether there may be one if it is asked for once more.
    """

    text: str
    seconds: float
    error: str = ""
    again: bool = False


class Generator(Protocol):
    """Writes drafts.

    Attributes:
        name: For the file of drafts, such as "extractive" or "transformers:FOLDER".
        reads_messages: Whether cases need a prompt.
        budget: Most tokens that a prompt may have; None where that is not known.
    """

    name: str
    reads_messages: bool
    budget: int | None

    def generate(self, cases: Sequence[Case]) -> Iterator[tuple[int, Generated]]:
        """Each case's number and what became of it, as soon as it is there, in any order."""
        ...

    def tokens(self, messages: Sequence[Message]) -> int:
        """How long a prompt is, in tokens; an upper estimate where the tokenizer is not known."""
        ...
