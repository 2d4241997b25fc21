"""Requests with everything that chance decides about them, and the controller's Pods, drawn before any engine starts.

They come from streams of their own: nothing else changes where there is an Ingress controller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kpsim.cluster.columns import Cluster
from kpsim.controlplane.deliveries import Fanout
from kpsim.ingress.params import ControllerTimings, IngressParams
from kpsim.ingress.routing import backends, of_class, service_port
from kpsim.kube.objects import Ingress
from kpsim.profiles.defaults import load_defaults
from kpsim.rng import stream
from kpsim.units import I64, U32, to_ns


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests in order of arrival (n,), and what each of its tries draws (tries, n)."""

    arrival_ns: I64
    port: I64  # service port, or NOWHERE
    replica: I64
    worker: I64  # of the replica
    draw: I64  # 32 bits for the choice of endpoint; among Pods, of the first try
    turn: I64
    cost_draw: U32  # for kube-proxy's rules
    trip_ns: I64  # to a Pod and back, twice: to connect, and for the answer

    def __len__(self) -> int:
        return len(self.arrival_ns)


@dataclass(frozen=True, slots=True)
class Controller:
    """The controller's Pods (r,): the node of each, its place in the watch, and its workers' timers (r, workers)."""

    timings: ControllerTimings
    to_pods: bool
    cores: int
    node: I64
    watch: Fanout
    phase_ns: I64  # when each worker's timer first fires

    @property
    def replicas(self) -> int:
        """Return the number of the controller's Pods."""
        return len(self.node)


@dataclass(frozen=True, slots=True)
class IngressTraffic:
    """One replication's requests, and the controller that serves them."""

    requests: Requests
    controller: Controller


def draw_ingress(
    params: IngressParams, ingresses: Sequence[Ingress], cluster: Cluster, duration_s: float, key: tuple[int, int]
) -> IngressTraffic:
    """Draw all requests of one replication, ``key`` its (seed, number), and the controller's Pods."""
    seed, number = key
    timings = ControllerTimings.of(params)
    found = backends(of_class(ingresses, params.class_name))
    ports = np.array([service_port(cluster, each.service, each.backend) for each in found], np.int64)
    rng = stream(seed, "ingress", number)
    n = int(rng.poisson(params.requests_per_s * duration_s)) if len(ports) else 0
    tries = (timings.tries, n)
    requests = Requests(
        arrival_ns=np.sort(rng.integers(0, to_ns(duration_s), n)),
        port=ports[rng.integers(0, len(ports), n)] if n else np.zeros(0, np.int64),
        replica=rng.integers(0, params.replicas, n),
        worker=rng.integers(0, params.cores, n),
        draw=rng.integers(0, 1 << 32, tries, dtype=np.uint32).astype(np.int64),
        turn=rng.integers(0, 1 << 31, tries),
        cost_draw=rng.integers(0, 1 << 32, tries, dtype=np.uint32),
        trip_ns=2 * load_defaults().lag("ingress.round_trip").draw(rng, timings.tries * n).reshape(tries),
    )
    return IngressTraffic(requests, _controller(params, timings, cluster, stream(seed, "ingress-pods", number)))


def _controller(
    params: IngressParams, timings: ControllerTimings, cluster: Cluster, rng: np.random.Generator
) -> Controller:
    """Return the controller's Pods, on the nodes of its Service's endpoints."""
    every = np.arange(params.replicas)
    rows = cluster.rows_of(params.service)
    pods = cluster.endpoints(rows.start) if rows else np.zeros(0, np.int64)
    node = cluster.homes(cluster.pods)[pods[every % len(pods)]] if len(pods) else every % cluster.nodes
    lag_ns = load_defaults().lag("api_server.watch").draw(rng, params.replicas)
    rank = rng.integers(0, cluster.nodes, params.replicas)
    phase_ns = rng.integers(0, timings.tick_ns, (params.replicas, params.cores))
    watch = Fanout(rank, lag_ns, cluster.nodes)
    return Controller(timings, params.to == "Pods", params.cores, node, watch, phase_ns)
