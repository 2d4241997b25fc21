"""Events are answered by kind: connections lost and the hook that ends that, or how long, and what dominates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from kpsim.experiment.result import EventOutcome, Result
from kpsim.history.events import ServiceDeletion
from kpsim.report.wording.quantity import percent, quantity, told
from kpsim.report.wording.ranking import listed
from kpsim.scenario.sections.events import name_of_kind

Outcomes = Mapping[str, EventOutcome]  # by mode


def about_events(result: Result) -> list[str]:
    """Return a sentence an event: of the first rollout, else of the first event, and then of the others."""
    events = result.scenario.events
    if not result.modes or not all(len(found.events) == len(events) for found in result.modes.values()):
        return []
    order = sorted(range(len(events)), key=lambda i: not events[i].rolls)
    return [_sentence(result, i) for i in order]


def _sentence(result: Result, index: int) -> str:
    event = result.scenario.events[index]
    outcomes = {mode: found.events[index] for mode, found in result.modes.items()}
    what = next(iter(outcomes.values())).event
    kinds: dict[str, Callable[[Result, int, Outcomes], str]] = {
        "ending": _ending, "outage": _outage, "join": _join, "write": _write, "server": _server,
    }  # fmt: skip
    sampled = " Packets are sampled: more connections fail than are seen." if _some_seen(outcomes) else ""
    return f"{_capital(what)}: {kinds[event.asks](result, index, outcomes)}.{sampled}"


def _capital(text: str) -> str:
    return text if "/" in text.partition(" ")[0] else text[:1].upper() + text[1:]  # a name stays as it is


def _some_seen(outcomes: Outcomes) -> bool:
    return any(outcome.sampled and outcome.connections.value for outcome in outcomes.values())


def _each(outcomes: Outcomes, words: Callable[[EventOutcome], str]) -> str:
    """Return what is so in each mode; modes of which the same is said are named together."""
    return _with_modes({mode: words(outcome) for mode, outcome in outcomes.items()})


def _with_modes(texts: Mapping[str, str]) -> str:
    said: dict[str, list[str]] = {}
    for mode, text in texts.items():
        said.setdefault(text, []).append(mode)
    return listed(f"{text} with {listed(modes)}" for text, modes in said.items())


def _failed(outcome: EventOutcome) -> str:
    if not outcome.connections.value:
        return "no connection" if not outcome.packets.value else "only connections that were open"
    return told(outcome.connections)


def _ending(result: Result, index: int, outcomes: Outcomes) -> str:
    """Pods end as they are told to: connections that meet them, and the preStop hook that they would not."""
    requests = _lost_requests(result, outcomes)
    if not requests and not any(outcome.packets.value for outcome in outcomes.values()):
        return f"no connection fails{_because_of_hook(result, index, outcomes)}"
    said = _failures(outcomes) + requests
    longest, lag_s = (
        max(outcome.exposed_s for outcome in outcomes.values()),
        _lag_s(result, outcomes) if requests else 0.0,
    )
    if not longest and not lag_s:
        return f"{said}; every Pod outlived the rules that led to it, so a preStop hook changes nothing"
    event, now_s = result.scenario.events[index], _hook_s(result, index)
    needed = math.ceil(max(now_s + longest, lag_s))
    option = f"--set changes.events.{index}.{name_of_kind(type(event))}.preStop={needed}s"
    why = f"rules led to Pods that were gone for {quantity(longest, 's')} at most"
    why += f" and the Ingress controller's lists were {quantity(lag_s, 's')} late at most" if lag_s else ""
    grace = " and a terminationGracePeriod above it" if needed >= _GRACE_S else ""
    return f"{said}; a preStop hook of {needed} s{grace} would end them, because {why} ({option})"


def _failures(outcomes: Outcomes) -> str:
    if not any(outcome.packets.value for outcome in outcomes.values()):
        return "no connection fails"
    first, last = _window(outcomes)
    return f"failed connections of a run are {_each(outcomes, _failed)}, from {first} to {last} after it"


def _lost_requests(result: Result, outcomes: Outcomes) -> str:
    """Return the requests through the Ingress that no Pod answered; "" if there are none."""
    lost = {mode: result.modes[mode].counts.get("ingress_502") for mode in outcomes}
    known = {mode: told(each) for mode, each in lost.items() if each is not None and each.value}
    return f"; requests through the Ingress that found no Pod (502) are {_with_modes(known)}" if known else ""


def _lag_s(result: Result, outcomes: Outcomes) -> float:
    """Return the longest that an Ingress controller's lists took to know of a change [s]."""
    seen = [result.modes[mode].summaries.get("ingress_programming") for mode in outcomes]
    return max((summary.max for summary in seen if summary is not None and summary.n), default=0.0)


_GRACE_S = 30  # terminationGracePeriodSeconds where nothing is said, which ends a hook too


def _hook_s(result: Result, index: int) -> float:
    ending = getattr(result.scenario.events[index], "ending", None)
    own = None if ending is None else ending.pre_stop_s
    return (result.scenario.churn.pre_stop_s or 0.0) if own is None else float(own)


def _because_of_hook(result: Result, index: int, outcomes: Outcomes) -> str:
    took = [outcome.propagation_s for outcome in outcomes.values() if outcome.propagation_s is not None]
    hook_s = _hook_s(result, index)
    if not took:
        return ""
    outlived = f", the preStop hook of {quantity(hook_s, 's')} included" if hook_s else ""
    return (
        f": rules without a Pod are in force after {quantity(max(took), 's')} at most, and Pods live longer{outlived}"
    )


def _window(outcomes: Outcomes) -> tuple[str, str]:
    firsts = [outcome.first_s for outcome in outcomes.values() if outcome.first_s is not None]
    lasts = [outcome.last_s for outcome in outcomes.values() if outcome.last_s is not None]
    return quantity(min(firsts), "s"), quantity(max(lasts), "s")


def _outage(result: Result, _index: int, outcomes: Outcomes) -> str:
    """Pods are gone before anybody knows: for how long, what share of connections, and what takes most of it."""
    if not any(outcome.connections.value for outcome in outcomes.values()):
        return "no connection fails"
    said = f"connections fail for {_each(outcomes, lambda outcome: told(outcome.window_s, 's'))}"
    shares = [_share(result, mode, outcome, outcome.window_s.value) for mode, outcome in outcomes.items()]
    known = [share for share in shares if share is not None]
    if known:
        said += f", {_from_to(min(known), max(known))} of all connections in that time"
    return f"{said}; {_dominant(outcomes)}"


def _from_to(low: float, high: float) -> str:
    return percent(low) if percent(low) == percent(high) else f"{percent(low)} to {percent(high)}"


def _share(result: Result, mode: str, outcome: EventOutcome, seconds: float) -> float | None:
    """Return the share of the run's connections in ``seconds`` that the event failed."""
    run, all_of_them = result.scenario.run, result.modes[mode].counts["connections"].value
    in_that_time = all_of_them * seconds / (run.duration_s - run.warmup_s)
    return min(outcome.connections.value / in_that_time, 1.0) if in_that_time > 0 else None


def _dominant(outcomes: Outcomes) -> str:
    known = [outcome for outcome in outcomes.values() if outcome.propagation_s is not None]
    if not known or any(outcome.pending for outcome in outcomes.values()):
        return "rules still led there when the run was over, so a longer run.duration says more"
    slowest = max(known, key=lambda outcome: outcome.exposed_s)
    rules_s = slowest.propagation_s or 0.0
    unnoticed_s = slowest.exposed_s - rules_s
    if unnoticed_s <= 0:
        return f"the way of the change to the rules of all nodes takes {quantity(rules_s, 's')} at most"
    if unnoticed_s < rules_s:
        return (
            f"most of it is the way to the rules of all nodes, {quantity(rules_s, 's')} at most, and the rest the "
            f"{quantity(unnoticed_s, 's')} before that until it is noticed"
        )
    return (
        f"{percent(unnoticed_s / slowest.exposed_s)} of the longest, {quantity(slowest.exposed_s, 's')}, is until it "
        f"is noticed, and rules follow in {quantity(rules_s, 's')}"
    )


def _join(result: Result, _index: int, outcomes: Outcomes) -> str:
    """A node begins without rules: for how long, what takes most of it, and how many connections that is."""

    def without(outcome: EventOutcome) -> str:
        if outcome.unusable_s is None:
            return "no time that was seen"
        names = {"sync": "the first sync", "lists": "its lists", "start-up": "its start-up"}
        return f"{quantity(outcome.unusable_s, 's')} (mostly {names.get(outcome.unusable_for, outcome.unusable_for)})"

    said = f"it has no rules for {_each(outcomes, without)}, at most of all runs; until then its connections are lost"
    lost = {mode: result.modes[mode].counts["dropped"] for mode in outcomes}
    if any(each.value for each in lost.values()):
        said += f", in a run {_with_modes({mode: told(each) for mode, each in lost.items()})}"
    return said


def _write(result: Result, index: int, outcomes: Outcomes) -> str:
    """A Service's object is written: how long until every node's rules know, and what is refused."""

    def known(outcome: EventOutcome) -> str:
        return "no time that was seen" if outcome.propagation_s is None else quantity(outcome.propagation_s, "s")

    said = f"in force on every node after {_each(outcomes, known)} at most"
    refused = {mode: result.modes[mode].counts["refused"] for mode in outcomes}
    if isinstance(result.scenario.events[index], ServiceDeletion) and any(each.value for each in refused.values()):
        said += f"; refused connections of a run are {_with_modes({mode: told(n) for mode, n in refused.items()})}"
    return said


def _server(result: Result, _index: int, outcomes: Outcomes) -> str:
    """Watches break: how long the run's changes took."""
    said = []
    for mode in outcomes:
        summary = result.modes[mode].summaries.get("network_programming_true")
        if summary is not None:
            slowest = summary.quantiles.get("p99")
            at = f"p99 {told(slowest, 's')}" if slowest else f"{quantity(summary.max, 's')} at most"
            said.append(f"{at} with {mode}")
    return f"the run's changes are in force after {listed(said)}" if said else "no change was under way in this run"
