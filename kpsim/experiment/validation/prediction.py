"""A profile predicts a record as the sum of its parts, within an interval as wide as its own fit was off."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, hypot, log, sqrt

from kpsim.calibration.records import CHURN, END_TO_END, KERNEL, PUBLISHED, Record
from kpsim.calibration.scatter import assumed_scatter
from kpsim.experiment.validation.arithmetic import in_prose, last_digit
from kpsim.experiment.validation.latency import latency
from kpsim.experiment.validation.published import published, study_of
from kpsim.experiment.validation.setups import (
    Question,
    Unspoken,
    go_uncounted,
    question,
    tick_s,
    timer_bytes,
)
from kpsim.profiles.costs import CostProfile, load_profile
from kpsim.profiles.terms import work

COMMANDS, KUBE_PROXY, USER_MODE = "linux-6.18-zen3", "linux-6.18-zen5", "uml-6.1"
SCALED = "scaled-from"  # how the sources of such coefficients begin
COUNTS = frozenset({"generated_rules", "iptables_execs_per_sync"})


@dataclass(frozen=True, slots=True)
class Prediction:
    """A prediction of one record has its unit, and the ends of a 95 % interval."""

    value: float
    low: float
    high: float
    in_prose: bool = False  # a count whose record is rounded as words are


def profile_for(record: Record) -> str:
    """Return the profile of the machine that a record comes from."""
    kernel = record.setup.get("kernel", "")
    if record.study != KERNEL:
        return KUBE_PROXY
    if kernel.startswith("6.1."):
        return USER_MODE
    return KUBE_PROXY if "fc" in kernel else COMMANDS


def priced(asked: Question, profile: CostProfile) -> float:
    """Return the sum of all parts in SI units.  Raises :class:`Unspoken` where the profile prices no such part."""
    total = 0.0
    for part in asked.parts:
        family = f"{part.family}/{asked.aspect}" if asked.aspect else part.family
        done, known = work(part, asked.counts, asked.aspect), profile.text.families.get(family, {})
        if done is None:
            raise Unspoken(f"{part.part or 'a row without a quantity'} under {part.family} is no part of the model")
        missing = [name for name, count in done.items() if count and name not in known]
        if missing:
            raise Unspoken(f"profile {profile.name} has no {', '.join(missing)} for {family}")
        total += sum(count * known[name].resolve(name, "typical").value for name, count in done.items() if count)
    return total


def beyond(asked: Question, profile: CostProfile) -> float:
    """Return what a coefficient's own interval adds, as a logarithm, where no fit's errors have it in them.

    That is where its count is larger than any fitted, and where it is another machine's, scaled.
    """
    total, wide = 0.0, 0.0
    for part in asked.parts:
        known = profile.text.families.get(f"{part.family}/{asked.aspect}" if asked.aspect else part.family, {})
        for name, count in (work(part, asked.counts, asked.aspect) or {}).items():
            if name in known:
                cost = known[name].resolve(name, "typical")
                total += count * cost.value
                far = cost.source.startswith(SCALED) or (cost.measured_to is not None and count > cost.measured_to)
                wide += (count * (cost.high - cost.low) / 2) ** 2 if far else 0.0
    return log(1 + sqrt(wide) / total) if total else 0.0


def scatter(record: Record, profile: CostProfile) -> float:
    """Return half the 95 % interval of the logarithm: coefficients, model and run to run, as left-out rows were off."""
    if record.study == PUBLISHED:
        return assumed_scatter("other_study")
    found = profile.text.scatter.get(record.mode, {})
    return found.get(scatter_key(record), found.get("all", assumed_scatter("no_fit")))


def scatter_key(record: Record) -> str:
    """Return the name in a profile's scatter: a minute of churn has columns that a sync has too."""
    return f"{CHURN} {record.quantity}" if record.study == CHURN else group(record)


def group(record: Record) -> str:
    """Return the quantity that a record's errors are summed up under."""
    stem, dot, aspect = record.quantity.partition(".")
    return f"partial{dot}{aspect}" if stem.startswith("partial_") else record.quantity


def predict(record: Record, profile: str | None = None) -> Prediction:
    """Return what the model says of ``record`` under a profile, its own machine's by default."""
    chosen = load_profile(profile or (None if record.study == PUBLISHED else profile_for(record)) or KUBE_PROXY)
    further = 0.0
    if record.study == PUBLISHED:
        value = published(record, chosen if profile else None)
    elif record.study in (CHURN, END_TO_END):
        value = latency(record, chosen, priced)
    else:
        asked = question(record)
        if asked.exact is not None:
            few = assumed_scatter("few_more") + asked.come_and_go
            return Prediction(asked.exact, max(asked.exact - few, 0.0), asked.exact + few)
        total = _bytes_or_s(record, asked, chosen)
        if total <= 0 and record.measured <= 0:
            raise Unspoken("nothing runs there, and nothing was timed")
        if total <= 0:
            return Prediction(0.0, 0.0, 0.0)
        if record.study == KERNEL and total < tick_s(record) / 2:
            raise Unspoken("so little that a clock of ticks reads nothing of it in most runs")
        value = (1 / total if asked.inverse else total) / asked.scale
        further = beyond(asked, chosen)
    prose = record.study == PUBLISHED and in_prose(study_of(record))
    if record.quantity in COUNTS or prose:
        half = last_digit(value) / 2 if prose else assumed_scatter("count")
        return Prediction(value, value - half, value + half, prose)
    wide, tick = exp(hypot(scatter(record, chosen), further)), tick_s(record)
    low, high = (value + tick) / wide - tick, (value + tick) * wide - tick
    return Prediction(value, max(min(low, value - tick) - _uncounted_s(record, chosen), 0.0), max(high, value + tick))


def _uncounted_s(record: Record, profile: CostProfile) -> float:
    """Return how much of a reading may be missing because Go's clock was read too early [s]."""
    asked = go_uncounted(record)
    return priced(asked, profile) if asked is not None else 0.0


def _bytes_or_s(record: Record, asked: Question, profile: CostProfile) -> float:
    """Return the sum of all parts.  Raises :class:`Unspoken` where what was measured is the program that timed it."""
    timer = timer_bytes(record)
    try:
        total = priced(asked, profile)
    except Unspoken:
        if not timer:
            raise
        total = 0.0  # no command of this kind was seen to hold more
    if total < timer:
        raise Unspoken("the command holds less than the program that timed it, and the kernel reports the larger")
    return total
