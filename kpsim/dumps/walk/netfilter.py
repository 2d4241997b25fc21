"""The rules of ``iptables-save`` as steps of a walk: what they match, and what their targets do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kpsim.dumps.saved import Tables
from kpsim.dumps.walk.engine import Act, Answer, ChainKey
from kpsim.dumps.walk.matches import clauses_of, judge, number
from kpsim.dumps.walk.way import EVERY_BIT, Node, Way
from kpsim.proxy.rules import Rule

_VERDICTS = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "reject", "RETURN": "return"}
_SOURCE_CHANGED = ("MASQUERADE", "SNAT", "NETMAP")
_GO_ON = {
    "", "AUDIT", "CHECKSUM", "CLASSIFY", "CONNSECMARK", "DSCP", "ECN", "HL", "HMARK", "IDLETIMER", "LED", "LOG",
    "NFACCT", "NFLOG", "RATEEST", "SECMARK", "SET", "TCPMSS", "TCPOPTSTRIP", "TEE", "TOS", "TRACE", "TTL", "ULOG",
}  # fmt: skip
_MARK = re.compile(
    r"(?:--(?P<option>set-xmark|set-mark|or-mark|xor-mark|and-mark)|MARK (?P<listed>xset|set|or|xor|and))"
    r" (?P<value>0x[0-9a-fA-F]+|\d+)(?:/(?P<mask>0x[0-9a-fA-F]+|\d+))?"
)
_DESTINATION = re.compile(r"\[?([0-9a-fA-F.:]+?)\]?(?:-[0-9a-fA-F.:]+?)?(?::(\d+)(?:-\d+)?)?")
_TO_PORTS = re.compile(r"(?:--to-ports|redir ports) (\d+)")

Mark = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class NetfilterStep:
    """One rule of one chain; ``chains`` are those of its table."""

    table: str
    chain: str
    rule: Rule
    chains: Mapping[str, Sequence[Rule]]

    @property
    def text(self) -> str:
        """Return the rule as ``iptables-save`` words it, with its table."""
        return f"{self.table}: {self.rule.render(self.chain)}"

    def ask(self, way: Way, node: Node) -> Answer | None:
        """Return the rule's answer to a packet; ``None`` if it does not match."""
        rule = self.rule
        if not rule.fits(way.packet, node.is_local):
            return None
        unsure, chance = "", rule.probability is not None and rule.probability < 1
        for clause in clauses_of(rule.match) if rule.match else ():
            if clause[0] in ("-g", "-j"):
                continue
            said = judge(clause, way, node)
            if said is False:
                return None
            unsure = unsure or (_asked(clause) if said is None else "")
            chance |= clause[:2] == ("-m", "statistic")
        acts = tuple(self._acts(way, node))
        if acts == (Act(),):
            return None if unsure else Answer(acts)
        if not acts:
            unsure = unsure or f"what {rule.target or 'the target'} does"
            return Answer(unsure=unsure)
        return Answer(acts, chance, unsure)

    def _acts(self, way: Way, node: Node) -> Iterator[Act]:
        """Yield the target's acts; none at all where they are not known."""
        target = self.rule.target
        if target in _VERDICTS:
            yield Act(_VERDICTS[target])
        elif target in self.chains:
            yield Act("jump", target)
        elif target == "DNAT" or not target:
            yield from self._translated(way)
        elif target == "REDIRECT":
            found = _TO_PORTS.search(self.rule.options)
            own = next((ip for ip in node.addresses if (":" in ip) == (":" in way.packet.destination)), "127.0.0.1")
            yield Act("accept", after=way.sent_to(own, int(found[1]) if found else 0))
        elif target in _SOURCE_CHANGED:
            yield Act("accept", after=replace(way, masqueraded=True))
        elif target == "MARK" and (mark := _mark(self.rule.options)):
            yield Act(after=way.marked(*mark))
        elif target == "CONNMARK":
            yield Act(after=way.doubted(EVERY_BIT)) if "restore" in self.rule.options else Act()
        elif target == "NOTRACK" or (target == "CT" and "notrack" in self.rule.options):
            yield Act(after=replace(way, untracked=True))
        elif target in _GO_ON or target == "CT":
            yield Act()

    def _translated(self, way: Way) -> Iterator[Act]:
        """Yield the act of each new destination; without one, an act that goes on, or to where ``-g`` says."""
        if self.rule.to:
            ip, _, port = self.rule.to.rpartition(":")
            yield Act("accept", after=way.sent_to(ip.strip("[]"), int(port)))
            return
        for clause in clauses_of(self.rule.match) if self.rule.match else ():
            if clause[0] == "-g":
                yield from [Act("goto", clause[1])] if clause[1:2] and clause[1] in self.chains else []
                return
            if clause[0] == "-j":
                places = (_DESTINATION.fullmatch(word) for word in clause[2:])
                for found in filter(None, places):
                    yield Act("accept", after=way.sent_to(found[1], int(found[2] or 0)))
                return
        yield Act()


def _asked(clause: Sequence[str]) -> str:
    """Return a match's question in a few words: all matches of a kind count together."""
    words = [word for word in clause if word != "!"]
    return " ".join(words[:2]) if words[0] == "-m" else words[0].split(":")[0]


def _mark(options: str) -> Mark | None:
    found = _MARK.search(options)
    if not found:
        return None
    verb = found["listed"] or {"set-xmark": "xset"}.get(found["option"], found["option"].removesuffix("-mark"))
    return verb, number(found["value"]), number(found["mask"]) if found["mask"] else EVERY_BIT


def settable_bits(tables: Tables) -> int:
    """Bits of the mark that some rule sets, in any table."""
    every = (rule for chains in tables.chains.values() for rules in chains.values() for rule in rules)
    found = 0
    for rule in every:
        if rule.target == "CONNMARK" and "restore" in rule.options:
            return EVERY_BIT
        mark = _mark(rule.options) if rule.target == "MARK" else None
        if mark:
            verb, value, mask = mark
            found |= (mask | value) if verb in ("set", "xset") else ~value & EVERY_BIT if verb == "and" else value
    return found


@dataclass(slots=True)
class _Chain:
    """The steps of a chain, made when a packet comes there: most chains of a large dump it never sees."""

    table: str
    name: str
    chains: Mapping[str, Sequence[Rule]]
    _steps: tuple[NetfilterStep, ...] | None = None

    def __iter__(self) -> Iterator[NetfilterStep]:
        if self._steps is None:
            rules = self.chains[self.name]
            self._steps = tuple(NetfilterStep(self.table, self.name, rule, self.chains) for rule in rules)
        return iter(self._steps)


def steps_of(tables: Tables) -> dict[ChainKey, Iterable[NetfilterStep]]:
    """Return every chain of every table."""
    return {(table, name): _Chain(table, name, chains) for table, chains in tables.chains.items() for name in chains}
