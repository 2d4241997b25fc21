"""One replication's control plane as a trace for Perfetto (ui.perfetto.dev) or Chrome (chrome://tracing).

Each mode is a process and each node's sync loop a thread in it; writes and the scenario's events are processes too.
A run directory does not hold these moments: the replication is simulated again, without its packets, which give
them nothing.  Source: the Trace Event Format; times are microseconds since the run began.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from kpsim.errors import InputError, Place, Problem
from kpsim.scenario.model import Scenario
from kpsim.simulation import ModeRun, Replication, build_cluster, choose_engine, prepare, run_mode
from kpsim.units import I64

MOST_NODES = 50
NS_PER_US = 1000
EVENTS, API = 1, 2  # processes
FIRST_MODE = 3

Row = dict[str, Any]


def trace_of(scenario: Scenario, number: int = 0, nodes: int = MOST_NODES) -> dict[str, Any]:
    """Return the trace of replication ``number``, with the syncs of the first ``nodes`` nodes.

    Raises :class:`InputError` if there is no such replication.
    """
    if number >= scenario.run.replications:
        what = f"there are {scenario.run.replications} replications, counted from 0, and no {number}"
        raise InputError([Problem(Place(), key="--replication", what=what)])
    cluster, _ = build_cluster(scenario)
    quiet = replace(scenario, traffic=replace(scenario.traffic, connections_per_s_per_node=0.0))
    replication = replace(prepare(quiet, cluster, number), scenario=scenario)
    shown = min(nodes, cluster.nodes)
    rows = [*_named(EVENTS, "events of the scenario"), *_events(scenario)]
    engine = choose_engine(scenario)[0]
    for process, name in enumerate(scenario.modes, FIRST_MODE):
        run = run_mode(replication, name, engine)
        if process == FIRST_MODE:
            rows += [*_named(API, "API server"), *_writes(replication, run)]
        rows += [*_named(process, f"kube-proxy, {name}"), *_mode(replication, run, process, shown)]
    about = {"scenario": scenario.name, "replication": number, "seed": scenario.run.seed, "nodes": shown}
    return {"displayTimeUnit": "ms", "otherData": about, "traceEvents": rows}


def _named(process: int, name: str) -> Iterator[Row]:
    yield {"ph": "M", "name": "process_name", "pid": process, "args": {"name": name}}
    yield {"ph": "M", "name": "process_sort_index", "pid": process, "args": {"sort_index": process}}


def _thread(process: int, thread: int, name: str) -> Row:
    return {"ph": "M", "name": "thread_name", "pid": process, "tid": thread, "args": {"name": name}}


def _events(scenario: Scenario) -> Iterator[Row]:
    for index, event in enumerate(scenario.events):
        yield {"ph": "i", "s": "g", "name": event.described(), "pid": EVENTS, "tid": index, "ts": event.at_s * 1e6}


def _writes(replication: Replication, run: ModeRun) -> Iterator[Row]:
    """Each watched write, from its first byte until the last watcher's copy has left."""
    yield _thread(API, 0, "writes that kube-proxies watch")
    for row in run.sent.rows:
        about = {"bytes a watcher": row.size, "endpoints": row.endpoints, "endpoints changed": row.changed}
        name = replication.cluster.names[row.service]
        yield _slice(name, API, 0, row.sent_ns, row.sent_ns + row.spread_ns, about)


def _mode(replication: Replication, run: ModeRun, process: int, nodes: int) -> Iterator[Row]:
    """The syncs of each node, by IP family: until their rules are in force, and the clean-up of conntrack after it."""
    families = len(run.proxiers)
    for node in range(nodes):
        for family, proxier in enumerate(run.proxiers):
            thread = node * families + family
            called = replication.cluster.node_name(node)
            yield _thread(process, thread, f"{called}, family {family + 1}" if families > 1 else called)
            table = proxier.syncs
            for k in np.flatnonzero(table.ran[:, node]).tolist():
                start, switch, end = (_at(each, k, node) for each in (table.start, table.switch, table.end))
                kind = "full sync" if table.full[k, node] else "partial sync"
                failed = bool(table.failed[k, node])
                about = {"deliveries known": _at(table.absorbed, k, node), "failed": failed}
                in_force = min(switch, end)
                yield _slice(f"{kind}, failed" if failed else kind, process, thread, start, in_force, about)
                if not failed and end > in_force:
                    yield _slice("conntrack", process, thread, in_force, end, {})


def _at(table: I64, k: int, node: int) -> int:
    return int(table[k, node])


def _slice(name: str, process: int, thread: int, from_ns: int, to_ns: int, about: Row) -> Row:
    return {
        "ph": "X",
        "name": name,
        "pid": process,
        "tid": thread,
        "ts": from_ns / NS_PER_US,
        "dur": max(to_ns - from_ns, 0) / NS_PER_US,
        "args": about,
    }
