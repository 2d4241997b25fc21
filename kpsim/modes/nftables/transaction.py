"""One sync sends the kernel the statements of one nft transaction between two tables.

A partial sync rewrites the chains of changed Services (all of them: one more endpoint rewrites every endpoint chain of
its Service) and sends the difference of maps and sets.  A full one sets up the base and rewrites every chain; the
first one after a start compares with what the kernel still holds and keeps endpoint chains, whose names say what is in
them.  Chains nobody wants are flushed here and deleted later (kernels before 6.2 may refuse at once); affinity sets
are deleted here.
Source: pkg/proxy/nftables/proxier.go (syncProxyRules, setupNFTables), as of Kubernetes 1.34.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from kpsim.modes.nftables.rules import TABLE, Element, NftRules

NOTHING = NftRules()


@dataclass(frozen=True, slots=True)
class Operation:
    """One statement: a ``verb`` on an object of a ``kind``."""

    verb: str  # add, flush, delete
    kind: str  # table, chain, rule, set, map, element
    name: str = ""
    text: str = ""

    def render(self, ip: str) -> str:
        """Return the statement as ``nft -f`` takes it."""
        return " ".join(part for part in (self.verb, self.kind, ip, TABLE, self.name, self.text) if part)


def operations(
    kernel: NftRules,
    wanted: NftRules,
    changed: Collection[str] | None = None,
    lingering: Collection[str] = (),
    *,
    start: bool = False,
) -> Iterator[Operation]:
    """Yield the statements that turn ``kernel`` into ``wanted``.

    ``changed`` names Services as ``namespace/name``, ``None`` makes the sync full; ``lingering`` are chains in the
    kernel that were flushed before and not yet deleted; ``start``: this kube-proxy has not synced before.
    """
    full = changed is None
    if full:
        yield from _setup(wanted, start)
    written = [n for n in wanted.chains if n in wanted.owner and (changed is None or wanted.owner[n] in changed)]
    if start and wanted.layout.keeps_chains:
        written = [name for name in written if not _kept(name, kernel, wanted)]
    for name in written:
        yield Operation("add", "chain", name)
        yield Operation("flush", "chain", name)
    for name, timeout_s in wanted.affinity.items():
        if changed is None or wanted.owner[name] in changed:
            kind = "ipv6_addr" if wanted.ip == "ip6" else "ipv4_addr"
            yield Operation("add", "set", name, f"{{ type {kind} ; flags dynamic,timeout ; timeout {timeout_s}s ; }}")
    known = kernel if wanted.layout.keeps or not full else NOTHING
    yield from _elements(known, wanted, removed=False)
    for name in written:
        for rule in wanted.chains[name]:
            yield Operation("add", "rule", name, rule.text())
    for name in unwanted(kernel, wanted, lingering):
        yield Operation("flush", "chain", name)
    for name in kernel.affinity:
        if name not in wanted.affinity:
            yield Operation("delete", "set", name)
    yield from _elements(known, wanted, removed=True)


def unwanted(kernel: NftRules, wanted: NftRules, lingering: Collection[str] = ()) -> list[str]:
    """Return the chains of Services and endpoints in the kernel that ``wanted`` has no use for."""
    there = dict.fromkeys((*kernel.chains, *lingering))
    return [name for name in there if "/" in name and name not in wanted.chains]


def deletions(chains: Collection[str]) -> Iterator[Operation]:
    """Yield the transaction of its own that removes chains flushed a while ago."""
    return (Operation("delete", "chain", name) for name in chains)


def _kept(name: str, kernel: NftRules, wanted: NftRules) -> bool:
    """Return True if an endpoint's chain in the kernel may stay as it is, with or without affinity as wanted."""
    affinity = f"affinity-{name.removeprefix('endpoint-')}"
    same = (affinity in kernel.affinity) == (affinity in wanted.affinity)
    return name.startswith("endpoint-") and name in kernel.chains and same


def _elements(known: NftRules, wanted: NftRules, *, removed: bool) -> Iterator[Operation]:
    """Elements that are new or say something else, or with ``removed`` those that are gone."""
    for name in wanted.layout.containers:
        before, after = known.elements.get(name, {}), wanted.elements.get(name, {})
        if name == "nodeport-ips":  # filled by the set-up, from the node's addresses
            continue
        if removed:
            yield from (Operation("delete", "element", name, Element().render(k)) for k in before if k not in after)
            continue
        for key, element in after.items():
            if before.get(key, element).verdict != element.verdict:
                yield Operation("delete", "element", name, Element().render(key))
            elif key in before:
                continue
            yield Operation("add", "element", name, element.render(key))


def _setup(wanted: NftRules, start: bool) -> Iterator[Operation]:
    """Yield the first statements of every full sync: the base chains with their rules, sets and maps."""
    yield Operation("add", "table", text='{ comment "rules for kube-proxy" ; }')
    again = start and wanted.layout.checks_cluster_ips
    for name in wanted.layout.hooks if again else ():  # a base chain of another version may have another priority
        yield Operation("add", "chain", name)
        yield Operation("delete", "chain", name)
    constant = [name for name in wanted.chains if name not in wanted.owner]
    for name in constant:
        yield Operation("add", "chain", name, _declared(name, wanted))
        yield Operation("flush", "chain", name)
    for name, container in wanted.layout.containers.items():
        yield Operation("add", container.kind, name, container.render(wanted.ip))
        if name not in wanted.elements:  # NodePorts answer at every address
            yield Operation("delete", container.kind, name)
        elif name == "nodeport-ips" or not wanted.layout.keeps:
            yield Operation("flush", container.kind, name)
    for key, element in wanted.elements.get("nodeport-ips", {}).items():
        yield Operation("add", "element", "nodeport-ips", element.render(key))
    for name in constant:
        yield from (Operation("add", "rule", name, rule.text()) for rule in wanted.chains[name])


def _declared(name: str, wanted: NftRules) -> str:
    """Return the braces of a chain that is always there."""
    if name == "reject-chain":
        return '{ comment "helper for @no-endpoint-services / @no-endpoint-nodeports" ; }'
    return wanted.layout.hooks[name].render() if name in wanted.layout.hooks else ""
