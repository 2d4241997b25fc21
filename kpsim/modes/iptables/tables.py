"""The chains of one node in the making, and the rules that every layout of them has.

An endpoint's own chain, the choice among endpoints and the rule for one address of a service port have been the same
in every version; what leads there is in :mod:`kpsim.modes.iptables.program` and :mod:`kpsim.modes.iptables.xlb`.
Structure from pkg/proxy/iptables/proxier.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from kpsim.modes.iptables.layout import Layout
from kpsim.proxy.node import EndpointInfo, NodeConfig, PortInfo, in_ranges
from kpsim.proxy.rules import Rule, chain_name

LOOPBACK = {"IPv4": "127.0.0.0/8", "IPv6": "::1/128"}
Chains = dict[str, list[Rule]]


@dataclass(slots=True)
class Tables:
    """The chains in the making."""

    config: NodeConfig
    layout: Layout
    large: bool = False  # the rules that exist once an endpoint carry no comment
    node_ports: bool = True  # NodePorts have rules
    nat: Chains = field(default_factory=dict)
    filter: Chains = field(default_factory=dict)
    dispatch: list[Rule] = field(default_factory=list)
    own: dict[int, int] = field(default_factory=dict)
    owner: dict[str, str] = field(default_factory=dict)

    def add(self, service: str, chain: str, rules: Iterable[Rule]) -> int:
        """Add a Service's own chain to the nat table; how many rules it has."""
        self.nat[chain] = list(rules)
        self.owner[chain] = service
        return len(self.nat[chain])

    def add_endpoints(self, info: PortInfo, endpoints: Iterable[EndpointInfo]) -> int:
        """Add a chain an endpoint; how many rules they have."""
        label = "" if self.large else info.label
        return sum(
            self.add(info.service, _endpoint_chain(info, e), _endpoint_chain_rules(info, e, label)) for e in endpoints
        )

    def masquerade(self, info: PortInfo) -> Iterator[Rule]:
        """Mark what comes to the ClusterIP and not from a Pod of the cluster, or everything under masqueradeAll."""
        detector, rule = self.config.detector, at(info, "KUBE-MARK-MASQ", info.cluster_ip, "cluster IP")
        if self.config.masquerade_all:
            yield rule
        elif detector:
            yield at(
                info, "KUBE-MARK-MASQ", info.cluster_ip, "cluster IP",
                detector.source(others=True), detector.arrival(others=True),
            )  # fmt: skip


def at(info: PortInfo, target: str, ip: str, what: str, source: str = "", interface: str = "") -> Rule:
    """Return a rule for one address of a service port."""
    comment = f"{info.label} {what}"
    return Rule(target, comment, ip, info.protocol.lower(), info.port, source=source, interface=interface)


def inside(ip: str, ranges: Sequence[str]) -> bool:
    """Return True if ``ip`` is in one of ``ranges``."""
    try:
        return in_ranges(ip, ranges)
    except ValueError:
        return False  # a range that is known by count only


def node_inside(info: PortInfo, config: NodeConfig) -> bool:
    """Return True if the node is in a Service's source ranges and may go through its KUBE-FW."""
    return config.node_through_firewall and any(inside(ip, info.source_ranges) for ip in config.asked_address)


def ranges_rules(info: PortInfo, target: str) -> Iterator[Rule]:
    """Yield a way on for each source range."""
    for cidr in info.source_ranges:
        yield Rule(target, f"{info.label} loadbalancer IP", source=cidr)


def bits(ip: str) -> int:
    """Return the number of bits in an address."""
    return 128 if ":" in ip else 32


def _endpoint_chain(info: PortInfo, endpoint: EndpointInfo) -> str:
    return chain_name("SEP", info.label, info.protocol, endpoint.address)


def endpoint_rules(info: PortInfo, endpoints: Sequence[EndpointInfo], *, large: bool = False) -> Iterator[Rule]:
    """Back to the same endpoint for a client that was here before; else each with probability one in what is left."""
    chains = [_endpoint_chain(info, endpoint) for endpoint in endpoints]
    comments = ["" if large else f"{info.label} -> {endpoint.address}" for endpoint in endpoints]
    if info.affinity_s:
        for chain, comment in zip(chains, comments, strict=True):
            recent = f"-m recent --name {chain} --rcheck --seconds {info.affinity_s} --reap"
            yield Rule(chain, comment, match=recent)
    for i, (chain, comment) in enumerate(zip(chains, comments, strict=True)):
        left = len(chains) - i
        yield Rule(chain, comment, probability=1 / left if left > 1 else None)


def _endpoint_chain_rules(info: PortInfo, endpoint: EndpointInfo, label: str) -> tuple[Rule, Rule]:
    """Mark a Pod that calls itself, then rewrite the destination."""
    chain = _endpoint_chain(info, endpoint)
    remember = f"-m recent --name {chain} --set" if info.affinity_s else ""
    return (
        Rule("KUBE-MARK-MASQ", label, source=f"{endpoint.ip}/{bits(endpoint.ip)}"),
        Rule("DNAT", label, protocol=info.protocol.lower(), counts=remember, to=endpoint.address, pod=endpoint.pod),
    )
