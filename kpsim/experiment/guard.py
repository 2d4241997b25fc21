"""A run's memory is estimated before it starts: a typing mistake must not take a laptop down."""

from __future__ import annotations

import os

from kpsim.errors import GuardError
from kpsim.scenario.model import Scenario
from kpsim.simulation import mode_of

# Bytes at the peak, of this program's own columns, as seen by the benchmarks; generous by about a half.
BASE = 120 << 20
PER_SERVICE = 700
PER_ENDPOINT = 120
PER_CHANGE = 3_000
PER_NODE_SYNC = 80
PER_PACKET = 160
SHORTEST_SYNC_S = 0.25  # beside minSyncPeriod: a sync that is never idle takes at least about this


def memory_bytes(scenario: Scenario) -> float:
    """About how much memory one process needs for ``scenario`` [bytes]."""
    services = sum(g.count for g in scenario.groups) + len(scenario.objects.services)
    endpoints = sum(g.count * g.endpoints.mean for g in scenario.groups) + len(scenario.objects.pods)
    changes = (4 * scenario.churn.pod_replacements_per_s + scenario.churn.services_created_per_s) * (
        scenario.run.duration_s
    )
    apart = min(mode_of(scenario, name)[0].runner(scenario.kubernetes_version).min_sync_s for name in scenario.modes)
    syncs = min(scenario.run.duration_s / max(apart, SHORTEST_SYNC_S), changes + scenario.run.duration_s / 30)
    traffic = scenario.traffic
    rate = traffic.connections_per_s_per_node * traffic.packets_per_connection * scenario.cluster.nodes
    packets = min(rate * scenario.run.duration_s, scenario.run.packets / scenario.run.replications)
    return (
        BASE
        + PER_SERVICE * services
        + PER_ENDPOINT * endpoints
        + PER_CHANGE * changes
        + PER_NODE_SYNC * syncs * scenario.cluster.nodes
        + PER_PACKET * packets
    )


def physical_memory_bytes() -> float:
    """Return the machine's memory [bytes] where it tells; eight gigabytes elsewhere."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError, AttributeError):
        return float(8 << 30)


def check_memory(scenario: Scenario, most_bytes: float | None) -> None:
    """Raise :class:`GuardError` if the run would need more than ``most_bytes`` (default: 80 % of the machine)."""
    limit = 0.8 * physical_memory_bytes() if most_bytes is None else most_bytes
    need = memory_bytes(scenario)
    if need > limit:
        raise GuardError(
            f"this run would take about {_size(need)} of memory; the limit is {_size(limit)}. "
            "Fewer Services, endpoints, nodes or packets take less; --max-memory raises the limit."
        )


def _size(count: float) -> str:
    for prefix in ("", "k", "M", "G", "T", "P"):
        if count < 1000 or prefix == "P":
            return f"{count:.3g} {prefix}B"
        count /= 1000
    raise AssertionError
