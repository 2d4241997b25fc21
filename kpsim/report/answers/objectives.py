"""Objectives are met, failed or undecided, with the room left below them and below the nearest limit.

An objective is met or failed only if its wider interval, by sampling or by prices, lies on one side of the bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from kpsim.experiment.answers.cautions import marks
from kpsim.experiment.answers.limits import Limit
from kpsim.experiment.result import Result, ThresholdVerdict
from kpsim.report.wording.change import alternative
from kpsim.report.wording.quantity import compact, count, estimate, factor, percent, told_both, unit_of
from kpsim.report.wording.ranking import listed, rank
from kpsim.scenario.model import Threshold

Standing = Literal["met", "failed", "undecided"]

_BEYOND = "beyond "  # how the mark of a hard limit begins


def standing(verdict: ThresholdVerdict) -> Standing:
    """Return an objective's standing: "undecided" if nothing was found or the bound lies inside either interval."""
    ends, bound = verdict.ends, verdict.threshold.bound
    if ends is None or verdict.passed is None or ends[0] < bound < ends[1]:
        return "undecided"
    return "met" if verdict.passed else "failed"


def mode_standing(result: Result, mode: str) -> Standing:
    """Return the worst standing among one mode's objectives."""
    return worst(standing(v) for v in result.verdicts if v.mode == mode)


def worst(standings: Iterable[Standing]) -> Standing:
    """Return the worst of several standings; "undecided" of none."""
    each = set(standings)
    return "failed" if "failed" in each else "undecided" if "undecided" in each or not each else "met"


def bound_text(threshold: Threshold) -> str:
    """Return an objective's statistic and bound with its unit: "p99 < 8 s"."""
    return f"{threshold.statistic} {threshold.operator} {compact(threshold.bound, unit_of(threshold.measure))}"


def headroom_of(verdict: ThresholdVerdict) -> float | None:
    """Return a value's distance below its bound (above, for ">") as a share of the bound; negative if it is beyond."""
    if verdict.found is None or verdict.threshold.bound <= 0:
        return None
    share = verdict.found.value / verdict.threshold.bound
    return 1 - share if verdict.threshold.operator.startswith("<") else share - 1


def about_objectives(result: Result, met: Mapping[str, Standing]) -> str:
    """Return a sentence about every mode: what it fails, what is undecided and why, and who meets everything."""
    good = [mode for mode, each in met.items() if each == "met"]
    said = [_failing(result, mode) for mode, each in met.items() if each == "failed"]
    said += [_open(result, mode) for mode, each in met.items() if each == "undecided"]
    if good:
        objectives = len({(v.threshold.measure, v.threshold.text) for v in result.verdicts})
        every = {1: "the objective", 2: "both objectives"}.get(objectives, f"all {objectives} objectives")
        who = listed(with_successor(result, mode) for mode in good)
        said.append(f"{who} {'meets' if len(good) == 1 else 'meet'} {every}{_caveat(result, good)}")
    if not said:
        return "Nothing was run that objectives could be judged by."
    first = "; ".join(said)
    return f"{'I' if first.startswith('it is') else first[0]}{first[1:]}."


def with_successor(result: Result, mode: str) -> str:
    """Return a mode; one without a future with what stands beside its numbers, and with the mode after it."""
    ageing = [mark for mark in marks(result.scenario, result.modes[mode], ()) if mark.startswith("deprecated")]
    return f"{mode} ({ageing[0]}, {alternative(result, mode)} is the alternative)" if ageing else mode


def _caveat(result: Result, modes: Sequence[str]) -> str:
    guessed = [mode for mode in modes if result.modes[mode].extrapolations]
    bare = [v for v in result.verdicts if v.mode in modes and (v.found is None or v.found.low is None)]
    reasons = []
    if guessed:
        whose = "" if len(modes) == 1 else f" for {listed(guessed)}"
        reasons.append(f"on costs extrapolated beyond measured sizes{whose}")
    every = [mark for mode in modes for mark in marks(result.scenario, result.modes[mode], result.limits)]
    broken = dict.fromkeys(mark.removeprefix(_BEYOND) for mark in every if mark.startswith(_BEYOND))
    if broken:
        reasons.append(f"on a cluster beyond a hard limit ({listed(broken)})")
    if bare:
        reasons.append("without an interval on every value")
    return f", {listed(reasons)}" if reasons else ""


def _named(verdict: ThresholdVerdict) -> str:
    """Return an objective with what was found, and both intervals by name."""
    found = told_both(verdict.found, verdict.profile, unit_of(verdict.threshold.measure))
    found = "nothing, of too few observations" if verdict.found is None else found
    return f"{verdict.threshold.measure} {bound_text(verdict.threshold)} (found {found})"


def _failing(result: Result, mode: str) -> str:
    failed = [v for v in result.verdicts if v.mode == mode and standing(v) == "failed"]
    least = min(failed, key=lambda v: headroom_of(v) or 0.0)
    more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
    return f"{mode} fails {_named(least)}{more}{_caveat(result, [mode])}"


_STRADDLED = {
    "sample": "because too few observations were made",
    "sampling": "because the interval by sampling holds the bound",
    "profile": "because the interval by the profile's prices holds the bound",
    "": "because an interval holds the bound",
}


def _open(result: Result, mode: str) -> str:
    unclear = [v for v in result.verdicts if v.mode == mode and standing(v) == "undecided"]
    if not unclear:
        return f"no objective was judged for {mode}"
    reasons = listed(dict.fromkeys(_STRADDLED[v.straddled_by] for v in unclear[:2]))
    return f"it is undecided whether {mode} meets {listed(_named(v) for v in unclear[:2])}, {reasons}"


def latencies(result: Result) -> str:
    """Return a sentence with every mode's first-packet latency, the lowest first; "" if none was seen."""
    ranking = rank(result, "first_packet_latency")
    if ranking is None:
        return ""
    measure, statistic = ranking.measure, ranking.statistic
    priced = {mode: found.priced.get(measure, {}).get(statistic) for mode, found in result.modes.items()}
    each = listed(f"{told_both(found, priced[mode], ranking.unit)} with {mode}" for mode, found in ranking.entries)
    return f"First-packet latency at {ranking.statistic} is {each}."


def headroom(result: Result, modes: Sequence[str]) -> str:
    """Return a sentence about the room below the tightest objective of each mode, and below the nearest limit."""
    rooms: dict[str, list[str]] = {}
    for mode in modes:
        objective, room = _tightest_objective([v for v in result.verdicts if v.mode == mode])
        if objective:
            rooms.setdefault(objective, []).append(f"{room} with {mode}")
    said = [f"{objective} {listed(each)}" for objective, each in rooms.items()]
    limit = _nearest_limit(result.limits)
    sentence = "; ".join([*said, limit] if limit else said)
    return f"Headroom: {sentence}." if sentence else "Headroom: no limit and no objective to measure it against."


def _tightest_objective(judged: Sequence[ThresholdVerdict]) -> tuple[str, str]:
    """Return the objective with the least room, and how much that is."""
    rooms = [(room, v) for v in judged if (room := headroom_of(v)) is not None]
    if not rooms:
        return "", ""
    room, v = min(rooms, key=lambda pair: pair[0])
    objective = f"{v.threshold.measure} {bound_text(v.threshold)}"
    if standing(v) == "undecided" and v.found and v.found.at_least:
        return (
            objective,
            f"is not decided, with too much unfinished at {estimate(v.found, unit_of(v.threshold.measure))}",
        )
    if standing(v) == "undecided":
        return objective, f"is too close to call at {estimate(v.found, unit_of(v.threshold.measure))}"
    return objective, f"has {percent(room)} to spare" if room >= 0 else _missed(room)


def _missed(room: float) -> str:
    """Return "is missed by …": a percentage up to twice the bound, then a multiple."""
    return f"is missed by {percent(-room)}" if room >= -1 else f"is missed {factor(1 - room)} over"


def _nearest_limit(limits: Sequence[Limit]) -> str:
    if not limits:
        return ""
    nearest = max(limits, key=lambda limit: limit.share)
    broken = [limit for limit in limits if limit.share > 1]
    if broken:
        hard = [limit.name for limit in broken if limit.kind == "hard"]
        what = "the limit" if hard else "the scale Kubernetes is tested at (a soft limit)"
        names = hard or [limit.name for limit in broken]
        return f"{listed(names)} {'is' if len(names) == 1 else 'are'} beyond {what}"
    used = f"{percent(nearest.share)} of {count(nearest.limit)} {nearest.unit}".rstrip()
    room = f" (room for {factor(1 / nearest.share)} of it)" if 0 < nearest.share < 1 else ""
    return f"the nearest {nearest.kind} limit is {nearest.name}, {used} used{room}"
