"""A sync gives these lines to ``iptables-restore --noflush --counters``.

A full sync writes every chain.  A partial one writes the filter table and the top-level chains whole, the chains of
changed Services, and declares and deletes chains that are no longer wanted.  The jumps from the built-in chains are not
part of it: kube-proxy sees to them one by one before a full sync, and they stay; so does KUBE-FIREWALL where it is
empty, which only a full sync's text declares.
Source: pkg/proxy/iptables/proxier.go, KEP-3453.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from kpsim.proxy.rules import FILTER, RuleSet

ALWAYS_WRITTEN = ("KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ")

NEW = "-m conntrack --ctstate NEW "
JUMPS = {  # the order in which a packet meets them: kube-proxy puts each in front of those before it
    "filter": (
        ("INPUT", "KUBE-FIREWALL", "", ""),
        ("INPUT", "KUBE-PROXY-FIREWALL", NEW, "kubernetes load balancer firewall"),
        ("INPUT", "KUBE-NODEPORTS", "", "kubernetes health check service ports"),
        ("INPUT", "KUBE-EXTERNAL-SERVICES", NEW, "kubernetes externally-visible service portals"),
        ("FORWARD", "KUBE-PROXY-FIREWALL", NEW, "kubernetes load balancer firewall"),
        ("FORWARD", "KUBE-FORWARD", "", "kubernetes forwarding rules"),
        ("FORWARD", "KUBE-SERVICES", NEW, "kubernetes service portals"),
        ("FORWARD", "KUBE-EXTERNAL-SERVICES", NEW, "kubernetes externally-visible service portals"),
        ("OUTPUT", "KUBE-FIREWALL", "", ""),
        ("OUTPUT", "KUBE-PROXY-FIREWALL", NEW, "kubernetes load balancer firewall"),
        ("OUTPUT", "KUBE-SERVICES", NEW, "kubernetes service portals"),
    ),
    "nat": (
        ("PREROUTING", "KUBE-SERVICES", "", "kubernetes service portals"),
        ("OUTPUT", "KUBE-SERVICES", "", "kubernetes service portals"),
        ("POSTROUTING", "KUBE-POSTROUTING", "", "kubernetes postrouting rules"),
    ),
}


def jump_lines(rules: RuleSet) -> Iterator[str]:
    """``iptables-restore`` input that leads from the built-in chains to those of ``rules``, once, before any sync.

    Source: pkg/proxy/iptables/proxier.go (iptablesJumpChains, iptablesKubeletJumpChains).
    """
    for table, jumps in JUMPS.items():
        suffix = FILTER if table == "filter" else ""
        there = [jump for jump in jumps if jump[1] + suffix in rules.chains]
        yield f"*{table}"
        yield from (f":{chain} - [0:0]" for chain in dict.fromkeys(jump[1] for jump in there))
        for hook, chain, match, comment in there:
            said = f'-m comment --comment "{comment}" ' if comment else ""
            yield f"-A {hook} {match}{said}-j {chain}"
        yield "COMMIT"


def written_chains(rules: RuleSet, changed: Collection[str] | None) -> list[str]:
    """Return the chains of the nat table that a sync writes: all, or top-level and ``changed`` Services' ones.

    ``changed`` names Services as ``namespace/name``; a change in one port rewrites the chains of all its ports.
    """
    nat = [name for name in rules.chains if not name.endswith(FILTER)]
    if changed is None:
        return nat
    return [name for name in nat if name in ALWAYS_WRITTEN or rules.owner.get(name) in changed]


def restore_lines(rules: RuleSet, changed: Collection[str] | None = None, stale: Collection[str] = ()) -> Iterator[str]:
    """Yield the input of one ``iptables-restore``: the filter table, then nat; each commits by itself."""
    yield "*filter"
    names = [name for name in rules.chains if name.endswith(FILTER)]
    if changed is not None and not rules.chains.get("KUBE-FIREWALL" + FILTER):
        names = [name for name in names if name != "KUBE-FIREWALL" + FILTER]
    yield from (f":{name.removesuffix(FILTER)} - [0:0]" for name in names)
    for name in names:
        yield from (rule.render(name.removesuffix(FILTER)) for rule in rules.chains[name])
    yield "COMMIT"
    yield "*nat"
    names = written_chains(rules, changed)
    yield from (f":{name} - [0:0]" for name in (*names, *stale))
    for name in names:
        yield from (rule.render(name) for rule in rules.chains[name])
    yield from (f"-X {name}" for name in stale)
    yield "COMMIT"
