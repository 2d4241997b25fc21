"""A run's memory is estimated before it starts: a typing mistake must not take a laptop down."""

from __future__ import annotations

import os

from kpsim.errors import GuardError
from kpsim.scenario.model import Scenario
from kpsim.simulation import mode_of
from kpsim.simulation.batch import PACKETS_AT_ONCE
from kpsim.simulation.draws import KEPT_PACKETS

# Bytes at the peak of one process, fitted to the benchmarks' runs, which hold them to a factor of 1.5.
BASE = 80 << 20
PER_SERVICE = 250
PER_ENDPOINT = 60
PER_CHANGE = 3_000
PER_NODE_SYNC = 45
PER_KEPT_CONNECTION = 56  # drawn once for all modes, and 4 bytes a packet
PER_SERVED_PACKET = 160
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
    each = traffic.connections_per_s_per_node * traffic.packets_per_connection * scenario.run.duration_s
    packets = min(each * scenario.cluster.nodes, scenario.run.packets / scenario.run.replications)
    whole = scenario.dns.clients_use_names or scenario.run.engine == "reference"
    kept = packets if whole or packets <= KEPT_PACKETS else 0
    node = each if packets < scenario.run.packets / scenario.run.replications else PACKETS_AT_ONCE  # or a sample
    served = min(packets, PACKETS_AT_ONCE + node)  # whole nodes at a time
    return (
        BASE
        + PER_SERVICE * services
        + PER_ENDPOINT * endpoints
        + PER_CHANGE * changes
        + PER_NODE_SYNC * syncs * scenario.cluster.nodes
        + (PER_KEPT_CONNECTION / max(traffic.packets_per_connection, 1) + 4) * kept
        + PER_SERVED_PACKET * served
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
