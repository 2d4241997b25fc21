"""The Service that is explained, found among the others, and the facts about it before any rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from kpsim.cluster.columns import Cluster
from kpsim.errors import InputError, Place, Problem, did_you_mean, nearest
from kpsim.kube.objects import ResolvedService, Service
from kpsim.kube.resolve import resolve
from kpsim.kube.service.hints import AUTOMATIC
from kpsim.proxy.params import ProxyParams
from kpsim.proxy.states import NodeView, node_config, port_info
from kpsim.proxy.sync.timeline import leaving_at_start, usable_at_start
from kpsim.scenario.model import Scenario
from kpsim.units import Bools, Version

NAMES_LOOKED_AT = 20_000
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Subject:
    """The Service that is explained: its rows, its object where one was read, and the Pods that can serve it."""

    name: str
    row: int
    type: str
    cluster: Cluster
    found: ResolvedService | None
    pods: tuple[int, ...]
    ports: range
    pod_cidr: str
    kube_proxy: ProxyParams
    kubernetes_version: Version
    node: str = ""  # whose rules are told; "": those of a node without endpoints of it

    @property
    def service(self) -> Service | None:
        """Return the object that was read, with its addresses; ``None`` for a grown Service."""
        return self.found.service if self.found else None

    @property
    def ip(self) -> str:
        """Return its ClusterIP."""
        return self.cluster.addresses.text(int(self.cluster.services.cluster_ip[self.row]))

    def local(self, policy: str) -> bool:
        """Return True if its ``internal`` or ``external`` traffic policy is Local."""
        return bool(getattr(self.cluster.services, f"{policy}_local")[self.row])

    @property
    def endpoints(self) -> int:
        """Return the number of its endpoints, ready or not."""
        return len({pod for row in self.cluster.rows_of(self.name) for pod in self.cluster.endpoints(row).tolist()})

    def of_port(self, q: int) -> Subject:
        """Return the part of the Service that has this port: its Pods may be other ones than another port's."""
        row = int(self.cluster.port_service[q])
        return self if row == self.row else replace(self, row=row, pods=_pods(self.cluster, range(row, row + 1)))

    def view(self, q: int) -> NodeView:
        """Return a node's view of service port ``q`` alone."""
        cluster, node = self.cluster, self.node or self.cluster.node_name(0)
        config = node_config(cluster, node, self.pod_cidr, self.kube_proxy, self.kubernetes_version)
        config = replace(config, as_counted=True)
        leaving = {self.row: leaving_at_start(cluster).get(self.row, ())}
        usable = {self.row: self.pods}
        return NodeView(cluster, usable, np.array([q]), cluster.pod_ip, config, leaving=leaving, here=self._here())

    def pods_here(self) -> tuple[int, ...]:
        """Return its Pods that can serve and are on the subject's node."""
        here = self._here()
        return () if here is None else tuple(pod for pod in self.pods if here[pod])

    def _here(self) -> Bools | None:
        """Return (pods,) True for Pods on the subject's node; None without a node."""
        if not self.node:
            return None
        names = [self.cluster.node_name(i) for i in range(self.cluster.nodes)]
        return np.asarray(self.cluster.homes(self.cluster.pods) == names.index(self.node))

    def addresses(self, q: int) -> str:
        """Return the first few of its endpoints, as ``ip:port``."""
        shown = [self.view(q).address(q, pod) for pod in self.pods[:SHOWN]]
        more = len(self.pods) - len(shown)
        return ", ".join(shown) + (f" and {more:,} more" if more else "")


def check_node(cluster: Cluster, node: str) -> None:
    """Raise :class:`InputError`, with the nearest name, for a node that is not there."""
    known = {*cluster.node_names, *(cluster.node_name(i) for i in range(cluster.nodes))}
    if node not in known:
        mend = did_you_mean(node, known, f"there are {', '.join(sorted(known)[:5])}")
        raise InputError([Problem(Place(), what=f"there is no node {node}", mend=mend)])


def find_service(scenario: Scenario, cluster: Cluster, name: str, node: str = "") -> Subject:
    """Return the Service ``namespace/name``.  Raises :class:`InputError`, with the nearest name, if there is none."""
    if node:
        check_node(cluster, node)
    rows = cluster.rows_of(name)
    if not rows:
        raise InputError([_no_such(cluster, name)])
    row, end = rows.start, rows.stop
    params = scenario.cluster
    found = None
    for service in scenario.objects.services:
        if f"{service.namespace}/{service.name}" == name:
            ranges = (params.service_cluster_ip_range, params.service_node_port_range)
            resolved = resolve(scenario.objects, *ranges, params.nodes, families=params.ip_families)[0]
            found = next(
                r for r in resolved if (r.service.namespace, r.service.name) == (service.namespace, service.name)
            )
    grown = {f"{g.namespace}/{g.name}": g for g in scenario.groups}.get(name.rpartition("-")[0])
    return Subject(
        name=name,
        row=row,
        type=found.service.type if found else grown.type if grown else "ClusterIP",
        cluster=cluster,
        found=found,
        pods=_pods(cluster, rows),
        ports=range(int(cluster.port_offset[row]), int(cluster.port_offset[end])),
        pod_cidr=scenario.cluster.pod_cidr,
        kube_proxy=scenario.kube_proxy,
        kubernetes_version=scenario.kubernetes_version,
        node=node,
    )


def _pods(cluster: Cluster, rows: range) -> tuple[int, ...]:
    """Return the Pods that can serve a Service or a part of it at time zero."""
    offset, pods = usable_at_start(cluster)
    return tuple(dict.fromkeys(pods[offset[rows.start] : offset[rows.stop]].tolist()))


def _no_such(cluster: Cluster, name: str) -> Problem:
    names = [cluster.names[i] for i in range(min(cluster.initial, NAMES_LOOKED_AT))]
    bare = name.rpartition("/")[2]
    elsewhere = [known for known in names if known.rpartition("/")[2] == bare]
    numbered = [known for known in names if known == f"{name}-0"]
    near = [*elsewhere, *numbered, nearest(name, names)]
    shown = ", ".join(names[:SHOWN])
    more = f" and {cluster.initial - SHOWN:,} more" if cluster.initial > SHOWN else ""
    mend = f"did you mean {near[0]}?" if near[0] else f"there are {shown}{more}" if names else "there are none at all"
    return Problem(Place(), what=f"there is no Service {name}", mend=mend)


def facts_of(subject: Subject, *, ignores_policies: bool = False, falls_back: bool = False) -> Iterator[str]:
    """Yield sentences about the Service and its endpoints, before any rule."""
    namespace, _, bare = subject.name.partition("/")
    dns = f"{bare}.{namespace}.svc.cluster.local"
    service = subject.service
    if subject.type == "ExternalName":
        target = service.external_name if service else "another name"
        yield f"DNS answers {dns} with a CNAME to {target}, and that is all."
        yield "It has no ClusterIP, no endpoints and no rules: kube-proxy does not see it, clients go where DNS says."
        return
    selector = ",".join(f"{k}={v}" for k, v in service.selector) if service else ""
    if selector:
        yield f"selector: {selector}"
    ready = len(subject.pods)
    share = "all" if ready == subject.endpoints else f"{ready:,}"
    yield f"endpoints: {subject.endpoints:,}, {share} of them ready" if subject.endpoints else "endpoints: none"
    if subject.cluster.services.headless[subject.row]:
        yield f"It is headless (clusterIP: None): DNS answers {dns} with the addresses of its Pods:"
        yield f"  {subject.addresses(subject.ports[0])}" if ready and subject.ports else "  there are none"
        yield "kube-proxy writes no rules for it: a client connects to a Pod directly, and picks which one itself."
        return
    if service and service.proxy_name:
        yield f"Its label service.kubernetes.io/service-proxy-name leaves it to {service.proxy_name}:"
        yield f"kube-proxy does not watch it and writes no rules; DNS answers {dns} with its ClusterIP all the same."
        return
    if not ready:
        yield from _why_nobody(subject, selector)
    if service and service.session_affinity != "None":
        yield f"sessionAffinity: {service.session_affinity}: a client that comes back goes to the same Pod [A13]"
    if service and (service.traffic_distribution or service.topology_mode in AUTOMATIC):
        yield _topology(subject, service)
    for policy in ("external", "internal"):
        if subject.local(policy):
            below = subject.node or "one without endpoints"
            stays = f"such traffic stays on its node (below: {below})"
            if falls_back:
                stays += "; there this mode takes any endpoint, if the Service is reached from outside too"
            yield f"{policy}TrafficPolicy: Local: {'this mode ignores it' if ignores_policies else stays}"


def _topology(subject: Subject, service: Service) -> str:
    """Return a sentence on the Service's wish about distance, and whether kube-proxy follows it."""
    automatic = service.topology_mode in AUTOMATIC
    name = "topology-mode" if automatic else "trafficDistribution"
    wish = service.topology_mode if automatic else service.traffic_distribution
    hints = [subject.cluster.hints.get((subject.row, pod)) for pod in subject.pods]
    if not hints or not all(hints):
        return f"{name}: {wish}: not every ready endpoint has a hint, so kube-proxy uses all of them"
    return f"{name}: {wish}: nodes that an endpoint is meant for use only those (below: one that none is meant for)"


def _why_nobody(subject: Subject, selector: str) -> Iterator[str]:
    namespace, _, bare = subject.name.partition("/")
    if subject.endpoints:
        yield "Its endpoints are there but none is ready: look at the Pods' readiness probes."
    elif selector:
        yield f"No Pod matches the selector; in the cluster: kubectl -n {namespace} get pods -l {selector}"
    else:
        yield "It has no selector, and no EndpointSlice with addresses was read for it."
    yield f"what kube-proxy sees: kubectl -n {namespace} get endpointslices -l kubernetes.io/service-name={bare}"


def entrances(subject: Subject, q: int, local: str, how: str) -> Iterator[str]:
    """Yield the port's other addresses, and ``how`` a packet's way to them differs; ``local`` under a Local policy."""
    service, info = subject.service, port_info(subject.cluster, q)
    if subject.pods:
        yield f"endpoints: {subject.addresses(q)}"
    node_port, made_up = info.node_port, (*info.external_ips, *info.load_balancer_vips)
    outside = [*service.external_ips, *service.load_balancer_ips] if service else made_up
    if node_port:
        yield f"on every node's address too, at NodePort {node_port}"
    if outside:
        yield f"at {', '.join(outside)} too (external or load balancer addresses)"
    elif subject.type == "LoadBalancer":
        yield "its load balancer has no address yet (EXTERNAL-IP <pending>); the cloud's would send to the NodePort"
    if node_port or outside:
        yield f"{local if info.external_local and local else how} [A16]"
