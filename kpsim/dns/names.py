"""CoreDNS' answers for the names of Services, from the Services and endpoints themselves.

A ClusterIP's record is there as soon as the Service is seen, endpoints or not.  A headless Service has one address for
each *ready* endpoint, and its name does not exist while there is none; an endpoint that is terminating is not ready,
unless ``publishNotReadyAddresses`` says that all are.  An ExternalName is a CNAME.  Every port that has a name has an
SRV record, every address a PTR.  Left out: records of Pods by address (``pods insecure``), wildcard and zone-wide
queries; addresses of IPv6 are counted, but not known.
Sources: kubernetes/dns docs/specification.md; coredns/coredns plugin/kubernetes/kubernetes.go (findServices), parse.go
and object/endpoint.go (only ready endpoints).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from kpsim.dns.search import CLUSTER_DOMAIN
from kpsim.kube.objects import Endpoint, ResolvedService, Service, ServicePort

Kind = Literal["A", "AAAA", "SRV", "PTR"]
Outcome = Literal["found", "no data", "NXDOMAIN", "forwarded"]

SOME_IPV6 = "an IPv6 address"  # stands for one that is not known
SRV_WEIGHT = 100  # of priority 0, which the targets of one name share
REVERSE = {".in-addr.arpa": 4, ".ip6.arpa": 6}


@dataclass(frozen=True, slots=True)
class Record:
    """One resource record of an answer."""

    name: str
    kind: Literal["A", "AAAA", "SRV", "PTR", "CNAME"]
    value: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question: its outcome, its records, and the Service it is about.

    "no data": the name exists, but not this kind of record.  "forwarded": outside the cluster's domain, so CoreDNS asks
    its upstream.  ``service`` is "namespace/name" where the question was about one.
    """

    name: str
    kind: Kind
    outcome: Outcome
    records: tuple[Record, ...] = ()
    service: str = ""


@dataclass(frozen=True, slots=True)
class Zone:
    """The cluster's domain: ``find`` gives a Service with its endpoints by namespace and name, or ``None``.

    ``namespaces`` tells whether a namespace exists, ``owner`` whose an address is: namespace and name of a Service, and
    the endpoint, if it is one's.
    """

    find: Callable[[str, str], ResolvedService | None]
    namespaces: Callable[[str], bool]
    owner: Callable[[str], tuple[str, str, Endpoint | None] | None]
    domain: str = CLUSTER_DOMAIN

    @staticmethod
    def of(services: tuple[ResolvedService, ...], domain: str = CLUSTER_DOMAIN) -> Zone:
        """Return the zone of these Services alone."""
        known = {(r.service.namespace, r.service.name): r for r in services}
        spaces = {namespace for namespace, _ in known}
        owners: dict[str, tuple[str, str, Endpoint | None]] = {}
        for (namespace, name), found in known.items():
            for endpoint in filter(lambda endpoint: endpoint.ready, found.endpoints):
                if endpoint.ip:
                    owners.setdefault(endpoint.ip, (namespace, name, endpoint))
        for (namespace, name), found in known.items():
            if _has_ip(found.service):
                owners[found.service.cluster_ip] = (namespace, name, None)
        return Zone(lambda ns, name: known.get((ns, name)), spaces.__contains__, owners.get, domain)

    def answer(self, name: str, kind: Kind) -> Answer:
        """Return CoreDNS' answer to a question for the absolute name ``name``."""
        lower = name.rstrip(".").lower()
        if lower.endswith(tuple(REVERSE)):
            return self._reverse(lower, kind)
        if lower != self.domain and not lower.endswith(f".{self.domain}"):
            return Answer(name, kind, "forwarded")
        labels = lower.removesuffix(self.domain).removesuffix(".").split(".")
        return self._own(lower, kind, [label for label in labels if label])

    def _own(self, name: str, kind: Kind, labels: list[str]) -> Answer:
        """Return an answer from the cluster's own domain; ``labels`` stand before it."""
        if not labels or labels == ["svc"]:
            return Answer(name, kind, "no data")  # names above Services: there, and empty
        if labels[-1] != "svc" or not self.namespaces(labels[-2]):
            return Answer(name, kind, "NXDOMAIN")
        if len(labels) == 2:
            return Answer(name, kind, "no data")
        *front, service, namespace, _ = labels
        found = self.find(namespace, service)
        if found is None or len(front) > 2:
            return Answer(name, kind, "NXDOMAIN")
        whose = f"{namespace}/{service}"
        if found.service.type == "ExternalName":
            if len(front) == 1:
                return Answer(name, kind, "NXDOMAIN")
            target = found.service.external_name.rstrip(".").lower()
            return Answer(name, kind, "found", (Record(name, "CNAME", target),), whose)
        targets = list(self._targets(found, front))
        records = tuple(_records(name, kind, targets, f"{service}.{namespace}.svc.{self.domain}"))
        return Answer(name, kind, "found" if records else "no data" if targets else "NXDOMAIN", records, whose)

    def _targets(self, found: ResolvedService, front: list[str]) -> Iterator[_Target]:
        """Yield every address, with each port, that a name stands for; ``front`` is a host or ``_port._protocol``."""
        service = found.service
        port, protocol = (label.removeprefix("_") for label in front) if len(front) == 2 else ("", "")
        ports = [p for p in service.ports if port in ("", p.name) and protocol in ("", p.protocol.lower())]
        if not service.ports and not front and service.headless:
            ports = [ServicePort(0)]  # a headless Service may do without ports: its addresses are answered all the same
        if service.headless or len(front) == 1:
            for endpoint in (endpoint for endpoint in found.endpoints if endpoint.ready):
                host = host_of(endpoint)
                if len(front) != 1 or front[0] == host:
                    yield from (
                        _Target(host, endpoint.ip, _number(found, p), p.name, _families(service)) for p in ports
                    )
        else:
            yield from (_Target("", service.cluster_ip, p.port, p.name, _families(service)) for p in ports)

    def _reverse(self, name: str, kind: Kind) -> Answer:
        suffix = next(s for s in REVERSE if name.endswith(s))
        parts = name.removesuffix(suffix).split(".")[::-1]
        owner = self.owner(".".join(parts)) if REVERSE[suffix] == 4 else None
        if owner is None:
            return Answer(name, kind, "forwarded")
        namespace, service, at = owner
        host = f"{host_of(at)}." if at is not None else ""
        value = f"{host}{service}.{namespace}.svc.{self.domain}"
        found = kind == "PTR"
        records = (Record(name, "PTR", value),) if found else ()
        return Answer(name, kind, "found" if found else "no data", records, f"{namespace}/{service}")


@dataclass(frozen=True, slots=True)
class _Target:
    """An address behind a name, on one port."""

    host: str  # of an endpoint, "" for a ClusterIP
    ip: str
    port: int
    port_name: str
    families: tuple[str, ...]


def _records(name: str, kind: Kind, targets: list[_Target], service_name: str) -> Iterator[Record]:
    """Yield the records of one kind, each once, in the order of the targets."""
    found: dict[Record, None] = {}
    weight = max(SRV_WEIGHT // max(sum(bool(each.port_name) for each in targets), 1), 1)
    for each in targets:
        if kind == "SRV":
            if each.port_name:
                target = f"{each.host}.{service_name}" if each.host else service_name
                found[Record(name, "SRV", f"0 {weight} {each.port} {target}")] = None
        elif kind == "A" and "IPv4" in each.families and ":" not in each.ip:
            found[Record(name, "A", each.ip or f"(the address of {each.host})")] = None
        elif kind == "AAAA" and "IPv6" in each.families:
            value = each.ip if ":" in each.ip else SOME_IPV6 + (f" of {each.host}" if each.host else "")
            found[Record(name, "AAAA", value)] = None
    yield from found


def host_of(at: Endpoint) -> str:
    """Return the name of an endpoint below its Service: its own host name, else its address with dashes."""
    if at.hostname:
        return at.hostname.lower()
    return at.ip.replace(".", "-").replace(":", "-") or at.pod.rpartition("/")[2]


def asked_for(name: str) -> tuple[str, tuple[Kind, ...]]:
    """Return (the DNS name that a user's text stands for, the kinds of record to ask for).

    An address is asked backwards (PTR), ``_port._protocol.…`` for SRV, anything else for A and AAAA.
    """
    try:
        return f"{ipaddress.ip_address(name).reverse_pointer}.", ("PTR",)
    except ValueError:
        pass
    if name.rstrip(".").endswith(tuple(REVERSE)):
        return name.rstrip(".") + ".", ("PTR",)
    return name, ("SRV",) if name.startswith("_") else ("A", "AAAA")


def _number(found: ResolvedService, port: ServicePort) -> int:
    """Return the port an endpoint listens at."""
    at = found.service.ports.index(port) if port in found.service.ports else -1
    return found.target_ports[at] if 0 <= at < len(found.target_ports) else port.port


def _families(service: Service) -> tuple[str, ...]:
    return ("IPv6",) if ":" in service.cluster_ip else service.ip_families


def _has_ip(service: Service) -> bool:
    return service.proxied and bool(service.cluster_ip)
