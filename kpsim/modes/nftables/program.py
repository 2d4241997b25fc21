"""One node's nftables table, as kube-proxy writes it.

Structure from pkg/proxy/nftables/proxier.go; what is different in a version is asked of :class:`Layout`.  A packet
finds its service port in a verdict map and goes through two short chains: service- (or local-) chooses among endpoints,
endpoint- translates, or since 1.36 the former does both where no session affinity asks for more; external- and
firewall- stand before them for traffic from outside.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from kpsim.modes.nftables.layout import HAIRPIN, MARK, PRIMARY_ADDRESS_SINCE, Layout, refused
from kpsim.modes.nftables.rules import Element, ElementKey, NftRule, NftRules, chain_base
from kpsim.proxy.node import Categories, EndpointInfo, NodeConfig, PortState, categorize, in_ranges
from kpsim.proxy.params import PRIMARY

LOOPBACK = {"IPv4": "127.0.0.0/8", "IPv6": "::1"}


@dataclass(slots=True)
class _Table:
    """The table in the making."""

    config: NodeConfig
    ip: str
    layout: Layout
    chains: dict[str, list[NftRule]] = field(default_factory=dict)
    elements: dict[str, dict[ElementKey, Element]] = field(default_factory=dict)
    affinity: dict[str, int] = field(default_factory=dict)
    owner: dict[str, str] = field(default_factory=dict)
    own: dict[int, int] = field(default_factory=dict)
    dispatch: int = 0

    def rule(self, chain: str, verb: str, target: str = "", comment: str = "", **matches: object) -> None:
        """Add a rule to ``chain``, which is made if it is new."""
        matches |= {"verb": verb, "ip": self.ip, "interface_by": self.layout.interface_by}
        self.chains.setdefault(chain, []).append(NftRule(target, comment, **matches))  # type: ignore[arg-type]  # fields of NftRule by name

    def element(self, container: str, key: ElementKey, verdict: str = "", comment: str = "") -> None:
        """Add a Service's element; each claim on an address counts, also where Services claim the same one."""
        self.dispatch += bool(verdict) or key not in self.elements[container]
        self.elements[container][key] = Element(verdict, comment)


def program(states: Iterable[PortState], config: NodeConfig) -> NftRules:
    """Return everything in the table for ``states``; their order means nothing to a packet.

    Nothing at all where nft refuses whatever kube-proxy sends.
    """
    layout = Layout.of(config.kubernetes_version)
    if refused(config.kubernetes_version, config.pod_interface):
        return NftRules(layout=layout)
    table = _Table(config, "ip6" if config.ip_family == "IPv6" else "ip", layout)
    addresses = node_port_ips(config)
    table.elements = {name: {} for name in layout.containers if name != "nodeport-ips" or addresses is not None}
    _constant_chains(table, node_ports_anywhere=addresses is None)
    for ip in addresses or ():
        table.elements["nodeport-ips"][ip,] = Element()
    for state in states:
        rules = _ServicePort(table, state).program()
        table.own[state.row] = table.own.get(state.row, 0) + rules
    return NftRules(
        chains=table.chains,
        dispatch=table.dispatch,
        own=table.own,
        owner=table.owner,
        ip=table.ip,
        elements=table.elements,
        affinity=table.affinity,
        layout=layout,
    )


def node_port_ips(config: NodeConfig) -> tuple[str, ...] | None:
    """Addresses at which NodePorts answer; ``None``: at every address but loopback.  The default is the primary one."""
    mine = [ip for ip in (*config.node_ips, *config.local_ips) if _family(ip) == config.ip_family]
    mine = [ip for ip in dict.fromkeys(mine) if not ipaddress.ip_address(ip).is_loopback]
    ranges = config.node_port_ranges(PRIMARY if config.kubernetes_version >= PRIMARY_ADDRESS_SINCE else None)
    if ranges is None:
        return None
    if ranges == (PRIMARY,):
        return tuple(mine[:1])
    return tuple(ip for ip in mine if in_ranges(ip, ranges))


def _family(address: str) -> str:
    return "IPv6" if ":" in address else "IPv4"


def _constant_chains(table: _Table, *, node_ports_anywhere: bool) -> None:
    """The chains that do not depend on Services: since 1.33 16 of them with 23 rules, since 1.36 15 with 22."""
    rule, layout = table.rule, table.layout
    for chain, hook in layout.hooks.items():
        for target in hook.leads_to:
            rule(chain, "jump", target, new=hook.type == "filter" and target != "forward")
    at = f"!{LOOPBACK[table.config.ip_family]}" if node_ports_anywhere else "@nodeport-ips"
    local = "LOCAL" if node_ports_anywhere else ""
    if layout.one_rule:
        _mark_strangers(table)
    rule("services", "vmap", lookup="service-ips")
    rule("services", "vmap", lookup="service-nodeports", destination=at, destination_type=local)
    if layout.checks_cluster_ips:
        rule("firewall-check", "vmap", lookup="firewall-ips")
        rule("service-endpoints-check", "vmap", lookup="no-endpoint-services")
        rule("nodeport-endpoints-check", "vmap", lookup="no-endpoint-nodeports", destination=at)
        rule(
            "cluster-ips-check",
            "reject",
            "",
            "Reject traffic to invalid ports of ClusterIPs",
            destination="@cluster-ips",
        )
    else:
        rule("endpoints-check", "vmap", lookup="no-endpoint-services")
        rule("endpoints-check", "vmap", lookup="no-endpoint-nodeports", destination=at, destination_type=local)
        rule("firewall-check", "jump if in", "firewall-allow-check", lookup="firewall")
        rule("firewall-allow-check", "return if in", lookup="firewall-allow")
        rule("firewall-allow-check", "drop")
        table.chains["forward"] = []
        if not table.config.conntrack_tcp_be_liberal:
            rule("forward", "drop", match="ct state invalid")
    ranges = [cidr for cidr in table.config.service_cidrs if _family(cidr) == table.config.ip_family]
    if ranges and layout.knows_ranges:
        unallocated = "Drop traffic to unallocated ClusterIPs"
        rule("cluster-ips-check", "drop", "", unallocated, destination=f"{{ {', '.join(ranges)} }}")
    mark = table.config.mark
    if layout.one_rule:
        rule("masquerading", "masquerade marked", options=mark)
        rule("masquerading", "masquerade hairpin", lookup=HAIRPIN)
    else:
        rule(MARK, "mark", options=mark)
        rule("masquerading", "return unmarked", options=mark)
        rule("masquerading", "unmark", options=mark)
        rule("masquerading", "masquerade")
    rule("reject-chain", "reject")


def _mark_strangers(table: _Table) -> None:
    """Mark, once for all ClusterIPs, what comes to them from outside the cluster, or everything."""
    matches: dict[str, object] = {"options": table.config.mark, "destination": "@cluster-ips"}
    comment = "masquerade clusterIP traffic from outside cluster"
    if table.config.masquerade_all:
        comment = "masquerade all clusterIP traffic"
    elif detector := table.config.detector:
        matches |= {"source": detector.source(others=True), "interface": detector.arrival(others=True)}
    else:
        return
    table.rule("services", "mark", "", comment, **matches)


class _ServicePort:
    """One service port's chains and elements in the making."""

    def __init__(self, table: _Table, state: PortState) -> None:
        self.table, self.info = table, state.info
        self.chosen: Categories = categorize(state.info, state.endpoints, table.config)
        base = chain_base(state.info)
        self.service, self.local, self.external, self.firewall = (
            f"{kind}-{base}" for kind in ("service", "local", "external", "firewall")
        )
        self.choice_only = table.layout.one_rule and not state.info.affinity_s
        self.endpoint_base = {e.address: chain_base(state.info, e) for e in self.chosen.used}
        self._rules = 0

    def program(self) -> int:
        """Add everything; how many rules."""
        info, chosen = self.info, self.chosen
        self._elements()
        for endpoint in chosen.used:
            self._endpoint_chain(endpoint)
            if self.table.layout.one_rule and endpoint.local:
                key = (endpoint.ip, endpoint.ip, info.protocol.lower(), str(endpoint.port))
                self.table.elements[HAIRPIN][key] = Element()
        internal = self.local if info.internal_local else self.service
        if chosen.has_internal(info) and not self.table.layout.one_rule:
            self._masquerade_strangers(internal)
        for chain, endpoints in ((self.service, chosen.cluster), (self.local, chosen.local)):
            if endpoints:
                self._choice(chain, endpoints)
        if chosen.has_endpoints and info.externally_accessible:
            self._external_chain()
        if info.load_balancer_vips and info.source_ranges and self.table.layout.checks_cluster_ips:
            self._firewall_chain()
        return self._rules

    def _add(self, chain: str, verb: str, target: str = "", comment: str = "", **matches: object) -> None:
        self.table.owner[chain] = self.info.service
        self.table.rule(chain, verb, target, comment, **matches)
        self._rules += 1

    def _mark(self, chain: str, comment: str = "", **matches: object) -> None:
        """Mark for masquerading, in place or by the chain that does."""
        if self.table.layout.one_rule:
            self._add(chain, "mark", "", comment or "masquerade", options=self.table.config.mark, **matches)
        else:
            self._add(chain, "jump", MARK, comment, **matches)

    def _elements(self) -> None:
        """Return the keys under which packets find the service port, or find that no endpoint serves it."""
        info, chosen, add = self.info, self.chosen, self.table.element
        protocol, port = info.protocol.lower(), str(info.port)
        nobody = "drop" if chosen.has_endpoints else "goto reject-chain"
        if self.table.layout.checks_cluster_ips:
            add("cluster-ips", (info.cluster_ip,))
        key: ElementKey = (info.cluster_ip, protocol, port)
        if chosen.has_internal(info):
            add("service-ips", key, f"goto {self.local if info.internal_local else self.service}")
        else:
            add("no-endpoint-services", key, nobody, info.label)
        for ip in (*info.external_ips, *info.load_balancer_vips):
            if chosen.has_endpoints:
                add("service-ips", (ip, protocol, port), f"goto {self.external}")
            if not chosen.has_external(info):
                add("no-endpoint-services", (ip, protocol, port), nobody, info.label)
        for ip in info.load_balancer_vips if info.source_ranges else ():
            if self.table.layout.checks_cluster_ips:
                add("firewall-ips", (ip, protocol, port), f"goto {self.firewall}")
                continue
            add("firewall", (ip, protocol, port), comment=info.label)
            own = (ip,) if self._node_may_pass() else ()
            for source in (*info.source_ranges, *own):
                self.table.elements["firewall-allow"][ip, protocol, port, source] = Element("", info.label)
        if info.node_port:
            key = (protocol, str(info.node_port))
            if chosen.has_endpoints:
                add("service-nodeports", key, f"goto {self.external}")
            if not chosen.has_external(info):
                add("no-endpoint-nodeports", key, nobody, info.label)

    def _endpoint_chain(self, endpoint: EndpointInfo) -> None:
        """Hairpin mark, memory for session affinity, translation."""
        if self.choice_only:
            return
        base = self.endpoint_base[endpoint.address]
        chain = f"endpoint-{base}"
        if not self.table.layout.one_rule:
            self._add(chain, "jump", MARK, source=endpoint.ip)
        if self.info.affinity_s:
            affinity = f"affinity-{base}"
            self.table.affinity[affinity] = self.info.affinity_s
            self.table.owner[affinity] = self.info.service
            self._add(chain, "remember", lookup=affinity)
        self._add(chain, "dnat", protocol=self.info.protocol.lower(), to=endpoint.address, pod=endpoint.pod)

    def _masquerade_strangers(self, chain: str) -> None:
        """Traffic to the ClusterIP that may come from outside the cluster must come back through this node."""
        detector = self.table.config.detector
        matches: dict[str, object] = {"destination": self.info.cluster_ip}
        if self.table.layout.matches_port:
            matches |= {"protocol": self.info.protocol.lower(), "port": self.info.port}
        if self.table.config.masquerade_all:
            self._add(chain, "jump", MARK, "", **matches)
        elif detector:
            matches |= {"source": detector.source(others=True), "interface": detector.arrival(others=True)}
            self._add(chain, "jump", MARK, "", **matches)

    def _choice(self, chain: str, endpoints: Sequence[EndpointInfo]) -> None:
        """Known clients first, one rule an endpoint; then one rule for all the others."""
        if self.choice_only:
            where = tuple(e.address for e in endpoints)
            pods = tuple(e.pod for e in endpoints)
            self._add(chain, "dnat map", protocol=self.info.protocol.lower(), choices=where, pods=pods)
            return
        bases = [self.endpoint_base[e.address] for e in endpoints]
        for base in bases if self.info.affinity_s else ():
            self._add(chain, "goto", f"endpoint-{base}", source=f"@affinity-{base}")
        self._add(chain, "choose", choices=tuple(f"endpoint-{base}" for base in bases))

    def _external_chain(self) -> None:
        """Traffic from outside is masqueraded, or kept to this node's endpoints with short cuts for its own traffic."""
        chain, detector = self.external, self.table.config.detector
        if not self.info.external_local:
            self._mark(chain)
            self._add(chain, "goto", self.service)
            return
        if detector:
            pods = {"source": detector.source(), "interface": detector.arrival()}
            self._add(chain, "goto", self.service, "short-circuit pod traffic", **pods)
        self._mark(chain, "masquerade local traffic", source_type="LOCAL")
        self._add(chain, "goto", self.service, "short-circuit local traffic", source_type="LOCAL")
        if self.chosen.has_external(self.info):
            self._add(chain, "goto", self.local)

    def _firewall_chain(self) -> None:
        """Only source ranges pass; where the node is in one, so do the load balancer's own addresses."""
        own = self.info.load_balancer_vips if self._node_may_pass() else ()
        self._add(self.firewall, "drop", source=f"!{{ {', '.join((*self.info.source_ranges, *own))} }}")

    def _node_may_pass(self) -> bool:
        """Return True if the node itself is in a source range."""
        config = self.table.config
        primary = [ip for ip in config.node_ips if _family(ip) == config.ip_family][:1]
        return any(in_ranges(ip, self.info.source_ranges) for ip in primary)
