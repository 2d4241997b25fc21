"""Processes that work on pieces of an experiment, and end when it ends, however it ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import TypeVar

from kpsim.errors import GuardError

Key = TypeVar("Key")
Answer = TypeVar("Answer")
ORPHANED = 143  # a worker's exit code when its parent is gone; nobody is there to read it


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
    Raises :class:`GuardError` if the system ends one of the processes, which it does when memory runs out.
    """
    pool = executor or _pool(max(min(jobs, len(tasks)), 1))
    try:
        with _deaf_to_interrupts():
            futures = {pool.submit(function, *arguments): key for key, arguments in tasks.items()}
        yield futures
    except BaseException as error:
        if executor is None:
            _end(pool)
        if isinstance(error, BrokenProcessPool):
            raise GuardError(
                "a process of this run was ended by the system, most likely because memory ran out. "
                "Fewer --jobs take less, and so do fewer Services, endpoints, nodes or packets."
            ) from None
        raise
    if executor is None:
        pool.shutdown()


def _pool(jobs: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(jobs, mp_context=context, initializer=_end_with_parent)


def _end_with_parent() -> None:
    """Let a thread end this process as soon as its parent is gone, by whatever signal.

    The parent holds the other end of a pipe that no one else has, so this works where there is no prctl.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(ORPHANED)  # at once: what it is at work on is for nobody

    threading.Thread(target=watch, daemon=True).start()


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
    pool = _pool(jobs)
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
