"""The cluster as columns: one array a property, offsets where an object owns many.

A hundred thousand Services with a million endpoints are a few dozen arrays here.  Rows are Services, service ports,
endpoints and Pods; the order of rows is the order of the scenario.  Arrays are read-only.  Addresses are those of the
cluster's first IP family; of the second there is only which Services have it too.  Topology hints are kept by endpoint,
for who follows single packets.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntFlag

import numpy as np

from kpsim.cluster.addresses import Addresses
from kpsim.kube.objects import EndpointSlice, Service
from kpsim.units import I64, U32, Bools

Hints = tuple[tuple[str, ...], tuple[str, ...]]  # zones and nodes an endpoint is meant for


class PodState(IntFlag):
    """The conditions of an EndpointSlice endpoint, as bits."""

    READY = 1
    SERVING = 2
    TERMINATING = 4


@dataclass(frozen=True, slots=True)
class ServiceColumns:
    """Services, (n,) each; counts are per Service, and all ports of a Service are alike but for their number."""

    proxied: Bools  # kube-proxy programs it: neither headless nor ExternalName
    headless: Bools
    ports: I64  # service ports
    external_ips: I64
    load_balancer_ips: I64
    source_ranges: I64
    node_ports: I64  # ports with a NodePort: all of them or none
    affinity: Bools  # sessionAffinity: ClientIP
    cluster_ip: U32  # 0 where there is none
    internal_local: Bools  # internalTrafficPolicy: Local
    external_local: Bools  # externalTrafficPolicy: Local
    udp: Bools  # has a UDP port
    dual_stack: Bools  # has a ClusterIP and EndpointSlices of each IP family
    continued: Bools  # a further part of the Service in the row above, with its ClusterIP: ports of other endpoints

    def take(self, rows: I64) -> ServiceColumns:
        """Return the same columns for some ``rows`` only."""
        return ServiceColumns(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass(frozen=True, slots=True)
class Names:
    """Names by row, spelled out only when asked for: runs of ``<prefix>-0``, ``<prefix>-1``, … or single names."""

    starts: Sequence[int]
    prefixes: Sequence[str]
    numbered: Sequence[bool]
    _single: Mapping[str, int] = field(init=False, repr=False, compare=False)  # names that are not of a run -> row
    _runs: Mapping[str, list[range]] = field(init=False, repr=False, compare=False)  # by prefix

    def __post_init__(self) -> None:
        single: dict[str, int] = {}
        runs: dict[str, list[range]] = {}
        ends = [*self.starts[1:], 1 << 62]  # one end too many where there are no names
        for start, prefix, numbered, end in zip(self.starts, self.prefixes, self.numbered, ends, strict=False):
            if numbered:
                runs.setdefault(prefix, []).append(range(start, end))
            else:
                single.setdefault(prefix, start)
        object.__setattr__(self, "_single", single)
        object.__setattr__(self, "_runs", runs)

    def __getitem__(self, row: int) -> str:
        run = bisect_right(self.starts, row) - 1
        return f"{self.prefixes[run]}-{row - self.starts[run]}" if self.numbered[run] else self.prefixes[run]

    def index(self, name: str) -> int | None:
        """Return the row called ``name``, or ``None``."""
        prefix, dash, tail = name.rpartition("-")
        runs = self._runs.get(prefix, []) if dash and tail.isdigit() else []
        found = [run[int(tail)] for run in runs if int(tail) < len(run)]
        found += [self._single[name]] if name in self._single else []
        return min(found, default=None)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Everything that exists at time zero, and the Services that will be created later (rows from ``initial`` on).

    >>> from kpsim.cluster.grow import grow
    >>> from kpsim.cluster.params import ClusterParams, EndpointCount, ServiceGroup
    >>> web = ServiceGroup("web", count=3, endpoints=EndpointCount(mean=2))
    >>> cluster = grow(ClusterParams(nodes=2), [web], (), created=0, seed=1)
    >>> cluster.names[2], cluster.pods
    ('default/web-2', 6)
    >>> cluster.endpoints(2), cluster.homes(cluster.pods)  # Pods of the last Service; the node of every Pod
    (array([4, 5]), array([0, 1, 0, 1, 0, 1]))
    """

    nodes: int
    cores: int
    zones: int
    initial: int  # rows of Services that exist at time zero
    names: Names
    services: ServiceColumns
    port_offset: I64  # (n + 1,) first service port of each Service
    port_service: I64  # (p,)
    port_number: I64
    port_node_port: I64
    port_target: I64  # the endpoints' port
    port_protocol: Sequence[str]
    port_name: Sequence[str]
    endpoint_offset: I64  # (n + 1,) first endpoint of each Service
    endpoint_pod: I64  # (e,) Pod behind each endpoint, sorted within a Service as kube-proxy sorts "ip:port"
    pod_ip: U32  # (k,)
    pod_state: I64  # (k,) PodState bits at time zero
    warnings: tuple[str, ...] = ()
    read: Mapping[int, Service] = field(default_factory=dict)  # Services that were objects, by row
    pod_node: Mapping[int, str] = field(default_factory=dict)  # where Pods that were objects run
    hints: Mapping[tuple[int, int], Hints] = field(default_factory=dict)  # of endpoints that have any: (Service, Pod)
    node_zone: Mapping[str, str] = field(default_factory=dict)  # by the node's name, where objects show it
    addresses: Addresses = field(default_factory=Addresses)  # what cluster_ip and pod_ip mean
    dual_stack: bool = False  # every node has a proxier for each IP family
    node_addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by its name, where an object has any
    slices: Mapping[str, Sequence[EndpointSlice]] = field(default_factory=dict)  # as read, by "namespace/name"
    node_names: Sequence[str] = ()  # of the nodes that objects name; the others are called node-0, node-1, … by row
    pod_home: I64 | None = None  # the node of every Pod of a run in which events decide that
    terminating_serve: bool = True  # where no Pod is ready, those that terminate take traffic: kube-proxies since 1.26

    @property
    def pods(self) -> int:
        """Return the number of Pods behind any endpoint."""
        return len(self.pod_ip)

    @property
    def service_count(self) -> int:
        """Services that exist at time zero."""
        return self.initial - int(self.services.continued[: self.initial].sum())

    @property
    def endpoint_count(self) -> int:
        """Endpoints of the Services that exist at time zero."""
        again = 0
        for row in np.flatnonzero(self.services.continued[: self.initial]).tolist():
            above = [self.endpoints(other) for other in self.rows_of(self.names[row]) if other < row]
            again += int(np.isin(self.endpoints(row), np.concatenate(above)).sum())
        return int(self.endpoint_offset[self.initial]) - again

    def rows_of(self, name: str) -> range:
        """Return the rows of the Service ``namespace/name`` at time zero; none if there is none."""
        row = self.names.index(name)
        if row is None or row >= self.initial:
            return range(0)
        end = row + 1
        while end < self.initial and self.services.continued[end]:
            end += 1
        return range(row, end)

    def second_family(self) -> Cluster:
        """Return the cluster as the IPv6 half of kube-proxy sees it: dual-stack Services alone."""
        return replace(self, services=replace(self.services, proxied=self.services.proxied & self.services.dual_stack))

    def endpoints(self, service: int) -> I64:
        """Return the Pods behind the endpoints of one Service, in kube-proxy's order; read-only, (e,)."""
        return self.endpoint_pod[self.endpoint_offset[service] : self.endpoint_offset[service + 1]]

    def homes(self, pods: int) -> I64:
        """Return each of the first ``pods`` Pods' node, (pods,): as read, the others dealt in turn."""
        if self.pod_home is not None and pods <= len(self.pod_home):
            return self.pod_home[:pods]
        home = np.arange(pods) % self.nodes
        number = {name: node % self.nodes for node, name in enumerate(self.node_names)}
        for pod, name in self.pod_node.items():
            if pod < pods:
                home[pod] = number[name]
        return home

    def node_name(self, node: int) -> str:
        """Return the name of node number ``node``."""
        return self.node_names[node] if node < len(self.node_names) else f"node-{node}"

    def label(self, port: int) -> str:
        """Return ``namespace/name:port`` of a service port, as kube-proxy prints it."""
        name = self.port_name[port]
        return self.names[int(self.port_service[port])] + (f":{name}" if name else "")


def freeze(array: np.ndarray) -> np.ndarray:
    """Return the same array, read-only from now on."""
    array.flags.writeable = False
    return array


def _octet_ranks(terminator: str) -> I64:
    order = sorted(range(256), key=lambda octet: f"{octet}{terminator}")
    ranks = np.empty(256, np.int64)
    ranks[order] = np.arange(256)
    return ranks


_RANK_BEFORE_DOT = _octet_ranks(".")
_RANK_BEFORE_COLON = _octet_ranks(":")


def string_order(ip: U32) -> I64:
    """Keys that sort IPv4 addresses as kube-proxy does: as the strings ``ip:port``, not as numbers.

    "10.1.1.11:80" precedes "10.1.1.1:80" because "1" precedes ":".  Each octet with its terminator is prefix-free, so
    comparing strings is comparing the octets' ranks one after another.
    Source: pkg/proxy/endpointslicecache.go (endpoints sorted by their string).
    """
    octets = ip.astype(np.int64)
    return np.asarray(
        _RANK_BEFORE_DOT[octets >> 24] << 24
        | _RANK_BEFORE_DOT[(octets >> 16) & 255] << 16
        | _RANK_BEFORE_DOT[(octets >> 8) & 255] << 8
        | _RANK_BEFORE_COLON[octets & 255]
    )
