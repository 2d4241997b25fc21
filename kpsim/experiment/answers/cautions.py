"""A result comes with cautions: connections lost, queues that only grow, modes that end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kpsim.experiment.result import Limit, ModeResult
from kpsim.measure.distribution import MOST_UNKNOWN
from kpsim.proxy.registry import MODES
from kpsim.scenario.model import Scenario

WORTH_SAYING = 0.005  # of connections or packets lost


def cautions(scenario: Scenario, modes: Mapping[str, ModeResult], limits: Sequence[Limit]) -> list[str]:
    """Return the warnings that follow from a result, a sentence each."""
    return [
        *_lost(modes),
        *_unanswered(modes),
        *_unfinished(modes),
        *_saturated(limits),
        *_race(scenario),
        *_deprecations(scenario),
    ]


def _lost(modes: Mapping[str, ModeResult]) -> list[str]:
    """Connections that got no answer, where they are more than a few."""
    found = []
    for name, mode in modes.items():
        counts, joined = mode.counts, any(event.unusable_for for event in mode.events)
        if counts["refused"] > WORTH_SAYING * counts["connections"]:
            found.append(f"{name}: {counts['refused']:,} of {counts['connections']:,} connections were refused")
        if counts["dropped"] > WORTH_SAYING * counts["connections"]:
            found.append(
                f"{name}: {counts['dropped']:,} of {counts['connections']:,} connections were dropped, because a Local "
                "policy left no endpoint on their node" + (", or it had joined and had no rules yet" if joined else "")
            )
        if counts["stale"] > WORTH_SAYING * counts["packets"]:
            found.append(f"{name}: {counts['stale']:,} of {counts['packets']:,} packets went to Pods that were gone")
    return found


def _unanswered(modes: Mapping[str, ModeResult]) -> list[str]:
    """Return a sentence a mode about requests through the Ingress that got no answer of a Pod, if there are any."""
    found = []
    for name, mode in modes.items():
        asked = mode.counts.get("ingress_requests", 0)
        lost = asked - mode.counts.get("ingress_answered", 0)
        if lost:
            by_status = [(s, mode.counts[f"ingress_{s}"]) for s in (502, 503, 504)]
            how = ", ".join(f"{count:,} with {status}" for status, count in by_status if count)
            found.append(f"{name}: of {asked:,} requests through the Ingress no Pod answered {lost:,} ({how})")
    return found


def _unfinished(modes: Mapping[str, ModeResult]) -> list[str]:
    """Changes that were not in force everywhere when the run was over, where they are more than the last moments'."""
    found = []
    for name, mode in modes.items():
        counts = mode.counts
        waiting, changes = counts["changes_in_control_plane"], counts["changes"]
        if waiting > MOST_UNKNOWN * changes:
            found.append(
                f"{name}: {waiting:,} of {changes:,} changes had not left the control plane when the run was over, and "
                f"{counts['changes_overtaken']:,} more were overtaken by later ones there: an "
                "overloaded control plane has no steady state, and latencies are longer the longer one looks"
            )
        summary = mode.summaries.get("network_programming_true")
        behind = counts["node_changes_in_watch"] + counts["node_changes_in_kube_proxy"]
        if summary and behind > MOST_UNKNOWN * (summary.n + behind):
            found.append(
                f"{name}: {behind:,} of {summary.n + behind:,} changes on nodes were on the watch or waited for "
                "kube-proxies when the run was over: these have no steady state, or the run is too short for them"
            )
    return found


def _saturated(limits: Sequence[Limit]) -> list[str]:
    """Return a sentence about each queue that only grows: waits say more about the run than about the cluster."""
    found = [
        f"the Ingress controller gets {each.used:,.0f} requests a second and serves {each.limit:,.0f}: waits only grow"
        for each in limits
        if each.name == "Ingress requests" and each.share > 1
    ]
    return found + [
        f"CoreDNS is asked {each.used:,.0f} queries a second and can answer {each.limit:,.0f}: lookups wait longer and "
        "longer, and how long is shown depends on how long was looked at"
        for each in limits
        if each.name == "DNS queries" and each.share > 1
    ]


def _race(scenario: Scenario) -> list[str]:
    """Return a sentence about the kernel's race that lookups wait for, where a scenario turns it on."""
    dns = scenario.dns
    if not (dns.clients_use_names and dns.race):
        return []
    return [f"[A31] {dns.race:.2g} of all pairs of DNS queries lose an answer, as on kernels before 5.1: dns_latency"]


def _deprecations(scenario: Scenario) -> list[str]:
    """Return a sentence about the future of each mode that is deprecated or unusual and has a note."""
    entries = [MODES[name] for name in scenario.modes]
    return [f"{e.name}: {e.note}" for e in entries if e.note and (e.deprecated or not e.usual)]
