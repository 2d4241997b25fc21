"""One node's portals: rules that lead each address of a Service to a port on which kube-proxy itself listens.

A service port has one socket, whatever addresses it has and whether anybody serves it or not.  A portal is an address
that leads there: by REDIRECT for what comes in from containers and from outside, by DNAT to the node's own address for
what the node sends, because REDIRECT would send that to loopback.  Endpoints are no rules, but a list in kube-proxy's
memory; it has the ready ones of the Endpoints object.  Neither traffic policies, topology hints, source ranges of load
balancers nor nodePortAddresses are looked at, terminating endpoints are never fallen back to, and SCTP has no socket.

Left out: a bind address (then all rules are DNAT), and that each NodePort, and each external address that is the node's
own, is also held open by a second socket nobody reads from.
Source: pkg/proxy/userspace/proxier.go (openPortal, openOnePortal, openNodePort, iptablesInit, iptables…Args).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kpsim.proxy.node import EndpointInfo, NodeConfig, PortInfo, PortState, ip_port
from kpsim.proxy.rules import FILTER, Rule, RuleSet

CONTAINER, HOST = "KUBE-PORTALS-CONTAINER", "KUBE-PORTALS-HOST"
NODE_PORT_CONTAINER, NODE_PORT_HOST = "KUBE-NODEPORT-CONTAINER", "KUBE-NODEPORT-HOST"
NON_LOCAL = "KUBE-NODEPORT-NON-LOCAL" + FILTER
SOCKETS = ("TCP", "UDP")  # the protocols kube-proxy can listen to
FIRST_PORT, PORTS = 32_768, 28_232  # net.ipv4.ip_local_port_range, from which the kernel gives out ports
NOT_BY_BRIDGE = "-m physdev ! --physdev-is-in"


@dataclass(frozen=True, slots=True)
class Jump:
    """A rule of a built-in chain, put first (-I) or last (-A), and the chain it leads to."""

    chain: str
    target: str
    operation: str
    rule: Rule


_PORTALS = Rule("", "handle ClusterIPs; NOTE: this must be before the NodePort rules")
_NODE_PORTS = Rule(
    "", "handle service NodePorts; NOTE: this must be the last rule in the chain", destination_type="LOCAL"
)
_NON_LOCAL = Rule("", "Ensure that non-local NodePort traffic can flow")

JUMPS = (
    Jump("PREROUTING", CONTAINER, "-I", _PORTALS),
    Jump("OUTPUT", HOST, "-I", _PORTALS),
    Jump("PREROUTING", NODE_PORT_CONTAINER, "-A", _NODE_PORTS),
    Jump("OUTPUT", NODE_PORT_HOST, "-A", _NODE_PORTS),
    Jump("INPUT", NON_LOCAL, "-I", _NON_LOCAL),
)


@dataclass(frozen=True, slots=True)
class Listener:
    """The socket of one service port, and the endpoints that kube-proxy dials for it, in turn."""

    port: int
    info: PortInfo
    endpoints: tuple[EndpointInfo, ...]

    def render(self) -> str:
        """Return a sentence on what kube-proxy does with the connections it accepts."""
        at = f"kube-proxy listens on {self.port}/{self.info.protocol.lower()} for {self.info.label}"
        if not self.endpoints:
            closes = "closes what it accepts" if self.info.protocol == "TCP" else "throws away what it reads"
            return f"{at}; there is nobody to dial, so it {closes}"
        affinity = f", a client's again within {self.info.affinity_s:,} s" if self.info.affinity_s else ""
        return f"{at} and dials the next of {len(self.endpoints):,} endpoints{affinity}"


@dataclass(frozen=True, slots=True)
class UserspaceRules(RuleSet):
    """The rules in the order in which kube-proxy makes sure of them, and the sockets they lead to."""

    config: NodeConfig = NodeConfig()
    ensured: Sequence[tuple[str, Rule]] = ()  # chain and rule
    listeners: Mapping[tuple[str, int], Listener] = field(default_factory=dict)  # by label and port

    @property
    def present(self) -> int:
        """Return the number of rules in all five chains; the jumps to them are not Services'."""
        return len(self.ensured)

    def listener(self, rule: Rule) -> Listener:
        """Return the socket that a portal's ``rule`` leads to."""
        return self.listeners[rule.comment, int((rule.to or rule.options).replace(" ", ":").rpartition(":")[2])]


def program(states: Iterable[PortState], config: NodeConfig) -> UserspaceRules:
    """Return all that kube-proxy wants on this node for ``states``; rules stand in the order it first saw them.

    The ports it listens on are made up: kube-proxy takes what the kernel gives.  Numbers come back after 28,232
    service ports, where a real node has none left.
    """
    ensured: list[tuple[str, Rule]] = []
    listeners: dict[tuple[str, int], Listener] = {}
    own: dict[int, int] = {}
    for place, state in enumerate(states):
        number = place if state.port < 0 else state.port
        ready = tuple(endpoint for endpoint in state.endpoints if endpoint.ready)
        listener = Listener(FIRST_PORT + number % PORTS, state.info, ready)
        listeners[state.info.label, listener.port] = listener
        mine = list(_portals(listener, config))
        ensured += mine
        own[state.row] = own.get(state.row, 0) + sum(chain != CONTAINER for chain, _ in mine)
    chains: dict[str, list[Rule]] = {jump.target: [] for jump in JUMPS}
    for chain, rule in ensured:
        chains[chain].append(rule)
    return UserspaceRules(
        chains=chains,
        dispatch=len(chains[CONTAINER]),
        own=own,
        config=config,
        ensured=ensured,
        listeners=listeners,
    )


def _portals(listener: Listener, config: NodeConfig) -> Iterator[tuple[str, Rule]]:
    """Yield the rules of one service port, each with its chain: ClusterIP, external, load balancer, NodePort."""
    info = listener.info
    host = ip_port(config.node_ips[0], listener.port)

    def container(ip: str, port: int, match: str = "", kind: str = "") -> Rule:
        redirect = f"--to-ports {listener.port}"
        return _rule(info, "REDIRECT", ip, port, match=match, kind=kind, options=redirect)

    def node(ip: str, port: int, kind: str = "") -> Rule:
        return _rule(info, "DNAT", ip, port, kind=kind, to=host)

    yield CONTAINER, container(info.cluster_ip, info.port)
    yield HOST, node(info.cluster_ip, info.port)
    for ip in info.external_ips:
        yield CONTAINER, container(ip, info.port, NOT_BY_BRIDGE)
        yield CONTAINER, container(ip, info.port, kind="LOCAL")
        yield HOST, node(ip, info.port, "LOCAL")
    for ip in info.load_balancer_vips:
        yield CONTAINER, container(ip, info.port)
        yield HOST, node(ip, info.port)
    if info.node_port:
        yield NODE_PORT_CONTAINER, container("", info.node_port)
        yield NODE_PORT_HOST, node("", info.node_port)
        yield NON_LOCAL, _rule(info, "ACCEPT", "", listener.port, match="-m state --state NEW")


def _rule(
    info: PortInfo, target: str, ip: str, port: int, *, match: str = "", kind: str = "", options: str = "", to: str = ""
) -> Rule:
    return Rule(
        target,
        info.label,
        destination=ip,
        protocol=info.protocol.lower(),
        port=port,
        destination_type=kind,
        match=match,
        options=options,
        to=to,
    )
