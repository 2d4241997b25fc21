"""Changes: what happens to Pods and Services during a run, as columns; :mod:`kpsim.history` draws and plays them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from kpsim.cluster.columns import freeze
from kpsim.units import I64, U32, Bools

NEVER = 1 << 62  # a time [ns] after every other


class ChangeKind(IntEnum):
    """The kinds of change of a Pod or a Service; their values are their order where several happen at one instant."""

    POD_TERMINATING = 0
    POD_APPEARED = 1  # has an address, is not ready
    POD_READY = 2
    POD_GONE = 3  # the object is deleted
    SERVICE_CREATED = 4
    POD_UNREADY = 5  # its Ready condition is false again
    POD_CREATED = 6  # the object is there, without an address
    POD_EXITED = 7  # its kubelet posts that all its containers have ended: a terminal phase, Ready false
    POD_POSTED = 8  # its kubelet posts a first status: not ready, no address yet
    SERVICE_DELETED = 9
    SERVICE_CHANGED = 10  # its ports or policies
    TARGET_CHANGED = 11  # and its targetPort, so that its EndpointSlices are written anew


OF_SERVICES = (
    ChangeKind.SERVICE_CREATED,
    ChangeKind.SERVICE_CHANGED,
    ChangeKind.TARGET_CHANGED,
    ChangeKind.SERVICE_DELETED,
)


@dataclass(frozen=True, slots=True)
class Spells:
    """Stretches of time in which something is the case with things that have numbers, (s,); none overlap."""

    of: I64
    from_ns: I64
    until_ns: I64

    @staticmethod
    def made_of(spells: Iterable[tuple[int, int, int]]) -> Spells:
        """Spells in order of the thing and of time."""
        table = np.array(sorted(spells), np.int64).reshape(-1, 3)
        return Spells(*(np.asarray(freeze(column)) for column in table.T.copy()))

    def __len__(self) -> int:
        return len(self.of)

    def cover(self, which: I64, time_ns: I64) -> Bools:
        """Return a mask: the spell of ``which`` holds at ``time_ns``; the arguments broadcast."""
        which, time_ns = np.broadcast_arrays(which, time_ns)
        if not len(self):
            return np.zeros(which.shape, np.bool_)
        starts = np.unique(self.from_ns)  # ranks in time, because things and times side by side overflow
        key = self.of * (len(starts) + 1) + np.searchsorted(starts, self.from_ns, side="right")
        asked = which * (len(starts) + 1) + np.searchsorted(starts, time_ns, side="right")
        at = np.maximum(np.searchsorted(key, asked, side="right") - 1, 0)
        inside = (self.of[at] == which) & (self.from_ns[at] <= time_ns) & (time_ns < self.until_ns[at])
        return np.asarray(inside, np.bool_)


NOWHERE = Spells.made_of(())


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes in order of time, (c,); and every Pod of the run, (k,): those of the cluster, then the replacements."""

    at_ns: I64
    kind: I64
    subject: I64  # Pod, or Service for kinds in OF_SERVICES
    pod_slot: I64  # the Pod of time zero whose place it took (itself for those)
    pod_ip: U32
    pod_gone_ns: I64  # its process no longer answers from here on; NEVER for survivors
    pod_home: I64 | None = None  # the node each is on; None: as the cluster deals them
    outages: Spells = field(default_factory=lambda: NOWHERE)  # of Pods whose process answers again afterwards
    lost: Spells = field(default_factory=lambda: NOWHERE)  # nodes; and those that join, until they do
    joins: Mapping[int, int] = field(default_factory=dict)  # nodes that are not there from the start -> when [ns]

    def __len__(self) -> int:
        return len(self.at_ns)
