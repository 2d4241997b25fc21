"""Sums over the first deliveries of the log of things beside rules: ipset entries, addresses, real servers.

Only modes that have such things ask.  A sync compares what there is with what there should be, so what came and went
between two syncs, or went and came back, counts nothing.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from kpsim.proxy.contract import Moved
from kpsim.proxy.rules import Held
from kpsim.proxy.sync import Nodes, Prefixes, Ragged, Services, States
from kpsim.proxy.sync.sums.locality import NodeSums
from kpsim.proxy.sync.sums.returned import Returned
from kpsim.units import I64

ENTRIES_AT_ONCE = 50_000  # of lists compared together, so that they stay in a processor's cache


class MovedSums:
    """Prefix sums of :class:`Moved`.

    ``held`` (states,) is what each state of a Service has, ``service`` and ``replaces`` (rows,) each row's Service and
    the state before it, ``usable`` the ragged Pods of each state, ``changed`` and ``ports`` (rows,) of each row's
    Service, ``ports_at_start`` of each Service, ``homes`` every Pod's node.
    """

    def __init__(
        self,
        held: Held[I64],
        service: Services,
        replaces: States,
        usable: Ragged,
        changed: I64,
        ports: I64,
        ports_at_start: I64,
        homes: I64,
    ) -> None:
        n, rows = len(held.entries) - len(replaces), np.arange(len(replaces))
        steps = [np.abs(column[n:] - column[replaces]) for column in held]
        self._moved = Held(*(_sums(step) for step in steps))
        self._real_servers = _sums(changed * held.servers[n:])
        self._held = Held(*(_totals(column, replaces) for column in held))
        self._real_servers_held = _totals(np.diff(usable[0])[: len(held.servers)] * held.servers, replaces)
        (came, new), (went, old) = only_in_one(usable, n + rows, replaces)
        row, pod = np.concatenate([came, went]), np.concatenate([new, old])
        self._here = NodeSums(homes[pod], row + 1, ports[row], len(rows) + 1)
        moved = np.flatnonzero(np.any(steps, axis=0))
        self._objects = Returned(service[moved], moved, [step[moved] for step in steps])
        most = int(usable[1].max(initial=0)) + 1
        self._pods = Returned(service[row] * most + pod, row, (held.servers[n + row], ports[row]))
        self._home = homes[pod][self._pods.order]
        first = usable[1][: usable[0][n]]
        self._held_here = NodeSums(
            homes[np.concatenate([first, new, old])],
            np.concatenate([0 * first, came + 1, went + 1]),
            np.concatenate([np.repeat(ports_at_start, np.diff(usable[0])[:n]), ports[came], -ports[went]]),
            len(rows) + 1,
        )

    def between(self, before: Prefixes, after: Prefixes, node: Nodes) -> Moved:
        """Return what moved with rows ``before`` … ``after`` - 1 as each node sees it; (lanes,) each."""
        again = self._objects.between(before, after)
        came = Held(*(column[after] - column[before] - back for column, back in zip(self._moved, again, strict=True)))
        real_servers = self._real_servers[after] - self._real_servers[before]
        here = self._here.at(after, node) - self._here.at(before, node)
        lane, first, last = self._pods.groups(before, after)
        np.subtract.at(real_servers, lane, self._pods.cancelled(0, first, last))
        np.subtract.at(here, lane, self._pods.cancelled(1, first, last) * (self._home[first] == node[lane]))
        return Moved(
            servers=came.servers,
            entries=came.entries,
            addresses=came.addresses,
            real_servers=real_servers,
            endpoints_here=here,
            addresses_held=self._held.addresses[after],
        )

    def everything(self, after: Prefixes, node: Nodes) -> Moved:
        """Return what is there after ``after`` rows, all of which comes to a node that has nothing; (lanes,) each."""
        held = Held(*(column[after] for column in self._held))
        here = self._held_here.at(after, node)
        return Moved(held.servers, held.entries, held.addresses, self._real_servers_held[after], here, held.addresses)


def _sums(steps: I64) -> I64:
    return np.concatenate([[0], np.cumsum(steps)]).astype(np.int64)


def _totals(by_state: I64, replaces: States) -> I64:
    """Return the sum over all Services after each prefix, (rows + 1,); ``by_state`` is by Service, then by row."""
    n = len(by_state) - len(replaces)
    return _sums(by_state[n:] - by_state[replaces]) + int(by_state[:n].sum())


def only_before(lists: Ragged, before: States, after: States) -> tuple[I64, I64]:
    """Return the Pods that are in each first state's list and not in the second's: the row, and the Pod."""
    return only_in_one(lists, before, after)[0]


def only_in_one(lists: Ragged, first: States, second: States) -> tuple[tuple[I64, I64], tuple[I64, I64]]:
    """Return the Pods that are only in each first state's list, and those only in the second's: the row, and the Pod.

    >>> lists = np.array([0, 2, 4]), np.array([5, 6, 6, 7])
    >>> only_in_one(lists, np.array([0]), np.array([1]))
    ((array([0]), array([5])), (array([0]), array([7])))
    """
    most, length = int(lists[1].max(initial=0)) + 1, np.diff(lists[0])
    block = np.cumsum(length[first] + length[second]) // ENTRIES_AT_ONCE
    bounds = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), len(first)]
    found: tuple[list[I64], list[I64]] = [], []
    for low, high in pairwise(bounds):
        one, other = (_keys(lists, states[low:high], most) for states in (first, second))
        keys = np.concatenate([2 * one, 2 * other + 1])  # the last bit says whose it is
        keys.sort(kind="stable")  # ten times as quick: each list is in order for the most part
        entry = keys >> 1
        alone = np.ones(len(keys), np.bool_)
        alone[1:] &= entry[1:] != entry[:-1]
        alone[:-1] &= entry[1:] != entry[:-1]
        keys, entry = keys[alone], entry[alone] + low * most
        for side, kept in enumerate(found):
            kept.append(entry[keys & 1 == side])
    mine, others = (np.concatenate(kept) for kept in found)
    return (mine // most, mine % most), (others // most, others % most)


def _keys(lists: Ragged, states: States, most: int) -> I64:
    """Return the row and the Pod, which is below ``most``, of every entry of the states' lists as one number."""
    offset, pods = lists
    length = np.diff(offset)[states]
    at = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length - offset[states], length)
    return np.asarray(np.repeat(np.arange(len(states)), length) * most + pods[at])
