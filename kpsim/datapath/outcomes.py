"""Both engines leave this record of every packet, in columns: its times, cost, Pod and verdict."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from kpsim.cluster.changes import NEVER, NOWHERE, Spells
from kpsim.proxy.rules import DROPPED
from kpsim.units import I64, Bools

Verdicts = NDArray[np.int8]


class Verdict(IntEnum):
    """A packet ends in one of these ways."""

    DELIVERED = 0
    REFUSED = 1  # nobody can serve the Service: rejected at once
    STALE = 2  # sent to a Pod that is gone
    UNSENT = 3  # a later packet of a refused or dropped connection
    DROPPED = 4  # a Local policy leaves nobody on this node: no answer


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Packets by connection and number within it, (c, k) each; and per connection, (c,)."""

    arrival_ns: I64
    start_ns: I64
    cost_ns: I64
    verdict: Verdicts
    pod: I64  # (c,) chosen endpoint, REFUSED or DROPPED
    scanned: I64  # (c,) rules of Services passed
    tried: I64  # (c,) endpoint rules evaluated

    @property
    def finish_ns(self) -> I64:
        """Return the time at which each packet left the node [ns], one an entry."""
        return self.start_ns + self.cost_ns

    @property
    def latency_ns(self) -> I64:
        """Queue and service of each packet."""
        return self.finish_ns - self.arrival_ns


def verdicts(
    start_ns: I64, pod: I64, gone_ns: I64, outages: Spells = NOWHERE, cleared: tuple[I64, Bools] | None = None
) -> Verdicts:
    """Verdicts (c, k) from starts (c, k), chosen Pods (c,), and when each Pod's process is gone (pods,) or away."""
    out = np.full(start_ns.shape, int(Verdict.DELIVERED), np.int8)
    later = np.arange(start_ns.shape[1]) > 0
    gone = np.append(gone_ns, NEVER)[np.maximum(pod, -1)]  # no Pod (-1) is never gone
    some = np.flatnonzero(gone < NEVER)  # as everywhere here, few of many
    out[some] = np.where(gone[some, None] <= start_ns[some], int(Verdict.STALE), int(Verdict.DELIVERED))
    if len(outages):
        some = np.flatnonzero(np.isin(pod, outages.of))
        out[some] = np.where(outages.cover(pod[some, None], start_ns[some]), int(Verdict.STALE), out[some])
    if cleared is not None:
        some = np.flatnonzero(cleared[0] < NEVER)
        anew = np.where(cleared[1][some], int(Verdict.DELIVERED), int(Verdict.REFUSED))[:, None]
        out[some] = np.where(later & (cleared[0][some, None] <= start_ns[some]), anew, out[some])
    some = np.flatnonzero(pod < 0)
    first = np.where(pod[some] == DROPPED, int(Verdict.DROPPED), int(Verdict.REFUSED))[:, None]
    out[some] = np.where(later, int(Verdict.UNSENT), first)
    return out
