"""Work of many small pieces, done by threads ahead of the one who waits for it."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def read_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int | None = None
) -> Iterator[Result]:
    """`map`, in order, with some results ahead of the one asked for; memory is bounded by `threads` + 1 results.

    For work that lets go of Python's lock, such as reading files and decoding pictures with Pillow. What `function`
    raises is raised where its result would have come.

    Args:
        function: Called in a thread.
        items: What it is called with.
        threads: How many; by default one a core, at most eight.
    """
    threads = threads or min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
