"""A packet's way through one node's portals: the rule that takes it, the socket it comes to, and whom kube-proxy dials.

What the node itself sends meets KUBE-PORTALS-HOST, everything else KUBE-PORTALS-CONTAINER; then, if it is for one of
the node's addresses, the NodePort chain of the same side.  Whatever is taken there goes to kube-proxy on this node, so
it passes INPUT, and ends: the endpoint sees another connection, from the node.  A packet for a Service without
endpoints is accepted all the same, and its connection closed.

Left out: packets that come in by a bridge's port, which one rule of an external address would not take (physdev); and
whether a NodePort answers on loopback, where its rules match and users saw no answer (kubernetes/kubernetes 111840).
"""

from __future__ import annotations

from collections.abc import Sequence

from kpsim.modes.userspace.program import (
    CONTAINER,
    HOST,
    NODE_PORT_CONTAINER,
    NODE_PORT_HOST,
    NON_LOCAL,
    UserspaceRules,
)
from kpsim.proxy.node import NodeConfig
from kpsim.proxy.rules import Packet, Rule, Trace

PREROUTING, OUTPUT = (CONTAINER, NODE_PORT_CONTAINER), (HOST, NODE_PORT_HOST)


def trace(rules: UserspaceRules, config: NodeConfig, packet: Packet) -> Trace:
    """Follow the first packet of a connection to kube-proxy, and on."""
    portals, node_ports = OUTPUT if config.is_local(packet.source) else PREROUTING
    here = config.is_local(packet.destination)
    for chain in (portals, node_ports) if here else (portals,):
        rule = _first(rules.chains[chain], packet, here)
        if rule is None:
            continue
        listener = rules.listener(rule)
        met = [rule.render(chain)]
        arrived = Packet(packet.source, config.node_ips[0], listener.port, packet.protocol)
        allowed = _first(rules.chains[NON_LOCAL], arrived, here=True)
        if allowed is not None:
            met.append(allowed.render(NON_LOCAL.partition(" ")[0]))
        met.append(listener.render())
        endpoints = tuple(endpoint.address for endpoint in listener.endpoints)
        return Trace("DNAT" if endpoints else "CLOSED", endpoints, masqueraded=True, met=tuple(met))
    return Trace("none")


def _first(chain: Sequence[Rule], packet: Packet, here: bool) -> Rule | None:
    """Return the first rule that takes the packet, which is for this node's own addresses if it is ``here``."""
    return next(
        (
            rule
            for rule in chain
            if rule.protocol == packet.protocol.lower()
            and rule.port == packet.port
            and rule.destination in ("", packet.destination)
            and (here or not rule.destination_type)
        ),
        None,
    )
