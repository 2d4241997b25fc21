"""The rules that count a packet in the kernel are those that the tracer says it meets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kpsim.modes.iptables.program import program
from kpsim.modes.iptables.text import jump_lines, restore_lines
from kpsim.modes.iptables.tracer import trace
from kpsim.proxy.rules import FILTER, Packet
from tests.kernel.needs import need
from tests.kernel.services import CONFIG, STATES, destinations
from tests.kernel.town import OUTSIDE, PATIENCE_S, PODS, SECOND, STRANGER, Town, build
from tests.kernel.xtables import Tables

pytestmark = pytest.mark.kernel

UNTRACED = ("KUBE-MARK-MASQ", "KUBE-POSTROUTING", "KUBE-FORWARD")  # what follows the mark, and known connections
TIMES = {0: 1, 1: 1, 2: 35, 3: 60}  # that one of the endpoints is missed by chance has a probability below 10⁻⁹
RULES = program([state for state in STATES if not state.info.affinity_s], CONFIG)


@pytest.fixture(scope="module", params=["legacy", "nft"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Town, Tables]]:
    need(request.param)
    with build() as town:
        tables = Tables(town.node, request.param, tmp_path_factory.mktemp("lock"))
        town.node.add_counters()
        tables.restore(jump_lines(RULES))
        tables.restore(restore_lines(RULES))
        yield town, tables


@pytest.mark.parametrize("source", [PODS[0], PODS[1], OUTSIDE, STRANGER, SECOND])
def test_rules_that_count_a_packet_are_those_the_tracer_met(place: tuple[Town, Tables], source: str) -> None:
    town, tables = place
    ways = destinations(STATES)
    for destination in ways:
        traced = trace(RULES, CONFIG, Packet(source, *destination))
        before = tables.counted()
        for _ in range(TIMES[len(traced.endpoints)]):
            town.ask(source, *destination, patience_s=PATIENCE_S if traced.verdict == "DNAT" else 0.1)
        met = {key for key, count in tables.counted().items() if count != before[key]}
        assert {rendered(*key) for key in met} - {""} == set(traced.met), (source, destination, traced.verdict)
    print(f"{source}: {len(ways)} addresses and ports")


def rendered(table: str, chain: str, place: int) -> str:
    """A rule of kube-proxy's as kpsim writes it; nothing for a jump from a built-in chain, or what is not traced."""
    if not chain.startswith("KUBE-") or chain in UNTRACED:
        return ""
    return RULES.chains[chain + FILTER if table == "filter" else chain][place].render(chain)
