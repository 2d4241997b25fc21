"""nft takes kpsim's text, full and partial, and the kernel gives back the same chains, rules, maps and sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from kpsim.modes.nftables.program import program
from kpsim.modes.nftables.rules import TABLE
from kpsim.proxy.node import PortState
from tests.kernel.crowd import CONFIG, LATER_S, Step, crowd, steps
from tests.kernel.namespaces import Namespace, Refused
from tests.kernel.needs import need
from tests.kernel.nft import Nft, Table, compare, wanted, wanted_action
from tests.models.nftables_writer import TableWriter

pytestmark = pytest.mark.kernel

CHUNK = 1_000  # Services in one transaction: the kernel's time is quadratic in it


def chunked(states: Sequence[PortState]) -> Iterator[Step]:
    """The same Services, coming a thousand at a time; then the changes of :func:`steps`."""
    first, *changes = steps(tuple(states))
    for end in range(CHUNK, len(states), CHUNK):
        yield Step(first.states[:end], names(first.states[end - CHUNK : end]), 0.0)
    yield Step(first.states, names(first.states[-CHUNK:]), 0.0)
    yield from changes


def names(states: Sequence[PortState]) -> tuple[str, ...]:
    return tuple(state.info.service for state in states)


@pytest.fixture
def kernel() -> Iterator[Nft]:
    need("nftables")
    node = Namespace.make()
    try:
        yield Nft(node)
    finally:
        node.close()


@pytest.mark.parametrize("services", [1, 100, 5_000])
def test_every_transaction_loads_and_comes_back(services: int, kernel: Nft) -> None:
    writer = TableWriter(CONFIG)
    for step in chunked(crowd(services)):
        report = writer.sync(step.states, step.changed, step.now_s)
        kernel.commit(report.cleanup)
        if services <= CHUNK:
            kernel.commit(report.operations, "--check")
        took_s = kernel.commit(report.operations)
        print(
            f"{len(step.states)} services, {'full' if report.full else 'partial'}: "
            f"{len(report.operations)} statements in {took_s:.2f} s"
        )
        if services > CHUNK and len(step.states) % CHUNK == 0 and len(step.states) < services:
            continue  # listing is as slow as loading
        compare(kernel.table(), wanted(writer.kernel, writer.lingering))
    assert writer.lingering, "the last Service's chains are flushed and still there"
    report = writer.sync(step.states, (), LATER_S + 2)
    kernel.commit(report.cleanup)
    kernel.commit(report.operations)
    assert not writer.lingering
    compare(kernel.table(), wanted(program(step.states, CONFIG), ()))


def test_a_refused_transaction_leaves_the_table_as_it_was_and_a_full_one_mends_it(kernel: Nft) -> None:
    """The premise of kube-proxy's rule that a failure makes the next sync a full one."""
    writer = TableWriter(CONFIG)
    first, second, _ = steps(crowd(20))
    kernel.commit(writer.sync(first.states, (), 0.0).operations)
    kernel.node.run(("nft", "flush", "map", "ip", TABLE, "service-ips"))
    robbed = kernel.table()
    gone = first.states[1:]
    with pytest.raises(Refused, match="No such file"):
        kernel.commit(writer.sync(gone, (first.states[0].info.service,), 1.0, fails=True).operations)
    compare(kernel.table(), robbed)
    # since 1.33 a full sync reads what maps and sets hold, and sends what differs
    writer.kernel = replace(writer.kernel, elements={**writer.kernel.elements, "service-ips": {}})
    report = writer.sync(second.states, (), 2.0)
    assert report.full
    kernel.commit(report.operations)
    compare(kernel.table(), wanted(program(second.states, CONFIG), writer.lingering))


def test_the_comparison_would_see_a_difference() -> None:
    rules = program(crowd(20), CONFIG)
    name, chain = next((name, chain) for name, chain in rules.chains.items() if len(chain) > 1)
    container = next(name for name, elements in rules.elements.items() if elements)
    others: tuple[Table, ...] = (
        {"chains": {**wanted(rules, ())["chains"], name: list(map(wanted_action, reversed(chain)))}},
        {"elements": {**wanted(rules, ())["elements"], container: {}}},
        {"chains": {"service-of-nobody": []}},
    )
    for other in others:
        with pytest.raises(AssertionError):
            compare(wanted(rules, ()) | other, wanted(rules, ()))
