"""A packet's way through one Windows node: is there a load balancer for it, and who is behind it.

The virtual switch applies load balancers to what Pods send and to what comes in from outside.  What the node itself
sends does not meet them: Kubernetes' list of supported flows has none from a node to a Service, and says of its own
NodePorts that they fail.  A packet that no load balancer is for is routed like any other: to a ClusterIP that means out
by the default route, where nobody knows it, so its sender gets no answer.
Source: kubernetes/website content/en/docs/concepts/services-networking/windows-networking.md.
"""

from __future__ import annotations

from kpsim.modes.kernelspace.policies import LoadBalancer, WindowsRules
from kpsim.proxy.node import NodeConfig
from kpsim.proxy.rules import Packet, Trace


def find(rules: WindowsRules, config: NodeConfig, packet: Packet) -> LoadBalancer | None:
    """Return the load balancer that is for ``packet``'s destination."""
    found = rules.granted.get(packet.key)
    if found is None and config.is_local(packet.destination):
        return rules.granted.get(packet.key._replace(ip=""))
    return found


def trace(rules: WindowsRules, config: NodeConfig, packet: Packet) -> Trace:
    """Follow the first packet of a connection."""
    policy = find(rules, config, packet)
    if policy is None:
        name = rules.unserved.get(packet.key)
        lost = f"no load balancer: nobody is behind {name}; the packet is lost on the default route"
        return Trace("DROP", met=(lost,)) if name and not config.is_local(packet.source) else Trace("none")
    if config.is_local(packet.source):
        return Trace("none", met=(f"{policy.line()}: not for what the node itself sends",))
    return Trace("DNAT", policy.addresses, masqueraded=not policy.dsr, met=(policy.line(),))
