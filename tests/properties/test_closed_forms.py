"""Closed forms of the batch engine against counting: rules one by one, sums in loops, sorts of strings.

Clusters and delivery logs are drawn freely: a log here need not be one that a controller would write.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpsim.cluster.changes import NEVER
from kpsim.cluster.columns import Cluster, Names, PodState, ServiceColumns, string_order
from kpsim.controlplane.deliveries import DeliveryLog, Fanout, Notice, WatchOutage
from kpsim.profiles.costs import load_profile
from kpsim.proxy.contract import Mode, PacketState, Programmed, Steps, SyncCounts, SyncKind
from kpsim.proxy.counts import EndpointCounts
from kpsim.proxy.node import counted_node
from kpsim.proxy.params import LATEST, ProxyParams
from kpsim.proxy.registry import MODES, create
from kpsim.proxy.rules import DROPPED, REFUSED, RuleSet
from kpsim.proxy.states import NodeView
from kpsim.proxy.sync.lanes import Arrivals
from kpsim.proxy.sync.sums.prefix import PrefixSums
from kpsim.proxy.sync.timeline import Timeline, usable_at_start
from kpsim.queues import lindley
from kpsim.traffic.connections import Connections, _turns
from kpsim.units import I64, U32

READY = int(PodState.READY | PodState.SERVING)
VERSIONS = [(1, 26), (1, 29), (1, 30), (1, 33), (1, 34), (1, 36)]  # what is counted is different in each
STATES = [READY, 0, int(PodState.SERVING | PodState.TERMINATING), int(PodState.TERMINATING), READY, READY]


@dataclass(frozen=True)
class Case:
    """A cluster, a log of deliveries to its nodes, the order its service ports are visited in, and a mode."""

    cluster: Cluster
    log: DeliveryLog
    order: I64
    mode: Mode
    node: int = 0
    version: tuple[int, int] = LATEST

    @property
    def timeline(self) -> Timeline:
        return Timeline(self.cluster, self.log, self.mode, self.order)


def numbers(values: Sequence[int]) -> I64:
    return np.array(values, np.int64)


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """Up to seven Services in every shape: headless, without Pods, with external addresses, to be created later."""
    n = draw(st.integers(1, 7))
    initial = draw(st.integers(0, n))
    proxied = draw(st.lists(st.sampled_from([True, True, True, False]), min_size=n, max_size=n))
    ports = draw(st.lists(st.integers(1, 3), min_size=n, max_size=n))
    has_node_port = [draw(st.booleans()) for _ in range(n)]
    pods = draw(st.integers(1, 8))
    ips = draw(st.lists(st.integers(0x0A000001, 0x0A0002FF), min_size=pods, max_size=pods, unique=True))
    pod_ip = np.array(ips, np.uint32)
    key = string_order(pod_ip)
    owned = [draw(st.lists(st.integers(0, pods - 1), max_size=4, unique=True)) for _ in range(n)]
    owned = [sorted(pods_of, key=lambda pod: int(key[pod])) for pods_of in owned]
    total = sum(ports)
    few = st.lists(st.integers(0, 2), min_size=n, max_size=n)
    return Cluster(
        nodes=draw(st.integers(1, 3)),
        cores=1,
        zones=1,
        initial=initial,
        names=Names((0,), ("default/s",), (True,)),
        services=ServiceColumns(
            proxied=np.array(proxied),
            headless=~np.array(proxied),
            ports=numbers(ports),
            external_ips=numbers(draw(few)),
            load_balancer_ips=numbers(draw(few)),
            source_ranges=numbers(draw(few)),
            node_ports=numbers([p if has else 0 for p, has in zip(ports, has_node_port, strict=True)]),
            affinity=np.array([draw(st.booleans()) for _ in range(n)]),
            cluster_ip=np.array([0x0A600000 + s if proxied[s] else 0 for s in range(n)], np.uint32),
            internal_local=np.array([draw(st.booleans()) for _ in range(n)]),
            external_local=np.array([draw(st.booleans()) for _ in range(n)]),
            udp=np.array([draw(st.booleans()) for _ in range(n)]),
            dual_stack=np.zeros(n, np.bool_),
            continued=np.zeros(n, np.bool_),
        ),
        port_offset=np.concatenate([[0], np.cumsum(ports)]),
        port_service=np.repeat(np.arange(n), ports),
        port_number=np.concatenate([80 + np.arange(p) for p in ports]),
        port_node_port=np.where(np.repeat(has_node_port, ports), 30000 + np.arange(total), 0),
        port_target=8080 + np.arange(total),
        port_protocol=["TCP"] * total,
        port_name=[f"p{q}" for q in range(total)],
        endpoint_offset=np.concatenate([[0], np.cumsum([len(x) for x in owned])]).astype(np.int64),
        endpoint_pod=numbers([pod for pods_of in owned for pod in pods_of]),
        pod_ip=pod_ip,
        pod_state=numbers(draw(st.lists(st.sampled_from(STATES), min_size=pods, max_size=pods))),
    )


@st.composite
def cases(draw: st.DrawFn, mode: str) -> Case:
    cluster = draw(clusters())
    proxied = np.flatnonzero(cluster.services.proxied).tolist()
    log = DeliveryLog()
    for index in range(draw(st.integers(0, 12)) if proxied else 0):
        usable = draw(st.lists(st.integers(0, cluster.pods - 1), max_size=4, unique=True))
        others = sorted({*range(cluster.pods)} - {*usable})
        leaving = draw(st.lists(st.sampled_from(others), max_size=3, unique=True)) if usable and others else []
        told = Notice(
            service=draw(st.sampled_from(proxied)),
            usable=usable,
            endpoints=len(usable) + draw(st.integers(0, 3)),
            changed=draw(st.integers(0, 4)),
            trigger_ns=-1,
            effects_ns=(),
            creates=False,
            leaving=leaving,
        )
        log.add(told, sent_ns=100 * index, spread_ns=50, size=1000)
    order = numbers(draw(st.permutations(range(len(cluster.port_service)))))
    version = draw(st.sampled_from(VERSIONS))
    made = create(ProxyParams(mode=mode, kubernetes_version=version))
    return Case(cluster, log, order, made, draw(st.integers(0, cluster.nodes - 1)), version)


def walk_log(case: Case, prefix: int) -> tuple[dict[int, tuple[int, ...]], dict[int, int]]:
    """What a kube-proxy holds after ``prefix`` deliveries: usable Pods and endpoints by Service, from plain loops."""
    usable, held, _ = walk_all(case, prefix)
    return usable, held


Pods = dict[int, tuple[int, ...]]


def walk_all(case: Case, prefix: int) -> tuple[Pods, dict[int, int], Pods]:
    """The same, and the Pods that terminate and serve beside ready ones."""
    cluster = case.cluster
    usable: Pods = {}
    held: dict[int, int] = {}
    going: Pods = {}
    for s in range(cluster.initial):
        if not cluster.services.proxied[s]:
            continue
        pods = cluster.endpoints(s).tolist()
        ready = tuple(p for p in pods if cluster.pod_state[p] & PodState.READY)
        leaving = int(PodState.SERVING | PodState.TERMINATING)
        fallback = tuple(p for p in pods if int(cluster.pod_state[p]) & leaving == leaving and p not in ready)
        usable[s] = ready or fallback
        going[s] = fallback if ready else ()
        held[s] = len(pods)
    for row in case.log.rows[:prefix]:
        usable[row.service], held[row.service], going[row.service] = row.usable, row.endpoints, row.leaving
    return usable, held, going


def view_of(case: Case, prefix: int) -> NodeView:
    """What the case's node sees, Pod ``p`` being on node ``p`` modulo the number of nodes."""
    cluster = case.cluster
    usable, _, leaving = walk_all(case, prefix)
    here = np.arange(cluster.pods) % cluster.nodes == case.node
    return NodeView(cluster, usable, case.order, cluster.pod_ip, counted_node(case.version), leaving, here)


def programmed(case: Case, prefix: int, rotation: int = 0) -> Programmed:
    view = view_of(case, prefix)
    return case.mode.program(view.port_states(), view.config, rotation)


def rules_of(case: Case, view: NodeView) -> RuleSet:
    return case.mode.program(view.port_states(), view.config).rules


def candidates(case: Case, prefix: int, port: int) -> tuple[int, ...]:
    """Who a Pod's connection to a service port may go to, from plain conditions."""
    cluster, service = case.cluster, int(case.cluster.port_service[port])
    usable, _, leaving = walk_all(case, prefix)
    columns = cluster.services
    if not columns.internal_local[service] or case.mode.ignores_policies:
        return usable[service]
    mine = [p for p in usable[service] if p % cluster.nodes == case.node]
    mine = mine or [p for p in leaving.get(service, ()) if p % cluster.nodes == case.node]
    outside = columns.external_ips[service] + columns.load_balancer_ips[service] + cluster.port_node_port[port]
    return tuple(mine) or (usable[service] if case.mode.falls_back and outside else ())


@pytest.mark.parametrize("mode", list(MODES))
@settings(max_examples=40)
@given(data=st.data())
def test_totals_are_what_counting_the_rule_set_gives(mode: str, data: st.DataObject) -> None:
    case = data.draw(cases(mode))
    timeline, ports = case.timeline, case.cluster.services.ports
    for prefix in range(len(case.log.rows) + 1):
        rules = programmed(case, prefix).rules
        usable, held = walk_log(case, prefix)
        at, node = numbers([prefix]), numbers([case.node])
        assert timeline.dispatch_at(at, node)[0] == rules.dispatch <= timeline.most_dispatch()
        assert timeline.own_at(at, node)[0] == sum(rules.own.values())
        assert timeline.ports_total[prefix] == sum(int(ports[s]) for s in usable)
        assert timeline.endpoints_total[prefix] == sum(int(ports[s]) * n for s, n in held.items())
        rows, udp = case.log.rows[:prefix], case.cluster.services.udp
        assert timeline.changed_total[prefix] == sum(row.changed for row in rows)
        assert timeline.udp_writes_total[prefix] == sum(bool(udp[row.service]) and not row.creates for row in rows)


@pytest.mark.parametrize("mode", list(MODES))
@settings(max_examples=40)
@given(data=st.data())
def test_all_rules_present_are_those_in_the_rule_set(mode: str, data: st.DataObject) -> None:
    """Every rule of the chains in nat, or every virtual and real server, is counted once."""
    case = data.draw(cases(mode))
    prefix = data.draw(st.integers(0, len(case.log.rows)))
    rules = programmed(case, prefix).rules
    written = rules.present
    timeline, at, node = case.timeline, numbers([prefix]), numbers([case.node])
    present = case.mode.rules_present(int(timeline.dispatch_at(at, node)[0]), int(timeline.own_at(at, node)[0]))
    assert present == written


@pytest.mark.parametrize("mode", list(MODES))
@settings(max_examples=40)
@given(data=st.data())
def test_rule_counts_are_per_service(mode: str, data: st.DataObject) -> None:
    """``dispatch`` and ``own`` are the Service's, all ports together, as :meth:`program` builds them."""
    case = data.draw(cases(mode))
    view, services = view_of(case, len(case.log.rows)), case.cluster.services
    assert view.here is not None
    seen = []
    for s in range(len(services.ports)):
        usable, leaving = view.usable.get(s, ()), view.leaving.get(s, ())
        near, far = (sum(bool(view.here[p]) for p in pods) for pods in (usable, leaving))
        seen.append((len(usable), near or far, 0 if near else far))
    closed = case.mode.rule_counts(services, EndpointCounts(*(numbers(column) for column in zip(*seen, strict=True))))
    for s in view.usable:
        rules = rules_of(case, replace(view, usable={s: view.usable[s]}))
        assert rules.dispatch == closed.dispatch[s]
        assert rules.own.get(s, 0) == closed.own[s]


@pytest.mark.parametrize("mode", list(MODES))
@settings(max_examples=40)
@given(data=st.data())
def test_state_points_at_what_the_service_was_last_told(mode: str, data: st.DataObject) -> None:
    case = data.draw(cases(mode))
    timeline = case.timeline
    for prefix in range(len(case.log.rows) + 1):
        usable, _ = walk_log(case, prefix)
        known = numbers(sorted(usable))
        states = timeline.state(known, np.full(len(known), prefix))
        for s, state in zip(known.tolist(), states.tolist(), strict=True):
            lo, hi = timeline.usable_offset[state], timeline.usable_offset[state + 1]
            assert tuple(timeline.usable_pod[lo:hi].tolist()) == usable[s]
            assert timeline.usable[state] == len(usable[s])


@pytest.mark.parametrize("mode", list(MODES))
@settings(max_examples=40)
@given(data=st.data())
def test_rank_and_rotation_are_the_place_in_the_list_that_is_scanned(mode: str, data: st.DataObject) -> None:
    case = data.draw(cases(mode))
    timeline = case.timeline
    scans = any(stage.steps is Steps.DISPATCH for stage in case.mode.stages(PacketState.FIRST))
    for prefix in range(len(case.log.rows) + 1):
        usable, _ = walk_log(case, prefix)
        total = int(timeline.dispatch_at(numbers([prefix]), numbers([case.node]))[0])
        turns = [0, 1, total // 2, total - 1] if total else [0]
        sets = {turn: programmed(case, prefix, turn) for turn in turns}
        for port in range(len(case.cluster.port_service)):
            service = int(case.cluster.port_service[port])
            if service not in usable or not candidates(case, prefix, port):
                continue
            rank = int(timeline.rank(numbers([port]), numbers([prefix]), numbers([case.node]))[0])
            packet = view_of(case, prefix).packet(port)
            for turn, rules in sets.items():
                walk = rules.walk(packet, 0, 0)
                turned = turn if case.mode.scan_rotates else 0
                assert walk.scanned == ((rank + turned) % total if scans else 0)


@pytest.mark.parametrize("mode", list(MODES))
@settings(max_examples=40)
@given(data=st.data(), draw=st.integers(0, 2**32 - 1), turn=st.integers(0, 2**40))
def test_choice_and_endpoint_steps_are_those_of_the_walk(mode: str, data: st.DataObject, draw: int, turn: int) -> None:
    case = data.draw(cases(mode))
    rows = len(case.log.rows)
    usable, _ = walk_log(case, rows)
    rules, timeline = programmed(case, rows), case.timeline
    for port in range(len(case.cluster.port_service)):
        service = int(case.cluster.port_service[port])
        if service not in usable:
            continue
        pods = candidates(case, rows, port)
        first, count, policy = timeline.choices(numbers([port]), numbers([rows]), numbers([case.node]))
        walk = rules.walk(view_of(case, rows).packet(port), draw, turn)
        assert count[0] == len(pods)
        if not pods:
            dropped = (case.mode.drops_without_local and bool(usable[service])) or not case.mode.refuses
            assert walk.pod == (DROPPED if dropped else REFUSED)
            assert policy[0] == bool(usable[service])
            assert walk.tried == 0
            continue
        assert timeline.usable_pod[first[0] : first[0] + count[0]].tolist() == list(pods)
        index = case.mode.select(numbers([draw]), numbers([turn]), count)
        assert walk.pod == pods[int(index[0])]
        assert walk.tried == int(case.mode.endpoint_steps(index, count)[0])


@pytest.mark.parametrize("mode", list(MODES))
@settings(max_examples=40)
@given(data=st.data())
def test_changed_between_counts_services_once_and_their_rules_after(mode: str, data: st.DataObject) -> None:
    case = data.draw(cases(mode))
    timeline, rows = case.timeline, len(case.log.rows)
    before, after = (x.ravel() for x in np.meshgrid(np.arange(rows + 1), np.arange(rows + 1)))
    keep = before <= after
    node = np.full(int(keep.sum()), case.node)
    found = timeline.changed_between(before[keep], after[keep], node)
    counted = zip(before[keep].tolist(), after[keep].tolist(), *found, strict=True)
    views = [view_of(case, prefix) for prefix in range(rows + 1)]
    everything = [rules_of(case, view) for view in views]
    for lo, hi, n, rules, leading, gone, new in counted:
        touched = {row.service for row in case.log.rows[lo:hi]}
        view = views[hi]
        there = view.usable.keys() & touched
        assert (gone, new) == (n - len(there), len(there - views[lo].usable.keys()))
        assert n == len(touched)
        assert rules == sum(everything[hi].own.get(s, 0) for s in touched)
        assert leading == rules_of(case, replace(view, usable={s: view.usable[s] for s in touched})).dispatch


@given(data=st.data())
def test_what_is_usable_at_the_start(data: st.DataObject) -> None:
    case = replace(data.draw(cases("iptables")), log=DeliveryLog())
    offset, pods = usable_at_start(case.cluster)
    usable, _ = walk_log(case, 0)
    for s, wanted in usable.items():
        assert tuple(pods[offset[s] : offset[s + 1]].tolist()) == wanted
    assert np.diff(offset)[case.cluster.initial :].sum() == 0


@pytest.mark.parametrize("mode", list(MODES))
def test_a_wrong_list_would_be_noticed(mode: str) -> None:
    """The twin: a timeline over a log that lacks one row is not the rule set with it."""
    cluster = replace(
        _plain(3), initial=2
    )  # the third Service comes with the row: modes without rules for endpoints see it
    told = Notice(2, (0, 1), 2, 2, -1, (), creates=True)
    log = DeliveryLog()
    log.add(told, sent_ns=0, spread_ns=1, size=1)
    case = Case(cluster, log, np.arange(3), create(ProxyParams(mode=mode)))
    without = Timeline(cluster, DeliveryLog(), case.mode, case.order)
    assert without.own_total[0] != sum(programmed(case, 1).rules.own.values())
    assert case.timeline.own_total[1] == sum(programmed(case, 1).rules.own.values())


def _plain(n: int) -> Cluster:
    """``n`` Services of one port and one ready Pod each."""
    none, one, every = np.zeros(n, np.int64), np.ones(n, np.int64), np.arange(n)
    columns = ServiceColumns(
        one > 0,
        none > 0,
        one,
        none,
        none,
        none,
        none,
        none > 0,
        (0x0A600001 + every).astype(np.uint32),
        none > 0,
        none > 0,
        none > 0,
        none > 0,
        none > 0,
    )
    ends = np.arange(n + 1)
    return Cluster(
        1, 1, 1, n, Names((0,), ("default/s",), (True,)), columns, ends, every, 80 * one, none, 80 * one,
        ["TCP"] * n, [""] * n, ends, every, (0x0A000001 + every).astype(np.uint32), READY * one,
    )  # fmt: skip


# ── Sums, sorts and queues ───────────────────────────────────────────────────────────────────────────────────────────


@given(data=st.data(), places=st.integers(1, 40))
def test_prefix_sums_are_sums_over_a_prefix(data: st.DataObject, places: int) -> None:
    events = data.draw(st.lists(st.tuples(st.integers(0, places - 1), st.integers(-9, 9)), max_size=40))
    sums = PrefixSums(numbers([p for p, _ in events]), numbers([w for _, w in events]), places)
    first, place = (x.ravel() for x in np.meshgrid(np.arange(len(events) + 1), np.arange(places)))
    expected = [sum(w for p, w in events[:r] if p < x) for r, x in zip(first.tolist(), place.tolist(), strict=True)]
    assert sums.below(first, place).tolist() == expected


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=30), st.integers(1, 65535))
def test_addresses_sort_as_strings_do(ips: list[int], port: int) -> None:
    ips += [ip & 0xFFFFFF00 | octet for ip in ips[:3] for octet in (1, 10, 11, 100, 2, 25, 250)]
    written = [f"{ipaddress.IPv4Address(ip)}:{port}" for ip in ips]
    keys: U32 = np.array(ips, np.uint32)
    order = np.argsort(string_order(keys), kind="stable").tolist()
    assert [written[i] for i in order] == sorted(written)


def test_addresses_do_not_sort_as_numbers_do() -> None:
    ips = np.array([0x0A010101, 0x0A01010B], np.uint32)  # 10.1.1.1 and 10.1.1.11
    assert np.argsort(string_order(ips)).tolist() == [1, 0]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 60)), max_size=60))
def test_lindley_is_a_queue_with_one_server(packets: list[tuple[int, int]]) -> None:
    arrival = np.cumsum(numbers([gap for gap, _ in packets]))
    cost = numbers([cost for _, cost in packets])
    starts, free = [], 0
    for at, takes in zip(arrival.tolist(), cost.tolist(), strict=True):
        starts.append(max(at, free))
        free = starts[-1] + takes
    assert lindley(arrival, cost).tolist() == starts


@given(data=st.data(), nodes=st.integers(1, 6), rows=st.integers(0, 20), inclusive=st.booleans())
def test_arrivals_are_counted_by_looking_at_each(data: st.DataObject, nodes: int, rows: int, inclusive: bool) -> None:
    spread = numbers(data.draw(st.lists(st.integers(0, 9), min_size=rows, max_size=rows)))
    gap = numbers(data.draw(st.lists(st.integers(0, 5), min_size=rows, max_size=rows)))
    sent = np.cumsum(gap + np.concatenate([[0], spread[:-1]])[:rows])  # the next goes out when the last copy has left
    lag = numbers(data.draw(st.lists(st.integers(0, 30), min_size=nodes, max_size=nodes)))
    rank = numbers(data.draw(st.permutations(range(nodes))))
    broken = st.tuples(st.integers(0, 200), st.lists(st.integers(0, 250), min_size=nodes, max_size=nodes))
    outages = [WatchOutage(at, numbers(back)) for at, back in data.draw(st.lists(broken, max_size=2))]
    arrivals = Arrivals(sent, spread, Fanout(rank, lag, nodes, tuple(outages)))
    node, time = (x.ravel() for x in np.meshgrid(np.arange(nodes), np.arange(0, 200, 3)))
    table = [
        [int(sent[r]) + int(spread[r]) * int(rank[n]) // nodes + int(lag[n]) for r in range(rows)] for n in range(nodes)
    ]
    for outage in outages:
        for n in range(nodes):
            late = [max(at, int(outage.back_ns[n])) for at in table[n]]
            table[n] = [late[r] if sent[r] >= outage.from_ns else table[n][r] for r in range(rows)]
    assert all(row == sorted(row) for row in table)
    expected = [
        sum(at <= t if inclusive else at < t for at in table[n])
        for n, t in zip(node.tolist(), time.tolist(), strict=True)
    ]
    assert arrivals.count(time, node, inclusive=inclusive).tolist() == expected
    beyond = arrivals.at(np.full(nodes, rows), np.arange(nodes))
    assert beyond.tolist() == [NEVER] * nodes
    for r in range(rows):
        assert arrivals.at(np.full(nodes, r), np.arange(nodes)).tolist() == [table[n][r] for n in range(nodes)]


@given(st.lists(st.integers(0, 5), max_size=60))
def test_turns_count_earlier_connections_to_the_same_port(ports: list[int]) -> None:
    seen: Counter[int] = Counter()
    expected = []
    for port in ports:
        expected.append(seen[port])
        seen[port] += 1
    assert _turns(numbers(ports)).tolist() == expected


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 4), st.integers(1, 60))
def test_blocks_are_whole_nodes_in_order(counts: list[int], packets: int, size: int) -> None:
    node = np.repeat(np.arange(len(counts)), counts)
    every = np.arange(len(node))
    draws = np.zeros((len(node), packets), np.uint32)
    connections = Connections(node, every, every, every, every, every, every, draws, packets, 1)
    blocks = list(connections.blocks(size))
    assert np.concatenate([b.arrival_ns for b in blocks]).tolist() == every.tolist()
    ends = [set(b.node.tolist()) for b in blocks]
    assert sum(len(nodes) for nodes in ends) == len(counts)  # no node in two blocks
    assert all(len(b) * packets < size + max(counts) * packets for b in blocks)


# ── Work of a sync ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize("kind", list(SyncKind))
def test_every_count_of_a_sync_has_a_price(mode: str, kind: SyncKind) -> None:
    made = create(ProxyParams(mode=mode))
    costs = load_profile("measured-linux-6.18").costs(made.family, "typical", 1.0)
    work = made.sync_work(kind, SyncCounts(10, 20, 10, 70, 1, 7, 2, 1))
    assert costs.seconds(work) > 0
    for name, count in work.items():
        assert costs.seconds({name: count}) >= 0
        # a fit may find nothing; its interval then says how much there may be
        found_nothing = (price := costs.coefficients[name]).value == 0 < price.high
        assert found_nothing or (costs.seconds({name: count}) > 0) == (np.asarray(count) > 0)
