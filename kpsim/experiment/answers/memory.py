"""Memory that a mode takes on each node, as far as its profile knows it: kube-proxy, a restore, the rules."""

from __future__ import annotations

from collections.abc import Iterator

from kpsim.cluster.columns import Cluster
from kpsim.experiment.answers.curves import counts_today
from kpsim.profiles.terms import Part, work
from kpsim.proxy.contract import SyncKind
from kpsim.proxy.work import TimedMode
from kpsim.scenario.model import Scenario
from kpsim.simulation import mode_of, profile_of

_KINDS = (  # what it is, part of the terms, kind of sync, how the profile calls its costs
    ("memory of kube-proxy", "memory", SyncKind.FULL, "rss_kb"),
    ("memory of a first restore", "restore", SyncKind.START, "process"),
    ("memory of the kernel's rules", "kernel memory", SyncKind.FULL, "bytes"),
)


def memory_of(scenario: Scenario, cluster: Cluster, name: str) -> Iterator[tuple[str, float]]:
    """Yield what takes memory on a node under a mode, and how much [B]; nothing that the profile does not know."""
    mode, _ = mode_of(scenario, name)
    if not isinstance(mode, TimedMode) or not cluster.initial:
        return
    today = counts_today(cluster, mode, 0.0)
    for what, part, kind, aspect in _KINDS:
        known = profile_of(scenario).text.families.get(f"{mode.family}/{aspect}", {})
        counts = mode.timed(kind, today, ()).counts
        done = work(Part(part, mode.family, kind, scenario.kubernetes_version), counts) or {}
        if done.keys() <= known.keys():
            prices = {each: known[each].resolve(each, scenario.profile.set).value for each in done}
            yield what, sum(float(count) * prices[each] for each, count in done.items())
