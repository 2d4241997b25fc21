"""``nft -f`` takes these lines: a whole table, or the statements of one sync."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from kpsim.modes.nftables.rules import NftRules
from kpsim.modes.nftables.transaction import NOTHING, Operation, operations


def load_lines(rules: NftRules) -> Iterator[str]:
    """Yield all of ``rules`` in one transaction into an empty kernel, as a kube-proxy sends it that starts there."""
    return transaction_lines(operations(NOTHING, rules, start=True) if rules.chains else (), rules.ip)


def rewrite_lines(rules: NftRules, changed: Collection[str]) -> Iterator[str]:
    """Yield a partial sync's lines after a change of the Services in ``changed``, into a kernel with all of ``rules``.

    Their chains are written anew; elements, which kube-proxy compares with what it sent before, are all there.
    """
    return transaction_lines(operations(rules, rules, changed), rules.ip)


def transaction_lines(statements: Iterable[Operation], ip: str) -> Iterator[str]:
    """Yield the statements of one transaction for the family ``ip`` or ``ip6``."""
    return (statement.render(ip) for statement in statements)
