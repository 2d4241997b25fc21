"""One node's chains in the nat and filter tables, as kube-proxy writes them.

Structure from pkg/proxy/iptables/proxier.go.  Each service port visited adds its rules to the top-level chains and
chains of its own: KUBE-SVC (every endpoint), KUBE-SVL (this node's), KUBE-EXT (traffic from outside), KUBE-FW (source
ranges) and one KUBE-SEP an endpoint.  What is different in other versions is asked of :class:`Layout`; up to 1.23
the nat table is that of :mod:`kpsim.modes.iptables.xlb`.  Chains that kubelet makes are there where packets need them
(KUBE-MARK-DROP and KUBE-FIREWALL up to 1.24).  Left out: the jumps from the built-in chains, which do not depend on
Services.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from kpsim.modes.iptables import xlb
from kpsim.modes.iptables.layout import Layout
from kpsim.modes.iptables.tables import (
    LOOPBACK,
    Chains,
    Tables,
    at,
    bits,
    endpoint_rules,
    inside,
    node_inside,
    ranges_rules,
)
from kpsim.proxy.node import Categories, NodeConfig, PortInfo, PortState, categorize
from kpsim.proxy.params import PRIMARY
from kpsim.proxy.rules import FILTER, Rule, RuleSet, chain_name

DROP_MARK = "0x8000"  # kubelet's iptablesDropBit, 15


def program(states: Iterable[PortState], config: NodeConfig, rotation: int = 0) -> RuleSet:
    """Return all chains for ``states``, visited in their order, KUBE-SERVICES turned by ``rotation`` rules."""
    states = tuple(states)
    layout = Layout.of(config)
    jumps = list(_node_port_jumps(config, layout))
    large = sum(len(state.endpoints) for state in states) > config.large_cluster_endpoints
    tables = Tables(config, layout, large, bool(jumps) or not layout.needs_node_address)
    tables.nat |= {"KUBE-SERVICES": [], "KUBE-NODEPORTS": [], **_nat_constants(tables)}
    tables.filter |= {"KUBE-SERVICES": [], "KUBE-EXTERNAL-SERVICES": [], **_filter_constants(tables)}
    for state in states:
        chosen = categorize(state.info, state.endpoints, config)
        written = 0
        if tables.layout.external_chains:
            written = _service_chains(tables, state.info, chosen) if chosen.has_endpoints else 0
        else:
            chosen = xlb.reachable(state.info, chosen)
            written = xlb.service_chains(tables, state.info, chosen) if chosen.has_endpoints else 0
        tables.own[state.row] = tables.own.get(state.row, 0) + written
        _filter_rules(tables, state.info, chosen)
    turn = -rotation % len(tables.dispatch) if tables.dispatch else 0
    tables.nat["KUBE-SERVICES"] = [*tables.dispatch[turn:], *tables.dispatch[:turn], *jumps]
    chains = tables.nat | {name + FILTER: rules for name, rules in tables.filter.items()}
    return RuleSet(chains, dispatch=len(tables.dispatch), own=tables.own, owner=tables.owner)


def _service_chains(tables: Tables, info: PortInfo, chosen: Categories) -> int:
    """Write one service port's rules in the nat table; return the number outside KUBE-SERVICES."""
    svc, svl, ext = (chain_name(kind, info.label, info.protocol) for kind in ("SVC", "SVL", "EXT"))
    internal = svl if info.internal_local else svc
    served = chosen.has_internal(info) or not tables.layout.drops_in_filter  # else the filter table sees to it
    own = 0
    if served:
        tables.dispatch.append(at(info, internal, info.cluster_ip, "cluster IP"))
    masquerade = list(tables.masquerade(info)) if served else []
    for chain, endpoints, used in ((svc, chosen.cluster, info.uses_cluster), (svl, chosen.local, info.uses_local)):
        rules = list(endpoint_rules(info, endpoints, large=tables.large))
        if not rules and not tables.layout.drops_in_filter:
            rules = [Rule("KUBE-MARK-DROP", f"{info.label} has no local endpoints")]
        if rules and used:
            first = masquerade if chain == internal else []
            own += tables.add(info.service, chain, [*first, *rules])
    if info.externally_accessible:
        own += tables.add(info.service, ext, _external_rules(tables, info, chosen, svc, svl))
        own += _entrances(tables, info, ext)
    return own + tables.add_endpoints(info, chosen.used)


def _entrances(tables: Tables, info: PortInfo, ext: str) -> int:
    """External IPs, load-balancer IPs and the NodePort; how many rules stand outside KUBE-SERVICES."""
    own = 0
    tables.dispatch += [at(info, ext, ip, "external IP") for ip in info.external_ips]
    entry = ext
    if info.load_balancer_vips and info.source_ranges:
        entry = chain_name("FW", info.label, info.protocol)
        own += tables.add(info.service, entry, _firewall_rules(tables, info, ext))
    tables.dispatch += [at(info, entry, ip, "loadbalancer IP") for ip in info.load_balancer_vips]
    if info.node_port and tables.node_ports:
        rule = Rule(ext, info.label, protocol=info.protocol.lower(), port=info.node_port)
        rules = [rule]
        if tables.layout.counts_localhost:
            counted = "-m nfacct --nfacct-name localhost_nps_accepted_pkts"
            rules.insert(0, Rule(ext, info.label, LOOPBACK["IPv4"], rule.protocol, rule.port, counts=counted))
        tables.nat["KUBE-NODEPORTS"] += rules
        own += len(rules)
    return own


def _external_rules(tables: Tables, info: PortInfo, chosen: Categories, svc: str, svl: str) -> Iterator[Rule]:
    """KUBE-EXT: under Cluster, masquerade and go on; under Local, only what is the cluster's own may leave the node."""
    what = f"{info.label} external destinations"
    if not info.external_local:
        yield Rule("KUBE-MARK-MASQ", f"masquerade traffic for {what}")
        yield Rule(svc)
        return
    if detector := tables.config.detector:
        yield Rule(svc, f"pod traffic for {what}", source=detector.source(), interface=detector.arrival())
    yield Rule("KUBE-MARK-MASQ", f"masquerade LOCAL traffic for {what}", source_type="LOCAL")
    yield Rule(svc, f"route LOCAL traffic for {what}", source_type="LOCAL")
    if chosen.has_external(info) or not tables.layout.drops_in_filter:
        yield Rule(svl)


def _firewall_rules(tables: Tables, info: PortInfo, ext: str) -> Iterator[Rule]:
    """KUBE-FW: a way on for each source range, and for the node itself by way of the load balancer's address."""
    yield from ranges_rules(info, ext)
    if node_inside(info, tables.config):
        for ip in info.load_balancer_vips:
            yield Rule(ext, f"{info.label} loadbalancer IP", source=f"{ip}/{bits(ip)}")
    if not tables.layout.drops_in_filter:
        yield Rule("KUBE-MARK-DROP", f"{info.label} loadbalancer IP")
    elif tables.layout.explains_firewall:
        yield Rule("", f"other traffic to {info.label} will be dropped by KUBE-PROXY-FIREWALL")


def _filter_rules(tables: Tables, info: PortInfo, chosen: Categories) -> None:
    """Write rules that refuse packets without an endpoint, and that drop forbidden ones unless a mark does."""
    if tables.layout.drops_in_filter or not chosen.has_endpoints:
        _refusals(tables, info, chosen)
    guarded = chosen.has_endpoints and info.load_balancer_vips and info.source_ranges
    if guarded and tables.layout.drops_in_filter:
        blocked = f"{info.label} traffic not accepted by {chain_name('FW', info.label, info.protocol)}"
        tables.filter["KUBE-PROXY-FIREWALL"] += [
            Rule("DROP", blocked, ip, info.protocol.lower(), info.port) for ip in info.load_balancer_vips
        ]
    if info.type == "LoadBalancer" and info.external_policy_local and info.health_check_node_port:
        comment = f"{info.label} health check node port"
        tables.filter["KUBE-NODEPORTS"].append(
            Rule("ACCEPT", comment, protocol="tcp", port=info.health_check_node_port)
        )


def _refusals(tables: Tables, info: PortInfo, chosen: Categories) -> None:
    """Write REJECT for ports without endpoints, DROP for those that only this node may serve and cannot."""
    refusal = "DROP" if chosen.has_endpoints else "REJECT"
    why = f"has no {'local ' if chosen.has_endpoints else ''}endpoints"
    if not chosen.has_internal(info):
        tables.filter["KUBE-SERVICES"].append(at(info, refusal, info.cluster_ip, why))
    if info.externally_accessible and not chosen.has_external(info):
        outside = [*info.external_ips, *info.load_balancer_vips]
        rules = [at(info, refusal, ip, why) for ip in outside]
        if info.node_port and tables.node_ports:
            comment, protocol = f"{info.label} {why}", info.protocol.lower()
            rules.append(Rule(refusal, comment, protocol=protocol, port=info.node_port, destination_type="LOCAL"))
        tables.filter["KUBE-EXTERNAL-SERVICES"] += rules


def _nat_constants(tables: Tables) -> Chains:
    mark = tables.config.mark
    chains: Chains = {
        "KUBE-POSTROUTING": [
            Rule("RETURN", match=f"-m mark ! --mark {mark}/{mark}"),
            Rule("MARK", options=f"--xor-mark {mark}"),
            Rule("MASQUERADE", "kubernetes service traffic requiring SNAT", options="--random-fully"),
        ],
        "KUBE-MARK-MASQ": [Rule("MARK", options=f"--or-mark {mark}")],
    }
    if not tables.layout.drops_in_filter:
        chains["KUBE-MARK-DROP"] = [Rule("MARK", options=f"--or-mark {DROP_MARK}")]
    return chains


def _filter_constants(tables: Tables) -> Chains:
    config, layout = tables.config, tables.layout
    forward = [
        Rule("ACCEPT", "kubernetes forwarding rules", match=f"-m mark --mark {config.mark}/{config.mark}"),
        Rule("ACCEPT", "kubernetes forwarding conntrack rule", match="-m conntrack --ctstate RELATED,ESTABLISHED"),
    ]
    if layout.drops_invalid:
        counted = "-m nfacct --nfacct-name ct_state_invalid_dropped_pkts" if layout.counts else ""
        forward.insert(0, Rule("DROP", match="-m conntrack --ctstate INVALID", counts=counted))
    chains: Chains = {"KUBE-FORWARD": forward, "KUBE-NODEPORTS": []}
    if layout.drops_in_filter:
        chains["KUBE-PROXY-FIREWALL"] = []
    firewall = list(_firewall_constants(tables))
    if firewall or layout.own_firewall:
        chains["KUBE-FIREWALL"] = firewall
    return chains


def _firewall_constants(tables: Tables) -> Iterator[Rule]:
    """KUBE-FIREWALL: drop what is marked for it, and what comes to localhost from anywhere else unasked."""
    if not tables.layout.drops_in_filter:
        marked = "kubernetes firewall for dropping marked packets"
        yield Rule("DROP", marked, match=f"-m mark --mark {DROP_MARK}/{DROP_MARK}")
    kubelets = not tables.layout.drops_in_filter and tables.config.ip_family == "IPv4"
    if tables.layout.blocks_localnet or kubelets:
        loopback = LOOPBACK["IPv4"]
        unasked = "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT"
        yield Rule("DROP", "block incoming localnet connections", loopback, source=f"!{loopback}", match=unasked)


def _node_port_jumps(config: NodeConfig, layout: Layout) -> Iterator[Rule]:
    """Yield the last rules of KUBE-SERVICES: what is for the node itself may be for a NodePort."""
    comment = "kubernetes service nodeports; NOTE: this must be the last rule in this chain"
    spare = layout.spares_localhost
    ranges = config.node_port_ranges()
    if ranges is None:
        loopback = f"!{LOOPBACK[config.ip_family]}" if spare else ""
        yield Rule("KUBE-NODEPORTS", comment, loopback, destination_type="LOCAL")
        return
    mine = [ip for ip in (*config.node_ips, *config.local_ips) if (":" in ip) == (config.ip_family == "IPv6")]
    loopback = "::1" if config.ip_family == "IPv6" else "127.0.0.1"
    chosen = mine[:1] if ranges == (PRIMARY,) else [ip for ip in (*mine, loopback) if inside(ip, ranges)]
    for ip in dict.fromkeys(chosen):
        if not (spare and ipaddress.ip_address(ip).is_loopback):
            yield Rule("KUBE-NODEPORTS", comment, ip)
