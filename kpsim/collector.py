"""Memory: the collector of cycles rests while millions of objects are made, and freed pages go back.

The collector looks at every object that is alive, again and again; imports alone make so many that it takes an eighth
of their time.  The C library keeps what was freed between arrays that are still there, for the next ones of that size:
after a mode's arrays that is more than what is in use.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

SELDOM = 100_000  # objects made since the collector last looked; Python's own number is 700


def look_seldom() -> None:
    """Let the collector look less often from now on: in a process that is kpsim's own."""
    gc.set_threshold(SELDOM)


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


def give_back() -> None:
    """Give freed memory back to the system, where the C library can."""
    trim = _trimming()
    if trim is not None:
        trim(0)


@lru_cache(maxsize=1)
def _trimming() -> Callable[[int], int] | None:
    """Return glibc's ``malloc_trim``, ``None`` where there is another C library."""
    import ctypes  # a command that is over at once does without

    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # TypeError: Windows has no library without a name
        return None
    return found
