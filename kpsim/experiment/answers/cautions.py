"""A result comes with cautions: connections lost, queues that only grow, modes that end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kpsim.experiment.answers.limits import Limit
from kpsim.experiment.result import ModeResult
from kpsim.measure.distribution import MOST_UNKNOWN
from kpsim.proxy.registry import MODES
from kpsim.scenario.model import Scenario
from kpsim.simulation import cpu_costs_of, mode_of

WORTH_SAYING = 0.005  # of connections or packets lost


def cautions(scenario: Scenario, modes: Mapping[str, ModeResult], limits: Sequence[Limit]) -> list[str]:
    """Return the warnings that follow from a result, a sentence each."""
    return [
        *_lost(modes),
        *_unanswered(modes),
        *_unfinished(modes),
        *_saturated(limits),
        *_race(scenario),
        *_without_cpu(scenario),
        *_deprecations(scenario),
    ]


def marks(scenario: Scenario, mode: ModeResult, limits: Sequence[Limit]) -> tuple[str, ...]:
    """Return what belongs beside every number of a mode: deprecated, extrapolated, beyond a hard limit."""
    entry = MODES.get(mode.mode)
    found = []
    if entry is not None and entry.deprecated is not None:
        since = "since" if scenario.kubernetes_version >= entry.deprecated else "from"
        found.append(f"deprecated {since} {entry.deprecated[0]}.{entry.deprecated[1]}")
    if mode.extrapolations:
        found.append("extrapolated")
    others = tuple(f"{name}: " for name in MODES if name != mode.mode)
    broken = [e.name for e in limits if e.kind == "hard" and e.share > 1 and not e.name.startswith(others)]
    return (*found, *(f"beyond {name.removeprefix(f'{mode.mode}: ')}" for name in broken))


def _lost(modes: Mapping[str, ModeResult]) -> list[str]:
    """Connections of a run that got no answer, where they are more than a few."""
    found = []
    for name, mode in modes.items():
        of_a_run = {what: each.value for what, each in mode.counts.items()}
        joined = any(event.unusable_for for event in mode.events)
        for what, of, why in (
            ("refused", "connections", "were refused"),
            ("dropped", "connections", "were dropped, because a Local policy left no endpoint on their node"
             + (", or it had joined and had no rules yet" if joined else "")),
            ("stale", "packets", "went to Pods that were gone"),
        ):  # fmt: skip
            if of_a_run[what] > WORTH_SAYING * of_a_run[of]:
                found.append(f"{name}: in a run {of_a_run[what]:,.0f} of {of_a_run[of]:,.0f} {of} {why}")
    return found


def _unanswered(modes: Mapping[str, ModeResult]) -> list[str]:
    """Return a sentence a mode about requests through the Ingress that got no answer of a Pod, if there are any."""
    found = []
    for name, mode in modes.items():
        of_a_run = {what: each.value for what, each in mode.counts.items()}
        asked = of_a_run.get("ingress_requests", 0.0)
        lost = asked - of_a_run.get("ingress_answered", 0.0)
        if lost:
            by_status = [(s, of_a_run[f"ingress_{s}"]) for s in (502, 503, 504)]
            how = ", ".join(f"{_counted(count)} with {status}" for status, count in by_status if count)
            requests = f"{asked:,.0f} requests through the Ingress"
            found.append(f"{name}: in a run of {requests} no Pod answered {_counted(lost)} ({how})")
    return found


def _counted(mean: float) -> str:
    """Return a mean count: three digits, or all that stand before the point."""
    return f"{mean:.3g}" if mean < 1000 else f"{mean:,.0f}"


def _unfinished(modes: Mapping[str, ModeResult]) -> list[str]:
    """Changes that were not in force everywhere when the run was over, where they are more than the last moments'."""
    found = []
    for name, mode in modes.items():
        of_a_run = {what: each.value for what, each in mode.counts.items()}
        waiting, changes = of_a_run["changes_in_control_plane"], of_a_run["changes"]
        if waiting > MOST_UNKNOWN * changes:
            found.append(
                f"{name}: {waiting:,.0f} of a run's {changes:,.0f} changes had not left the control plane when it was "
                f"over, and {of_a_run['changes_overtaken']:,.0f} more were overtaken by later ones there: an "
                "overloaded control plane has no steady state, and latencies are longer the longer one looks"
            )
        summary, pending = mode.summaries.get("network_programming_true"), of_a_run["node_changes_pending"]
        behind = of_a_run["node_changes_in_watch"] + of_a_run["node_changes_in_kube_proxy"]
        left = summary.unfinished * behind / pending if summary and pending else 0.0  # of all runs, as n is
        if summary and left > MOST_UNKNOWN * (summary.n + left):
            found.append(
                f"{name}: {100 * left / (summary.n + left):.3g} % of changes on nodes were on the watch or waited for "
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


def _without_cpu(scenario: Scenario) -> list[str]:
    """Return a sentence about the modes whose CPU the profile does not price."""
    each = [name for name in scenario.modes if cpu_costs_of(scenario, mode_of(scenario, name)[0]) is None]
    taken = "CPU of syncs is not priced, because the profile has no CPU costs of it: taken to be their wall time"
    return [f"{', '.join(each)}: {taken}"] if each else []


def _deprecations(scenario: Scenario) -> list[str]:
    """Return a sentence about the future of each mode that is deprecated or unusual and has a note."""
    entries = [MODES[name] for name in scenario.modes]
    return [f"{e.name}: {e.note}" for e in entries if e.note and (e.deprecated or not e.usual)]
