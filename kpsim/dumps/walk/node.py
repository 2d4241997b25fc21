"""One node's rules as a dump shows them: what stands at each hook, and everything that is not known.

Several texts may show parts of one node: a table each, or virtual servers beside tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kpsim.dumps.detection import RuleDump, merged
from kpsim.dumps.findings import Findings
from kpsim.dumps.ipvs import Server, VirtualServers
from kpsim.dumps.nft import Ruleset
from kpsim.dumps.saved import Tables
from kpsim.dumps.verdicts import is_kube_proxys
from kpsim.dumps.walk import netfilter, nftables
from kpsim.dumps.walk.engine import ChainKey, Step
from kpsim.dumps.walk.way import EVERY_BIT
from kpsim.modes.iptables.text import JUMPS
from kpsim.proxy.rules import Rule

_PRIORITY = {"raw": -300, "mangle": -150, "nat": -100, "filter": 0, "security": 50}
_SOURCE_NAT = 100  # where nat stands behind the routing decision
_BUILT_IN = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")


@dataclass(frozen=True, slots=True, order=True)
class Station:
    """A chain at a hook, by its priority; ``policy`` is "drop" where what comes out of the chain is dropped."""

    priority: int
    key: ChainKey
    nat: bool = False
    policy: str = ""
    shown: str = ""  # the policy, as the tool words it


@dataclass(slots=True)
class DumpedNode:
    """Everything one node's dumps show that a packet can meet."""

    dumps: list[RuleDump] = field(default_factory=list)
    chains: dict[ChainKey, Iterable[Step]] = field(default_factory=dict)
    hooks: dict[str, list[Station]] = field(default_factory=dict)  # PREROUTING, ... for each family the same
    servers: dict[tuple[str, str, int], Server] = field(default_factory=dict)  # protocol, address, port
    addresses: dict[str, None] = field(default_factory=dict)  # the node's own, as far as rules show them
    tables: dict[str, str] = field(default_factory=dict)  # of iptables, and the file that showed them
    twice: list[str] = field(default_factory=list)  # tables that two files show: they are not of one moment
    notes: list[str] = field(default_factory=list)
    settable: int = 0  # bits of the mark that some rule here sets

    @property
    def findings(self) -> Findings:
        """Service ports that the dumps show together."""
        return merged([dump.findings for dump in self.dumps])

    @property
    def mode(self) -> str:
        """kube-proxy's, as its rules tell it; "" where none is seen."""
        return next((dump.mode for dump in self.dumps if dump.mode), "")

    @property
    def pod_ranges(self) -> tuple[str, ...]:
        """Return the ranges of Pods that kube-proxy was told, where they show."""
        return tuple(cidr for dump in self.dumps for cidr in dump.pod_ranges)

    @property
    def others_bits(self) -> int:
        """Return the bits of the mark that no rule here sets: rules that look at them expect another program's."""
        return EVERY_BIT & ~self.settable

    def at(self, hook: str) -> list[Station]:
        """Return the stations at a hook, in the order in which a packet meets them."""
        return sorted(self.hooks.get(hook, ()), key=lambda station: station.priority)

    def add(self, dump: RuleDump) -> None:
        """Take everything one dump shows."""
        self.dumps.append(dump)
        for shown in dump.shown:
            if isinstance(shown, VirtualServers):
                self.servers |= {(server.protocol, server.ip, server.port): server for server in shown.servers}
            elif isinstance(shown, Ruleset):
                self._add_ruleset(shown)
            else:
                self._add_tables(shown, dump.file)

    def _add_tables(self, tables: Tables, file: str) -> None:
        """Take the tables that were not shown before."""
        self.twice += [name for name in tables.chains if self.tables.get(name, file) != file]
        fresh = {name: chains for name, chains in tables.chains.items() if name not in self.tables}
        self.tables |= dict.fromkeys(fresh, file)
        whole = Tables(dict(_with_jumps(fresh)), policies=tables.policies)
        bare = [name for name, chains in whole.chains.items() if len(chains) > len(fresh[name])]
        if bare:
            what = f"The built-in chains of the {' and '.join(bare)} table{'s' * (len(bare) > 1)} are not in the dump"
            self.notes.append(f"{what}: the jumps that kube-proxy puts there are taken as being there.")
        self.chains |= netfilter.steps_of(whole)
        self.settable |= netfilter.settable_bits(whole)
        for table, chains in whole.chains.items():
            for name in _BUILT_IN:
                if name in chains:
                    late = table == "nat" and name in ("INPUT", "POSTROUTING")
                    priority = _SOURCE_NAT if late else _PRIORITY.get(table, 0)
                    policy = whole.policies.get((table, name), "").lower()
                    shown = f"{table}: -P {name} DROP"
                    station = Station(priority, (table, name), table == "nat", policy, shown)
                    self.hooks.setdefault(name, []).append(station)
        for rule in fresh.get("nat", {}).get("KUBE-SERVICES", ()):
            if rule.target == "KUBE-NODEPORTS" and rule.destination and "/" not in rule.destination:
                self.addresses[rule.destination] = None

    def _add_ruleset(self, ruleset: Ruleset) -> None:
        others = [table for table in ruleset.tables if not is_kube_proxys(table)]
        hooked = [f"{t.family} {t.name}" for t in others if any(chain.hook for chain in t.chains.values())]
        if hooked:
            self.notes.append(f"Tables of others were not walked, whatever they do: {', '.join(hooked)}.")
        for table in filter(is_kube_proxys, ruleset.tables):
            self.chains |= nftables.steps_of(table)
            self.settable |= nftables.settable_bits(table)
            for name, chain in table.chains.items():
                if chain.hook:
                    key = (f"{table.family} {table.name}", name)
                    shown = f"{key[0]}: chain {name} {{ policy drop; }}"
                    policy = "drop" if chain.policy == "drop" else ""
                    station = Station(chain.priority, key, chain.kind == "nat", policy, shown)
                    self.hooks.setdefault(chain.hook.upper(), []).append(station)
            for element in table.elements.get("nodeport-ips", ()):
                self.addresses[element.key[0]] = None

    def gaps(self) -> Iterator[str]:
        """Yield the gaps of the dump that a reader of any verdict must know of."""
        yield from self.notes
        if self.servers and not self.chains:
            what = (
                "The rules of iptables and the ipsets that ipvs mode has beside its virtual servers are not in the dump"
            )
            yield f"{what}: what they refuse or masquerade is not seen."
        if self.tables:
            for name, what in (("nat", "what it translates"), ("filter", "what it refuses")):
                if name not in self.tables:
                    yield f"The {name} table is not in the dump, and {what} is not seen: add iptables-save -t {name}."


def node_of(dumps: Sequence[RuleDump]) -> DumpedNode:
    """Return what several dumps show of one node."""
    node = DumpedNode()
    for dump in dumps:
        node.add(dump)
    return node


def _with_jumps(
    tables: Mapping[str, Mapping[str, Sequence[Rule]]],
) -> Iterator[tuple[str, Mapping[str, Sequence[Rule]]]]:
    """Tables as they are; one without any built-in chain gets those that lead to kube-proxy's."""
    for table, chains in tables.items():
        added: dict[str, list[Rule]] = {}
        if not any(name in chains for name in _BUILT_IN):
            for hook, chain, match, comment in JUMPS.get(table, ()):
                if chain in chains:
                    added.setdefault(hook, []).append(Rule(chain, comment, match=match.strip()))
        yield table, {**added, **chains}
