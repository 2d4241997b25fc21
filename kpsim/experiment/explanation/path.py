"""The rules of one Service in an order that reads well, and the way of a first packet through them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from kpsim.cluster.columns import Cluster
from kpsim.experiment.explanation.subject import Subject
from kpsim.proxy.contract import Mode
from kpsim.proxy.rules import Rule, RuleSet, Walk

__all__ = ["chain_path", "own_lines", "rendered", "server_path"]

PASSED_SHOWN = 3
ALIKE_SHOWN = 3  # of rules or chains of one kind
LARGE = 100


def _table_and_chain(name: str) -> tuple[str, str]:
    """A chain's table and name: the filter table's chains have it behind their name."""
    chain, _, table = name.partition(" (")
    return table.rstrip(")") or "nat", chain


def rendered(rules: RuleSet) -> Iterator[str]:
    """The rules as their tool prints them, from the chain a packet enters by, without those that are always there."""
    for server in rules.virtual_servers.values():
        head, *reals = server.render()
        yield from (head, *_few(reals, "real servers"))
    entrance = next(iter(rules.chains), "")
    order = list(dict.fromkeys([entrance, *_reachable(rules, entrance)])) if entrance else []
    order += [name for name in rules.chains if _table_and_chain(name)[0] != "nat"]
    kinds: Counter[str] = Counter()
    for name in order:
        table, chain = _table_and_chain(name)
        own = [rule.render(chain) for rule in _own_rules(rules, name)]
        kind = chain.rpartition("-")[0]
        kinds[kind] += 1
        if own and table != "nat":
            yield f"*{table}"
        if kinds[kind] <= ALIKE_SHOWN or kind == "KUBE":
            yield from _few(own, f"rules of {chain}")
    for kind, number in kinds.items():
        if number > ALIKE_SHOWN and kind != "KUBE":
            yield f"… and {number - ALIKE_SHOWN:,} more {kind} chains like these"


def own_lines(mode: Mode, rules: RuleSet, name: str) -> tuple[str, ...]:
    """The tool's text as far as it names the Service, for modes whose rules are no list that is scanned."""
    mine = (line for line in mode.text(rules) if f"-{name}/" in line and line.startswith(("add rule", "add element")))
    return tuple(_few(list(mine), "rules and elements"))


def _few(lines: Sequence[str], what: str) -> Iterator[str]:
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


def server_path(rules: RuleSet, subject: Subject, q: int, walk: Walk) -> Iterator[str]:
    """The way of a first packet to service port ``q`` through IPVS."""
    key = (subject.ip, subject.cluster.port_protocol[q], int(subject.cluster.port_number[q]))
    server = rules.virtual_servers[key]
    yield "a fixed handful of iptables rules and ipsets (is it for a Service, must it be masqueraded?)"
    yield f"routing: {subject.ip} is an address of the node itself, on kube-ipvs0, so the packet comes to IPVS"
    yield f"one hash lookup, however many Services there are: {server.render()[0]}"
    if walk.pod < 0:
        yield "the virtual server has no real servers"
    else:
        yield f"the scheduler, {server.scheduler}, takes the next of {len(server.real_servers):,} real servers"


def chain_path(rules: RuleSet, cluster: Cluster, q: int, walk: Walk, total: int) -> Iterator[str]:
    """The chains a first packet goes through: what it passes, what it takes and why."""
    if walk.pod < 0:
        yield f"nat table, PREROUTING -> KUBE-SERVICES: all of its {total:,} rules are for others; none matches"
        for name, chain in rules.chains.items():
            table, short = _table_and_chain(name)
            for rule in chain if table != "nat" else ():
                if rule.port == int(cluster.port_number[q]):
                    yield f"{table} table, {short}, matches: {rule.render(short)}"
        return
    before = max(total - 1, 0)
    middle = f"{before / 2:,.10g}" if before < LARGE else f"{before / 2:,.0f}"
    yield f"nat table, PREROUTING -> KUBE-SERVICES: other rules come first, {middle} on average (0 to {before:,})"
    met = set(walk.met)
    visited = list(dict.fromkeys(line.split()[1] for line in walk.met))
    for number, name in enumerate(visited):
        chain = rules.chains[name]
        taken = max(i for i, rule in enumerate(chain) if rule.render(name) in met)
        if number:  # of the first chain, what stands before is the average above
            yield from _passed(chain[:taken], name)
        yield f"takes:  {chain[taken].render(name)}"


def _passed(chain: Sequence[Rule], name: str) -> Iterator[str]:
    for i, rule in enumerate(chain):
        if i == PASSED_SHOWN and len(chain) > PASSED_SHOWN + 1:
            yield f"passes: {len(chain) - i:,} more rules of the same kind"
            return
        yield f"passes: {rule.render(name)}{_why_passed(rule)}"


def _why_passed(rule: Rule) -> str:
    if rule.probability:
        return f"  # taken by 1 in {round(1 / rule.probability):,}, not by this one"
    if rule.source.startswith("!"):
        return "  # only for clients that are not Pods"
    if rule.source:
        return "  # only if the Pod calls itself"
    if rule.match.startswith("-m recent"):
        return "  # only for a client that was here before"
    return ""
