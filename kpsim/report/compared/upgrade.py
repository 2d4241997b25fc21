"""One cluster under two Kubernetes releases: what an upgrade changes in modes, defaults, syncs and rules.

These are facts of the two releases, without a simulation: what comes out of one is in the differences of two results.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from kpsim.errors import InputError, Place, Problem, did_you_mean
from kpsim.experiment.kept.differences import changes
from kpsim.explain.packet import NodeRules
from kpsim.history.play import HistorySettings
from kpsim.profiles.defaults import load_defaults
from kpsim.proxy.contract import RunnerSettings
from kpsim.proxy.registry import MODES
from kpsim.scenario.model import Scenario
from kpsim.scenario.resolved import to_document
from kpsim.simulation import build_cluster, mode_of
from kpsim.units import Version, format_duration

THERE = ("available", "deprecated")
MOST_LINES, LONGEST_LINE = 3, 110
MOST_PORTS = 20_000  # whose rules are written out and counted line by line
MOST_DEFAULTS = 20
NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Upgrade:
    """Two releases do these things differently for one cluster; sentences, by part."""

    modes: tuple[str, ...]
    defaults: tuple[str, ...]
    syncs: tuple[str, ...]
    rules: tuple[str, ...]
    warnings: tuple[str, ...]


def modes_of_both(modes: Sequence[str], versions: Sequence[Version]) -> tuple[list[str], list[str]]:
    """Return those of ``modes`` that both releases have, and a sentence on each that one has not.

    Raises :class:`InputError` if none is left, or one is no mode.
    """
    for mode in modes:
        if mode not in MODES:
            mend = did_you_mean(mode, MODES, f"there are {', '.join(MODES)}")
            raise InputError([Problem(Place(), key="--modes", what=f"there is no mode {mode[:60]!r}", mend=mend)])
    said = [
        f"{mode} is left out: in {_text(version)} it is {MODES[mode].status(version)}."
        for mode in modes
        for version in versions
        if MODES[mode].status(version) not in THERE
    ]
    kept = [mode for mode in modes if all(MODES[mode].status(version) in THERE for version in versions)]
    if not kept:
        what = f"{' and '.join(modes)}: not in both of {' and '.join(map(_text, versions))}"
        raise InputError(
            [Problem(Place(), key="--versions", what=what, mend="name others with --modes, e.g. iptables")]
        )
    return kept, said


def upgrade(was: Scenario, now: Scenario) -> Upgrade:
    """Return what the release of ``now`` changes for the cluster of ``was``; the two differ in nothing else."""
    return Upgrade(
        modes=tuple(_modes(was, now)),
        defaults=tuple(_defaults(was, now)),
        syncs=tuple(_syncs(was, now)),
        rules=tuple(_rules(was, now)),
        warnings=tuple(text for text in now.warnings if text not in was.warnings),
    )


def _text(version: Version) -> str:
    return "{}.{}".format(*version)


def _modes(was: Scenario, now: Scenario) -> Iterator[str]:
    first, last = sorted((was.kubernetes_version, now.kubernetes_version))
    for name in was.modes:
        entry = MODES[name]
        before, after = (entry.status(each.kubernetes_version) for each in (was, now))
        if before != after:
            yield f"{name}: {before} in {_text(was.kubernetes_version)}, {after} in {_text(now.kubernetes_version)}"
        for since, what in entry.about().history:
            if first < since <= last:
                yield f"{name}, {_text(since)}: {what}"


def _defaults(was: Scenario, now: Scenario) -> Iterator[str]:
    """Defaults of kubelets and controllers, and the keys of the scenario that stand otherwise where nobody set them."""
    settings, written = [], []
    for each in (was, now):
        manager = each.controller_manager
        timings = HistorySettings.of(load_defaults(), each.churn, each.kubernetes_version, manager.qps, manager.burst)
        settings.append(asdict(timings))
        written.append(to_document(replace(each, kubernetes_version=was.kubernetes_version, warnings=())))
    found = [*changes(settings[0], settings[1]), *changes(written[0], written[1])]
    for change in found[:MOST_DEFAULTS]:
        name, was_said, now_said = change.path.removeprefix("spec."), change.was, change.now
        if name.endswith("_ns") and was_said.isdecimal() and now_said.isdecimal():
            name = name.removesuffix("_ns")
            was_said, now_said = (format_duration(int(value) / NS_PER_S) for value in (was_said, now_said))
        yield f"{name}: {was_said} → {now_said}"
    if len(found) > MOST_DEFAULTS:
        yield f"and {len(found) - MOST_DEFAULTS:,} more"


_WORDS = {
    "min_sync_s": "least time between syncs",
    "idle_s": "a sync at the latest after",
    "full_s": "a full sync after",
    "cleanup_s": "stale chains are looked for every",
    "at_once": "endpoints are in force when they arrive",
    "retry_s": "a failed sync is retried within",
    "canary_s": "flushed tables are looked for every",
    "locks": "syncs take the xtables lock",
    "spares_large": "large clusters have no full sync by time",
}
_NEVER_S = 1e8


def _syncs(was: Scenario, now: Scenario) -> Iterator[str]:
    for name in was.modes:
        first, second = (mode_of(each, name)[0].runner(each.kubernetes_version) for each in (was, now))
        for field, words in _WORDS.items():
            before, after = (_pace(field, each) for each in (first, second))
            if before != after:
                yield f"{name}: {words}: {before} → {after}"


def _pace(field: str, runner: RunnerSettings) -> str:
    value = getattr(runner, field)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "every sync is full" if field == "full_s" else "no sooner than any other"
    if value >= _NEVER_S:
        return "only after a start, a failure or flushed tables"
    return format_duration(value)


def _rules(was: Scenario, now: Scenario) -> Iterator[str]:
    ports = int(build_cluster(was)[0].services.ports.sum())
    if ports > MOST_PORTS:
        yield f"{ports:,} service ports are too many to write their rules out; their number is among the differences"
        return
    for name in was.modes:
        texts = []
        for each in (was, now):
            proxy = replace(each.kube_proxy.for_mode(name), mode=name)
            texts.append(Counter(NodeRules.of(replace(each, kube_proxy=proxy), "").text()))
        gone, new = texts[0] - texts[1], texts[1] - texts[0]
        totals = f"{texts[0].total():,} → {texts[1].total():,} lines on a node"
        if not gone and not new:
            yield f"{name}: {totals}, all the same"
            continue
        yield f"{name}: {totals}; {gone.total():,} go, {new.total():,} come"
        yield from (f"  - {line[:LONGEST_LINE]}" for line in list(gone)[:MOST_LINES])
        yield from (f"  + {line[:LONGEST_LINE]}" for line in list(new)[:MOST_LINES])
