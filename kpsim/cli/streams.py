"""Standard output and error, inert: whatever names and texts of others hold, a terminal is not moved by it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from kpsim.errors import inert

OURS = re.compile(r"(\x1b\[(?:0|1|2|3[123])m|\r\x1b\[K)")  # colours of click.style, and a progress line's beginning


class Inert:
    """A stream that writes control characters as escapes; to a terminal, the few sequences that kpsim itself sends.

    Where the reader had enough (``| head``) the rest goes nowhere, and the program ends with the code it would have
    had; where the disk is full, something is ``lost``.  It has no ``buffer``, because what goes there goes past it.
    """

    lost = False

    def __init__(self, stream: TextIO, complain: Callable[[str], object]) -> None:
        self._stream, self._terminal, self._complain, self._gone = stream, stream.isatty(), complain, False

    def write(self, text: str | bytes) -> int:
        """Write ``text``, which click gives as bytes where it completes a command line; return its length."""
        if isinstance(text, bytes):
            text = text.decode("utf-8", "backslashreplace")
        parts = OURS.split(text) if self._terminal else [text]
        self._try(self._stream.write, "".join(part if n % 2 else inert(part) for n, part in enumerate(parts)))
        return len(text)

    def flush(self) -> None:
        """Send what waits."""
        self._try(self._stream.flush)

    def _try(self, act: Callable[..., object], *given: str) -> None:
        if self._gone:
            return
        try:
            act(*given)
        except (OSError, ValueError) as error:
            self._gone = True
            with suppress(OSError, ValueError):  # what waits in the stream must not be tried again at exit
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            if not isinstance(error, BrokenPipeError):
                self.lost = True
                self._complain(f"standard output cannot be written: {getattr(error, 'strerror', None) or error}\n")

    def __getattr__(self, name: str) -> Any:
        """Return everything else as the stream has it."""
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self._stream, name)


@contextmanager
def inert_streams() -> Iterator[Inert]:
    """Inside, both streams are inert, and characters that their encoding lacks are written as escapes; give stdout."""
    before = sys.stdout, sys.stderr
    sys.stderr = _inert(sys.stderr, lambda _text: None)
    sys.stdout = out = _inert(sys.stdout, sys.stderr.write)
    try:
        yield out
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        sys.stdout, sys.stderr = before


def _inert(stream: TextIO | None, complain: Callable[[str], object]) -> Any:
    if stream is None:  # closed by whoever started this
        stream = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for as long as the program runs
    with suppress(AttributeError, ValueError):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]  # of files, and not of StringIO
    return Inert(stream, complain)
