"""client-go's rate limiters: the token bucket of a client's requests, and a work queue's back-off for keys that failed.

Structure from client-go util/workqueue/default_rate_limiters.go.
"""

from __future__ import annotations


class TokenBucket:
    """client-go's client-side rate limiter: ``burst`` tokens, refilled at ``qps`` a second; callers queue in order."""

    def __init__(self, qps: float, burst: int) -> None:
        self._interval_ns = round(1e9 / qps)
        self._burst_ns = burst * self._interval_ns
        self._full_at_ns = 0  # when the bucket would be full if nobody took from it

    def take(self, now_ns: int, tokens: int = 1) -> int:
        """Take tokens one after another; how long to wait for the last [ns]."""
        self._full_at_ns = full_at = max(self._full_at_ns, now_ns) + tokens * self._interval_ns
        return max(full_at - self._burst_ns - now_ns, 0)


class RetryLimiter:
    """A key that failed is tried again after its own doubling delay or the bucket of all keys, if that is longer."""

    def __init__(self, first_ns: int, most_ns: int, bucket: TokenBucket, most_retries: int) -> None:
        self._first_ns, self._most_ns = first_ns, most_ns
        self._bucket = bucket
        self._most_retries = most_retries
        self._failures: dict[int, int] = {}

    def failed(self, key: int, now_ns: int) -> int | None:
        """Return the wait of ``key`` [ns]; ``None`` once it has failed too often in a row and is dropped."""
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
