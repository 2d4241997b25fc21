"""Other modes, sizes and settings are told of as far as the run knows them, else by the command that computes them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from kpsim.experiment.result import ModeResult, Result
from kpsim.proxy.registry import MODES
from kpsim.report.figures.sync import curve, seconds_at
from kpsim.report.wording.change import current_mode, gains, phrase, successor
from kpsim.report.wording.quantity import count, quantity
from kpsim.report.wording.ranking import listed
from kpsim.scenario.sections.modes import usual_modes

Row = tuple[str, str, str]  # what if; then; a command, "" where nothing is left to compute
TIMES = 2  # as many Services
RELEASES = 2  # how far ahead an upgrade is looked at


def whatifs(result: Result) -> list[Row]:
    """Return a row a question: the other modes, more Services, another minSyncPeriod, preStop, release or limit."""
    if not result.modes:
        return []
    mode = current_mode(result)
    return [*_modes(result, mode), *_size(result, result.modes[mode]), *_knobs(result, mode)]


def _modes(result: Result, mode: str) -> Iterator[Row]:
    for other in (each for each in result.modes if each != mode):
        each = gains(result, other, mode)
        clear, same = [phrase(gain) for gain in each if gain.clear], [g.measure for g in each if not g.clear]
        then = f"time for {listed(clear)}" if clear else ""
        unclear = f"{len(same)} other measure{'s' if len(same) > 1 else ''} cannot be told apart" if same else ""
        lost = successor(result, other).removeprefix(", ")
        yield f"{other} instead of {mode}", "; ".join(filter(None, (then, unclear, lost))) or "nothing is known", ""
    left = [each for each in usual_modes(result.scenario.kubernetes_version) if each not in result.modes]
    if left and mode in MODES and MODES[mode].usual:
        modes = ",".join([mode, *left])
        yield f"{listed(left, 'or')} instead of {mode}", "", f"kpsim compare {_file(result)} --modes {modes}"


def _size(result: Result, found: ModeResult) -> Iterator[Row]:
    said, services = [], result.services
    for kind in ("full", "partial"):
        points = curve(found, "full" if kind == "full" else "partial")
        now, then = seconds_at(points, services), seconds_at(points, TIMES * services)
        if now and then:
            said.append(f"a {kind} sync takes {quantity(then, 's')} instead of {quantity(now, 's')}")
    if said:
        yield f"twice the Services, {count(TIMES * services)} of the same mix", listed(said), ""
    scenario = result.scenario
    texts = [f"{each.measure}.{each.text}" for each in scenario.thresholds] or ["network_programming_true.p99 < 10s"]
    objectives = " ".join(f"--objective {shlex.quote(text)}" for text in texts if not scenario.thresholds)
    if services and not result.scenario.dns.clients_use_names:
        yield "ever more Services", "", f"kpsim limit services {_file(result)} {objectives}".rstrip()


def _knobs(result: Result, mode: str) -> Iterator[Row]:
    if mode in ("iptables", "ipvs", "nftables") and result.scenario.churn.pod_replacements_per_s > 0:
        yield "another minSyncPeriod", "", f"kpsim tune {_file(result)} --knob minSyncPeriod"
    if any(hasattr(event, "ending") for event in result.scenario.events):
        yield "another preStop", "", f"kpsim tune {_file(result)} --knob preStop"
    major, minor = result.scenario.kubernetes_version
    version, newer = f"{major}.{minor}", f"{major}.{minor + RELEASES}"
    yield f"Kubernetes {newer} instead of {version}", "", f"kpsim compare {_file(result)} --versions {version},{newer}"


def _file(result: Result) -> str:
    """Return the file that was run, as it was named; the one beside the report if that is not known."""
    words = shlex.split(result.provenance.get("command", ""))
    return shlex.quote(words[2]) if len(words) > 2 else "scenario.resolved.yaml"
