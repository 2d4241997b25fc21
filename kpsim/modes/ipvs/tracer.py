"""A packet's way through one node under IPVS: the sets it is looked up in, the rules it meets, where it can end up.

The first packet of a connection passes nat KUBE-SERVICES.  One from elsewhere that is for the node (and kube-ipvs0
makes every Service's address the node's) then passes the filter rules of INPUT, and comes to IPVS; one from the node
itself comes to IPVS at once.  What IPVS sends on passes filter OUTPUT and nat KUBE-POSTROUTING, where the mark becomes
a masquerade.  A virtual server without a real server that takes connections answers ICMP port unreachable by itself.
The matches are read from the rules as they are written.  Left out: packets that come in by a bridge's port (physdev),
and the choice among real servers: all that have weight are listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from kpsim.modes.ipvs.ipsets import SETS, kernel_name, socket_entry
from kpsim.modes.ipvs.program import IpvsRules, VirtualService
from kpsim.modes.ipvs.text import server_line
from kpsim.proxy.rules import FILTER, Packet, Rule, Trace, covers

INPUT = ("KUBE-IPVS-FILTER", "KUBE-PROXY-FIREWALL", "KUBE-NODE-PORT")  # each jump was put in front of the last
FORWARD = ("KUBE-PROXY-FIREWALL", "KUBE-FORWARD")
OUTPUT = ("KUBE-IPVS-OUT-FILTER",)
BITMAP_PROTOCOLS = ("TCP", "UDP")


@dataclass(frozen=True, slots=True)
class IpvsTrace(Trace):
    """A trace that also names the virtual server that took the packet, and the sets asked on the way."""

    service: VirtualService | None = None
    masqueraded_to: tuple[str, ...] = ()  # endpoints that would see the node's address: all of them, or the sender
    ipsets: tuple[str, ...] = ()  # in the order in which rules ask them
    evaluated: int = 0  # rules, whether they matched or not


@dataclass(slots=True)
class _Walk:
    rules: IpvsRules
    packet: Packet
    destination: str
    port: int
    marked: bool = False
    met: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    evaluated: int = 0

    def chain(self, name: str) -> str:
        """Go through a chain; the target that decided, "" if the packet comes out of it."""
        table = FILTER if name.endswith(FILTER) else ""
        for rule in self.rules.chains[name]:
            self.evaluated += 1
            if not self._matches(rule):
                continue
            self.met.append(rule.render(name.removesuffix(FILTER)))
            if rule.target == "RETURN":
                return ""
            if rule.target == "MARK":
                self.marked = rule.options.startswith("--or-mark")
            elif rule.target + table not in self.rules.chains:
                return rule.target
            elif decided := self.chain(rule.target + table):
                return decided
        return ""

    def filter(self, *names: str) -> str:
        """Go through several chains of the filter table until one decides."""
        return next((decided for name in names if (decided := self.chain(name + FILTER))), "")

    def _matches(self, rule: Rule) -> bool:
        return (
            rule.protocol in ("", self.packet.protocol.lower())
            and covers(rule.source, self.packet.source)
            and all(self._fits(words) for words in _matchers(rule.match))
        )

    def _fits(self, words: list[str]) -> bool:
        negated = "!" in words
        module, *rest = (word for word in words if word != "!")
        return MATCHERS[module](self, rest) != negated

    def is_local(self, ip: str) -> bool:
        """Return True if routing takes an address for the node's, those of kube-ipvs0 included."""
        return self.rules.config.is_local(ip) or ip in self.rules.sets["KUBE-IPVS-IPS"]

    def in_set(self, words: list[str]) -> bool:
        """``--match-set NAME SIDES``."""
        _, written, sides = words
        name = next(name for name in SETS if kernel_name(name, self.rules.config.ip_family) == written)
        self.asked.append(name)
        entries, packet = self.rules.sets[name], self.packet
        kind = SETS[name].type
        if kind == "bitmap:port":
            return packet.protocol in BITMAP_PROTOCOLS and str(self.port) in entries
        at = [packet.source if side == "src" else self.destination for side in sides.split(",")]
        first, last = at[0], at[-1]
        if kind == "hash:ip":
            return first in entries
        socket = socket_entry(first, packet.protocol, self.port)
        if kind == "hash:ip,port":
            return socket in entries
        if kind == "hash:ip,port,ip":
            return f"{socket},{last}" in entries
        nets = (entry.removeprefix(f"{socket},") for entry in entries if entry.startswith(f"{socket},"))
        return any(covers(net, last) for net in nets)

    def local_type(self, words: list[str]) -> bool:
        """``--src-type LOCAL`` or ``--dst-type LOCAL``."""
        return self.is_local(self.packet.source if words[0] == "--src-type" else self.destination)

    def through(self, words: list[str]) -> bool:
        """``--vaddr IP --vproto PROTOCOL --vport PORT``: whether IPVS handled it for that virtual server."""
        value = dict(zip(words[::2], words[1::2], strict=True))
        asked = value["--vaddr"], value["--vproto"].upper(), int(value["--vport"])
        return asked == (self.packet.destination, self.packet.protocol, self.packet.port)


MATCHERS: dict[str, Callable[[_Walk, list[str]], bool]] = {
    "set": _Walk.in_set,
    "addrtype": _Walk.local_type,
    "ipvs": _Walk.through,
    "mark": lambda walk, _: walk.marked,
    "conntrack": lambda _, words: "NEW" in words[1].split(","),
    "physdev": lambda *_: False,  # not by a bridge's port
}


def _matchers(match: str) -> Iterator[list[str]]:
    """``-m set --match-set X dst,dst -m addrtype --dst-type LOCAL`` as one list of words a module."""
    return (part.split() for part in match.split("-m ") if part)


def trace(rules: IpvsRules, packet: Packet) -> IpvsTrace:
    """Follow the first packet of a connection through ``rules``."""
    walk = _Walk(rules, packet, packet.destination, packet.port)
    service = rules.services.get(packet.key)
    walk.chain("KUBE-SERVICES")
    if not walk.is_local(packet.destination):
        return _ended(walk, walk.filter(*FORWARD) or "none")
    if service is None or not walk.is_local(packet.source):
        decided = walk.filter(*INPUT)
        if decided in ("DROP", "REJECT") or service is None:
            return _ended(walk, decided or "none")
    return _sent(walk, service)


def _ended(walk: _Walk, verdict: str, service: VirtualService | None = None) -> IpvsTrace:
    return IpvsTrace(verdict, met=tuple(walk.met), service=service, ipsets=tuple(walk.asked), evaluated=walk.evaluated)


def _sent(walk: _Walk, service: VirtualService) -> IpvsTrace:
    """Return the trace of a packet that came through to a virtual server."""
    walk.met.append(server_line(service))
    servers = [server for server in service.real_servers if server.weight]
    if not servers:
        return _ended(walk, "REJECT", service)
    if walk.filter(*OUTPUT):
        return _ended(walk, "DROP", service)
    ways = [_Walk(walk.rules, walk.packet, server.ip, server.port, walk.marked) for server in servers]
    decided = [way.chain("KUBE-POSTROUTING") for way in ways]
    addresses = tuple(server.address for server in servers)
    masqueraded = tuple(address for address, verdict in zip(addresses, decided, strict=True) if verdict == "MASQUERADE")
    return IpvsTrace(
        "DNAT",
        addresses,
        bool(masqueraded),
        tuple(dict.fromkeys([*walk.met, *(line for way in ways for line in way.met)])),
        service,
        masqueraded,
        (*walk.asked, *dict.fromkeys(name for way in ways for name in way.asked)),
        walk.evaluated + max(way.evaluated for way in ways),
    )
