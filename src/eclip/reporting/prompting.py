"""The prompt: chat messages with an instruction, demonstrations, and what was retrieved.

    user       instruction, and the request of the first demonstration
    assistant  its report
    user       the next request …
    user       the request for the image

There is no system turn, because some models' chat templates refuse one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from jinja2.sandbox import SandboxedEnvironment

from eclip.errors import InputError
from eclip.reporting.generators.protocol import Message

DEFAULT = Path(__file__).with_name("prompt.j2")
_BLOCKS = ("instruction", "request")


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A report of the training data, and the snippets that would be shown for its image.

    Attributes:
        snippets: Texts, the nearest first.
        report: What a radiologist wrote.
    """

    snippets: tuple[str, ...]
    report: str


class PromptTemplate:
    """A Jinja file with two blocks, `instruction` and `request`.

    Args:
        path: The file; the one that comes along if not given.

    Raises:
        InputError: No such file, not a template, or a block is missing.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or DEFAULT
        environment = SandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
        )  # what a user's template may reach; plain text, so nothing is escaped
        try:
            self._template = environment.from_string(self.path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(
                f"{self.path}: cannot be read ({error.strerror}); expected a prompt template"
            ) from error
        except (jinja2.TemplateError, UnicodeDecodeError) as error:
            raise InputError(f"{self.path}: not a Jinja template ({' '.join(str(error).split())})") from error
        if missing := [name for name in _BLOCKS if name not in self._template.blocks]:
            raise InputError(
                f"{self.path}: no block {missing[0]!r}; a prompt template has {' and '.join(_BLOCKS)}"
            )

    def messages(
        self,
        snippets: Sequence[str],
        demonstrations: Sequence[Demonstration] = (),
        *,
        indication: str = "",
        comparison: str = "",
        tokens: Callable[[Sequence[Message]], int] | None = None,
        budget: int | None = None,
    ) -> list[Message]:
        """The chat for one image.

        Args:
            snippets: Texts, the nearest first.
            demonstrations: In the order in which they are shown.
            indication: Why the image was taken, if known.
            comparison: With what it may be compared, if known.
            tokens: How long a prompt is.
            budget: Most tokens it may have: the last demonstrations are left out first, then the last snippets. The
                instruction and one snippet stay, even if they are longer.
        """
        shown, examples = list(snippets), list(demonstrations)
        while True:
            found = self._messages(shown, examples, indication, comparison)
            if (
                budget is None
                or tokens is None
                or tokens(found) <= budget
                or (len(shown) <= 1 and not examples)
            ):
                return found
            (examples or shown).pop()

    def _messages(
        self,
        snippets: Sequence[str],
        demonstrations: Sequence[Demonstration],
        indication: str,
        comparison: str,
    ) -> list[Message]:
        messages: list[Message] = []
        for example in demonstrations:
            request = self._block("request", snippets=example.snippets, indication="", comparison="")
            messages.append({"role": "user", "content": request})
            messages.append({"role": "assistant", "content": example.report})
        request = self._block("request", snippets=snippets, indication=indication, comparison=comparison)
        messages.append({"role": "user", "content": request})
        messages[0]["content"] = self._block("instruction") + "\n\n" + messages[0]["content"]
        return messages

    def _block(self, name: str, **values: object) -> str:
        try:
            block = self._template.blocks[name](self._template.new_context(values))
            return "".join(block).strip()
        except (jinja2.TemplateError, TypeError) as error:
            raise InputError(f"{self.path}: block {name!r}: {' '.join(str(error).split())}") from error
