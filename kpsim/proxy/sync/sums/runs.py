"""Up to 1.31 a sync deletes entries of UDP flows by ``conntrack -D``, once for each address they may have come by.

Processes run for an endpoint that is gone, of each address and NodePort of its Service; for a Service that has its
first endpoints, of the same; and for the ClusterIP of one that is gone.  What is as it was at the sync before runs
nothing.  Source: pkg/proxy/conntrack/cleanup.go and pkg/proxy/endpoints.go (detectStaleConntrackEntries) up to 1.31.
"""

from __future__ import annotations

import numpy as np

from kpsim.cluster.columns import ServiceColumns
from kpsim.proxy.sync import Prefixes, Ragged, Rows, Services, States
from kpsim.proxy.sync.sums.held import only_in_one
from kpsim.proxy.sync.sums.returned import Returned
from kpsim.units import I64, Bools


def runs_an_endpoint(services: ServiceColumns) -> I64:
    """Return the processes for an endpoint that is gone, of each Service."""
    addresses = 1 + services.external_ips + services.load_balancer_ips
    return np.asarray(services.ports * addresses + services.node_ports, np.int64)


def runs_at_first(services: ServiceColumns) -> I64:
    """Return the processes for a Service that has its first endpoints."""
    return np.asarray(1 + services.external_ips + services.load_balancer_ips + services.node_ports, np.int64)


class ConntrackRuns:
    """Processes between two prefixes of the log; ``rows`` are those of UDP Services, ``there`` and ``was`` by row.

    ``usable`` are the Pods of each state, ``state`` and ``replaces`` each row's and the one before it, ``changed``
    (rows,) the endpoints that came or went, two for one whose port is another.
    """

    def __init__(
        self,
        services: ServiceColumns,
        usable: Ragged,
        rows: Rows,
        service: Services,
        states: tuple[States, States],
        known: tuple[Bools, Bools],
        changed: I64,
        prefixes: int,
    ) -> None:
        (replaces, state), (was, there) = states, known
        each, first = runs_an_endpoint(services)[service], runs_at_first(services)[service]
        (left, old), (came, new) = only_in_one(usable, replaces, state)
        at, pod = np.concatenate([left, came]), np.concatenate([old, new])
        most = int(usable[1].max(initial=0)) + 1
        weight = np.concatenate([(each * there)[left], 0 * came])
        length = np.diff(usable[0])
        turned = np.flatnonzero((length[replaces] > 0) != (length[state] > 0))
        begun = (first * (length[state] > 0))[turned]
        came_or_went = np.flatnonzero(was != there)
        gone = (was & ~there)[came_or_went].astype(np.int64)
        self._returned = (
            Returned(service[at] * most + pod, rows[at], (weight,)),
            Returned(service[turned], rows[turned], (begun,)),
            Returned(service[came_or_went], rows[came_or_went], (gone,)),
        )
        moved = np.bincount(at, minlength=len(rows))
        by_row = each * there * (np.maximum(changed - moved, 0) // 2)
        for where, some in ((at, weight), (turned, begun), (came_or_went, gone)):
            np.add.at(by_row, where, some)
        steps = np.zeros(prefixes, np.int64)
        steps[rows + 1] = by_row
        self._total = np.cumsum(steps)

    def between(self, before: Prefixes, after: Prefixes) -> I64:
        """Return the processes that a sync runs after rows ``before`` … ``after`` - 1, (lanes,)."""
        total = self._total[after] - self._total[before]
        for returned in self._returned:
            total = total - returned.between(before, after)[0]
        return np.asarray(total, np.int64)
