"""Rules put in an order that reads well, and shortened where many are alike.

For people who look; what the tools take is :meth:`Mode.text`.  Chains that are the same whatever Services there are do
not appear.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from kpsim.proxy.rules import Rule, RuleSet

ALIKE_SHOWN = 3  # of rules or chains of one kind
SAME_FOR_ALL = ("KUBE-FORWARD", "KUBE-FIREWALL")


def table_and_chain(name: str) -> tuple[str, str]:
    """A chain's table and name: the filter table's chains have it behind their name."""
    chain, _, table = name.partition(" (")
    return table.rstrip(")") or "nat", chain


def rendered(rules: RuleSet) -> Iterator[str]:
    """The rules as their tool prints them, from the chain a packet enters by, without those that are always there."""
    for server in rules.virtual_servers.values():
        head, *reals = server.render()
        yield from (head, *few(reals, "real servers"))
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


def few(lines: Sequence[str], what: str) -> Iterator[str]:
    """The first lines and the last; how many there are between."""
    if len(lines) <= 2 * ALIKE_SHOWN + 1:
        yield from lines
        return
    yield from lines[: ALIKE_SHOWN + 1]
    yield f"… {len(lines) - ALIKE_SHOWN - 2:,} more {what} …"
    yield lines[-1]


def _own_rules(rules: RuleSet, name: str) -> list[Rule]:
    """A chain's rules but for jumps into chains that this Service left empty."""
    return [rule for rule in rules.chains[name] if rules.chains.get(rule.target, True)]


def _reachable(rules: RuleSet, name: str) -> Iterator[str]:
    """Chains a packet can come to from ``name``, in order of their rules; the marking chains are everybody's."""
    for rule in rules.chains[name]:
        if rule.target in rules.chains and not rule.target.startswith("KUBE-MARK"):
            yield rule.target
    for rule in rules.chains[name]:
        if rule.target in rules.chains and not rule.target.startswith("KUBE-MARK"):
            yield from _reachable(rules, rule.target)
