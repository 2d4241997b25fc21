"""Real connections to real listeners end where the tracer says, and where Kubernetes says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kpsim.proxy.node import PortInfo, PortState
from kpsim.proxy.rules import Packet, Trace
from tests.kernel.modes import MODES, Mode, mode_of
from tests.kernel.needs import need
from tests.kernel.services import ABSENT, CONFIG, EVERY_KIND, SERVICES, STATES, destinations, unrefused, without
from tests.kernel.town import NODE, OUTSIDE, PODS, SECOND, SILENCE_S, STRANGER, TARGET_PORT, Answer, Town, build

pytestmark = pytest.mark.kernel

CLIENT, FIRST, SECOND_POD, ELSEWHERE = PODS
ALL = {f"{ip}:{TARGET_PORT}" for ip in (FIRST, SECOND_POD, ELSEWHERE)}
LOCAL = ALL - {f"{ELSEWHERE}:{TARGET_PORT}"}
ENOUGH = {1: 2, 2: 35, 3: 60}  # connections: that one endpoint is missed by chance has a probability below 10⁻⁹
ROUNDS = 3
LOOPBACK = "127.0.0.1"
OWN = (NODE, SECOND, LOOPBACK)
AT_ONCE_S = 0.7  # the kernel sends a second SYN after one second
SOURCES = (CLIENT, FIRST, ELSEWHERE, OUTSIDE, STRANGER, NODE, SECOND)


@dataclass
class Place:
    """A town whose node has a mode's rules."""

    town: Town
    mode: Mode
    name: str

    def ask(self, source: str, destination: str, port: int) -> tuple[Said, list[Answer]]:
        """What the tracer says of a connection, and what becomes of as many as it takes to know."""
        traced = self.mode.trace(Packet(source, destination, port))
        another = self.mode.trace(Packet(CLIENT if source in PODS else source, destination, port))
        patience: dict[str, float] = {} if traced.verdict in ("DNAT", "REJECT") else {"patience_s": SILENCE_S}
        times = ENOUGH.get(len(traced.endpoints), 1)
        answers: list[Answer] = []
        for _ in range(ROUNDS):  # who was missed in one round is asked for again: an endpoint never met is a mistake
            answers += [self.town.ask(source, destination, port, **patience) for _ in range(times)]
            if {answer.endpoint for answer in answers} >= set(traced.endpoints):
                break
        return Said(source, traced, another.masqueraded), answers

    def agree(self, source: str, destination: str, port: int, *, sticky: bool = False) -> list[Answer]:
        """The answers, after they were found to be what the tracer says."""
        said, answers = self.ask(source, destination, port)
        complaint = said.disagrees(answers, sticky=sticky)
        assert not complaint, f"{source} -> {destination}:{port}: {complaint}"
        return answers


@dataclass(frozen=True)
class Said:
    """What the tracer says of a source's connections, and whether it says that all of them are masqueraded.

    It lists every endpoint and says once whether any of the ways to them is masqueraded; where the source is one of
    them, the way to itself always is, and the others are if they are for another Pod, too.
    """

    source: str
    traced: Trace
    always_masqueraded: bool

    def disagrees(self, answers: Sequence[Answer], *, sticky: bool = False) -> str:
        """What in ``answers`` is not what was said; nothing if they agree."""
        outcomes = {answer.what for answer in answers}
        if self.traced.verdict != "DNAT":
            allowed = {"REJECT": {"refused"}, "DROP": {"silence"}}.get(self.traced.verdict, {"refused", "silence"})
            return "" if outcomes <= allowed else f"{self.traced.verdict}, and it was {answers[0]}"
        if outcomes != {"served"}:
            return f"{self.traced.endpoints}, and {outcomes}"
        reached, named = {answer.endpoint for answer in answers}, set(self.traced.endpoints)
        if not (len(reached) == 1 and reached <= named if sticky else reached == named):
            return f"{sorted(named)}, and it was {sorted(reached)}"
        oneself = f"{self.source}:{TARGET_PORT}"
        if self.traced.masqueraded != (self.always_masqueraded or oneself in named):
            return f"masqueraded: {self.traced.masqueraded}"
        for answer in answers:
            seen_as = NODE if self.always_masqueraded or answer.endpoint == oneself else self.source
            if answer.peer != seen_as:
                return f"to be seen as {seen_as}, and {answer}"
        return ""


@pytest.fixture(scope="module", params=MODES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    need(request.param)
    with build() as town:
        mode = mode_of(request.param, town.node, CONFIG, tmp_path_factory.mktemp("lock"))
        mode.sync(STATES, (), 0.0)
        yield Place(town, mode, request.param)


def endpoints(answers: Sequence[Answer]) -> set[str]:
    return {answer.endpoint for answer in answers if answer.what == "served"}


def peers(answers: Sequence[Answer]) -> set[str]:
    return {answer.peer for answer in answers}


def node_port(info: PortInfo) -> tuple[str, int]:
    return NODE, info.node_port


def vip(info: PortInfo) -> tuple[str, int]:
    return info.load_balancer_vips[0], info.port


def test_cluster_ip_leads_to_every_endpoint_and_nobody_else(place: Place) -> None:
    answers = place.agree(CLIENT, SERVICES["web"].cluster_ip, 80)
    assert endpoints(answers) == ALL
    assert peers(answers) == {CLIENT}, "a Pod of the cluster is seen as itself"


def test_node_port_from_outside_is_masqueraded(place: Place) -> None:
    answers = place.agree(OUTSIDE, *node_port(SERVICES["web"]))
    assert endpoints(answers) == ALL
    assert peers(answers) == {NODE}


def test_client_ip_affinity_sticks(place: Place) -> None:
    info = SERVICES["sticky"]
    chosen = {source: endpoints(place.agree(source, info.cluster_ip, 80, sticky=True)) for source in SOURCES}
    assert all(len(one) == 1 for one in chosen.values())
    again = {source: endpoints(place.agree(source, info.cluster_ip, 80, sticky=True)) for source in SOURCES}
    assert again == chosen


def test_external_policy_local_keeps_to_this_node_and_keeps_the_address(place: Place) -> None:
    for destination in (node_port(SERVICES["here"]), vip(SERVICES["here"])):
        answers = place.agree(OUTSIDE, *destination)
        assert endpoints(answers) == LOCAL
        assert peers(answers) == {OUTSIDE}
    assert endpoints(place.agree(CLIENT, *vip(SERVICES["here"]))) == ALL, "a Pod of the cluster is not outside"


def test_external_policy_local_without_local_endpoints_drops(place: Place) -> None:
    for destination in (node_port(SERVICES["away"]), vip(SERVICES["away"])):
        (answer,) = place.agree(OUTSIDE, *destination)
        assert answer.what == "silence"
    assert endpoints(place.agree(CLIENT, SERVICES["away"].cluster_ip, 80)) == {f"{ELSEWHERE}:{TARGET_PORT}"}


def test_internal_policy_local_keeps_to_this_node_or_drops(place: Place) -> None:
    assert endpoints(place.agree(CLIENT, SERVICES["inside"].cluster_ip, 80)) == LOCAL
    (answer,) = place.agree(CLIENT, SERVICES["estranged"].cluster_ip, 80)
    assert answer.what == "silence"


@pytest.mark.parametrize("source", [CLIENT, OUTSIDE, NODE])
def test_without_endpoints_a_connection_is_refused_at_once(place: Place, source: str) -> None:
    info = SERVICES["nobody"]
    for destination in ((info.cluster_ip, 80), node_port(info)):
        (answer,) = place.agree(source, *destination)
        assert answer.what == "refused"
        assert answer.took_s < AT_ONCE_S


def test_source_ranges_let_in_whom_they_name_and_drop_others(place: Place) -> None:
    info = SERVICES["fenced"]
    assert endpoints(place.agree(OUTSIDE, *vip(info))) == ALL
    (answer,) = place.agree(STRANGER, *vip(info))
    assert answer.what == "silence"
    assert endpoints(place.agree(STRANGER, *node_port(info))) == ALL, "a NodePort has no source ranges"


def test_a_pod_that_reaches_itself_comes_back_as_the_node(place: Place) -> None:
    answers = place.agree(FIRST, SERVICES["self"].cluster_ip, 80)
    assert endpoints(answers) == {f"{FIRST}:{TARGET_PORT}"}
    assert peers(answers) == {NODE}
    among = place.agree(FIRST, SERVICES["web"].cluster_ip, 80)
    assert {a.peer for a in among if a.endpoint.startswith(FIRST)} == {NODE}
    assert {a.peer for a in among if not a.endpoint.startswith(FIRST)} == {FIRST}


def test_the_node_to_a_cluster_ip_is_masqueraded(place: Place) -> None:
    answers = place.agree(SECOND, SERVICES["web"].cluster_ip, 80)
    assert endpoints(answers) == ALL
    assert peers(answers) == {NODE}, "whichever of its addresses it came from"


def test_a_node_port_on_localhost_is_for_iptables_only(place: Place) -> None:
    answers = place.agree(LOOPBACK, LOOPBACK, SERVICES["web"].node_port)
    assert endpoints(answers) == (set() if place.name == "nftables" else ALL)


def compare(place: Place, states: Sequence[PortState], sources: Sequence[str]) -> None:
    """Every source to every address and port of some Services, also what no example above has thought of."""
    sticky = {state.info.cluster_ip: state.info for state in states if state.info.affinity_s}.values()
    stuck = {at for i in sticky for at in (i.cluster_ip, i.node_port, *i.external_ips, *i.load_balancer_vips)}
    ways = [(source, *to) for source in sources for to in destinations(states) if source != LOOPBACK]
    ways += [(LOOPBACK, LOOPBACK, s.info.node_port) for s in states if s.info.node_port and LOOPBACK in sources]

    def try_one(way: tuple[str, str, int]) -> str:
        said, answers = place.ask(*way)
        complaint = said.disagrees(answers, sticky=not stuck.isdisjoint(way))
        return complaint and f"{way[0]} -> {way[1]}:{way[2]}: {complaint}"

    with ThreadPoolExecutor(32) as pool:
        complaints = [said for said in pool.map(try_one, ways) if said]
    print(f"{place.name}: {len(ways)} ways")
    assert not complaints, "\n" + "\n".join(complaints)


@pytest.mark.parametrize("source", SOURCES)
def test_every_way_ends_where_the_tracer_says(place: Place, source: str) -> None:
    compare(place, STATES, [source])


@pytest.mark.parametrize("name", MODES)
def test_every_kind_of_service_does_what_the_tracer_says(name: str, tmp_path: Path) -> None:
    need(name)
    with build() as town:
        place = Place(town, mode_of(name, town.node, CONFIG, tmp_path), name)
        place.mode.sync(EVERY_KIND, (), 0.0)
        compare(place, EVERY_KIND, (CLIENT, FIRST, OUTSIDE, STRANGER, SECOND))


CONFIGS = {
    "everything is masqueraded": replace(CONFIG, masquerade_all=True),
    "nobody knows which Pods are local": replace(CONFIG, pod_cidr=None),
    "NodePorts at the second address": replace(CONFIG, node_port_addresses=(f"{SECOND}/32",)),
    "NodePorts everywhere but on localhost": replace(
        CONFIG, node_port_addresses=("0.0.0.0/0",), localhost_node_ports=False
    ),
    "no Service ranges": replace(CONFIG, service_cidrs=()),
}


@pytest.mark.parametrize("setting", CONFIGS)
@pytest.mark.parametrize("name", MODES)
def test_kube_proxys_settings_do_what_the_tracer_says(name: str, setting: str, tmp_path: Path) -> None:
    need(name)
    with build() as town:
        place = Place(town, mode_of(name, town.node, CONFIGS[setting], tmp_path), name)
        place.mode.sync(STATES, (), 0.0)
        compare(place, STATES, (CLIENT, FIRST, OUTSIDE, SECOND, LOOPBACK))


def test_what_the_node_sends_to_an_outer_address_without_endpoints_is_not_refused_by_iptables(
    place: Place, request: pytest.FixtureRequest
) -> None:
    """The rule that would refuse it is in KUBE-EXTERNAL-SERVICES, and OUTPUT has no jump there."""
    for destination in unrefused(STATES):
        said = Said(NODE, place.mode.trace(Packet(NODE, *destination)), always_masqueraded=False)
        answer = place.town.ask(NODE, *destination, patience_s=SILENCE_S)
        assert answer.what == ("refused" if place.name == "nftables" else "silence")
        assert not said.disagrees([answer])


def test_an_address_of_no_service_leads_nowhere(place: Place) -> None:
    assert {answer.what for answer in place.agree(CLIENT, ABSENT, 80)} == {"silence"}


@pytest.mark.parametrize("name", MODES)
def test_a_partial_sync_takes_an_endpoint_out_of_use(name: str, tmp_path: Path) -> None:
    need(name)
    with build() as town:
        place = Place(town, mode_of(name, town.node, CONFIG, tmp_path), name)
        place.mode.sync(STATES, (), 0.0)
        assert endpoints(place.agree(CLIENT, SERVICES["web"].cluster_ip, 80)) == ALL
        place.mode.sync(without(FIRST), [info.service for info in SERVICES.values()], 1.0)
        assert endpoints(place.agree(CLIENT, SERVICES["web"].cluster_ip, 80)) == ALL - {f"{FIRST}:{TARGET_PORT}"}
        (refused,) = place.agree(CLIENT, SERVICES["self"].cluster_ip, 80)
        assert refused.what == "refused"
        place.mode.sync(without(FIRST)[1:], ["town/web"], 5.0)
        assert all(answer.what != "served" for answer in place.agree(CLIENT, SERVICES["web"].cluster_ip, 80))


@pytest.mark.parametrize("name", MODES)
def test_a_tracer_that_were_wrong_would_be_found_out(name: str, tmp_path: Path) -> None:
    """The tracer has not heard that an endpoint is gone, and with it a Service's only one."""
    need(name)
    with build() as town:
        place = Place(town, mode_of(name, town.node, CONFIG, tmp_path), name)
        place.mode.sync(without(FIRST), (), 0.0)
        place.mode.expect(STATES)
        for info in (SERVICES["web"], SERVICES["self"]):
            with pytest.raises(AssertionError, match=FIRST):
                place.agree(CLIENT, info.cluster_ip, 80)
