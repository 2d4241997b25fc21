"""Python's collector of cycles looks at every object that is alive, again and again, while documents become objects."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def resting() -> Iterator[None]:
    """Keep the collector off inside: reading makes millions of objects and hardly a cycle.

    >>> with resting():
    ...     gc.isenabled()
    False
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
