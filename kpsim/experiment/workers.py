"""Tasks of an experiment go to an executor: this process, local processes that stay warm, or an engine elsewhere.

There is one way to work: :func:`executing` gives the executor, once a command, and :func:`finished` sends tasks to it.

>>> from contextlib import closing
>>> with executing(jobs=1) as executor, closing(finished({"a": (2,), "b": (3,)}, abs, executor)) as answers:
...     {key: future.result() for key, future in answers}
{'a': 2, 'b': 3}
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import connection, forkserver, resource_tracker
from multiprocessing.context import BaseContext
from typing import ParamSpec, TypeVar

from kpsim.errors import GuardError

Key = TypeVar("Key")
Answer = TypeVar("Answer")
Arguments = ParamSpec("Arguments")

UNKNOWN_HANDS = 16  # of an executor that does not say how many tasks it works on at once
ORPHANED = 143  # a worker's exit code when its parent is gone; nobody is there to read it
AHEAD = 2  # tasks submitted for each that is worked on: no worker waits for the next
LOST = (
    "a process of this run was ended by the system, twice and the second time alone: most likely because memory ran "
    "out. Fewer Services, endpoints, nodes or packets take less."
)
# Arrays are too short for threads to pay, and the working directory holds no modules of ours.
_AROUND = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}


class Here(Executor):
    """Works in this process, and is done when a task has been submitted."""

    hands = 1

    def submit(
        self, fn: Callable[Arguments, Answer], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Answer]:
        """Return the future of a task that is over; Ctrl-C is not kept in it."""
        future: Future[Answer] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - an executor keeps whatever a task raises
            future.set_exception(error)
        return future


class Warm(Executor):
    """Local processes, started with the first tasks and kept; lost ones are replaced."""

    def __init__(self, hands: int) -> None:
        self.hands = hands
        self._pool: ProcessPoolExecutor | None = None

    def submit(
        self, fn: Callable[Arguments, Answer], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Answer]:
        """Return the future of a task."""
        with _uninterrupted():
            if self._pool is None:
                self._pool = ProcessPoolExecutor(self.hands, mp_context=_context(), initializer=_begin)
            return self._pool.submit(fn, *args, **kwargs)

    def renew(self) -> None:
        """Drop what has not begun and end the processes; the next task starts others."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():
                worker.terminate()

    def rest(self) -> None:
        """End the processes, whose memory is free then; the next task starts others."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()

    def begin(self) -> None:
        """Let what processes are forked from import everything while this process is busy with something else."""
        with _uninterrupted():
            _context()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes when their tasks are done."""
        if self._pool is not None:
            self._pool.shutdown(wait, cancel_futures=cancel_futures)


@contextmanager
def executing(jobs: int = 1, given: Executor | None = None) -> Iterator[Executor]:
    """Give the executor that was given, else ``jobs`` warm processes, else this process.

    When the block ends in an exception, Ctrl-C included, what has not begun is dropped and the processes are ended.
    """
    if given is not None or jobs <= 1:
        yield given or Here()
        return
    own = Warm(jobs)
    try:
        yield own
    except BaseException:
        own.renew()
        raise
    own.shutdown()


def hands_of(executor: Executor) -> int:
    """Return how many tasks an executor works on at once, as far as it says."""
    return int(getattr(executor, "hands", UNKNOWN_HANDS))


def carries(executor: Executor) -> bool:
    """Return False for an executor whose tasks should not be given megabytes."""
    return bool(getattr(executor, "carries", True))


def finished(
    tasks: Mapping[Key, tuple[object, ...]],
    function: Callable[..., Answer],
    executor: Executor,
    most: int | None = None,
) -> Generator[tuple[Key, Future[Answer]], None, None]:
    """Call ``function`` with each task's arguments and yield its key and its future when it is over.

    Tasks begin in their order, a few at a time; on local processes, at most ``most``.  Those that are added
    to ``tasks`` when others are over come after all that are there.  Where a local process is
    killed, the tasks that were under way are tried again one by one, so that only the one that kills its process
    fails, by :class:`GuardError`.  Close the generator: what is under way is then dropped.
    """
    if len(tasks) == 1 and isinstance(executor, Warm):
        executor = Here()  # nothing to share
    waiting, running, suspects = deque[tuple[Key, tuple[object, ...]]](), dict[Future[Answer], Key](), list[Key]()
    known = 0
    ahead, over = (1 if isinstance(executor, Here) else AHEAD * hands_of(executor)), False
    if isinstance(executor, Warm) and most is not None and most < executor.hands:
        ahead = most  # what this machine's memory holds
    try:
        while waiting or running or len(tasks) > known:
            waiting.extend(islice(tasks.items(), known, None))
            known = len(tasks)
            while waiting and len(running) < ahead and not suspects:
                key, arguments = waiting.popleft()
                running[_submitted(executor, function, arguments)] = key
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                key = running.pop(future)
                if isinstance(future.exception(), BrokenProcessPool):
                    suspects.append(key)
                else:
                    yield key, future
            if suspects and not running:
                yield from _alone({key: tasks[key] for key in tasks if key in suspects}, function, executor)
                suspects.clear()
        over = True
    finally:
        if not over:  # even where nothing is known to be under way: an interrupt may have come as a task was taken
            _abandon(executor, running)


def _submitted(executor: Executor, function: Callable[..., Answer], arguments: tuple[object, ...]) -> Future[Answer]:
    """Return a task's future, which says so if a process was lost before the task could be taken."""
    try:
        return executor.submit(function, *arguments)
    except BrokenProcessPool as error:
        lost: Future[Answer] = Future()
        lost.set_exception(error)
        return lost


def _alone(
    tasks: Mapping[Key, tuple[object, ...]], function: Callable[..., Answer], executor: Executor
) -> Iterator[tuple[Key, Future[Answer]]]:
    """Yield tasks that were under way when a process was lost, each worked on alone."""
    for key, arguments in tasks.items():
        if isinstance(executor, Warm):
            executor.renew()
        future = _submitted(executor, function, arguments)
        if isinstance(future.exception(), BrokenProcessPool):
            future = Future()
            future.set_exception(GuardError(LOST))
        yield key, future
    if isinstance(executor, Warm):
        executor.renew()


def _abandon(executor: Executor, running: Mapping[Future[Answer], object]) -> None:
    """Drop what is under way; of local processes, by ending them.

    A pool that breaks marks every future it has, and fails with a traceback at one that was cancelled behind its back.
    """
    if isinstance(executor, Warm):
        executor.renew()
        return
    for future in running:
        future.cancel()


def _context() -> BaseContext:
    """Return the way in which processes start: forked from one that has imported everything, spawned off Linux.

    The process that is forked from is a fresh one with a single thread, so nothing of the caller's is in it.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["kpsim.experiment.executors.warm"])
    before = {name: os.environ.get(name) for name in _AROUND}
    os.environ.update(_AROUND)
    try:
        resource_tracker.ensure_running()  # it ends a block of signals when it starts
        with _blocked():
            forkserver.ensure_running()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    return context


def _begin() -> None:
    """Leave a Ctrl-C to the parent, and let a thread end this process as soon as its parent is gone.

    The parent holds the other end of a pipe that no one else has, so this works where there is no prctl.
    """
    gc.freeze()  # where the collector looks at what was imported, each process gets pages of its own
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(ORPHANED)  # at once: what it is at work on is for nobody

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let a Ctrl-C wait until the block ends: processes started inside do not hear it, and are started whole."""
    if threading.current_thread() is not threading.main_thread():  # only the main one is interrupted
        yield
        return
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: heard.append(number))
    try:
        with _blocked():
            yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
        if heard:
            signal.raise_signal(signal.SIGINT)


@contextmanager
def _blocked() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
