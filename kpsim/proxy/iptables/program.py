"""One node's chains in the nat and filter tables, as kube-proxy writes them.

Structure from pkg/proxy/iptables/proxier.go.  Each service port visited adds its rules to the top-level chains and
chains of its own: KUBE-SVC (every endpoint), KUBE-SVL (this node's), KUBE-EXT (traffic from outside), KUBE-FW (source
ranges) and one KUBE-SEP an endpoint.  Left out: the layouts before 1.26 (KUBE-XLB, KUBE-MARK-DROP) and the jumps from
the built-in chains, which do not depend on Services.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from kpsim.proxy.node import Categories, EndpointInfo, NodeConfig, PortInfo, PortState, categorize
from kpsim.proxy.rules import FILTER, Rule, RuleSet, chain_name

__all__ = ["program"]

LOOPBACK = {"IPv4": "127.0.0.0/8", "IPv6": "::1/128"}
Chains = dict[str, list[Rule]]


@dataclass(slots=True)
class _Tables:
    """The chains in the making."""

    config: NodeConfig
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


def program(states: Iterable[PortState], config: NodeConfig, rotation: int = 0) -> RuleSet:
    """All chains for ``states``, visited in their order, KUBE-SERVICES turned by ``rotation`` rules."""
    tables = _Tables(config)
    tables.nat |= {"KUBE-SERVICES": [], "KUBE-NODEPORTS": [], **_nat_constants(config)}
    tables.filter |= {"KUBE-SERVICES": [], "KUBE-EXTERNAL-SERVICES": [], **_filter_constants(config)}
    for state in states:
        chosen = categorize(state.info, state.endpoints, config)
        written = _service_chains(tables, state.info, chosen) if chosen.has_endpoints else 0
        tables.own[state.row] = tables.own.get(state.row, 0) + written
        _filter_rules(tables, state.info, chosen)
    turn = -rotation % len(tables.dispatch) if tables.dispatch else 0
    tables.nat["KUBE-SERVICES"] = [*tables.dispatch[turn:], *tables.dispatch[:turn], *_node_port_jumps(config)]
    chains = tables.nat | {name + FILTER: rules for name, rules in tables.filter.items()}
    return RuleSet(chains, dispatch=len(tables.dispatch), own=tables.own, owner=tables.owner)


def _service_chains(tables: _Tables, info: PortInfo, chosen: Categories) -> int:
    """One service port's rules in the nat table; how many stand outside KUBE-SERVICES."""
    svc, svl, ext = (chain_name(kind, info.label, info.protocol) for kind in ("SVC", "SVL", "EXT"))
    internal = svl if info.internal_local else svc
    own = 0
    if chosen.has_internal(info):
        tables.dispatch.append(_at(info, internal, info.cluster_ip, "cluster IP"))
    masquerade = list(_internal_masquerade(info, chosen, tables.config))
    for chain, endpoints, used in ((svc, chosen.cluster, info.uses_cluster), (svl, chosen.local, info.uses_local)):
        if endpoints and used:
            first = masquerade if chain == internal else []
            own += tables.add(info.service, chain, [*first, *_endpoint_rules(info, endpoints)])
    if info.externally_accessible:
        own += tables.add(info.service, ext, _external_rules(info, chosen, tables.config, svc, svl))
        own += _entrances(tables, info, ext)
    for endpoint in chosen.used:
        own += tables.add(info.service, _endpoint_chain(info, endpoint), _endpoint_chain_rules(info, endpoint))
    return own


def _entrances(tables: _Tables, info: PortInfo, ext: str) -> int:
    """External IPs, load-balancer IPs and the NodePort; how many rules stand outside KUBE-SERVICES."""
    own = 0
    tables.dispatch += [_at(info, ext, ip, "external IP") for ip in info.external_ips]
    entry = ext
    if info.load_balancer_vips and info.source_ranges:
        entry = chain_name("FW", info.label, info.protocol)
        own += tables.add(info.service, entry, _firewall_rules(info, ext, tables.config))
    tables.dispatch += [_at(info, entry, ip, "loadbalancer IP") for ip in info.load_balancer_vips]
    if info.node_port:
        rule = Rule(ext, info.label, protocol=info.protocol.lower(), port=info.node_port)
        rules = [rule]
        if tables.config.ip_family == "IPv4" and tables.config.localhost_node_ports and tables.config.nfacct:
            counted = "-m nfacct --nfacct-name  localhost_nps_accepted_pkts"
            rules.insert(0, Rule(ext, info.label, LOOPBACK["IPv4"], rule.protocol, rule.port, counts=counted))
        tables.nat["KUBE-NODEPORTS"] += rules
        own += len(rules)
    return own


def _at(info: PortInfo, target: str, ip: str, what: str) -> Rule:
    """A rule for one address of a service port."""
    return Rule(target, f"{info.label} {what}", ip, info.protocol.lower(), info.port)


def _internal_masquerade(info: PortInfo, chosen: Categories, config: NodeConfig) -> Iterator[Rule]:
    """Mark what comes to the ClusterIP and not from a Pod of the cluster, or everything under masqueradeAll."""
    if not chosen.has_internal(info) or not (config.masquerade_all or config.pod_cidr):
        return
    source = "" if config.masquerade_all else f"!{config.pod_cidr}"
    yield Rule(
        "KUBE-MARK-MASQ", f"{info.label} cluster IP", info.cluster_ip, info.protocol.lower(), info.port, source=source
    )


def _external_rules(info: PortInfo, chosen: Categories, config: NodeConfig, svc: str, svl: str) -> Iterator[Rule]:
    """KUBE-EXT: under Cluster, masquerade and go on; under Local, only what is the cluster's own may leave the node."""
    what = f"{info.label} external destinations"
    if not info.external_local:
        yield Rule("KUBE-MARK-MASQ", f"masquerade traffic for {what}")
        yield Rule(svc)
        return
    if config.pod_cidr:
        yield Rule(svc, f"pod traffic for {what}", source=config.pod_cidr)
    yield Rule("KUBE-MARK-MASQ", f"masquerade LOCAL traffic for {what}", source_type="LOCAL")
    yield Rule(svc, f"route LOCAL traffic for {what}", source_type="LOCAL")
    if chosen.has_external(info):
        yield Rule(svl)


def _firewall_rules(info: PortInfo, ext: str, config: NodeConfig) -> Iterator[Rule]:
    """KUBE-FW: a way on for each source range, and for the node itself by way of the load balancer's address."""
    for cidr in info.source_ranges:
        yield Rule(ext, f"{info.label} loadbalancer IP", source=cidr)
    if config.node_through_firewall and any(_inside(ip, info.source_ranges) for ip in config.node_ips[:1]):
        for ip in info.load_balancer_vips:
            yield Rule(ext, f"{info.label} loadbalancer IP", source=f"{ip}/{_bits(ip)}")
    yield Rule("", f"other traffic to {info.label} will be dropped by KUBE-PROXY-FIREWALL")


def _inside(ip: str, ranges: Sequence[str]) -> bool:
    try:
        return any(ipaddress.ip_address(ip) in ipaddress.ip_network(cidr, strict=False) for cidr in ranges)
    except ValueError:
        return False  # a range that is known by count only


def _bits(ip: str) -> int:
    return 128 if ":" in ip else 32


def _endpoint_chain(info: PortInfo, endpoint: EndpointInfo) -> str:
    return chain_name("SEP", info.label, info.protocol, endpoint.address)


def _endpoint_rules(info: PortInfo, endpoints: Sequence[EndpointInfo]) -> Iterator[Rule]:
    """Back to the same endpoint for a client that was here before; else each with probability one in what is left."""
    chains = [_endpoint_chain(info, endpoint) for endpoint in endpoints]
    comments = [f"{info.label} -> {endpoint.address}" for endpoint in endpoints]
    if info.affinity_s:
        for chain, comment in zip(chains, comments, strict=True):
            recent = f"-m recent --name {chain} --rcheck --seconds {info.affinity_s} --reap"
            yield Rule(chain, comment, match=recent, endpoint=True)
    for i, (chain, comment) in enumerate(zip(chains, comments, strict=True)):
        left = len(chains) - i
        yield Rule(chain, comment, probability=1 / left if left > 1 else None, endpoint=True)


def _endpoint_chain_rules(info: PortInfo, endpoint: EndpointInfo) -> tuple[Rule, Rule]:
    """Mark a Pod that calls itself, then rewrite the destination."""
    chain = _endpoint_chain(info, endpoint)
    remember = f"-m recent --name {chain} --set" if info.affinity_s else ""
    return (
        Rule("KUBE-MARK-MASQ", info.label, source=f"{endpoint.ip}/{_bits(endpoint.ip)}", endpoint=True),
        Rule(
            "DNAT", info.label, protocol=info.protocol.lower(), counts=remember, to=endpoint.address, pod=endpoint.pod,
            endpoint=True,
        ),
    )  # fmt: skip


def _filter_rules(tables: _Tables, info: PortInfo, chosen: Categories) -> None:
    """Refuse what nobody can serve at once, and drop what only this node may serve and cannot."""
    refusal = "DROP" if chosen.has_endpoints else "REJECT"
    why = f"{info.label} has no {'local ' if chosen.has_endpoints else ''}endpoints"
    if not chosen.has_internal(info):
        rule = _at(info, refusal, info.cluster_ip, why.removeprefix(f"{info.label} "))
        tables.filter["KUBE-SERVICES"].append(rule)
    if info.externally_accessible and not chosen.has_external(info):
        outside = [*info.external_ips, *info.load_balancer_vips]
        rules = [_at(info, refusal, ip, why.removeprefix(f"{info.label} ")) for ip in outside]
        if info.node_port:
            rules.append(
                Rule(refusal, why, protocol=info.protocol.lower(), port=info.node_port, destination_type="LOCAL")
            )
        tables.filter["KUBE-EXTERNAL-SERVICES"] += rules
    if chosen.has_endpoints and info.load_balancer_vips and info.source_ranges:
        blocked = f"{info.label} traffic not accepted by {chain_name('FW', info.label, info.protocol)}"
        tables.filter["KUBE-PROXY-FIREWALL"] += [
            Rule("DROP", blocked, ip, info.protocol.lower(), info.port) for ip in info.load_balancer_vips
        ]
    if info.type == "LoadBalancer" and info.external_local and info.health_check_node_port:
        comment = f"{info.label} health check node port"
        tables.filter["KUBE-NODEPORTS"].append(
            Rule("ACCEPT", comment, protocol="tcp", port=info.health_check_node_port)
        )


def _nat_constants(config: NodeConfig) -> Chains:
    mark = f"{config.mark}/{config.mark}"
    return {
        "KUBE-POSTROUTING": [
            Rule("RETURN", match=f"-m mark ! --mark {mark}"),
            Rule("MARK", options=f"--xor-mark {config.mark}"),
            Rule("MASQUERADE", "kubernetes service traffic requiring SNAT", options="--random-fully"),
        ],
        "KUBE-MARK-MASQ": [Rule("MARK", options=f"--or-mark {config.mark}")],
    }


def _filter_constants(config: NodeConfig) -> Chains:
    mark = f"-m mark --mark {config.mark}/{config.mark}"
    forward = [
        Rule("ACCEPT", "kubernetes forwarding rules", match=mark),
        Rule("ACCEPT", "kubernetes forwarding conntrack rule", match="-m conntrack --ctstate RELATED,ESTABLISHED"),
    ]
    if not config.conntrack_tcp_be_liberal:
        forward.insert(0, Rule("DROP", match="-m conntrack --ctstate INVALID"))
    chains: Chains = {"KUBE-FORWARD": forward, "KUBE-NODEPORTS": [], "KUBE-PROXY-FIREWALL": []}
    if config.ip_family == "IPv4" and config.localhost_node_ports and config.firewall_chain:
        loopback = LOOPBACK["IPv4"]
        unasked = "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT"
        comment = "block incoming localnet connections"
        chains["KUBE-FIREWALL"] = [Rule("DROP", comment, loopback, source=f"!{loopback}", match=unasked)]
    return chains


def _node_port_jumps(config: NodeConfig) -> Iterator[Rule]:
    """The last rules of KUBE-SERVICES: what is for the node itself may be for a NodePort."""
    comment = "kubernetes service nodeports; NOTE: this must be the last rule in this chain"
    spare = config.ip_family == "IPv6" or not config.localhost_node_ports
    if config.node_port_addresses is None:
        loopback = f"!{LOOPBACK[config.ip_family]}" if spare else ""
        yield Rule("KUBE-NODEPORTS", comment, loopback, destination_type="LOCAL")
        return
    for ip in dict.fromkeys((*config.node_ips, *config.local_ips)):
        mine = (":" in ip) == (config.ip_family == "IPv6")
        if mine and _inside(ip, config.node_port_addresses) and not (spare and ipaddress.ip_address(ip).is_loopback):
            yield Rule("KUBE-NODEPORTS", comment, ip)
