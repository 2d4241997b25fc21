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

_KINDS = (  # what it is, part of the terms, kind of sync, as the profile may call its costs
    ("memory of kube-proxy", "memory", SyncKind.FULL, ("rss_kb",)),
    ("memory of a restore", "restore", SyncKind.START, ("process", "rss_kb")),
    ("memory of rules", "kernel memory", SyncKind.FULL, ("bytes",)),
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
