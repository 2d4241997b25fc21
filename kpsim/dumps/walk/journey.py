"""A first packet goes through every hook of a dumped node, and its journey is told.

An arriving packet meets PREROUTING, then INPUT or FORWARD by where it is going by then, then POSTROUTING; what the
node sends itself meets OUTPUT, POSTROUTING, and comes in again where it is for the node.  Each endpoint that it may be
translated to goes on by itself, because what comes behind may stop one and not another.  IPVS stands behind INPUT,
and behind OUTPUT's nat; what it takes leaves by OUTPUT's filter and POSTROUTING.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from kpsim.dumps.ipvs import Server
from kpsim.dumps.walk.engine import Walker
from kpsim.dumps.walk.node import DumpedNode, Station
from kpsim.dumps.walk.way import Node, Way
from kpsim.proxy.node import ip_port
from kpsim.proxy.rules import Packet, Trace

_EXAMPLES = 2  # of rules that could not be judged, for each reason


@dataclass(frozen=True, slots=True)
class Journey(Trace):
    """A trace through rules of which some could not be judged.

    ``stopped`` are endpoints that a later rule keeps the packet from, ``sources`` says for each endpoint whether it
    sees another address than the sender's (``None``: that cannot be told).
    """

    sources: tuple[bool | None, ...] = ()
    stopped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    evaluated: int = 0
    here: bool = False  # it ends at the node itself
    asked: frozenset[str] = frozenset()  # addresses that rules asked about and that are not known to be the node's


@dataclass(slots=True)
class _Journey:
    dumped: DumpedNode
    walk: Walker
    done: list[Way] = field(default_factory=list)
    here: bool = False

    def hook(self, name: str, ways: Sequence[Way], stations: Sequence[Station] | None = None) -> list[Way]:
        """Return the ways that come out of the stations at a hook."""
        for station in self.dumped.at(name) if stations is None else stations:
            ways = [after for way in ways for after in self._station(station, way)]
        return list(ways)

    def _station(self, station: Station, way: Way) -> list[Way]:
        if (station.nat and way.untracked) or not self._of_family(station, way):
            return [way]
        self.walk.behind_routing = station.nat and station.priority > 0
        ends, out = self.walk.through(station.key, way)
        if out is not None and station.policy == "drop":
            self.walk.met[station.shown] = None
            ends.append(replace(out, end="drop"))
            out = None
        self.done += [end for end in ends if end.end != "accept"]
        left = [
            replace(end, end="", accepted=end.accepted or (station.key[0] == "filter" and not station.nat))
            for end in ends
            if end.end == "accept"
        ]
        return left + ([out] if out is not None else [])

    def _of_family(self, station: Station, way: Way) -> bool:
        """Tables of ``nft`` name the family they are for."""
        family = station.key[0].partition(" ")[0]
        return family != ("ip" if ":" in way.packet.destination else "ip6")

    def server(self, way: Way) -> Server | None:
        """Return the virtual server that takes a packet."""
        return self.dumped.servers.get((way.packet.protocol, way.packet.destination, way.packet.port))

    def served(self, server: Server, way: Way) -> list[Way]:
        """Return a packet at each real server; without any it is refused."""
        head = f"{server.protocol}  {ip_port(server.ip, server.port)} {server.scheduler}"
        self.walk.met[f"ipvs: {head}"] = None
        for ip, port in server.real:
            self.walk.met[f"ipvs:   -> {ip_port(ip, port)}"] = None
        if not server.real:
            self.done.append(replace(way, end="reject"))
        return [replace(way.sent_to(*real), end="") for real in server.real]

    def outgoing(self, way: Way) -> list[Way]:
        """Return the ways of a packet that the node sends itself, down to where it leaves or has come in again."""
        stations = self.dumped.at("OUTPUT")
        early, late = ([s for s in stations if (s.priority <= -100) == first] for first in (True, False))
        gone: list[Way] = []
        for each in self.hook("OUTPUT", [way], early):
            server = self.server(each)
            gone += self.hook("OUTPUT", self.served(server, each) if server else [each], late)
        arrived: list[Way] = []
        for each in self.hook("POSTROUTING", gone):
            if self.walk.node.has(each.packet.destination):
                again = [replace(each, looped=True)]
                for hook in ("PREROUTING", "INPUT"):
                    again = self.hook(hook, again, [s for s in self.dumped.at(hook) if not s.nat])
                self.here = True
                arrived += again
            else:
                arrived.append(each)
        return arrived

    def incoming(self, way: Way) -> list[Way]:
        """Return the ways of a packet that arrives from elsewhere, a Pod or another machine."""
        arrived: list[Way] = []
        for each in self.hook("PREROUTING", [way]):
            server = self.server(each)
            if server is None and not self.walk.node.has(each.packet.destination):
                arrived += self.hook("POSTROUTING", self.hook("FORWARD", [each]))
                continue
            let_in = self.hook("INPUT", [each])
            if server is None:
                self.here = True
                arrived += let_in
                continue
            sent = [gone for one in let_in for gone in self.served(server, one)]
            late = [s for s in self.dumped.at("OUTPUT") if s.priority > -100]
            arrived += self.hook("POSTROUTING", self.hook("OUTPUT", sent, late))
        return arrived


def follow(dumped: DumpedNode, packet: Packet, addresses: Sequence[str] = ()) -> Journey:
    """Follow the first packet of a connection; ``addresses`` are the node's own beside those that rules show."""
    bound = (server.ip for server in dumped.servers.values())  # to kube-ipvs0
    node = Node({*addresses, *dumped.addresses, *bound})
    walk = Walker(dumped.chains, node, " and ".join(dump.file for dump in dumped.dumps))
    way = Way(packet, packet, vague=dumped.others_bits)
    journey = _Journey(dumped, walk)
    left = journey.outgoing(way) if node.has(packet.source) else journey.incoming(way)
    reached: dict[str, bool | None] = {}
    for each in left:
        if each.endpoint:
            seen = _source_seen(dumped, each)
            reached[each.endpoint] = seen if reached.get(each.endpoint, seen) == seen else None
    stopped = dict.fromkeys(each.endpoint for each in journey.done if each.endpoint and each.endpoint not in reached)
    verdict = _verdict(left, journey.done)
    return Journey(
        verdict,
        tuple(reached) if verdict == "DNAT" else (),
        any(each.masqueraded for each in left),
        tuple(walk.met),
        sources=tuple(reached.values()),
        stopped=tuple(stopped) if verdict == "DNAT" else (),
        notes=(*_unjudged(walk), *dumped.gaps()),
        evaluated=walk.evaluated,
        here=journey.here,
        asked=frozenset(node.asked),
    )


def _source_seen(dumped: DumpedNode, way: Way) -> bool | None:
    """Return True if the endpoint sees another source; None for a listing of IPVS alone, which cannot tell."""
    return way.source_changed if dumped.chains else None


def _verdict(left: Sequence[Way], done: Sequence[Way]) -> str:
    if any(way.endpoint for way in left):
        return "DNAT"
    if left:
        return "ACCEPT" if any(way.accepted for way in left) else "none"
    return done[0].end.upper() if done else "none"


def _unjudged(walk: Walker) -> list[str]:
    """Return one sentence about rules that were passed over, by what could not be judged."""
    if not walk.passed_over:
        return []
    reasons = Counter(walk.passed_over.values())
    parts = []
    for reason, count in reasons.most_common():
        examples = [rule for rule, why in walk.passed_over.items() if why == reason][:_EXAMPLES]
        more = ", …" if count > len(examples) else ""
        parts.append(f"{count:,} by {reason} ({'; '.join(examples)}{more})")
    total = len(walk.passed_over)
    rules = "rule" if total == 1 else "rules"
    return [
        f"{total:,} {rules} could not be judged and {'was' if total == 1 else 'were'} passed over: {'; '.join(parts)}."
    ]
