"""An Ingress controller is wired into either engine: its watch to the control plane, its connections to the rules."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import simpy

from kpsim.controlplane.control import ControlPlane
from kpsim.datapath.batch import RulesInForce
from kpsim.datapath.packets import price_of
from kpsim.datapath.prices import PacketPrices
from kpsim.ingress.batch import serve_requests
from kpsim.ingress.outcomes import IngressRun, Pods
from kpsim.ingress.process import IngressProcesses
from kpsim.ingress.requests import Requests
from kpsim.ingress.watch import Lists, all_syncs
from kpsim.proxy.sync.process import KubeProxy
from kpsim.simulation.draws import Replication
from kpsim.traffic.connections import Connections
from kpsim.units import I64


def ingress_in_arrays(replication: Replication, rules: RulesInForce) -> IngressRun | None:
    """Return the requests of one mode of one replication, all at once; ``None`` without a controller."""
    traffic, cluster = replication.ingress, replication.cluster
    if traffic is None:
        return None
    assert replication.log is not None
    log = replication.log.of(4)
    tried = [_connections(traffic.requests, number) for number in range(traffic.controller.timings.tries)]

    def forward(node: I64, _port: I64, number: int, which: I64, time_ns: I64) -> tuple[I64, I64]:
        edition, _, _ = rules.edition(node, time_ns)
        return rules.first_packets(node, edition, tried[number], which)[:2]

    pods = Pods.of(cluster, replication.changes)
    syncs = all_syncs(traffic.controller, log, replication.horizon_ns)
    return serve_requests(traffic, cluster, syncs, Lists(cluster, log), forward, pods)


def _connections(requests: Requests, number: int) -> Connections:
    """Return the connections that try ``number`` of all requests would open to a ClusterIP, a packet each."""
    nothing = np.zeros(len(requests), np.int64)
    drawn = requests.draw[number], requests.turn[number], requests.cost_draw[number][:, None]
    return Connections(nothing, nothing, requests.arrival_ns, requests.port, nothing, *drawn, 1, 0)


def ingress_processes(
    replication: Replication,
    env: simpy.Environment,
    control: ControlPlane,
    proxies: Sequence[KubeProxy],
    prices: PacketPrices,
) -> IngressProcesses | None:
    """Return the controller's processes, put on ``env``; ``None`` without a controller."""
    traffic, cluster = replication.ingress, replication.cluster
    if traffic is None:
        return None
    requests = traffic.requests

    def forward(node: int, port: int, number: int, i: int) -> tuple[int, int]:
        walk = proxies[node].walk(port, int(requests.draw[number, i]), int(requests.turn[number, i]))
        return price_of(prices, walk, requests.cost_draw[number, i : i + 1], port), walk.pod

    pods = Pods.of(cluster, replication.changes)
    made = IngressProcesses(env, traffic, cluster, forward, pods, replication.horizon_ns)
    control.subscribe(made.receive)
    return made
