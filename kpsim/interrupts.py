"""Ctrl-C and its like: they end the program at once while nothing has to be put away, else as an exception.

An exception in the middle of an import may be swallowed, or printed by Python as ignored; so before the first file is
written there is none.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SAID = "interrupted; nothing half-written is left"
_ENDS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
_SIGNALS = (signal.SIGINT, *_ENDS)


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """Inside, an interrupt ends the process with the exit code of its signal, without a traceback."""
    with _handled(dict.fromkeys(_SIGNALS, _leave)):
        yield


@contextmanager
def putting_away() -> Iterator[None]:
    """Inside, Ctrl-C is a :class:`KeyboardInterrupt` and a signal to end a :class:`SystemExit`, so that blocks end."""
    with _handled({signal.SIGINT: signal.default_int_handler, **dict.fromkeys(_ENDS, _exit)}):
        usual = sys.unraisablehook
        sys.unraisablehook = _again
        try:
            yield
        finally:
            sys.unraisablehook = usual


@contextmanager
def undisturbed() -> Iterator[None]:
    """Inside, interrupts wait: what takes a moment and must be whole is done here."""
    late: list[int] = []
    with _handled(dict.fromkeys(_SIGNALS, lambda number, _frame: late.append(number))):
        yield
    if late:
        signal.raise_signal(late[0])


@contextmanager
def _handled(handlers: dict[signal.Signals, Any]) -> Iterator[None]:
    """Inside, signals are handled so; only in the main thread, because Python has them nowhere else."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in handlers}
    # nohup and background jobs ignore some signals; kpsim goes on ignoring them
    ours = {number: handler for number, handler in handlers.items() if before[number] is not signal.SIG_IGN}
    for number, handler in ours.items():
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])


def _leave(number: int, _frame: FrameType | None) -> None:
    try:
        if number == signal.SIGINT:
            os.write(2, f"{SAID}\n".encode())
    finally:
        os._exit(128 + number)


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _again(unraisable: sys.UnraisableHookArgs) -> None:
    """An interrupt that met a place where nothing can be raised comes again."""
    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    elif isinstance(unraisable.exc_value, SystemExit):
        signal.raise_signal(signal.SIGTERM)
    else:
        sys.__unraisablehook__(unraisable)
