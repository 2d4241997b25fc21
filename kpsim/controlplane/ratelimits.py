"""client-go's rate limiters: the token bucket of a client's requests, and a work queue's back-off for keys that failed.

Structure from client-go util/workqueue/default_rate_limiters.go.
"""

from __future__ import annotations

from kpsim.cluster.agenda import TokenBucket

__all__ = ["RetryLimiter", "TokenBucket"]


class RetryLimiter:
    """When a key that failed is tried again: its own doubling delay or the bucket of all keys, whichever is longer."""

    def __init__(self, first_ns: int, most_ns: int, bucket: TokenBucket, most_retries: int) -> None:
        self._first_ns, self._most_ns = first_ns, most_ns
        self._bucket = bucket
        self._most_retries = most_retries
        self._failures: dict[int, int] = {}

    def failed(self, key: int, now_ns: int) -> int | None:
        """How long ``key`` waits [ns]; ``None`` once it has failed too often in a row and is dropped."""
        failures = self._failures.get(key, 0)
        if failures >= self._most_retries:
            del self._failures[key]
            return None
        self._failures[key] = failures + 1
        own_ns = min(self._first_ns << failures, self._most_ns)
        return max(own_ns, self._bucket.take(now_ns))

    def forget(self, key: int) -> None:
        """Let a key that succeeded begin anew."""
        self._failures.pop(key, None)
