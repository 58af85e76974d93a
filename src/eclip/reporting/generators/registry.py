"""Generators by what the command line calls them."""

from eclip.errors import InputError
from eclip.reporting.generators.protocol import Generator


def open_generator(name: str, *, max_new_tokens: int = 256, batch_size: int = 8, seed: int = 0) -> Generator:
    """Open a generator.

    Args:
        name: "extractive", "transformers:FOLDER-OR-ID", "openai:URL" or "openai:URL#MODEL".
        max_new_tokens: Longest draft of a language model.
        batch_size: Prompts at a time: in a batch, or on their way to the server.
        seed: Sent to servers.

    Raises:
        InputError: No such generator, or it cannot be opened.
    """
    kind, _, rest = name.partition(":")
    if name == "extractive":
        from eclip.reporting.generators.extractive import ExtractiveGenerator

        return ExtractiveGenerator()
    if kind == "transformers" and rest:
        from eclip.reporting.generators.language_model import LanguageModelGenerator

        return LanguageModelGenerator(rest, max_new_tokens=max_new_tokens, batch_size=batch_size)
    if kind == "openai" and rest:
        from eclip.reporting.generators.server import ServerGenerator

        url, _, model = rest.partition("#")
        return ServerGenerator(
            url, model=model, max_new_tokens=max_new_tokens, concurrency=batch_size, seed=seed
        )
    raise InputError(
        f"--generator {name}: expected extractive, transformers:FOLDER-OR-ID, openai:URL or openai:URL#MODEL"
    )
