"""Working ahead: an iterator that makes its next item while the last one is being used."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the items; each is asked for, in one other thread, while the one before it is in use.

    An error of the iterator is raised in its place. Whoever stops early leaves at most one item unused.
    """
    end: list[T] = []
    with ThreadPoolExecutor(1, thread_name_prefix=f"ahead-of-{threading.current_thread().name}") as pool:
        coming = pool.submit(lambda: next(items, end))
        while (item := coming.result()) is not end:
            coming = pool.submit(lambda: next(items, end))
            yield item  # type: ignore[misc]
