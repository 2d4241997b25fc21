"""Simulated time: integer nanoseconds, and one written rule for what comes first when two things happen at once.

SimPy orders simultaneous events by priority, then by when they were scheduled.  :class:`Rank` is that priority, in the
order of cause and effect at one instant: rules come into force, then a watch delivers, then a sync may start with all
that was delivered, then packets are served by the rules now in force.

A process that waits for nothing but time is a generator of waits, and runs on a :class:`Clock`: on SimPy's, where it
meets other processes, or on :class:`EventQueue`, which keeps the same order and is several times quicker.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from enum import IntEnum
from heapq import heappop, heappush, heappushpop
from itertools import count
from typing import Any, Protocol

import simpy
from simpy.events import EventPriority


class Rank(IntEnum):
    """The order of events at one instant (the last two are SimPy's own)."""

    LOCK = -6  # a proxier asks for the xtables lock; IPv4's before IPv6's
    LOCK_IPV6 = -5
    SWITCH = -4
    DELIVERY = -3
    SYNC = -2
    CHANGE = -1
    START = 0
    WAIT = 1


def at(env: simpy.Environment, time_ns: int, rank: Rank) -> simpy.Event:
    """Return an event that happens at ``time_ns`` [ns], not before now, in the order of ``rank``."""
    event = simpy.Event(env)
    event._ok = True  # noqa: SLF001 - what simpy.Timeout does; SimPy has no public way to give a priority
    event._value = None  # noqa: SLF001
    env.schedule(event, priority=EventPriority(int(rank)), delay=max(0, time_ns - env.now))
    return event


def call_at(env: simpy.Environment, time_ns: int, rank: Rank, action: Callable[[Any], None], argument: object) -> None:
    """Call ``action(argument)`` at ``time_ns``; an event without a process, for things that need no waiting."""
    event = at(env, time_ns, rank)
    assert event.callbacks is not None
    event.callbacks.append(lambda _event: action(argument))


Steps = Generator[int | None, None, None]  # a process: each yield is a wait [ns]; None: until it is started again


class Clock(Protocol):
    """Processes and single actions in the order of time, of rank, and of when they were planned."""

    @property
    def now(self) -> int:
        """The present [ns]."""

    def start(self, steps: Steps, first: Rank = Rank.START, then: Rank = Rank.WAIT) -> None:
        """Begin or resume a process now in the order of ``first``; its waits end in the order of ``then``."""

    def call_at(self, time_ns: int, rank: Rank, action: Callable[[Any], None], argument: object) -> None:
        """Call ``action(argument)`` at ``time_ns`` [ns], not before now."""


def after(clock: Clock, delay_ns: int, action: Callable[[], None]) -> None:
    """Call ``action()`` in ``delay_ns``; at one instant, actions come in the order in which they were planned."""
    clock.call_at(clock.now + delay_ns, Rank.WAIT, _call, action)


def _call(action: Callable[[], None]) -> None:
    action()


class SimPyClock:
    """The clock of a SimPy environment; each process is one of SimPy's."""

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env

    @property
    def now(self) -> int:
        """The present [ns]."""
        return int(self._env.now)

    def start(self, steps: Steps, first: Rank = Rank.START, then: Rank = Rank.WAIT) -> None:
        """Begin or resume a process now in the order of ``first``; its waits end in the order of ``then``."""
        self._env.process(self._process(at(self._env, self.now, first), steps, then))

    def _process(self, first: simpy.Event, steps: Steps, rank: Rank) -> Generator[simpy.Event, Any, None]:
        yield first
        for wait_ns in steps:
            if wait_ns is None:
                return
            yield at(self._env, self.now + wait_ns, rank)

    def call_at(self, time_ns: int, rank: Rank, action: Callable[[Any], None], argument: object) -> None:
        """Call ``action(argument)`` at ``time_ns`` [ns], not before now."""
        call_at(self._env, time_ns, rank, action, argument)


class EventQueue:
    """A clock without SimPy: one heap of what happens next.

    >>> queue, seen = EventQueue(), []
    >>> def ticks() -> Steps:
    ...     for wait_ns in (0, 5, 10):
    ...         yield wait_ns
    ...         seen.append(queue.now)
    >>> queue.start(ticks())
    >>> queue.call_at(5, Rank.CHANGE, seen.append, "change")
    >>> queue.run(15)
    >>> seen, queue.now
    ([0, 'change', 5], 15)
    """

    __slots__ = ("_heap", "_order", "now")

    _RANK = 1 << 48  # more than there are events in a run

    def __init__(self) -> None:
        self.now = 0
        self._order = count()
        # when, rank and turn in one number, what is done with what (it returns its next wait, or None), the rank
        self._heap: list[tuple[int, int, Callable[[Any], int | None] | None, object, int]] = []

    def start(self, steps: Steps, first: Rank = Rank.START, then: Rank = Rank.WAIT) -> None:
        """Begin or resume a process now in the order of ``first``; its waits end in the order of ``then``."""
        turn = first * self._RANK + next(self._order)
        heappush(self._heap, (self.now, turn, steps.send, None, then * self._RANK))

    def call_at(self, time_ns: int, rank: Rank, action: Callable[[Any], None], argument: object) -> None:
        """Call ``action(argument)`` at ``time_ns`` [ns], not before now."""
        turn, now = rank * self._RANK + next(self._order), self.now
        heappush(self._heap, (max(time_ns, now), turn, action, argument, 0))

    def clear(self) -> None:
        """Forget everything that is still to happen, and the processes that wait for it."""
        self._heap.clear()

    def run(self, until_ns: int) -> None:
        """Let everything happen that comes before ``until_ns``, or then in the order of a rank before START."""
        heap, order = self._heap, self._order.__next__
        heappush(heap, (until_ns, order(), None, None, 0))
        entry = heappop(heap)
        while True:
            self.now, _, act, argument, rank = entry
            if act is None:
                return
            try:
                wait_ns = act(argument)
            except StopIteration:
                if argument is not None:
                    raise
                wait_ns = None  # a process that is over
            if wait_ns is None:
                entry = heappop(heap)
            else:  # if it comes next anyway, the heap stays as it is
                entry = heappushpop(heap, (self.now + wait_ns, rank + order(), act, argument, rank))
