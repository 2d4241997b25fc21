"""A node differs from others by endpoints of its own, where a Service's Local policy asks for them.

Everything a kube-proxy makes of Services is the same on all nodes, but for these.  So they are kept apart, and sparse:
a state of a Service is listed only for nodes that have an endpoint of it, and totals of a node are those of all nodes
plus a correction.

Three nodes; in state 0 a Service has Pods 0, 1 and 2, of which two are on node 0 and one on node 1; in state 1 it has
none but Pod 2, which is leaving.  Node 2 is not listed, and sees what all nodes see:

>>> usable, leaving = (np.array([0, 3, 3]), np.array([0, 1, 2])), (np.array([0, 0, 1]), np.array([2]))
>>> local = LocalStates(usable, leaving, policy=np.array([True, True]), homes=np.array([0, 0, 1]), nodes=3)
>>> for row in zip(local.state, local.node, local.count, local.extra):  # extra: own ones that are leaving
...     print(*row)
0 0 2 0
0 1 1 0
1 1 1 1

The correction: node 0 has two rules more from prefix 1 on, and no longer from 3; node 1 has one fewer from 2 on.

>>> node, prefix, rules = np.array([0, 0, 1]), np.array([1, 3, 2]), np.array([2, -2, -1])
>>> NodeSums(node, prefix, rules, prefixes=4).at(prefix=np.array([2, 2, 2]), node=np.array([0, 1, 2]))
array([ 2, -1,  0])
"""

from __future__ import annotations

import numpy as np

from kpsim.proxy.counts import EndpointCounts
from kpsim.proxy.sync import Nodes, Places, Prefixes, Ragged, Rows, States
from kpsim.proxy.sync.sums.changed import spread
from kpsim.proxy.sync.sums.prefix import PrefixSums
from kpsim.units import I32, I64, Bools


class LocalStates:
    """States of Services (rows of the timeline) that a node sees in its own way, in order of (state, node).

    ``usable`` and ``leaving`` are ragged, by state; only those in ``policy`` (states,) are looked at.  A node's own
    endpoints are the usable ones it has, or if it has none of those, the leaving ones.
    """

    def __init__(self, usable: Ragged, leaving: Ragged, policy: Bools, homes: I64, nodes: int) -> None:
        self._nodes = nodes
        if not policy.any():  # the usual case: nothing is unfolded
            nobody = np.zeros(1, np.int64)
            usable = leaving = nobody, nobody[:0]
            policy = policy[:0]
        near_key, near_pod = self._at_home(*usable, policy, homes)
        far_key, far_pod = self._at_home(*leaving, policy, homes)
        alone = ~np.isin(far_key, near_key)
        key, pod = np.concatenate([near_key, far_key[alone]]), np.concatenate([near_pod, far_pod[alone]])
        order = np.argsort(key, kind="stable")
        self._keys, first, self.count = np.unique(key[order], return_index=True, return_counts=True)
        self.offset = np.asarray(first, np.int64)
        self.pods = pod[order]
        self.state, self.node = self._keys // nodes, self._keys % nodes
        self.extra = np.where(np.isin(self._keys, near_key), 0, self.count)

    def _at_home(self, offset: I64, pods: I64 | I32, policy: Bools, homes: I64) -> Ragged:
        state = np.repeat(np.arange(len(policy)), np.diff(offset))
        chosen = policy[state]
        return state[chosen] * self._nodes + homes[pods[chosen]], pods[chosen]

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, state: States, node: Nodes) -> I64:
        """Index of each (state, node), -1 where the node has no endpoint of it; broadcast."""
        key = np.asarray(state * self._nodes + node)
        if not len(self._keys):
            return np.full(key.shape, -1)
        at = np.minimum(np.searchsorted(self._keys, key), len(self._keys) - 1)
        return np.where(self._keys[at] == key, at, -1)

    def counts(self, usable: I64) -> EndpointCounts:
        """Return the endpoint counts of each (state, node), given the ``usable`` endpoints of each state."""
        return EndpointCounts(usable[self.state], self.count, self.extra)


class NodeSums:
    """Sums over the events in force on a node after so many deliveries: events at (node, prefix) with a weight."""

    def __init__(self, node: Nodes, prefix: Prefixes, weight: I64, prefixes: int) -> None:
        self._prefixes = prefixes + 1
        key = node * self._prefixes + prefix
        order = np.argsort(key, kind="stable")
        self._keys = key[order]
        self._sums = np.concatenate([[0], np.cumsum(weight[order])]).astype(np.int64)
        nodes = int(node.max(initial=-1)) + 2
        self._before = self._sums[np.searchsorted(self._keys, np.arange(nodes) * self._prefixes)]  # each node's own

    def most(self) -> int:
        """Return the largest sum there ever is on any node, at least zero."""
        upto = np.arange(1, len(self._sums))
        return int((self._sums[upto] - self._before[self._keys // self._prefixes]).max(initial=0))

    def at(self, prefix: Prefixes, node: Nodes) -> I64:
        """Return the sum for each (prefix, node); broadcast."""
        if not len(self._keys):
            return np.zeros_like(prefix + node)
        upto = np.searchsorted(self._keys, node * self._prefixes + prefix, side="right")
        return np.asarray(self._sums[upto] - self._before[np.minimum(node, len(self._before) - 1)])


class NodeRows:
    """Things that each belong to a node and to a row of the log; those with row -1 are never found."""

    def __init__(self, node: Nodes, row: Rows, rows: int) -> None:
        self._rows = rows + 1
        self._which = np.flatnonzero(row >= 0)
        key = node[self._which] * self._rows + row[self._which]
        order = np.argsort(key, kind="stable")
        self._keys, self._which = key[order], self._which[order]

    def between(self, before: Prefixes, after: Prefixes, node: Nodes) -> tuple[I64, I64]:
        """Return (lane, thing) for all with rows ``before`` … ``after`` - 1 of each lane's ``node``."""
        low, high = (np.searchsorted(self._keys, node * self._rows + prefix) for prefix in (before, after))
        lane, at = spread(low, high - low)
        return lane, self._which[at]


class NodePlaces:
    """Like :class:`NodeSums`, below a place in the list that is scanned; a node's table is made when asked for."""

    def __init__(self, node: Nodes, prefix: Prefixes, place: Places, weight: I64, places: int) -> None:
        order = np.lexsort((prefix, node))
        self._node, self._prefix, self._place, self._weight = (x[order] for x in (node, prefix, place, weight))
        self._places = places
        self._made: dict[int, tuple[I64, PrefixSums]] = {}

    def below(self, prefix: Prefixes, place: Places, node: Nodes) -> I64:
        """Weight below each ``place`` on each ``node`` after ``prefix`` deliveries; all (q,)."""
        total = np.zeros(len(place), np.int64)
        if not len(self._node):
            return total
        for n in np.unique(node).tolist():
            here = node == n
            prefixes, sums = self._table(n)
            if len(prefixes):
                total[here] = sums.below(np.searchsorted(prefixes, prefix[here], side="right"), place[here])
        return total

    def _table(self, node: int) -> tuple[I64, PrefixSums]:
        if node not in self._made:
            lo, hi = np.searchsorted(self._node, [node, node + 1])
            sums = PrefixSums(self._place[lo:hi], self._weight[lo:hi], self._places)
            self._made[node] = self._prefix[lo:hi], sums
        return self._made[node]
