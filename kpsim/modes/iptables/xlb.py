"""A service port's rules in the nat table up to Kubernetes 1.23, where traffic from outside had no chain of its own.

Under externalTrafficPolicy Cluster an external address or NodePort leads straight to KUBE-SVC, which begins with a rule
that masquerades for each; a load-balancer address leads through KUBE-FW, source ranges or not.  Under Local all of them
lead to KUBE-XLB, which lets Pods of this node and the node itself go on to every endpoint and all others only to this
node's.  What comes through to the end of KUBE-FW, or finds no local endpoint, is marked and dropped later.
internalTrafficPolicy Local leaves the other nodes' endpoints out for traffic from outside as well, unless
externalTrafficPolicy is Local too, and then means nothing.
Source: pkg/proxy/iptables/proxier.go, pkg/proxy/topology.go at 1.23.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kpsim.modes.iptables.tables import LOOPBACK, Tables, at, endpoint_rules, node_inside, ranges_rules
from kpsim.proxy.node import Categories, PortInfo
from kpsim.proxy.rules import Rule, chain_name


def reachable(info: PortInfo, chosen: Categories) -> Categories:
    """Return the endpoints that are left: internalTrafficPolicy Local holds for all traffic, or for none."""
    if not info.internal_local or info.external_local:
        return chosen
    return replace(chosen, cluster=chosen.local, used=chosen.local, has_endpoints=bool(chosen.local))


def service_chains(tables: Tables, info: PortInfo, chosen: Categories) -> int:
    """Write one service port's rules in the nat table; return the number outside KUBE-SERVICES."""
    svc, xlb, firewall = (chain_name(kind, info.label, info.protocol) for kind in ("SVC", "XLB", "FW"))
    outside = xlb if info.external_local else svc
    tables.dispatch.append(at(info, svc, info.cluster_ip, "cluster IP"))
    tables.dispatch += [at(info, outside, ip, "external IP") for ip in info.external_ips]
    tables.dispatch += [at(info, firewall, ip, "loadbalancer IP") for ip in info.load_balancer_vips]
    first = [*tables.masquerade(info), *_outside_masquerade(tables, info)]
    own = tables.add(info.service, svc, [*first, *endpoint_rules(info, chosen.cluster, large=tables.large)])
    if info.external_local:
        own += tables.add(info.service, xlb, _local_rules(tables, info, chosen, svc))
    if info.load_balancer_vips:
        own += tables.add(info.service, firewall, _firewall_rules(tables, info, outside))
    if info.node_port:
        rules = list(_node_port_rules(tables, info, outside))
        tables.nat["KUBE-NODEPORTS"] += rules
        own += len(rules)
    return own + tables.add_endpoints(info, chosen.used)


def _outside_masquerade(tables: Tables, info: PortInfo) -> Iterator[Rule]:
    """Mark what comes to an external address and not from a Pod of the cluster, and all that comes to the NodePort."""
    if info.external_local:
        return
    detector = tables.config.detector
    source, interface = (detector.source(others=True), detector.arrival(others=True)) if detector else ("", "")
    for ip in info.external_ips:
        yield at(info, "KUBE-MARK-MASQ", ip, "external IP", source, interface)
    if info.node_port:
        yield Rule("KUBE-MARK-MASQ", info.label, protocol=info.protocol.lower(), port=info.node_port)


def _node_port_rules(tables: Tables, info: PortInfo, outside: str) -> Iterator[Rule]:
    """Yield the way from the NodePort, and a mark for what comes from localhost, which no other node could answer."""
    protocol = info.protocol.lower()
    if info.external_local:
        loopback = LOOPBACK[tables.config.ip_family]
        yield Rule("KUBE-MARK-MASQ", info.label, protocol=protocol, port=info.node_port, source=loopback)
    yield Rule(outside, info.label, protocol=protocol, port=info.node_port)


def _firewall_rules(tables: Tables, info: PortInfo, outside: str) -> Iterator[Rule]:
    """KUBE-FW, written once for each address: masquerade under Cluster, go on if the source is right, else drop."""
    comment = f"{info.label} loadbalancer IP"
    for ip in info.load_balancer_vips:
        if not info.external_local:
            yield Rule("KUBE-MARK-MASQ", comment)
        if not info.source_ranges:
            yield Rule(outside, comment)
        yield from ranges_rules(info, outside)
        if node_inside(info, tables.config):
            yield Rule(outside, comment, source=ip)
        yield Rule("KUBE-MARK-DROP", comment)


def _local_rules(tables: Tables, info: PortInfo, chosen: Categories, svc: str) -> Iterator[Rule]:
    """KUBE-XLB: Pods of this node and the node itself use every endpoint, all others this node's."""
    detector = tables.config.detector
    if detector:
        comment = "Redirect pods trying to reach external loadbalancer VIP to clusterIP"
        yield Rule(svc, comment, source=detector.source(), interface=detector.arrival())
    yield Rule("KUBE-MARK-MASQ", f"masquerade LOCAL traffic for {info.label} LB IP", source_type="LOCAL")
    yield Rule(svc, f"route LOCAL traffic for {info.label} LB IP to service chain", source_type="LOCAL")
    yield from endpoint_rules(info, chosen.local, large=tables.large)
    if not chosen.local:
        yield Rule("KUBE-MARK-DROP", f"{info.label} has no local endpoints")
