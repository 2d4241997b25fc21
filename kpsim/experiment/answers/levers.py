"""A coefficient moves what a scenario is asked for by as much as its interval leaves open; the widest is measured next.

Nothing is simulated: a first packet passes half of the rules, and syncs are of today's cluster with one change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from kpsim.cluster.columns import Cluster
from kpsim.experiment.answers.memory import counts_today
from kpsim.profiles.costs import Costs
from kpsim.profiles.format import Coefficient
from kpsim.profiles.terms import coefficients
from kpsim.proxy.contract import Mode, PacketState, Steps, SyncCounts, SyncKind
from kpsim.scenario.model import Scenario
from kpsim.simulation import build_cluster, mode_of, profile_of

BY_BENCH = ("udp_first", "udp_established", "tcp_connect", "restore", "save", "append", "table list")
BY_LOG = ("go", "iptables", "list", "cleanup", "conntrack", "sync")
BENCHED = frozenset({"iptables-legacy", "iptables-nft", "nftables", "ipvs"})
SYNCS = {SyncKind.PARTIAL: "a partial sync", SyncKind.FULL: "a full sync"}


@dataclass(frozen=True, slots=True)
class Lever:
    """One coefficient, and the ends between which its interval alone moves a measure [s]."""

    mode: str
    measure: str
    coefficient: Coefficient
    value_s: float
    low_s: float
    high_s: float
    share: float  # of the measure, that the coefficient is
    measured_with: str  # a command, "" where none measures it

    @property
    def wide(self) -> float:
        """Return the width of the move, a share of the measure."""
        return (self.high_s - self.low_s) / self.value_s


@dataclass(frozen=True, slots=True)
class Levers:
    """All coefficients of a scenario by mode and measure, those that move most first."""

    each: tuple[Lever, ...]
    warnings: tuple[str, ...]
    profile: str
    kernel: str  # that its costs are of, "" where it does not say

    @property
    def next_measured(self) -> Lever | None:
        """Return the widest that a command measures."""
        can = [lever for lever in self.each if lever.measured_with and lever.wide > 0]
        return max(can, key=lambda lever: lever.wide, default=None)


def levers(scenario: Scenario) -> Levers:
    """Return how far each coefficient's own interval moves first packets and syncs of ``scenario``, mode by mode."""
    cluster, warnings = build_cluster(scenario)
    found: list[Lever] = []
    for name in scenario.modes:
        mode, costs = mode_of(scenario, name)
        for measure, work in _measures(scenario, cluster, mode):
            mine = _moved(name, measure, mode.family, work, costs)
            found += sorted(mine, key=lambda lever: -lever.wide)
    profile = profile_of(scenario)
    machine = profile.text.machine
    return Levers(tuple(found), tuple(warnings), profile.name, machine.kernel if machine else "")


def _measures(scenario: Scenario, cluster: Cluster, mode: Mode) -> Iterator[tuple[str, Mapping[str, float]]]:
    counts = counts_today(cluster, mode, 0.0)
    each = int(counts.endpoints) // max(int(counts.service_ports), 1)
    yield "a first packet, half of the rules passed", _packet(mode, counts, each)
    if not cluster.initial:
        return
    changed = int(counts.own) / max(int(counts.service_ports), 1)
    today = counts_today(cluster, mode, changed)
    whole_only = mode.runner(scenario.kubernetes_version).full_s is None
    for kind, words in SYNCS.items():
        if not (whole_only and kind is SyncKind.PARTIAL):
            work = mode.sync_work(kind, today)
            yield words, {name: float(np.max(count)) for name, count in work.items()}


def _packet(mode: Mode, counts: SyncCounts, endpoints: int) -> dict[str, float]:
    """Return the work of a first packet that passes half of the rules of other Services."""
    held = max(endpoints, 1)
    tried = float(np.mean(mode.endpoint_steps(np.arange(held), np.full(held, held))))
    passed = float(np.max(counts.dispatch)) / 2
    times = {Steps.ONCE: 1.0, Steps.DISPATCH: passed, Steps.EVERY_DISPATCH: 2 * passed, Steps.ENDPOINT: tried}
    work: dict[str, float] = defaultdict(float)
    for stage in mode.stages(PacketState.FIRST):
        for name, count in stage.work.items():
            work[name] += times[stage.steps] * float(np.max(count))
    return work


def _moved(mode: str, measure: str, family: str, work: Mapping[str, float], costs: Costs) -> list[Lever]:
    prices = {name: costs.coefficients[name] for name, count in work.items() if count}
    total = sum(work[name] * price.value for name, price in prices.items())
    return [
        Lever(
            mode=mode,
            measure=measure,
            coefficient=price,
            value_s=total,
            low_s=total + work[name] * (price.low - price.value),
            high_s=total + work[name] * (price.high - price.value),
            share=work[name] * price.value / total,
            measured_with=_measured_with(family, name),
        )
        for name, price in prices.items()
        if total > 0
    ]


def _measured_with(family: str, name: str) -> str:
    """Return the command that measures a coefficient on a user's machine."""
    if family in BENCHED and name in coefficients(family, BY_BENCH):
        return "kpsim calibrate bench"
    return "kpsim calibrate LOG" if family in BENCHED and name in coefficients(family, BY_LOG) else ""
