"""Rules put in an order that reads well, and shortened where many are alike.

For people who look; what the tools take is in ``text``.  Chains that are the same whatever Services there are do
not appear.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from kpsim.proxy.rules import ALIKE_SHOWN, Rule, RuleSet, few, table_and_chain

SAME_FOR_ALL = ("KUBE-FORWARD", "KUBE-FIREWALL")


def rendered(rules: RuleSet) -> Iterator[str]:
    """The rules as their tool prints them, from the chain a packet enters by, without those that are always there."""
    entrance = next(iter(rules.chains), "")
    order = list(dict.fromkeys([entrance, *_reachable(rules, entrance)])) if entrance else []
    order += [name for name in rules.chains if table_and_chain(name)[0] != "nat"]
    kinds: Counter[str] = Counter()
    shown = "nat"
    for name in order:
        table, chain = table_and_chain(name)
        if chain in SAME_FOR_ALL:
            continue
        own = [rule.render(chain) for rule in _own_rules(rules, name)]
        kind = chain.rpartition("-")[0]
        kinds[kind] += 1
        if own and table != shown:
            yield f"*{table}"
            shown = table
        if kinds[kind] <= ALIKE_SHOWN or kind == "KUBE":
            yield from few(own, f"rules of {chain}")
    for kind, number in kinds.items():
        if number > ALIKE_SHOWN and kind != "KUBE":
            yield f"… and {number - ALIKE_SHOWN:,} more {kind} chains like these"


def _own_rules(rules: RuleSet, name: str) -> list[Rule]:
    """Return a chain's rules but for jumps into chains that this Service left empty."""
    return [rule for rule in rules.chains[name] if rules.chains.get(rule.target, True)]


def _reachable(rules: RuleSet, name: str) -> Iterator[str]:
    """Yield the chains a packet can come to from ``name``, in order of their rules; without the marking chains."""
    for rule in rules.chains[name]:
        if rule.target in rules.chains and not rule.target.startswith("KUBE-MARK"):
            yield rule.target
    for rule in rules.chains[name]:
        if rule.target in rules.chains and not rule.target.startswith("KUBE-MARK"):
            yield from _reachable(rules, rule.target)
