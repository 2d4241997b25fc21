"""A run's time and memory are estimated before it starts: a typing mistake must not take a laptop down, or a day.

What there is of each thing is counted by :mod:`kpsim.simulation.amounts`, what one takes stands in the profile
``kpsim-costs.yaml``, as fitted to the benchmarks' runs.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kpsim.errors import GuardError
from kpsim.profiles.running import load_run_costs
from kpsim.scenario.model import Scenario
from kpsim.simulation.amounts import amounts, longest_axis
from kpsim.simulation.setting import choose_engine

MOST_S = 3600.0  # unless --max-time says otherwise
MEMORY_SHARE = 0.8  # of what there is, unless --max-memory says otherwise
CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
LIMITS = ("RLIMIT_AS", "RLIMIT_DATA")
# what a scenario says about each amount, for the message
TURNED_BY = {
    "services": "services.*.count",
    "service_ports": "services.*.count and services.*.ports",
    "endpoints": "services.*.endpoints, replicas of workloads",
    "nodes": "cluster.nodes and run.replications",
    "changes": "changes.churn, changes.events and run.duration",
    "observations": "run.replications",
    "workers": "controllerManager.concurrentServiceEndpointSyncs",
    "faults": "restarts and flushes of kube-proxy",
    "fault_rows": "restarts and flushes of kube-proxy",
    "deliveries": "changes.churn, controllerManager.qps and run.duration",
    "listed_endpoints": "services.*.endpoints, changes.churn and run.duration",
    "node_deliveries": "cluster.nodes, changes.churn and run.duration",
    "processed_deliveries": "cluster.nodes, changes.churn and run.duration",
    "processed_syncs": "run.duration, minSyncPeriod and cluster.nodes",
    "syncs": "run.duration and minSyncPeriod",
    "node_syncs": "cluster.nodes, run.duration and minSyncPeriod",
    "connections": "traffic.connectionsPerSecondPerNode, traffic.packetsPerConnection and run.packets",
    "sampled_nodes": "cluster.nodes",
    "packets": "traffic.packetsPerConnection and run.packets",
    "kept_packets": "traffic.packetsPerConnection and run.packets",
    "processed_packets": "traffic.packetsPerConnection and run.packets",
    "lookups": "traffic.connectionsPerSecondPerNode, dns.otherQueriesPerSecond and run.duration",
    "dns_cores": "dns.coresPerReplica and dns.replicas",
    "requests": "ingress.requestsPerSecond, ingress.tries and run.duration",
    "ingress_workers": "ingress.replicas and ingress.cores",
}


@dataclass(frozen=True, slots=True)
class Need:
    """The estimate of a run: memory of one process [bytes], and time of one core [s], each by what takes it."""

    bytes_by: Mapping[str, float]
    seconds_by: Mapping[str, float]

    @staticmethod
    def of(scenario: Scenario) -> Need:
        """Return what ``scenario`` needs."""
        costs, found = load_run_costs(), amounts(scenario, choose_engine(scenario)[0])
        return Need(
            {"start": costs.bytes.get("start", 0.0)}
            | {name: costs.bytes.get(name, 0.0) * amount.at_once for name, amount in found.items()},
            {"start": costs.seconds.get("start", 0.0)}
            | {name: costs.seconds.get(name, 0.0) * amount.total for name, amount in found.items()},
        )

    @property
    def memory_bytes(self) -> float:
        """Return about how much memory one process needs [bytes]."""
        return sum(self.bytes_by.values())

    @property
    def seconds(self) -> float:
        """Return about how long one core is busy [s]."""
        return sum(self.seconds_by.values())


def memory_bytes(scenario: Scenario) -> float:
    """About how much memory one process needs for ``scenario`` [bytes]."""
    return Need.of(scenario).memory_bytes


def memory_there_is() -> float:
    """Return the memory that this process may use [bytes]: the machine's, its control group's, or its own limit."""
    found = [float(8 << 30)]
    with suppress(ValueError, OSError, AttributeError):
        found = [float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))]
    for path in CGROUPS:
        with suppress(OSError, ValueError):
            found.append(float(Path(path).read_text(encoding="ascii")))  # "max" is no number
    with suppress(ImportError):
        import resource  # not on Windows

        limits = [resource.getrlimit(getattr(resource, name))[0] for name in LIMITS]
        found += [float(limit) for limit in limits if limit != resource.RLIM_INFINITY]
    return min(found)


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a run that may start: seconds of one core, and so many processes at once as memory holds."""

    seconds: float
    memory_bytes: float  # of one process
    processes: int


def check_size(
    scenario: Scenario, most_bytes: float | None = None, most_s: float | None = None, *, jobs: int = 1
) -> Size:
    """Return the size of ``scenario``, run by at most ``jobs`` processes.

    Raises
    ------
    GuardError
        if one process would take more memory than ``most_bytes`` (default: 80 % of what there is), or all of them
        longer than ``most_s`` (default: an hour).
    """
    need, limit = Need.of(scenario), memory_limit(most_bytes)
    taken = need.memory_bytes
    if not taken <= limit:
        raise GuardError(
            f"this run would take about {_size(taken)} of memory; the limit is {_size(limit)}. "
            f"{_mend(need.bytes_by)}; --max-memory raises the limit."
        )
    axis = longest_axis(scenario)
    if not axis <= 1:
        raise GuardError(
            "the queues of one node, one after another, are longer than a clock of nanoseconds can tell. "
            "Less takes less: run.duration and cluster.cores"
        )
    processes = at_once(min(jobs, scenario.run.replications), taken, limit)
    check_time(need.seconds / processes, most_s, need.seconds_by)
    return Size(need.seconds, taken, processes)


def memory_limit(most_bytes: float | None) -> float:
    """Return the limit that holds where ``most_bytes`` was asked for, or nothing [bytes]."""
    return MEMORY_SHARE * memory_there_is() if most_bytes is None else most_bytes


def at_once(jobs: int, memory_bytes: float, limit: float) -> int:
    """Return how many of ``jobs`` processes of so much memory there may be at once, one at least.

    >>> at_once(8, 2e9, 5e9)
    2
    """
    return max(int(min(jobs, limit / memory_bytes if memory_bytes else jobs)), 1)


def check_layout(scenario: Scenario) -> None:
    """Raise :class:`GuardError` if to lay the cluster out, without a run, would take more than a run may."""
    need, limit = Need.of(scenario), memory_limit(None)
    laid_out = ("services", "service_ports", "endpoints", "nodes")
    taken = need.bytes_by["start"] + sum(need.bytes_by[name] for name in laid_out)
    if not taken <= limit:
        raise GuardError(
            f"this cluster would take about {_size(taken)} of memory; there is {_size(limit)}. "
            f"{_mend({name: need.bytes_by[name] for name in laid_out})}."
        )


def check_time(taken_s: float, most_s: float | None, by: Mapping[str, float], what: str = "this run") -> None:
    """Raise :class:`GuardError` if ``what`` would take longer than ``most_s`` (default: an hour); ``by`` says why."""
    limit = MOST_S if most_s is None else most_s
    if not taken_s <= limit:
        raise GuardError(
            f"{what} would take about {_long(taken_s)}; the limit is {_long(limit)}. "
            f"{_mend(by)}; --max-time raises the limit, e.g. --max-time 12h."
        )


def _mend(by: Mapping[str, float]) -> str:
    """Return which keys to turn down: those of the largest part."""
    most = max((name for name in by if name in TURNED_BY), key=lambda name: by[name], default="")
    return f"Less takes less: {TURNED_BY[most]}" if most else "A smaller run takes less"


def _size(count: float) -> str:
    if not math.isfinite(count):
        return "more bytes than there are numbers for"
    for prefix in ("", "k", "M", "G", "T", "P"):
        if count < 1000 or prefix == "P":
            return f"{count:.3g} {prefix}B"
        count /= 1000
    raise AssertionError


def _long(time_s: float) -> str:
    for unit, size_s in (("years", 3.156e7), ("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if time_s >= 2 * size_s:
            return f"{time_s / size_s:,.3g} {unit}"
    return f"{time_s:.2g} s"
