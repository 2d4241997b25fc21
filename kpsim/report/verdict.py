"""The answer in three sentences, computed from a result and never saying more than its intervals allow.

An objective is met or failed only if its whole interval lies on one side of the bound; a mode is better than another
only if the interval of their paired ratio leaves out 1.  Page, Markdown and terminal all quote these sentences.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from kpsim.experiment.result import Limit, Result, ThresholdVerdict
from kpsim.report.wording.change import configuration, current_mode, suggestion
from kpsim.report.wording.quantity import compact, count, estimate, factor, percent, unit_of
from kpsim.report.wording.ranking import listed, rank
from kpsim.scenario.model import Threshold

Standing = Literal["met", "failed", "undecided"]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer is three sentences (verdict, headroom, change) and the standing and proposal behind them.

    ``standing`` is the worst of any mode run ("unset" without objectives), as the exit code is; ``recommended`` the
    mode that ``change`` proposes; ``configuration`` the KubeProxyConfiguration for it, or for the current mode where
    nothing is proposed, if there is one to paste.
    """

    verdict: str
    headroom: str
    change: str
    standing: Literal["met", "failed", "undecided", "unset"]
    recommended: str | None
    configuration: str | None

    @property
    def sentences(self) -> tuple[str, str, str]:
        """Verdict, headroom, change."""
        return self.verdict, self.headroom, self.change


def answer(result: Result) -> Answer:
    """Put a result into words."""
    current = current_mode(result)
    met = {mode: mode_standing(result, mode) for mode in result.modes}
    recommended, change = suggestion(result, current, met)
    return Answer(
        verdict=_verdict(result, met),
        headroom=_headroom(result, [current] if recommended is None else [current, recommended]),
        change=change,
        standing=_worst(met.values()) if result.verdicts else "unset",
        recommended=recommended,
        configuration=configuration(result.scenario, recommended or current),
    )


def standing(verdict: ThresholdVerdict) -> Standing:
    """Return an objective's standing: "undecided" if nothing was found or the bound lies inside either interval."""
    ends, bound = verdict.ends, verdict.threshold.bound
    if ends is None or verdict.passed is None or ends[0] < bound < ends[1]:
        return "undecided"
    return "met" if verdict.passed else "failed"


def mode_standing(result: Result, mode: str) -> Standing:
    """Return the worst standing among one mode's objectives."""
    return _worst(standing(v) for v in result.verdicts if v.mode == mode)


def _worst(standings: Iterable[Standing]) -> Standing:
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


def _verdict(result: Result, met: dict[str, Standing]) -> str:
    unfinished = "" if result.complete else "The run is incomplete. "
    if not result.verdicts:
        return f"{unfinished}No objectives are set{_facts(result)}."
    good = [mode for mode, each in met.items() if each == "met"]
    said = [_failing(result, mode) for mode, each in met.items() if each == "failed"]
    said += [_open(result, mode) for mode, each in met.items() if each == "undecided"]
    if good:
        objectives = len({(v.threshold.measure, v.threshold.text) for v in result.verdicts})
        every = {1: "the objective", 2: "both objectives"}.get(objectives, f"all {objectives} objectives")
        said.append(f"{listed(good)} {'meets' if len(good) == 1 else 'meet'} {every}{_caveat(result, good)}")
    return f"{unfinished}{'; '.join(said)}."


def _caveat(result: Result, modes: Sequence[str]) -> str:
    guessed = [mode for mode in modes if result.modes[mode].extrapolations]
    bare = [v for v in result.verdicts if v.mode in modes and (v.found is None or v.found.low is None)]
    reasons = []
    if guessed:
        whose = "" if len(modes) == 1 else f" for {listed(guessed)}"
        reasons.append(f"on costs extrapolated beyond measured sizes{whose}")
    if bare:
        reasons.append("without an interval on every value")
    return f", {listed(reasons)}" if reasons else ""


def _named(verdict: ThresholdVerdict) -> str:
    unit = unit_of(verdict.threshold.measure)
    found = f"found {estimate(verdict.found, unit)}" if verdict.found is not None else "nothing found"
    return f"{verdict.threshold.measure} {bound_text(verdict.threshold)} ({found})"


def _failing(result: Result, mode: str) -> str:
    failed = [v for v in result.verdicts if v.mode == mode and standing(v) == "failed"]
    worst = min(failed, key=lambda v: headroom_of(v) or 0.0)
    more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
    return f"{mode} fails {_named(worst)}{more}{_caveat(result, [mode])}"


def _open(result: Result, mode: str) -> str:
    unclear = [v for v in result.verdicts if v.mode == mode and standing(v) == "undecided"]
    if not unclear:
        return f"no objective was judged for {mode}"
    return f"the run cannot say whether {mode} meets {listed(_named(v) for v in unclear[:2])}"


def _facts(result: Result) -> str:
    ranking = rank(result, "first_packet_latency")
    if ranking is None:
        return ""
    each = listed(f"{estimate(found, ranking.unit)} with {mode}" for mode, found in ranking.entries)
    return f"; first-packet latency at {ranking.statistic} is {each}"


def _headroom(result: Result, modes: Sequence[str]) -> str:
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
