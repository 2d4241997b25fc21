"""Chains walked as the kernel walks them, in whatever language their rules were written.

A rule answers what it makes of a packet: nothing, one thing for certain, several by chance, or that it cannot tell.
By chance means all of it: each way is followed, and ways that come together again go on as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, NoReturn, Protocol

from kpsim.dumps.walk.way import Node, Way, merged
from kpsim.errors import InputError, Place, Problem

ChainKey = tuple[str, str]
"""A chain by its table and name."""

MOST_RULES = 1_000_000  # a packet may be asked of: kube-proxy's own of 100,000 Services are 200,000
DEEPEST = 200  # chains open at once; nft takes 16, and nobody's iptables has thirty

_ENDS = ("accept", "drop", "reject")


class Act(NamedTuple):
    """One thing a rule can do to a packet.

    ``verb``: jump, goto (to ``chain``), return, accept, drop, reject, or "" for going on; ``after`` is the packet as
    the rule leaves it, where it changes anything.
    """

    verb: str = ""
    chain: str = ""
    after: Way | None = None


class Answer(NamedTuple):
    """A matching rule answers with acts on the packet.

    ``unsure`` is what could not be judged, "" where it matches for certain.  With ``chance`` the packet may as well go
    on to the next rule.
    """

    acts: tuple[Act, ...] = ()
    chance: bool = False
    unsure: str = ""


class Step(Protocol):
    """One rule."""

    @property
    def text(self) -> str:
        """Return the rule with its table and chain, as it is shown."""
        ...

    def ask(self, way: Way, node: Node) -> Answer | None:
        """Return the rule's answer to a packet; ``None`` if it does not match."""
        ...


@dataclass(slots=True)
class Walker:
    """A packet's walk through the chains of one dump, with notes on its way."""

    chains: Mapping[ChainKey, Iterable[Step]]
    node: Node
    files: str = ""  # the dump's, for what cannot be walked
    met: dict[str, None] = field(default_factory=dict)
    passed_over: dict[str, str] = field(default_factory=dict)  # rule -> what could not be judged
    evaluated: int = 0
    behind_routing: bool = False  # where nat changes sources
    _asked: int = 0
    _supposing: int = 0
    _inside: set[ChainKey] = field(default_factory=set)

    def through(self, key: ChainKey, way: Way) -> tuple[list[Way], Way | None]:
        """Go through a chain; return (ways that end in it, way that comes out again or None).

        Raises
        ------
        InputError
            if a packet would meet more rules than any node has: chains that lead to each other twice double them.
        """
        if len(self._inside) >= DEEPEST:
            self._refuse(f"chains lead more than {DEEPEST} deep, e.g. to {key[1]}: that is not walked")
        self._inside.add(key)
        try:
            return self._through(key, way)
        finally:
            self._inside.discard(key)

    def _through(self, key: ChainKey, way: Way) -> tuple[list[Way], Way | None]:
        ends: list[Way] = []
        out: Way | None = None
        for step in self.chains.get(key, ()):
            self.evaluated += not self._supposing
            self._asked += 1
            if self._asked > MOST_RULES:
                self._refuse(f"a packet meets more than {MOST_RULES:,} rules, e.g. in chain {key[1]}: not walked")
            answer = step.ask(way, self.node)
            if answer is None:
                continue
            loops = any((key[0], act.chain) in self._inside for act in answer.acts if act.chain)
            if answer.unsure or loops:
                way = self._pass_over(key[0], step, answer, way)
                continue
            if not self._supposing:
                self.met[step.text] = None
            on: Way | None = way if answer.chance else None
            for act in answer.acts:
                went_on, returned = self._do(key[0], act, way, ends)
                on, out = merged(on, went_on), merged(out, returned)
            if on is None:
                return ends, out
            way = on
        return ends, merged(out, way)

    def _refuse(self, what: str) -> NoReturn:
        raise InputError([Problem(Place(self.files), what=what)])

    def _do(self, table: str, act: Act, way: Way, ends: list[Way]) -> tuple[Way | None, Way | None]:
        """Return (way on to the next rule, way out of the chain), each None if there is none."""
        after = act.after or way
        if act.verb in _ENDS:
            ends.append(replace(after, end=act.verb))
            return None, None
        if act.verb == "return":
            return None, after
        if act.verb in ("jump", "goto"):
            inner, back = self.through((table, act.chain), after)
            ends += inner
            return (back, None) if act.verb == "jump" else (None, back)
        return after, None

    def _pass_over(self, table: str, step: Step, answer: Answer, way: Way) -> Way:
        """Go on behind a rule that may or may not have matched: what it might have done to the packet is vague now."""
        if not self._supposing:
            self.passed_over[step.text] = answer.unsure or "a chain that leads back to itself"
        ends: list[Way] = []
        back: Way | None = way
        left = False
        self._supposing += 1
        for act in answer.acts:
            if (table, act.chain) not in self._inside:
                on, out = self._do(table, act, way, ends)
                back, left = merged(back, on), left or out is not None
        self._supposing -= 1
        others = {end.masqueraded for end in ends if end.end == "accept"} | ({way.masqueraded} if left else set())
        kept = others if self.behind_routing else frozenset()
        return replace(back or way, other_sources=way.other_sources | kept)
