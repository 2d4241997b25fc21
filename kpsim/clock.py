"""Simulated time: integer nanoseconds, and one written rule for what comes first when two things happen at once.

SimPy orders simultaneous events by priority, then by when they were scheduled.  :class:`Rank` is that priority, in the
order of cause and effect at one instant: rules come into force, then a watch delivers, then a sync may start with all
that was delivered, then packets are served by the rules now in force.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any

import simpy
from simpy.events import EventPriority


class Rank(IntEnum):
    """The order of events at one instant (SimPy's own events have ranks 0 and 1)."""

    LOCK = -6  # a proxier asks for the xtables lock; IPv4's before IPv6's
    LOCK_IPV6 = -5
    SWITCH = -4
    DELIVERY = -3
    SYNC = -2
    CHANGE = -1


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


def after(env: simpy.Environment, delay_ns: int, action: Callable[[], None]) -> None:
    """Call ``action()`` in ``delay_ns``; at one instant, actions come in the order in which they were planned."""
    env.timeout(delay_ns).callbacks.append(lambda _event: action())
