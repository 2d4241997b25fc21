"""A controller's client spends time on API calls, and its informer on news."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kpsim.clock import Clock, after
from kpsim.profiles.defaults import Lag
from kpsim.ratelimits import TokenBucket

Action = Callable[[], None]


class Client:
    """One controller's way to the API server and back: calls through its own token bucket, and its informer."""

    def __init__(self, clock: Clock, bucket: TokenBucket, write: Lag, watch: Lag, rng: np.random.Generator) -> None:
        self._clock, self._bucket, self._write, self._watch, self._rng = clock, bucket, write, watch, rng

    def call(self, done: Action) -> None:
        """Send a write; ``done`` when it is committed."""
        wait = self._bucket.take(self._clock.now)
        after(self._clock, wait + self._write.one(self._rng), done)

    def post(self) -> None:
        """Send an event, which nobody waits for, through the same bucket."""
        self._bucket.take(self._clock.now)

    def hear(self, action: Action) -> None:
        """Do ``action`` when the informer has what was committed now."""
        after(self._clock, self._watch.one(self._rng), action)
