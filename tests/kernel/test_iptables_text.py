"""iptables-restore takes kpsim's text, full and partial, and the kernel gives back the same chains and rules."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kpsim.modes.iptables.program import program
from kpsim.modes.iptables.text import jump_lines, restore_lines
from tests.kernel.crowd import CONFIG, crowd, steps
from tests.kernel.namespaces import Namespace, Refused
from tests.kernel.needs import need
from tests.kernel.xtables import Chains, Tables, parsed, wanted
from tests.models.iptables_writer import RuleWriter, SyncReport

pytestmark = pytest.mark.kernel

SIZES = [  # the latter's time is quadratic
    ("legacy", 1), ("legacy", 100), ("legacy", 5_000), ("nft", 1), ("nft", 100), ("nft", 1_000),
]  # fmt: skip


@pytest.fixture
def kernel(backend: str, tmp_path: Path) -> Iterator[Tables]:
    """The tables of a node where kube-proxy has made its counter and its jumps, and nothing else."""
    need(backend)
    node = Namespace.make()
    try:
        node.add_counters()
        made = Tables(node, backend, tmp_path)
        made.restore(jump_lines(program((), CONFIG)))
        yield made
    finally:
        node.close()


@pytest.mark.parametrize(("backend", "services"), SIZES)
def test_every_sync_loads_and_comes_back(backend: str, services: int, kernel: Tables) -> None:
    writer = RuleWriter(CONFIG, sync_period_s=30.0)
    lingering: dict[str, list[tuple[str, ...]]] = {}
    for step in steps(crowd(services)):
        before = parsed(restore_lines(writer._kernel))["nat"]
        report = writer.sync(step.states, step.changed, step.now_s)
        tested_s = kernel.restore(report.lines, "--test")
        took_s = kernel.restore(report.lines)
        print(
            f"{backend}, {services} services, {'full' if report.full else 'partial'}: wrote {report.nat_written} of "
            f"{report.nat_total} nat rules in {took_s:.2f} s (--test {tested_s:.2f} s)"
        )
        lingering = {name: ({**before, **lingering})[name] for name in writer._lingering}
        found = kernel.save()
        assert found == wanted(program(step.states, CONFIG), lingering)
        check_counts(found, report, lingering)
    assert report.chains_deleted > 0, "the last Service's chains are gone"
    assert not lingering


def check_counts(found: Chains, report: SyncReport, lingering: dict[str, list[tuple[str, ...]]]) -> None:
    """What kube-proxy's metrics would show is what the kernel has."""
    rules = {table: sum(len(r) for c, r in chains.items() if "KUBE" in c) for table, chains in found.items()}
    assert rules["nat"] == report.nat_total + sum(map(len, lingering.values()))
    assert rules["filter"] == report.filter_rules
    for chain, count in report.written_by_chain.items():
        assert len(found["nat"][chain]) == count


@pytest.mark.parametrize("backend", ["legacy", "nft"])
def test_a_partial_sync_over_tables_that_somebody_emptied_fails_and_a_full_one_mends_them(
    kernel: Tables,
) -> None:
    """The premise of kube-proxy's rule that a failure makes the next sync a full one."""
    writer = RuleWriter(CONFIG, sync_period_s=30.0)
    first, second, _ = steps(crowd(20))
    kernel.restore(writer.sync(first.states, (), 0.0).lines)
    doomed = [name for name, rules in writer._kernel.chains.items() if name in writer._kernel.owner and rules]
    kernel.restore(["*nat", ":KUBE-SERVICES - [0:0]", ":KUBE-NODEPORTS - [0:0]"]
                   + [f"-F {name}" for name in doomed] + [f"-X {name}" for name in doomed] + ["COMMIT"])  # fmt: skip
    emptied = kernel.save()["nat"]
    with pytest.raises(Refused, match="KUBE-S"):
        kernel.restore(writer.sync(second.states, second.changed, 1.0, fails=True).lines)
    assert kernel.save()["nat"] == emptied, "a table is loaded whole or not at all"
    report = writer.sync(second.states, (), 2.0)
    assert report.full
    kernel.restore(report.lines)
    assert kernel.save() == wanted(program(second.states, CONFIG), {})


def test_the_comparison_would_see_a_difference() -> None:
    """Its twin with another rule, another order or a missing chain must not be equal."""
    rules = program(crowd(3), CONFIG)
    lines = list(restore_lines(rules))
    one = next(i for i, line in enumerate(lines) if "statistic" in line)
    for other in (lines[:one] + lines[one + 1 :], [*lines[:one], lines[one + 1], lines[one], *lines[one + 2 :]]):
        assert parsed(other) != parsed(lines)
    assert parsed(line for line in lines if not line.startswith(":KUBE-NODEPORTS")) != parsed(lines)
