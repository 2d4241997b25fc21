"""A cluster's objects under other names, namespaces, addresses and labels, so that a dump can be shared.

The structure stays: what selects, contains, is called or comes before something still does, so that a check and a run
answer the same.  What every cluster has (the namespaces default and kube-system, the Service kubernetes, ports called
http) keeps its name.  Left as they are: numbers of ports, sizes, versions, and settings that name nothing.

What is replaced by what follows from everything that was read: the same dump gives the same bytes, and who has not got
it cannot go back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kpsim.kube.objects import (
    Endpoint,
    EndpointSlice,
    Ingress,
    IngressBackend,
    KubeObjects,
    Labels,
    Node,
    Pod,
    Service,
    Workload,
)
from kpsim.kube.resolve import JOB_NAMES, OF_ONE_POD, POD_NAME
from kpsim.kube.writer import documents_of
from kpsim.scenario.model import Scenario
from kpsim.scenario.resolved import to_document
from kpsim.scenario.starts.addresses import Addresses, read

NAME = "anonymous-cluster"
LONGEST_LABEL = 63  # of a name in DNS, and of a label's value
_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_SERVICES = ("kubernetes", "kube-dns")
_PORTS = ("http", "https", "grpc", "dns", "dns-tcp", "metrics", "tcp", "udp", "sctp")
_LOCAL = ".svc.cluster.local"

Table = Callable[[str], str]


def anonymous_document(scenario: Scenario) -> dict[str, Any]:
    """Return the document of a scenario that was made from a dump, with other names and addresses."""
    plain = to_document(scenario)
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).digest()
    ranges = read(scenario.cluster.service_cluster_ip_range)
    addresses = Addresses(np.random.default_rng(list(digest)), (ranges,) if ranges else ())
    for text in _texts(plain):
        addresses.see(text)
    renamed = _Renaming.of(scenario.objects, addresses)
    objects = renamed.objects(scenario.objects)
    document = to_document(replace(scenario, name=NAME, description="", objects=KubeObjects()))
    document["spec"] = _walk(document["spec"], lambda text: ",".join(map(addresses.of, text.split(","))))
    document["spec"]["objects"] = list(documents_of(objects))
    return document


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in plain data; of a list with commas, its items."""
    if isinstance(value, str):
        yield from value.split(",")
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _walk(value: Any, change: Callable[[str], str]) -> Any:
    """Return plain data with every text in it changed."""
    if isinstance(value, dict):
        return {key: _walk(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_walk(item, change) for item in value]
    if isinstance(value, str):
        return change(value)
    return value


def _table(words: Iterable[str], called: str, kept: Iterable[str] = ()) -> Table:
    """Return the replacement of each word, in the order of the words and as long as they are; "" and ``kept`` stay.

    Lengths count: of the variables that a container is given, and of names in a DNS message.  A word that was not
    foreseen is a KeyError, and not printed as it is.
    """
    stay = {*kept, ""}
    new = sorted({*words} - stay)
    width = len(str(len(new)))
    table = {
        word: f"{called}{number:0{width}}".ljust(min(len(word), LONGEST_LABEL), "x")
        for number, word in enumerate(new, 1)
    }
    return lambda word: word if word in stay else table[word]


@dataclass(frozen=True, slots=True)
class _Renaming:
    """Words by what they name, and what each becomes."""

    namespace: Table
    name: Table  # of Services, workloads, Ingresses, classes and subdomains
    pod: Table
    node: Table
    zone: Table
    slice: Table
    port: Table
    key: Table
    value: Table
    host: Table  # a label of a host's name
    segment: Table  # of a path
    addresses: Addresses

    @staticmethod
    def of(objects: KubeObjects, addresses: Addresses) -> _Renaming:
        """Return the tables for everything that objects name."""
        named: list[Service | Workload | Ingress] = [*objects.services, *objects.workloads, *objects.ingresses]
        slices, pods, services = objects.slices, objects.pods, objects.services
        endpoints = [endpoint for made in slices for endpoint in made.endpoints]
        labelled = [(s.namespace, label) for s in services for label in s.selector]
        labelled += [(pod.namespace, label) for pod in pods for label in pod.labels]
        labelled += [(made.namespace, label) for made in objects.workloads for label in made.pod_labels]
        labels = [label for _, label in labelled]
        aliases = [_local(s.external_name) for s in services if s.external_name.endswith(_LOCAL)]
        spaces = {*(each.namespace for each in (*named, *pods, *slices)), *(space for _, space in aliases)}
        names = {*(each.name for each in named), *(made.service for made in slices), *(name for name, _ in aliases)}
        names |= {pod.subdomain for pod in pods} | {made.service_name for made in objects.workloads}
        names |= {made.class_name for made in objects.ingresses}
        names |= {backend.service for made in objects.ingresses for backend in _backends(made)}
        names |= {value for key, value in labels if key in JOB_NAMES}
        name = _table(names, "n", _SERVICES)
        stateful = {f"{made.namespace}/{made.name}" for made in objects.workloads if made.kind == "StatefulSet"}
        called = {f"{pod.namespace}/{word}" for pod in pods for word in (pod.name, pod.hostname)}
        called |= {f"{made.namespace}/{word}" for made in slices for e in made.endpoints for word in _pods_of(e)}
        called |= {f"{namespace}/{value}" for namespace, (key, value) in labelled if key == POD_NAME}
        hosts = [path.host for made in objects.ingresses for path in made.paths]
        hosts += [service.external_name for service in services if not service.external_name.endswith(_LOCAL)]
        hosts += [endpoint.ip for made in slices if made.address_type == "FQDN" for endpoint in made.endpoints]
        ports = [port for pod in pods for port, _, _ in pod.container_ports]
        ports += [port for made in objects.workloads for port, _, _ in made.container_ports]
        ports += [port for made in slices for port, _, _ in made.ports]
        given = [port for service in services for port in service.ports]
        ports += [word for port in given for word in (port.name, port.target_port) if isinstance(word, str)]
        ports += [backend.port_name for made in objects.ingresses for backend in _backends(made)]
        return _Renaming(
            namespace=_table(spaces, "ns", _NAMESPACES),
            name=name,
            pod=_pods(called, stateful, name),
            node=_table(_nodes(objects, endpoints), "node"),
            zone=_table(_zones(objects, endpoints), "zone"),
            slice=_table((made.name for made in slices), "slice"),
            port=_table(ports, "p", _PORTS),
            key=_table((key for key, _ in labels), "k", (*OF_ONE_POD, *JOB_NAMES)),
            value=_table((*(value for _, value in labels), *(s.proxy_name for s in services)), "v"),
            host=_table((label for host in hosts for label in host.split(".")), "h", ("*",)),
            segment=_table((part for i in objects.ingresses for p in i.paths for part in p.path.split("/")), "s"),
            addresses=addresses,
        )

    def objects(self, objects: KubeObjects) -> KubeObjects:
        """Return the objects under other names."""
        return KubeObjects(
            services=tuple(map(self._service, objects.services)),
            pods=tuple(map(self._pod, objects.pods)),
            workloads=tuple(map(self._workload, objects.workloads)),
            slices=tuple(map(self._slice, objects.slices)),
            nodes=tuple(map(self._node, objects.nodes)),
            ingresses=tuple(map(self._ingress, objects.ingresses)),
        )

    def _ips(self, ips: Iterable[str]) -> tuple[str, ...]:
        return tuple(map(self.addresses.of, ips))

    def _labels(self, labels: Labels, namespace: str) -> Labels:
        made = []
        for key, value in labels:
            if key == POD_NAME:
                value = self._pod_name(namespace, value)  # noqa: PLW2901
            elif key in JOB_NAMES:
                value = self.name(value)  # noqa: PLW2901
            elif key not in OF_ONE_POD:  # those are numbers
                value = self.value(value)  # noqa: PLW2901
            made.append((self.key(key), value))
        return tuple(made)

    def _pod_name(self, namespace: str, name: str) -> str:
        return self.pod(f"{namespace}/{name}") if name else ""

    def _containers(self, ports: tuple[tuple[str, int, str], ...]) -> tuple[tuple[str, int, str], ...]:
        return tuple((self.port(name), number, protocol) for name, number, protocol in ports)

    def _service(self, made: Service) -> Service:
        target = made.external_name
        if target.endswith(_LOCAL):
            name, namespace = _local(target)
            target = f"{self.name(name)}.{self.namespace(namespace)}{_LOCAL}"
        ports = tuple(
            replace(
                port,
                name=self.port(port.name),
                target_port=self.port(port.target_port) if isinstance(port.target_port, str) else port.target_port,
            )
            for port in made.ports
        )
        return replace(
            made,
            namespace=self.namespace(made.namespace),
            name=self.name(made.name),
            cluster_ip=self.addresses.of(made.cluster_ip),
            cluster_ip6=self.addresses.of(made.cluster_ip6),
            ports=ports,
            selector=self._labels(made.selector, made.namespace),
            external_ips=self._ips(made.external_ips),
            external_name=target if target.endswith(_LOCAL) else self._host(target),
            load_balancer_ips=self._ips(made.load_balancer_ips),
            load_balancer_proxy_ips=self._ips(made.load_balancer_proxy_ips),
            load_balancer_source_ranges=self._ips(made.load_balancer_source_ranges),
            proxy_name=self.value(made.proxy_name),
        )

    def _pod(self, made: Pod) -> Pod:
        return replace(
            made,
            namespace=self.namespace(made.namespace),
            name=self._pod_name(made.namespace, made.name),
            labels=self._labels(made.labels, made.namespace),
            ip=self.addresses.of(made.ip),
            node=self.node(made.node),
            container_ports=self._containers(made.container_ports),
            hostname=self._pod_name(made.namespace, made.hostname),
            subdomain=self.name(made.subdomain),
        )

    def _workload(self, made: Workload) -> Workload:
        return replace(
            made,
            namespace=self.namespace(made.namespace),
            name=self.name(made.name),
            pod_labels=self._labels(made.pod_labels, made.namespace),
            container_ports=self._containers(made.container_ports),
            service_name=self.name(made.service_name),
        )

    def _slice(self, made: EndpointSlice) -> EndpointSlice:
        return replace(
            made,
            namespace=self.namespace(made.namespace),
            name=self.slice(made.name),
            service=self.name(made.service),
            ports=self._containers(made.ports),
            endpoints=tuple(self._endpoint(endpoint, made) for endpoint in made.endpoints),
        )

    def _endpoint(self, at: Endpoint, made: EndpointSlice) -> Endpoint:
        namespace, _, pod = at.pod.partition("/")
        return replace(
            at,
            ip=self._host(at.ip) if made.address_type == "FQDN" else self.addresses.of(at.ip),
            node=self.node(at.node),
            zone=self.zone(at.zone),
            pod=f"{self.namespace(namespace)}/{self._pod_name(namespace, pod)}" if pod else "",
            zone_hints=tuple(map(self.zone, at.zone_hints)),
            node_hints=tuple(map(self.node, at.node_hints)),
            hostname=self._pod_name(made.namespace, at.hostname),
        )

    def _node(self, made: Node) -> Node:
        return replace(
            made,
            name=self.node(made.name),
            zone=self.zone(made.zone),
            addresses=self._ips(made.addresses),
            pod_cidrs=self._ips(made.pod_cidrs),
        )

    def _ingress(self, made: Ingress) -> Ingress:
        return replace(
            made,
            namespace=self.namespace(made.namespace),
            name=self.name(made.name),
            paths=tuple(
                replace(
                    path,
                    backend=self._backend(path.backend),
                    host=self._host(path.host),
                    path="/".join(map(self.segment, path.path.split("/"))),
                )
                for path in made.paths
            ),
            default=self._backend(made.default) if made.default else None,
            class_name=self.name(made.class_name),
        )

    def _backend(self, backend: IngressBackend) -> IngressBackend:
        return replace(backend, service=self.name(backend.service), port_name=self.port(backend.port_name))

    def _host(self, host: str) -> str:
        return self.addresses.of(host) if read(host) else ".".join(map(self.host, host.split(".")))


def _backends(made: Ingress) -> list[IngressBackend]:
    return [*(path.backend for path in made.paths), *([made.default] if made.default else [])]


def _local(target: str) -> tuple[str, str]:
    """Return the Service and the namespace that a name within the cluster is of."""
    name, _, namespace = target.removesuffix(_LOCAL).rpartition(".")
    return name, namespace


def _pods_of(endpoint: Endpoint) -> tuple[str, str]:
    return endpoint.pod.partition("/")[2], endpoint.hostname


def _nodes(objects: KubeObjects, endpoints: Iterable[Endpoint]) -> Iterator[str]:
    yield from (node.name for node in objects.nodes)
    yield from (pod.node for pod in objects.pods)
    for endpoint in endpoints:
        yield from (endpoint.node, *endpoint.node_hints)


def _zones(objects: KubeObjects, endpoints: Iterable[Endpoint]) -> Iterator[str]:
    yield from (node.zone for node in objects.nodes)
    for endpoint in endpoints:
        yield from (endpoint.zone, *endpoint.zone_hints)


def _pods(pods: Iterable[str], stateful: Iterable[str], name: Table) -> Table:
    """Return the names of Pods, given as ``namespace/name``; a StatefulSet's are its new name and their ordinals."""
    owners = set(stateful)

    def owned(pod: str) -> bool:
        owner, _, ordinal = pod.rpartition("-")
        return owner in owners and ordinal.isdecimal()

    plain = _table((pod.partition("/")[2] for pod in pods if not owned(pod)), "pod")

    def rename(pod: str) -> str:
        if not owned(pod):
            return plain(pod.partition("/")[2])
        owner, _, ordinal = pod.rpartition("-")
        return f"{name(owner.partition('/')[2])}-{ordinal}"

    return rename
