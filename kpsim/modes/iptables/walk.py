"""A Pod's first packet to a ClusterIP through one node's chains: what the engines need, and what a reader is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from kpsim.proxy.rules import DROPPED, FILTER, REFUSED, Packet, Rule, RuleSet, Walk, table_and_chain

PASSED_SHOWN = 3
LARGE = 100


def walk(rules: RuleSet, packet: Packet, choose: Callable[[int], int]) -> Walk:
    """Follow the packet to a ClusterIP; ``choose`` says which of so many endpoints."""
    wanted = (packet.destination, packet.protocol.lower(), packet.port)
    met: list[str] = []
    for scanned, rule in enumerate(rules.chains["KUBE-SERVICES"]):
        if (rule.destination, rule.protocol, rule.port) == wanted:
            met.append(rule.render("KUBE-SERVICES"))
            tries = [r for r in rules.chains[rule.target] if r.target.startswith("KUBE-SEP-") and not r.match]
            if not tries:  # up to Kubernetes 1.24 a mark says that it is dropped later
                met += [r.render(rule.target) for r in rules.chains[rule.target] if r.target == "KUBE-MARK-DROP"]
                return Walk(DROPPED, scanned, 0, tuple(met))
            chosen = choose(len(tries))
            met += [r.render(rule.target) for r in tries[: chosen + 1]]
            dnat = rules.chains[tries[chosen].target][-1]
            met.append(dnat.render(tries[chosen].target))
            return Walk(dnat.pod, scanned, min(chosen + 1, len(tries) - 1), tuple(met))
    refusals = [r for r in rules.chains["KUBE-SERVICES" + FILTER] if (r.destination, r.protocol, r.port) == wanted]
    met += [r.render("KUBE-SERVICES") for r in refusals]
    return Walk(DROPPED if refusals[0].target == "DROP" else REFUSED, rules.dispatch, 0, tuple(met))


def path(rules: RuleSet, number: int, found: Walk, total: int) -> Iterator[str]:
    """Yield the chains a first packet to port ``number`` goes through: what it passes, what it takes and why."""
    if found.pod < 0 and not any("-j KUBE-MARK-DROP" in line for line in found.met):
        yield f"nat table, PREROUTING -> KUBE-SERVICES: all of its {total:,} rules are for others; none matches"
        for name, chain in rules.chains.items():
            table, short = table_and_chain(name)
            for rule in chain if table != "nat" else ():
                if rule.port == number:
                    yield f"{table} table, {short}, matches: {rule.render(short)}"
        return
    before = max(total - 1, 0)
    middle = f"{before / 2:,.10g}" if before < LARGE else f"{before / 2:,.0f}"
    yield f"nat table, PREROUTING -> KUBE-SERVICES: other rules come first, {middle} on average (0 to {before:,})"
    met = set(found.met)
    visited = list(dict.fromkeys(line.split()[1] for line in found.met))
    for place, name in enumerate(visited):
        chain = rules.chains[name]
        taken = max(i for i, rule in enumerate(chain) if rule.render(name) in met)
        if place:  # of the first chain, what stands before is the average above
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
