"""Memory that a mode takes on each node, as far as its profile knows it: kube-proxy, a restore, the rules."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kpsim.cluster.columns import Cluster
from kpsim.profiles.defaults import load_defaults
from kpsim.profiles.terms import Part, work
from kpsim.proxy.contract import Mode, Moved, SyncCounts, SyncKind
from kpsim.proxy.sync.timeline import start_counts
from kpsim.proxy.work import TimedMode
from kpsim.scenario.model import Scenario
from kpsim.simulation import mode_of, profile_of

_KINDS = (  # what it is, part of the terms, kind of sync, as the profile may call its costs
    ("memory of kube-proxy", "memory", SyncKind.FULL, ("rss_kb",)),
    ("memory of a restore", "restore", SyncKind.START, ("process", "rss_kb")),
    ("memory of rules", "kernel memory", SyncKind.FULL, ("bytes",)),
)


def counts_today(cluster: Cluster, mode: Mode, changed_own: float) -> SyncCounts:
    """Return the counts that a sync of today's cluster holds."""
    n = cluster.initial
    rows = np.arange(n)
    services = cluster.services.take(rows)
    counts = start_counts(cluster, mode)
    ports = services.ports * services.proxied
    each = round(float(counts.dispatch.sum()) / max(n, 1))
    endpoints = int((np.diff(cluster.endpoint_offset)[:n] * ports).sum())
    return SyncCounts(
        service_ports=int(ports.sum()),
        endpoints=endpoints,
        dispatch=int(counts.dispatch.sum()),
        own=int(counts.own.sum()),
        changed_services=1,
        changed_own=round(changed_own),
        endpoint_changes=1,
        cleanup=int(endpoints <= load_defaults().value("kube_proxy.large_cluster_endpoints")),
        changed_dispatch=each,
        moved=Moved(real_servers=each if counts.held else 0),
    )


def memory_of(scenario: Scenario, cluster: Cluster, name: str) -> Iterator[tuple[str, float]]:
    """Yield what takes memory on a node under a mode, and how much [B]; nothing that the profile does not know."""
    mode, _ = mode_of(scenario, name)
    if not isinstance(mode, TimedMode) or not cluster.initial:
        return
    today = counts_today(cluster, mode, 0.0)
    families = profile_of(scenario).text.families
    for what, name_of_part, kind, aspects in _KINDS:
        aspect = next((each for each in aspects if f"{mode.family}/{each}" in families), aspects[0])
        known, counts = families.get(f"{mode.family}/{aspect}", {}), mode.timed(kind, today, ()).counts
        done = work(Part(name_of_part, mode.family, kind, scenario.kubernetes_version), counts, aspect) or {}
        if done and done.keys() <= known.keys():
            prices = {each: known[each].resolve(each, scenario.profile.set).value for each in done}
            yield what, sum(float(count) * prices[each] for each, count in done.items())
