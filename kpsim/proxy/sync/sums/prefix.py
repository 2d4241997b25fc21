"""Counting in a prefix: how much weight stood before a place, after the first so many events?

A wavelet matrix over events in order of time, each at a place and with a weight: a query (first ``r`` events, places
below ``x``) takes one step a bit of the place, for all queries at once.
Source: Claude and Navarro, "The wavelet matrix", SPIRE 2012, section 4, with sums kept beside counts.

Three events, at places 2, 0 and 1 with weights 5, 3 and 4.  Below place 2 there is nothing after the first of them, 3
after two, and 3 + 4 after all:

>>> sums = PrefixSums(place=np.array([2, 0, 1]), weight=np.array([5, 3, 4]), places=3)
>>> sums.below(first=np.array([1, 2, 3]), place=np.array([2, 2, 2]))
array([0, 3, 7])
"""

from __future__ import annotations

import numpy as np

from kpsim.proxy.sync import Places
from kpsim.units import I64


class PrefixSums:
    """Events with places in 0 … ``places`` - 1 and weights, both (m,) in order of time."""

    def __init__(self, place: Places, weight: I64, places: int) -> None:
        self._events = len(place)
        self._levels: list[tuple[I64, I64, int]] = []  # zeros before, weight of zeros before, zeros altogether
        for bit in range(max(places - 1, 1).bit_length() - 1, -1, -1):
            is_zero = (place >> bit) & 1 == 0
            zeros = np.concatenate([[0], np.cumsum(is_zero, dtype=np.int64)])
            sums = np.concatenate([[0], np.cumsum(np.where(is_zero, weight, 0), dtype=np.int64)])
            self._levels.append((zeros, sums, int(zeros[-1])))
            order = np.concatenate([np.flatnonzero(is_zero), np.flatnonzero(~is_zero)])
            place, weight = place[order], weight[order]

    def below(self, first: I64, place: Places) -> I64:
        """Weight of the events among the ``first`` so many that stand below ``place``; broadcast, (q,)."""
        if not self._events:
            return np.zeros(place.shape, np.int64)
        hi = np.broadcast_to(first, place.shape).astype(np.int64)
        lo = np.zeros_like(hi)
        total = np.zeros_like(hi)
        for bit, (zeros, sums, all_zeros) in zip(range(len(self._levels) - 1, -1, -1), self._levels, strict=True):
            one = (place >> bit) & 1 == 1
            total += np.where(one, sums[hi] - sums[lo], 0)
            lo = np.where(one, all_zeros + lo - zeros[lo], zeros[lo])
            hi = np.where(one, all_zeros + hi - zeros[hi], zeros[hi])
        return total
