"""Two kept runs side by side: what was asked differently, what came out differently, and where their syncs cross.

An interval of a difference is that of two runs that know nothing of each other.  Where a difference cannot be told from
none it says so; it is no proof that there is none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from kpsim.errors import InputError, Place, Problem
from kpsim.experiment.kept.differences import Change, Difference, changes, differences, title_of
from kpsim.experiment.kept.reading import KeptRun
from kpsim.measure.summary import Estimate
from kpsim.report.wording.quantity import EMPTY, count, estimate, factor, percent, quantity

HEADS = ("mode", "measure", "", "first", "second", "difference [95 %]", "second/first", "")
RIGHT = (3, 4, 5, 6)
_UNASKED = ("metadata.name", "metadata.description")
_VERSIONS = ("kpsim", "numpy", "simpy", "pandas", "profile")
MOST_KEYS = 8
SHARED = "Both have the same seed, and so the same arrivals: the intervals of differences are wider than they need be."


@dataclass(frozen=True, slots=True)
class Compared:
    """Two sets of results in words, and the numbers behind them; ``asked`` are the keys of the scenario that differ."""

    asked: tuple[Change, ...]
    facts: tuple[str, ...]
    rows: tuple[Difference, ...]
    crossings: tuple[str, ...]


def compare_runs(first: KeptRun, second: KeptRun) -> Compared:
    """Return two kept runs side by side.  Raises :class:`InputError` if they have no mode to compare."""
    was, now = first.summary, second.summary
    modes = _paired(first, second)
    known = first.settings(), second.settings()
    asked = tuple(each for each in changes(*known) if each.path not in _UNASKED) if all(known) else ()
    facts = [*_asked(asked, known=all(known)), *_versions(first, second)]
    halves = [kept for kept in (first, second) if kept.manifest.get("complete") is False]
    facts += [f"{kept.place} was interrupted: its results are of the replications that were whole." for kept in halves]
    if was == now:
        facts.append("The results are the same in every number.")
    elif first.provenance.get("seed") == second.provenance.get("seed"):
        facts.append(SHARED)
    return Compared(asked, tuple(facts), tuple(differences(was, now, modes)), tuple(crossings(was, now, modes)))


def cells(row: Difference) -> list[str]:
    """Return a difference as a row under ``HEADS``."""
    was, now = row.was.value, row.now.value
    sign = "+" if row.difference.value > 0 else ""
    by = estimate(row.difference, row.unit)
    return [
        row.mode,
        title_of(row.measure),
        row.statistic,
        quantity(was, row.unit) if row.statistic else count(was),
        quantity(now, row.unit) if row.statistic else count(now),
        f"{sign}{by}" if row.statistic else f"{row.difference.value:+,.0f}",
        factor(now / was) if was else EMPTY,
        {True: "", False: "not distinguishable", None: "no interval"}[row.told_apart],
    ]


def headline(rows: Sequence[Difference], measures: Sequence[str]) -> str:
    """Return a sentence on the differences of some measures, the largest ratio first."""
    told = [row for row in rows if row.told_apart and row.measure in measures and row.was.value and row.now.value > 0]
    told.sort(key=lambda row: -abs(math.log(row.now.value / row.was.value)))
    if not told:
        return "No latency can be told apart between the two."
    said = [
        f"{row.mode}: {title_of(row.measure)} {row.statistic} {quantity(row.was.value, row.unit)} → "
        f"{quantity(row.now.value, row.unit)} ({factor(row.now.value / row.was.value)})"
        for row in told[:3]
    ]
    return f"Largest differences: {'; '.join(said)}."


def crossings(was: Mapping[str, Any], now: Mapping[str, Any], modes: Mapping[str, str]) -> Iterator[str]:
    """Yield, for each pair of modes, at how many Services the first's full sync takes as long as the second's."""
    for mode, other in modes.items():
        curves = [_curve(was["modes"][mode]), _curve(now["modes"][other])]
        sizes = sorted(set(curves[0]) & set(curves[1]))
        if len(sizes) < 2 or curves[0] == curves[1]:
            continue
        gaps = {size: curves[1][size].value - curves[0][size].value for size in sizes}
        alike = [size for size in sizes if _overlap(curves[0][size], curves[1][size])]
        crossed = [pair for pair in pairwise(sizes) if gaps[pair[0]] * gaps[pair[1]] < 0]
        label = f"full syncs of {mode}" if mode == other else f"full syncs of {mode} and {other}"
        region = f"; not distinguishable from {alike[0]:,} to {alike[-1]:,} Services" if alike else ""
        if crossed:
            at = _crossing(*crossed[0], gaps)
            slower = "first" if gaps[crossed[0][1]] < 0 else "second"
            yield f"{label} cross at about {at:,.0f} Services, beyond which the {slower} takes longer{region}."
        else:
            slower = "second" if gaps[sizes[-1]] > 0 else "first"
            yield f"{label} do not cross up to {sizes[-1]:,} Services: the {slower} takes longer{region}."


def _curve(found: Mapping[str, Any]) -> dict[int, Estimate]:
    return {
        each["services"]: Estimate(each["seconds"], each["low_s"], each["high_s"])
        for each in found.get("sync_curve", ())
        if each["kind"] == "full"
    }


def _overlap(one: Estimate, other: Estimate) -> bool:
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return False
    return one.low <= other.high and other.low <= one.high


def _crossing(left: int, right: int, gaps: Mapping[int, float]) -> float:
    """Return where a difference is zero between two sizes, on a straight line over their logarithms."""
    share = gaps[left] / (gaps[left] - gaps[right])
    start = math.log(max(left, 1))
    return math.exp(start + share * (math.log(right) - start))


def _paired(first: KeptRun, second: KeptRun) -> dict[str, str]:
    was, now = (list(kept.summary.get("modes", ())) for kept in (first, second))
    both = {mode: mode for mode in was if mode in now}
    if both:
        return both
    if len(was) == len(now) == 1:
        return {was[0]: now[0]}
    what = f"has {', '.join(now) or 'no mode'}, and {first.place} has {', '.join(was) or 'none'}"
    mend = "run both under a mode that they share, or each under one mode"
    raise InputError([Problem(Place(str(second.place)), what=what, mend=mend)])


def _asked(asked: Sequence[Change], *, known: bool) -> Iterator[str]:
    if not known:
        yield "One of the runs does not hold its scenario, so what was asked differently is not known."
        return
    if not asked:
        yield "Both runs are of the same scenario."
        return
    keys = [f"{each.path.removeprefix('spec.')}: {each.was} → {each.now}" for each in asked]
    more = f"; and {len(keys) - MOST_KEYS:,} more" if len(keys) > MOST_KEYS else ""
    if len(keys) == 1:
        yield f"The scenarios differ in one key: {keys[0]}."
    else:
        yield f"The scenarios differ in {len(keys):,} keys: {'; '.join(keys[:MOST_KEYS])}{more}."
        yield "With more than one key changed, no difference below is the work of any one of them."


def _versions(first: KeptRun, second: KeptRun) -> Iterator[str]:
    mine, other = ({name: kept.provenance.get(name) for name in _VERSIONS} for kept in (first, second))
    said = [f"{each.path} {each.was} → {each.now}" for each in changes(mine, other)]
    if said:
        yield f"Made by other versions or with other costs: {'; '.join(said)}."


def apart(rows: Sequence[Difference]) -> str:
    """Return a sentence on how many of the differences can be told from none."""
    judged = [row for row in rows if row.told_apart is not None]
    told = sum(bool(row.told_apart) for row in judged)
    share = f" ({percent(told / len(judged))})" if judged else ""
    chance = "about one in twenty would by chance"
    return f"{told:,} of {len(judged):,} differences{share} can be told from none at 95 %; {chance}."
