"""The few iptables chains IPVS needs: who is masqueraded, who is let in, and what a virtual address does not answer.

Rules ask ipsets, so their number does not grow with Services, but for KUBE-IPVS-OUT-FILTER: one rule for each load
balancer address and port that the node itself may not reach, since 1.29.  KUBE-IPVS-FILTER, which refuses what no
virtual server answers, came with 1.26, and with it the way out for what comes from localhost; since 1.28 it lets health
checks pass, since 1.30 external addresses under a Local policy.  Before 1.25 chains are written like those of 1.25.
Source: pkg/proxy/ipvs/proxier.go at these versions (iptablesChains, iptablesJumpChain, ipsetWithIptablesChain,
writeIptablesRules, acceptIPVSTraffic).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kpsim.modes.ipvs.ipsets import SETS, kernel_name
from kpsim.proxy.node import NodeConfig
from kpsim.proxy.rules import FILTER, PortKey, Rule
from kpsim.units import Version

ACCESS_FILTER_SINCE: Version = (1, 26)
HEALTH_CHECKS_PASS_SINCE: Version = (1, 28)
OUT_FILTER_SINCE: Version = (1, 29)
LOCAL_POLICIES_PASS_SINCE: Version = (1, 30)

CHAINS = (
    "KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-NODE-PORT", "KUBE-LOAD-BALANCER", "KUBE-MARK-MASQ",
    *(name + FILTER for name in (
        "KUBE-FORWARD", "KUBE-NODE-PORT", "KUBE-PROXY-FIREWALL", "KUBE-SOURCE-RANGES-FIREWALL", "KUBE-IPVS-FILTER",
        "KUBE-IPVS-OUT-FILTER",
    )),
)  # fmt: skip
LOOPBACK = {"IPv4": "127.0.0.0/8", "IPv6": "::1/128"}
BOTH = "dst,dst"


@dataclass(frozen=True, slots=True)
class Jump:
    """A rule at the head of a built-in chain; each is put in front of those before it."""

    table: str
    chain: str
    target: str
    comment: str


JUMPS = (
    Jump("nat", "OUTPUT", "KUBE-SERVICES", "kubernetes service portals"),
    Jump("nat", "PREROUTING", "KUBE-SERVICES", "kubernetes service portals"),
    Jump("nat", "POSTROUTING", "KUBE-POSTROUTING", "kubernetes postrouting rules"),
    Jump("filter", "FORWARD", "KUBE-FORWARD", "kubernetes forwarding rules"),
    Jump("filter", "INPUT", "KUBE-NODE-PORT", "kubernetes health check rules"),
    Jump("filter", "INPUT", "KUBE-PROXY-FIREWALL", "kube-proxy firewall rules"),
    Jump("filter", "FORWARD", "KUBE-PROXY-FIREWALL", "kube-proxy firewall rules"),
    Jump("filter", "INPUT", "KUBE-IPVS-FILTER", "kubernetes ipvs access filter"),
    Jump("filter", "OUTPUT", "KUBE-IPVS-OUT-FILTER", "kubernetes ipvs access filter"),
)


_SINCE = {"KUBE-IPVS-FILTER": ACCESS_FILTER_SINCE, "KUBE-IPVS-OUT-FILTER": OUT_FILTER_SINCE}


def chains_of(version: Version) -> tuple[str, ...]:
    """Return the chains that a ``version`` has, in the order in which it makes sure of them."""
    return tuple(name for name in CHAINS if version >= _SINCE.get(name.removesuffix(FILTER), version))


def jumps_of(version: Version) -> tuple[Jump, ...]:
    """Return the jumps that lead to them."""
    return tuple(jump for jump in JUMPS if version >= _SINCE.get(jump.target, version))


@dataclass(frozen=True, slots=True)
class _Asking:
    """Rules that ask sets, only those that hold something where it says so."""

    sets: Mapping[str, Collection[str]]
    family: str

    def match(self, name: str, sides: str, more: str = "") -> str:
        return f"-m set --match-set {kernel_name(name, self.family)} {sides}{more}"

    def when_filled(
        self, name: str, sides: str, *targets: str, protocol: str = "", source: str = "", interface: str = ""
    ) -> Iterator[Rule]:
        """Yield the rules with the set's comment, one a target, if the set holds anything."""
        if self.sets.get(name):
            comment, match = SETS[name].comment, self.match(name, sides)
            for target in targets:
                yield Rule(target, comment, protocol=protocol, source=source, interface=interface, match=match)


def chains_for(
    sets: Mapping[str, Collection[str]], barred: Sequence[PortKey], config: NodeConfig
) -> dict[str, list[Rule]]:
    """Return all chains, eleven since 1.29, given what the sets hold.

    ``barred`` are load balancers whose source ranges leave the node out.
    """
    asking = _Asking(sets, config.ip_family)
    chains: dict[str, list[Rule]] = {name: [] for name in chains_of(config.kubernetes_version)}
    chains["KUBE-SERVICES"] += _services(asking, config)
    chains["KUBE-POSTROUTING"] += _postrouting(asking, config)
    chains["KUBE-LOAD-BALANCER"] += asking.when_filled("KUBE-LOAD-BALANCER-LOCAL", BOTH, "RETURN")
    chains["KUBE-LOAD-BALANCER"].append(Rule("KUBE-MARK-MASQ"))
    chains["KUBE-NODE-PORT"] += _node_port(asking)
    chains["KUBE-MARK-MASQ"].append(Rule("MARK", options=f"--or-mark {config.mark}"))
    for name, rules in _filter(asking, barred, config).items():
        if name + FILTER in chains:
            chains[name + FILTER] += rules
    return chains


def _services(asking: _Asking, config: NodeConfig) -> Iterator[Rule]:
    """Mark what must be masqueraded, then accept what is for a virtual server, lest other rules stop it."""
    if config.kubernetes_version >= ACCESS_FILTER_SINCE:
        yield Rule("RETURN", source=LOOPBACK[config.ip_family])
    yield from asking.when_filled("KUBE-LOAD-BALANCER", BOTH, "KUBE-LOAD-BALANCER")
    sides, source, interface = BOTH, "", ""
    if not config.masquerade_all:
        if detector := config.detector:
            source, interface = detector.source(others=True), detector.arrival(others=True)
        else:
            sides = "src,dst"  # a node that calls a ClusterIP comes from it
    yield from asking.when_filled("KUBE-CLUSTER-IP", sides, "KUBE-MARK-MASQ", source=source, interface=interface)
    yield from asking.when_filled("KUBE-EXTERNAL-IP", BOTH, "KUBE-MARK-MASQ")
    for name in ("KUBE-EXTERNAL-IP", "KUBE-EXTERNAL-IP-LOCAL"):
        if asking.sets.get(name):
            from_elsewhere = " -m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL"
            yield Rule("ACCEPT", SETS[name].comment, match=asking.match(name, BOTH, from_elsewhere))
            yield Rule("ACCEPT", SETS[name].comment, match=asking.match(name, BOTH, " -m addrtype --dst-type LOCAL"))
    yield Rule("KUBE-NODE-PORT", match="-m addrtype --dst-type LOCAL")
    for name in ("KUBE-CLUSTER-IP", "KUBE-LOAD-BALANCER"):
        if asking.sets.get(name):
            yield Rule("ACCEPT", match=asking.match(name, BOTH))


def _postrouting(asking: _Asking, config: NodeConfig) -> Iterator[Rule]:
    """Masquerade a Pod that reached itself, and whatever carries the mark."""
    yield from asking.when_filled("KUBE-LOOP-BACK", "dst,dst,src", "MASQUERADE")
    yield Rule("RETURN", match=f"-m mark ! --mark {config.mark}/{config.mark}")
    yield Rule("MARK", options=f"--xor-mark {config.mark}")
    yield Rule("MASQUERADE", "kubernetes service traffic requiring SNAT", options="--random-fully")


def _node_port(asking: _Asking) -> Iterator[Rule]:
    """NodePorts are masqueraded, but for those of externalTrafficPolicy Local, which come first."""
    for protocol, suffix, sides in (("tcp", "TCP", "dst"), ("udp", "UDP", "dst"), ("sctp", "SCTP-HASH", BOTH)):
        yield from asking.when_filled(f"KUBE-NODE-PORT-LOCAL-{suffix}", sides, "RETURN", protocol=protocol)
        yield from asking.when_filled(f"KUBE-NODE-PORT-{suffix}", sides, "KUBE-MARK-MASQ", protocol=protocol)


def _filter(asking: _Asking, barred: Sequence[PortKey], config: NodeConfig) -> dict[str, list[Rule]]:
    """Return the filter table: forward marked packets, keep to the source ranges, refuse ports without endpoints."""
    mark = f"-m mark --mark {config.mark}/{config.mark}"
    health = "KUBE-HEALTH-CHECK-NODE-PORT"
    known = ["KUBE-LOAD-BALANCER", "KUBE-CLUSTER-IP", "KUBE-EXTERNAL-IP"]
    if config.kubernetes_version >= LOCAL_POLICIES_PASS_SINCE:
        known.append("KUBE-EXTERNAL-IP-LOCAL")
    checks = [health] if config.kubernetes_version >= HEALTH_CHECKS_PASS_SINCE else []
    new = "-m conntrack --ctstate NEW "
    return {
        "KUBE-FORWARD": [
            Rule("ACCEPT", "kubernetes forwarding rules", match=mark),
            Rule("ACCEPT", "kubernetes forwarding conntrack rule", match="-m conntrack --ctstate RELATED,ESTABLISHED"),
        ],
        "KUBE-NODE-PORT": [Rule("ACCEPT", SETS[health].comment, match=asking.match(health, "dst"))],
        "KUBE-PROXY-FIREWALL": list(asking.when_filled("KUBE-LOAD-BALANCER-FW", BOTH, "KUBE-SOURCE-RANGES-FIREWALL")),
        "KUBE-SOURCE-RANGES-FIREWALL": [
            *asking.when_filled("KUBE-LOAD-BALANCER-SOURCE-CIDR", "dst,dst,src", "RETURN"),
            *asking.when_filled("KUBE-LOAD-BALANCER-SOURCE-IP", "dst,dst,src", "RETURN"),
            Rule("DROP"),
        ],
        "KUBE-IPVS-FILTER": [
            *(Rule("RETURN", match=asking.match(name, BOTH)) for name in known),
            *(Rule("RETURN", match=asking.match(name, "dst")) for name in checks),
            Rule("REJECT", match=new + asking.match("KUBE-IPVS-IPS", "dst")),
        ],
        "KUBE-IPVS-OUT-FILTER": [
            Rule("DROP", source=ip, match=f"-m ipvs --vaddr {ip} --vproto {protocol.lower()} --vport {port}")
            for ip, protocol, port in barred
        ],
    }
