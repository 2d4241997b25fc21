"""A packet's way through one node's chains: each rule it meets, and where it can end up.

The first packet of a connection enters nat KUBE-SERVICES, is rewritten or not, and goes through the filter chains that
kube-proxy hooks: OUTPUT's for what the node itself sends, INPUT's for what is for the node, else FORWARD's.  Choice by
probability is not made: every endpoint a packet could be sent to is listed.  Matches on a connection's past (recent,
mark, ctstate) never match a new one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from kpsim.proxy.node import NodeConfig
from kpsim.proxy.rules import FILTER, Packet, Rule, RuleSet, Trace

HOOKS = {  # filter chains that can hold up a new connection, in order; jump_lines() writes these jumps and the others
    "INPUT": ("KUBE-FIREWALL", "KUBE-PROXY-FIREWALL", "KUBE-NODEPORTS", "KUBE-EXTERNAL-SERVICES"),
    "FORWARD": ("KUBE-PROXY-FIREWALL", "KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES"),
    "OUTPUT": ("KUBE-FIREWALL", "KUBE-PROXY-FIREWALL", "KUBE-SERVICES"),
}
VERDICTS = {"ACCEPT", "DROP", "REJECT"}
IGNORED = {"", "MARK", "RETURN", "MASQUERADE"}  # no verdict, and nothing a first packet's way depends on


@dataclass(slots=True)
class _Walk:
    rules: RuleSet
    config: NodeConfig
    packet: Packet  # with the destination it has now
    endpoints: dict[str, None] = field(default_factory=dict)  # ordered
    met: list[str] = field(default_factory=list)
    marked: bool = False
    verdict: str = ""

    def chain(self, name: str) -> bool:
        """Go through a chain; whether the packet's way in this table is decided."""
        return any(self._rule(name, rule) for rule in self.rules.chains.get(name, ()))

    def _rule(self, name: str, rule: Rule) -> bool:
        if rule.match or not rule.fits(self.packet, self.config.is_local):
            return False
        self.met.append(rule.render(name.removesuffix(FILTER)))
        if rule.target == "KUBE-MARK-MASQ":
            self.marked = True
            return False
        if rule.target == "DNAT":
            self.endpoints[rule.to] = None
            return True
        if name == "KUBE-MARK-DROP" and rule.target == "MARK":
            self.verdict = "DROP"  # in filter KUBE-FIREWALL, whatever comes between
            return True
        if rule.target in VERDICTS:
            self.verdict = rule.target
            return True
        if rule.target in IGNORED:
            return False
        decided = self.chain(rule.target)
        return decided and rule.probability is None  # by chance it might also go on


def trace(rules: RuleSet, config: NodeConfig, packet: Packet) -> Trace:
    """Follow the first packet of a connection through ``rules``."""
    walk = _Walk(rules, config, packet)
    walk.chain("KUBE-SERVICES")
    if walk.endpoints:
        address = next(iter(walk.endpoints))
        ip, _, port = address.rpartition(":")
        walk.packet = replace(packet, destination=ip.strip("[]"), port=int(port))
    hooks = ["OUTPUT"] if config.is_local(packet.source) else []
    hooks += ["INPUT"] if config.is_local(walk.packet.destination) else [] if hooks else ["FORWARD"]
    any(walk.chain(chain + FILTER) for hook in hooks for chain in HOOKS[hook])  # up to the first that decides
    verdict = walk.verdict or ("DNAT" if walk.endpoints else "none")
    reached = tuple(walk.endpoints) if verdict == "DNAT" else ()
    return Trace(verdict, reached, walk.marked and verdict == "DNAT", tuple(walk.met))
