"""What ``nft -f`` takes, line by line: a whole table, or the statements of one sync."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from kpsim.modes.nftables.rules import NftRules
from kpsim.modes.nftables.transaction import NOTHING, Operation, operations


def load_lines(rules: NftRules) -> Iterator[str]:
    """All of ``rules`` in one transaction into an empty kernel, as a kube-proxy sends it that starts there."""
    return transaction_lines(operations(NOTHING, rules, start=True) if rules.chains else (), rules.ip)


def rewrite_lines(rules: NftRules, changed: Collection[str]) -> Iterator[str]:
    """What a partial sync sends after the Services in ``changed`` have, into a kernel that has all of ``rules``.

    Their chains are written anew; elements, which kube-proxy compares with what it sent before, are all there.
    """
    return transaction_lines(operations(rules, rules, changed), rules.ip)


def transaction_lines(statements: Iterable[Operation], ip: str) -> Iterator[str]:
    """The statements of one transaction for the family ``ip`` or ``ip6``."""
    return (statement.render(ip) for statement in statements)
