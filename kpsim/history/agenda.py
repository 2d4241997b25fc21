"""What is to happen next, in order of time; and what a controller's API calls and informers take.

A heap instead of SimPy: nothing here waits for a resource, so every step is a callback, and the whole of a run's
events is played before an engine starts.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

import numpy as np

from kpsim.profiles.defaults import Lag
from kpsim.ratelimits import TokenBucket

Action = Callable[[], None]


class Agenda:
    """Actions by the time they are due [ns]; at one instant, in the order in which they were planned."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._due: list[tuple[int, int, Action]] = []
        self._number = count()

    def at(self, time_ns: int, action: Action) -> None:
        """Plan ``action``, not before now."""
        heapq.heappush(self._due, (max(time_ns, self.now_ns), next(self._number), action))

    def after(self, delay_ns: int, action: Action) -> None:
        """Plan ``action`` for ``delay_ns`` from now."""
        self.at(self.now_ns + delay_ns, action)

    def run(self, until_ns: int) -> None:
        """Do everything that is due before ``until_ns``."""
        while self._due and self._due[0][0] < until_ns:
            self.now_ns, _, action = heapq.heappop(self._due)
            action()


class Client:
    """One controller's way to the API server and back: calls through its own token bucket, and its informer."""

    def __init__(
        self, agenda: Agenda, bucket: TokenBucket | None, write: Lag, watch: Lag, rng: np.random.Generator
    ) -> None:
        self._agenda, self._bucket, self._write, self._watch, self._rng = agenda, bucket, write, watch, rng

    def call(self, done: Action) -> None:
        """Send a write; ``done`` when it is committed."""
        wait = self._bucket.take(self._agenda.now_ns) if self._bucket else 0
        self._agenda.after(wait + self._draw(self._write), done)

    def hear(self, action: Action) -> None:
        """Do ``action`` when the informer has what was committed now."""
        self._agenda.after(self._draw(self._watch), action)

    def _draw(self, lag: Lag) -> int:
        return int(lag.draw(self._rng, 1)[0])
