"""Memory that a mode takes on each node, as far as its profile knows it: kube-proxy, a restore, the rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from kpsim.cluster.columns import Cluster
from kpsim.profiles.defaults import load_defaults
from kpsim.profiles.format import Coefficient
from kpsim.profiles.terms import Part, work
from kpsim.proxy.contract import Mode, Moved, SyncCounts, SyncKind
from kpsim.proxy.sync.timeline import start_counts
from kpsim.proxy.work import TimedMode
from kpsim.scenario.model import Scenario
from kpsim.simulation import mode_of, profile_of

MB = 1e6
AROUND = 1.01  # rows of a table have a Service more or less than they say
_KNOWN = (("scaled", "scaled from another machine"), ("assumed", "assumed"))
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


def memory_of(scenario: Scenario, cluster: Cluster, name: str) -> Iterator[tuple[str, float, str]]:
    """Yield what takes memory on a node under a mode, how much [B], and how well that is known; only what is priced."""
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
            each = [(known[n].resolve(n, scenario.profile.set), float(count)) for n, count in done.items()]
            yield what, sum(count * price.value for price, count in each), how_known(each)


def how_known(held: Sequence[tuple[Coefficient, float]]) -> str:
    """Return from how much to how much memory may be by its prices, of which kind they are, and what is extrapolated.

    >>> rule = Coefficient("rule_kept", "B", 700.0, 600.0, 900.0, "fitted-zen3", measured_to=70_000)
    >>> how_known([(rule, 210_000.0)])
    'used: 126 to 189 MB by prices; extrapolated, rule_kept 3x beyond what was measured'
    """
    paid = [(price, count) for price, count in held if count]
    low, high = (sum(count * getattr(price, end) for price, count in paid) / MB for end in ("low", "high"))
    kinds = [word for begins, word in _KNOWN if any(price.source.startswith(begins) for price, _ in paid)]
    most = [(p.name, c / p.measured_to) for p, c in paid if p.measured_to and c > AROUND * p.measured_to]
    far = [f"extrapolated, {name} {times:.2g}x beyond what was measured" for name, times in most]
    return "; ".join([f"used: {low:,.3g} to {high:,.3g} MB by prices", *kinds, *far])
