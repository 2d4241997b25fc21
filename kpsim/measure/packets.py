"""Latencies of packets are counted by stretch of time, many blocks of connections at once.

Most blocks have some packets in each stretch, and few in any; so they are held until there are enough.  Connections
whose packets all count in one stretch are sorted as such, those of the others packet by packet.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kpsim.measure.stretches import Batches
from kpsim.measure.tally import Tally
from kpsim.units import I64, Bools

HELD = 600_000  # packets that wait to be counted


class PacketLatencies:
    """Counts latencies of connections' ``first`` packets and of ``later`` ones, in a tally for each stretch.

    >>> first, later, measured = [Tally(), Tally()], [Tally(), Tally()], Batches(from_ns=0, until_ns=100, count=2)
    >>> latencies = PacketLatencies(measured, first, later)
    >>> arrival_ns = np.array([[10, 20], [45, 55]])
    >>> latencies.add(np.array([[7, 2], [8, 3]]), np.array([[True, True], [True, True]]), arrival_ns)
    >>> latencies.finish()
    >>> [tally.total for tally in first], [tally.total for tally in later]
    ([15, 0], [2, 3])
    """

    def __init__(self, measured: Batches, first: Sequence[Tally], later: Sequence[Tally]) -> None:
        self._measured, self._tallies, self._held = measured, (first, later), 0
        self._whole: list[tuple[I64, I64]] = []  # (connections, packets) in order of stretch, and how many in each
        self._others: list[tuple[I64, I64, I64]] = []  # number within the connection, latency, arrival

    def add(self, latency_ns: I64, which: Bools, arrival_ns: I64) -> None:
        """Take in the packets in ``which``, all (c, k)."""
        measured, packets = self._measured, which.shape[1]
        stretch = measured.index(arrival_ns[:, 0])
        apart = stretch != measured.index(arrival_ns[:, -1])
        apart[np.flatnonzero(~which) // packets] = True
        together, split = np.flatnonzero(~apart), np.flatnonzero(apart)
        stretch = stretch[together]
        few = measured.count < 256  # to sort without comparing
        order = np.argsort(stretch.astype(np.uint8) if few else stretch, kind="stable")
        self._whole.append((latency_ns[together[order]], np.bincount(stretch, minlength=measured.count)))
        chosen = which[split]
        number = np.broadcast_to(np.arange(packets), chosen.shape)[chosen]
        self._others.append((number, latency_ns[split][chosen], arrival_ns[split][chosen]))
        self._held += which.size
        if self._held > HELD:
            self.finish()

    def finish(self) -> None:
        """Count what is held."""
        if not self._whole:
            return
        by_stretch: list[list[I64]] = [[] for _ in range(self._measured.count)]
        for rows, counts in self._whole:
            ends = np.cumsum(counts).tolist()
            for parts, lo, hi in zip(by_stretch, [0, *ends], ends, strict=False):
                parts.append(rows[lo:hi])
        number, latency_ns, arrival_ns = (np.concatenate(column) for column in zip(*self._others, strict=True))
        for tallies, numbers, some in zip(
            self._tallies, (slice(1), slice(1, None)), (number == 0, number > 0), strict=True
        ):
            for tally, parts in zip(tallies, by_stretch, strict=True):
                tally.add(np.concatenate(parts)[:, numbers])
            for batch, values in self._measured.split(latency_ns[some], arrival_ns[some]):
                tallies[batch].add(values)
        self._held, self._whole, self._others = 0, [], []
