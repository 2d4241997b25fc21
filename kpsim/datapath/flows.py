"""UDP flows: conntrack keeps them on an endpoint that is gone until kube-proxy deletes their entries.

A TCP connection ends with its Pod.  A UDP flow is sent on to nobody until the clean-up at the end of a sync, when its
next packet chooses an endpoint anew.  Up to 1.31 the sync that took the endpoint away deletes them, by processes; if it
failed, nobody does.  From 1.32 on any sync with a change of a UDP Service reads the whole table, and what leads to no
serving endpoint of a Service that has some goes.  Source: pkg/proxy/conntrack/cleanup.go.
Left out: that the packet which chooses anew costs what a first one does, that an IPVS entry without a real server
expires by itself, and flows to addresses other than ClusterIPs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kpsim.cluster.changes import NEVER
from kpsim.cluster.columns import Cluster
from kpsim.proxy.sync import Nodes, Ports
from kpsim.proxy.sync.loop import RECONCILED_SINCE
from kpsim.proxy.sync.table import SyncTable
from kpsim.proxy.sync.timeline import Timeline
from kpsim.units import I32, I64, Bools, Version


@dataclass(frozen=True, slots=True)
class UdpFlows:
    """Entries of UDP flows whose endpoint serves no more, until a node's kube-proxy deletes them."""

    cluster: Cluster
    timeline: Timeline
    syncs: SyncTable
    version: Version

    def cleared(self, node: Nodes, port: Ports, pod: I64, begun_ns: I64) -> tuple[I64, Bools]:
        """Return when each flow's entry is deleted [ns] (NEVER: not), and whether another endpoint serves then.

        All (c,): where a flow began, to which service port, the Pod it was sent to, and when its first packet left.
        """
        cleared, served = np.full(len(node), NEVER), np.zeros(len(node), np.bool_)
        removals = self.timeline.removals()
        if not removals:
            return cleared, served
        udp = np.array([protocol == "UDP" for protocol in self.cluster.port_protocol], np.bool_)
        service = self.cluster.port_service[port]
        leaving = np.array(list(removals), np.int64)
        most = 1 + max(int(pod.max(initial=0)), int(leaving[:, 1].max()))
        suspects = udp[port] & (pod >= 0) & np.isin(service * most + pod, leaving[:, 0] * most + leaving[:, 1])
        for c in np.flatnonzero(suspects).tolist():
            for row in removals.get((int(service[c]), int(pod[c])), ()):
                sync = self._deletes(row, int(service[c]), int(pod[c]), int(node[c]))
                if sync is not None and self.syncs.end[sync, node[c]] > begun_ns[c]:
                    cleared[c] = self.syncs.end[sync, node[c]]
                    served[c] = self._usable(int(service[c]), sync, int(node[c])).size > 0
                    break
        return cleared, served

    def _deletes(self, row: int, service: int, pod: int, node: int) -> int | None:
        """Return the number of the sync that deletes entries of a Pod that row ``row`` took away, if any does."""
        ran = int(self.syncs.ran[:, node].sum())
        absorbed, failed = self.syncs.absorbed[:ran, node], self.syncs.failed[:ran, node]
        first = int(np.searchsorted(absorbed, row, side="right"))
        if first >= ran:
            return None
        if self.version < RECONCILED_SINCE:
            back = pod in self._usable(service, first, node)
            return None if failed[first] or back else first
        udp = self.timeline.udp_writes_total
        for sync in range(first, ran):
            changed = udp[absorbed[sync]] > udp[absorbed[sync - 1] if sync else 0]
            usable = self._usable(service, sync, node) if changed and not failed[sync] else None
            if usable is not None and usable.size and pod not in usable:
                return sync
        return None

    def _usable(self, service: int, sync: int, node: int) -> I32:
        """Return the Pods that can serve as a sync knew them."""
        prefix = self.syncs.absorbed[sync, node]
        state = int(self.timeline.state(np.array([service]), np.array([prefix]))[0])
        lo, hi = self.timeline.usable_offset[state : state + 2]
        return self.timeline.usable_pod[lo:hi]
