"""A running kube-proxy's own records show syncs: how long each took, and as much as they say of how large it was.

A reading knows no proxy mode: whether a sync that is not said to be full was one is asked in :mod:`kpsim.experiment`.
"""

from __future__ import annotations

from dataclasses import dataclass

from kpsim.units import Version

EARLIEST: Version = (0, 0)
LATEST: Version = (99, 99)


@dataclass(frozen=True, slots=True)
class SyncReading:
    """One sync, or ``times`` of them of which the mean is known; ``None`` is what the record does not say.

    ``spread`` is the standard deviation of the logarithm of one of them, ``written`` and ``present`` count rules of the
    nat table.  ``first`` is the first sync of a process, ``after_failure`` one that follows a failed one.  ``cleanup``
    is the share that looks for stale chains in a large cluster: no sooner than a syncPeriod after the last that did.
    """

    took_s: float
    times: int = 1
    spread: float = 0.0
    full: bool | None = None
    first: bool = False
    after_failure: bool = False
    services: float | None = None
    endpoints: float | None = None
    written: float | None = None
    present: float | None = None
    cleanup: float = 1.0


@dataclass(frozen=True, slots=True)
class Observed:
    """One file of logs, or two scrapes: syncs, and the mode and releases that the texts name or agree with."""

    file: str
    kind: str  # "log" or "metrics"
    mode: str = ""
    version: Version | None = None
    since: Version = EARLIEST
    until: Version = LATEST  # the last release that agrees
    readings: tuple[SyncReading, ...] = ()
    notes: tuple[str, ...] = ()
    go_cpu_s: float | None = None  # of kube-proxy itself in all readings together
