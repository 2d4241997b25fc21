"""Processes that work on pieces of an experiment, and end when it ends."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Key = TypeVar("Key")
Answer = TypeVar("Answer")


@contextmanager
def working(
    tasks: Mapping[Key, tuple[object, ...]],
    function: Callable[..., Answer],
    jobs: int,
    executor: Executor | None = None,
) -> Iterator[dict[Future[Answer], Key]]:
    """Call ``function`` with each task's arguments in ``jobs`` fresh processes (or on ``executor``), in order of tasks.

    Gives the futures.  A process is spawned, not forked: slower to start and the same on every system.  When the block
    ends in an exception, Ctrl-C included, what has not begun is dropped and the processes are ended.
    """
    pool = executor or ProcessPoolExecutor(
        max(min(jobs, len(tasks)), 1), mp_context=multiprocessing.get_context("spawn")
    )
    try:
        with _deaf_to_interrupts():
            futures = {pool.submit(function, *arguments): key for key, arguments in tasks.items()}
        yield futures
    except BaseException:
        if executor is None:
            _end(pool)
        raise
    if executor is None:
        pool.shutdown()


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes started inside do not hear a Ctrl-C, which reaches all of a terminal: their parent ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def kept(jobs: int) -> Iterator[Executor | None]:
    """Give ``jobs`` processes that are started once and serve several rounds of :func:`working`; ``None`` for one job.

    When the block ends in an exception, Ctrl-C included, they are ended.
    """
    if jobs <= 1:
        yield None
        return
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield pool
    except BaseException:
        _end(pool)
        raise
    pool.shutdown()


def _end(pool: Executor) -> None:
    """Drop what has not begun, and end the processes."""
    pool.shutdown(wait=False, cancel_futures=True)
    for worker in multiprocessing.active_children():
        worker.terminate()
