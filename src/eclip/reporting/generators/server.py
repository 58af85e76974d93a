"""Drafts by a server that speaks the OpenAI chat protocol: vLLM, llama.cpp, Ollama, `transformers serve`, OpenAI."""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any
from urllib.parse import urlsplit

from eclip.errors import InputError
from eclip.reporting.generators.protocol import Case, Generated, Message
from eclip.reporting.generators.wording import cleaned

GIVE_UP_AFTER = 8
"""Cases in a row that a server did not answer, or refused; the others are then not asked for."""
_RUBBISH_RETRIES = 2
_CHARACTERS_A_TOKEN = 2
_NOT_OF_THE_PROMPT = (401, 403, 404, 408, 409, 429)  # the key, the model's name, too much at once


class ServerGenerator:
    """A model behind an HTTP server.

    Requests that meet a busy or failing server (429, 5xx), a lost connection or a time-out are repeated, with longer
    and longer pauses or those that the server asks for. What cannot be had is reported, and what is done stays done.
    Neither prompts nor answers are logged.

    Args:
        url: Up to and with /v1, such as http://127.0.0.1:8000/v1.
        model: Its name there; the only one that the server has if not given.
        max_new_tokens: Longest draft.
        seed: Sent along, with temperature 0.
        concurrency: Requests at a time.
        timeout: Seconds to wait for an answer.
        retries: How often a request is repeated.

    Raises:
        InputError: The openai package is missing, the server does not answer, or it does not have the model.
    """

    reads_messages = True
    budget: int | None = None  # no server tells how much its model takes

    def __init__(
        self,
        url: str,
        *,
        model: str = "",
        max_new_tokens: int = 256,
        seed: int = 0,
        concurrency: int = 4,
        timeout: float = 120.0,
        retries: int = 5,
    ) -> None:
        try:
            import openai
        except ImportError as error:
            raise InputError(
                "--generator openai:…: needs the openai package; pip install 'eclip[openai]'"
            ) from error
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            raise InputError(
                f"--generator openai:{url}: expected an address such as http://127.0.0.1:8000/v1"
            )
        for name in ("openai", "httpx", "httpx2", "httpcore", "httpcore2"):
            logging.getLogger(name).setLevel(logging.WARNING)  # at DEBUG they write whole requests
        self._openai = openai
        key = os.environ.get("OPENAI_API_KEY") or "none"
        self._client = openai.OpenAI(base_url=url, api_key=key, timeout=timeout, max_retries=retries)
        self.url = url
        self.model = self._served(model)
        self.name = f"openai:URL#{self.model}"  # wherever it is served: a run may go on at another address
        self.max_new_tokens, self.seed, self.concurrency = max_new_tokens, seed, concurrency

    def tokens(self, messages: Sequence[Message]) -> int:
        """More than there are: one for two characters, and ten a turn."""
        return sum(10 + len(message["content"]) // _CHARACTERS_A_TOKEN for message in messages)

    def generate(self, cases: Sequence[Case]) -> Iterator[tuple[int, Generated]]:
        """Each case's number and what became of it, as the answers come."""
        waiting = iter(enumerate(cases))
        running: dict[Future[Generated], int] = {}
        unanswered = 0
        pool = ThreadPoolExecutor(self.concurrency)
        try:
            while True:
                for number, case in waiting:
                    if unanswered >= GIVE_UP_AFTER:
                        error = "not asked for: the server had stopped answering"
                        yield number, Generated(text="", seconds=0.0, error=error, again=True)
                        continue
                    running[pool.submit(self._ask, case.messages)] = number
                    if len(running) >= self.concurrency:
                        break
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    found = future.result()
                    unanswered = unanswered + 1 if found.again else 0
                    yield running.pop(future), found
        except BaseException:
            self._client.close()  # else the process would wait for answers that nobody wants any more
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, messages: Sequence[Message]) -> Generated:
        start, error, again = time.perf_counter(), "", False
        for _ in range(1 + _RUBBISH_RETRIES):
            try:
                answer = self._client.chat.completions.create(
                    model=self.model,
                    messages=list(messages),  # type: ignore[arg-type]
                    max_tokens=self.max_new_tokens,
                    temperature=0.0,
                    seed=self.seed,
                )
            except self._openai.APIStatusError as failure:
                error = f"status {failure.status_code}"
                again = failure.status_code >= 500 or failure.status_code in _NOT_OF_THE_PROMPT
                break
            except self._openai.APIConnectionError as failure:  # time-outs are among these
                error, again = f"no answer ({type(failure).__name__})", True
                break
            except (self._openai.OpenAIError, ValueError, TypeError) as failure:
                error = f"not an answer of the OpenAI protocol ({type(failure).__name__})"
                continue
            said, ended = _content(answer)
            text = cleaned(said, finished=ended)
            if text:
                return Generated(text=text, seconds=time.perf_counter() - start)
            error = "empty answer" if hasattr(answer, "choices") else "not an answer of the OpenAI protocol"
        return Generated(text="", seconds=time.perf_counter() - start, error=error, again=again)

    def _served(self, wanted: str) -> str:
        """The model's name on the server, which has to be there."""
        try:
            listed = self._client.with_options(timeout=10.0, max_retries=1).models.list()
            names = [str(model.id) for model in listed.data]
        except self._openai.APIStatusError as error:
            if wanted and error.status_code not in (401, 403):
                return (
                    wanted  # not every server can list its models; `transformers serve` fails without a cache
                )
            raise InputError(
                f"{self.url}: status {error.status_code} when asked for its models; check the address "
                "and $OPENAI_API_KEY"
            ) from error
        except self._openai.APIConnectionError as error:
            raise InputError(
                f"{self.url}: no server answers there; start it, or correct the address"
            ) from error
        except (self._openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            raise InputError(
                f"{self.url}: does not speak the OpenAI protocol; the address ends with /v1"
            ) from error
        if wanted and names and wanted not in names:
            raise InputError(f"{self.url}: no model {wanted!r}; it has {', '.join(names[:5])}")
        if not wanted and len(names) != 1:
            has = f"has {len(names)} models ({', '.join(names[:5])})" if names else "lists no model"
            raise InputError(f"{self.url}: {has}; say which with --generator openai:{self.url}#MODEL")
        return wanted or names[0]


def _content(answer: Any) -> tuple[str, bool]:
    """What was said, and whether it came to an end by itself."""
    choices = getattr(answer, "choices", None) or [None]
    content = getattr(getattr(choices[0], "message", None), "content", None)
    return content if isinstance(content, str) else "", getattr(choices[0], "finish_reason", None) != "length"
