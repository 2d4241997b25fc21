"""What the kernel prints of its rules, walked: the rules that count a packet are those that were met, all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kpsim.dumps.detection import read_dump
from kpsim.dumps.saved import read_saved
from kpsim.dumps.walk.journey import follow
from kpsim.dumps.walk.node import node_of
from kpsim.modes.iptables.program import program
from kpsim.modes.iptables.text import jump_lines, restore_lines
from kpsim.proxy.rules import Packet
from tests.kernel.needs import need
from tests.kernel.services import CONFIG, STATES, destinations
from tests.kernel.town import OUTSIDE, PATIENCE_S, PODS, SECOND, STRANGER, Town, build
from tests.kernel.xtables import Tables

pytestmark = pytest.mark.kernel

TIMES = {0: 1, 1: 1, 2: 35, 3: 60}  # that one of the endpoints is missed by chance has a probability below 10⁻⁹
RULES = program([state for state in STATES if not state.info.affinity_s], CONFIG)
ANSWERS = "-m conntrack ! --ctstate NEW -j ACCEPT"  # first at each hook, so that only new connections count behind it
OTHERS = {
    "filter": (
        *(f"-I {hook} 1 {ANSWERS}" for hook in ("INPUT", "FORWARD", "OUTPUT")),
        ":plugin-forward - [0:0]", ":plugin-pods - [0:0]", ":plugin-end - [0:0]",
        "-A FORWARD -j plugin-forward",
        "-A INPUT -m conntrack --ctstate NEW -j plugin-pods",
        "-A plugin-forward -p tcp -m multiport --dports 1:79,81 -j plugin-pods",
        "-A plugin-forward -m conntrack --ctstate NEW -m conntrack ! --ctstate DNAT -g plugin-end",
        "-A plugin-forward -m mark --mark 0x100/0x100 -j LOG",
        "-A plugin-forward -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j MARK --set-xmark 0x200/0x200",
        "-A plugin-forward -m mark --mark 0x300/0x300 -j plugin-end",
        "-A plugin-pods -m addrtype ! --dst-type LOCAL -j RETURN",
        "-A plugin-pods -m iprange --src-range 10.0.0.0-10.255.255.255 -j LOG",
        "-A plugin-end -m conntrack --ctstate NEW",
    ),
    "nat": (
        ":plugin-nat - [0:0]",
        "-A PREROUTING -m addrtype --dst-type LOCAL -j plugin-nat",
        "-A POSTROUTING -p tcp -m tcp --dport 80 -j plugin-nat",
        "-A plugin-nat -m conntrack --ctstate NEW",
    ),
    "mangle": (
        "-A PREROUTING -p tcp -m conntrack --ctstate NEW -m tcp --dport 80 -j MARK --or-mark 0x100",
        "-A POSTROUTING -m conntrack --ctstate NEW -m mark --mark 0x4100/0x4100",
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=["legacy", "nft"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Town, Tables]]:
    need(request.param)
    with build() as town:
        tables = Tables(town.node, request.param, tmp_path_factory.mktemp("lock"))
        town.node.add_counters()
        tables.restore(jump_lines(RULES))
        tables.restore(restore_lines(RULES))
        tables.restore(line for name, lines in OTHERS.items() for line in (f"*{name}", *lines, "COMMIT"))
        yield town, tables


@pytest.mark.parametrize("source", [PODS[0], PODS[1], OUTSIDE, STRANGER, SECOND])
def test_every_rule_that_counts_a_new_connection_was_met(place: tuple[Town, Tables], source: str) -> None:
    town, tables = place
    text = saved(tables)
    shown = rules_in(text)
    dumped = node_of([read_dump(text, "the kernel")])
    ways = destinations(STATES)
    for destination in ways:
        found = follow(dumped, Packet(source, *destination), [*CONFIG.node_ips, *CONFIG.local_ips])
        assert not [note for note in found.notes if "could not be judged" in note]
        before = counted(saved(tables))
        for _ in range(TIMES[len(found.endpoints)]):
            town.ask(source, *destination, patience_s=PATIENCE_S if found.verdict == "DNAT" else 0.1)
        met = {shown[at] for at, count in counted(saved(tables)).items() if count != before[at]}
        assert {rule for rule in met if ANSWERS not in rule} == set(found.met), (source, destination, found.verdict)


def saved(tables: Tables) -> str:
    return tables.node.run((f"{tables.tool}-save", "-c"), lock=tables.lock)


def counted(text: str) -> dict[tuple[str, int], int]:
    """How many packets each rule has matched, by table and place in it."""
    found: dict[tuple[str, int], int] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("*"):
            name = line[1:]
        elif line.startswith("["):
            found[name, sum(at[0] == name for at in found)] = int(line[1:].partition(":")[0])
    return found


def rules_in(text: str) -> dict[tuple[str, int], str]:
    """The same rules as the walk shows them."""
    lines: dict[tuple[str, int], str] = {}
    tables = read_saved(text)
    name, places = "", dict.fromkeys(((t, c) for t, chains in tables.chains.items() for c in chains), 0)
    for line in text.splitlines():
        if line.startswith("*"):
            name = line[1:]
        elif line.startswith("["):
            chain = line.split(" ")[2]
            rule = tables.chains[name][chain][places[name, chain]]
            places[name, chain] += 1
            lines[name, sum(at[0] == name for at in lines)] = f"{name}: {rule.render(chain)}"
    return lines
