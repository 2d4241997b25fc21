"""A packet meets rules of others beside kube-proxy's: network plugins, firewalls, container runtimes.

kube-proxy hooks its chains into netfilter's built-in ones with a jump.  Rules of others that stand there before its
first jump or after it are met by every packet of that hook, and so are the rules of chains they jump to without any
condition.  Rules behind a condition are counted as the one rule that asks it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kpsim.dumps.saved import Tables
from kpsim.proxy.rules import Rule

_OWN = re.compile(
    r"KUBE-(?:(?:SVC|SVL|SEP|EXT|FW|XLB)-[A-Z2-7]{16}|SERVICES|NODEPORTS|POSTROUTING|MARK-MASQ|MARK-DROP|FORWARD|FIREWALL"
    r"|EXTERNAL-SERVICES|PROXY-FIREWALL|PROXY-CANARY|KUBELET-CANARY|IPTABLES-HINT|LOAD-BALANCER|NODE-PORT|IPVS-FILTER"
    r"|IPVS-OUT-FILTER|SOURCE-RANGES-FIREWALL|PORTALS-(?:CONTAINER|HOST)|NODEPORT-(?:CONTAINER|HOST|NON-LOCAL))"
)
DEEPEST = 200  # chains leading to each other that are followed
_BUILT_IN = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
_FINAL = ("ACCEPT", "DROP", "REJECT", "RETURN", "DNAT", "SNAT", "MASQUERADE")


@dataclass(frozen=True, slots=True)
class Hook:
    """One hook of one table: rules of others that every packet meets before kube-proxy's, and after."""

    table: str
    hook: str
    before: int
    after: int

    def __str__(self) -> str:
        return f"{self.table} {self.hook} {self.before} before and {self.after} after"


def own(chain: str) -> bool:
    """Return True if a chain is kube-proxy's (or kubelet's)."""
    return bool(_OWN.fullmatch(chain))


def hooks_in(tables: Tables) -> tuple[Hook, ...]:
    """Return every hook at which others have rules."""
    found = [
        Hook(table, chain, *_beside(chains, chains[chain]))
        for table, chains in tables.chains.items()
        for chain in _BUILT_IN
        if chains.get(chain)
    ]
    return tuple(hook for hook in found if hook.before or hook.after)


def _beside(chains: Mapping[str, Sequence[Rule]], rules: Sequence[Rule]) -> tuple[int, int]:
    """Return the counts of others' rules (before, after) kube-proxy's first jump."""
    jumps = [index for index, rule in enumerate(rules) if own(rule.target)]
    first = jumps[0] if jumps else len(rules)
    known: dict[str, tuple[int, bool]] = {}
    before, over = _met(chains, rules[:first], known)
    after = 0 if over else _met(chains, rules[first:], known)[0]
    return before, after


def _met(
    chains: Mapping[str, Sequence[Rule]], rules: Sequence[Rule], known: dict[str, tuple[int, bool]], depth: int = 0
) -> tuple[int, bool]:
    """Return (rules of others that every packet meets among these, True if no packet goes on behind them).

    A chain is counted once, and then ``known``: chains that lead to each other twice would take for ever.
    """
    count = 0
    for rule in rules:
        if own(rule.target):
            continue
        count += 1
        if not _unconditional(rule):
            continue
        if rule.target in _FINAL:
            return count, rule.target != "RETURN"
        if rule.target in chains and depth < DEEPEST:
            if rule.target not in known:
                known[rule.target] = (0, False)  # what leads back to itself counts no more
                known[rule.target] = _met(chains, chains[rule.target], known, depth + 1)
            inner, over = known[rule.target]
            count += inner
            if over:
                return count, True
    return count, False


def _unconditional(rule: Rule) -> bool:
    conditions = (rule.destination, rule.protocol, rule.port, rule.source, rule.source_type, rule.destination_type)
    return not any(conditions) and not rule.match and rule.probability is None
