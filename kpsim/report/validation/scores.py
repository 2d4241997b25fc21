"""Verdicts are summed up by topic, mode and whether a fit has seen them, and judged by the topic's bound."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources

import numpy as np

from kpsim.calibration.records import Record
from kpsim.experiment.validation.verdicts import Verdict, coverage
from kpsim.profiles.shipped import parse_yaml
from kpsim.report.wording.quantity import percent

FEW, HELD = 20, 0.85  # records, from which a share inside intervals is judged; the least it may be
TOLD = 1e-9  # a count computed as a float is the count


@dataclass(frozen=True, slots=True)
class Topic:
    """Quantities that one bound is for; a bound that is ``None`` is none."""

    topic: str
    studies: Sequence[str]
    quantities: Sequence[str]
    use: str = ""
    median: float | Mapping[str, float] | None = None
    nine_of_ten: float | None = None
    worst: float | None = None
    difference: float | None = None
    share_within: tuple[float, float] | None = None
    drawn: str = ""
    short: bool = True

    def holds(self, record: Record) -> bool:
        """Return True if the record is of this topic."""
        return (
            any(fnmatchcase(record.study, each) for each in self.studies)
            and any(fnmatchcase(record.quantity, each) for each in self.quantities)
            and self.use in ("", record.setup.get("use"))
        )

    def median_of(self, mode: str) -> float | None:
        """Return the bound of the median under a mode."""
        return self.median.get(mode) if isinstance(self.median, Mapping) else self.median

    def bound(self, mode: str) -> str:
        """Return the bound in words, "" without one."""
        median = self.median_of(mode)
        said = [
            f"median {percent(median)}" if median is not None else "",
            f"nine of ten {percent(self.nine_of_ten)}" if self.nine_of_ten is not None else "",
            "exact" if self.worst == 0 else f"worst {percent(self.worst)}" if self.worst is not None else "",
            f"within {self.difference:g}" if self.difference is not None else "",
            f"{percent(self.share_within[1])} within {percent(self.share_within[0])}" if self.share_within else "",
        ]
        return ", ".join(each for each in said if each)


@dataclass(frozen=True, slots=True)
class Score:
    """Distance of some predictions from what was measured: shares of it, infinite where that is nothing."""

    topic: Topic
    mode: str
    fitted: bool
    rows: int
    median: float
    nine_of_ten: float
    worst: float
    off: float
    within: float
    inside: float

    @property
    def bound(self) -> str:
        """Return the bounds in words; of few records the intervals are not judged."""
        own = self.topic.bound(self.mode)
        held = f"{percent(HELD)} in intervals" if self.rows >= FEW else ""
        return ", ".join(each for each in (own, held) if each) or "none"

    @property
    def missed(self) -> tuple[str, ...]:
        """Return what lies beyond its bound, each with the bound."""
        median = self.topic.median_of(self.mode)
        pairs = (
            ("median", self.median, median),
            ("nine of ten", self.nine_of_ten, self.topic.nine_of_ten),
            ("worst", self.worst, self.topic.worst),
        )
        found = [
            f"{name} {_told(value, bound)} instead of {percent(bound)}"
            for name, value, bound in pairs
            if bound is not None and value > bound + TOLD
        ]
        if self.topic.difference is not None and self.off > self.topic.difference + TOLD:
            found.append(f"off by {self.off:g} instead of {self.topic.difference:g}")
        if self.topic.share_within and self.within < self.topic.share_within[1]:
            near, least = self.topic.share_within
            found.append(f"{percent(self.within)} instead of {percent(least)} within {percent(near)}")
        if self.rows >= FEW and self.inside < HELD:
            found.append(f"{percent(self.inside)} instead of {percent(HELD)} in intervals")
        return tuple(found)

    @property
    def verdict(self) -> str:
        """Return "met", "missed", or "no bound"."""
        return "missed" if self.missed else "met" if self.topic.bound(self.mode) else "no bound"


def share(value: float) -> str:
    """Return an error in words; where nothing was read, no share of it can be told."""
    return percent(value) if np.isfinite(value) else "∞"


def _told(value: float, bound: float) -> str:
    """Return an error in words that differ from its bound's."""
    return f"{100 * value:.1f} %" if share(value) == percent(bound) else share(value)


@cache
def topics() -> tuple[Topic, ...]:
    """Return the topics in the order in which a record is looked up."""
    text = resources.files("kpsim.calibration").joinpath("bounds.yaml").read_text(encoding="utf-8")
    return tuple(Topic(**each) for each in parse_yaml(text))


def topic_of(record: Record) -> Topic:
    """Return the first topic that holds the record."""
    return next(topic for topic in topics() if topic.holds(record))


def by_topic(verdicts: Sequence[Verdict]) -> list[tuple[Topic, list[Verdict]]]:
    """Return the verdicts of each topic that has some, in the topics' order."""
    found: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        found[topic_of(verdict.record).topic].append(verdict)
    return [(topic, found[topic.topic]) for topic in topics() if topic.topic in found]


def scores(verdicts: Sequence[Verdict]) -> list[Score]:
    """Return a score a topic, mode and whether a fit has seen the rows."""
    found = []
    for topic, mine in by_topic(verdicts):
        groups: dict[tuple[str, bool], list[Verdict]] = defaultdict(list)
        for verdict in mine:
            groups[verdict.record.mode, verdict.fitted].append(verdict)
        found += [scored(topic, mode, each, fitted=fitted) for (mode, fitted), each in sorted(groups.items())]
    return found


def scored(topic: Topic, mode: str, verdicts: Sequence[Verdict], *, fitted: bool) -> Score:
    """Return the score of some verdicts of one topic."""
    errors = np.abs([verdict.ratio - 1 for verdict in verdicts])
    off = max(abs(verdict.prediction.value - verdict.record.measured) for verdict in verdicts)
    return Score(
        topic=topic,
        mode=mode,
        fitted=fitted,
        rows=len(verdicts),
        median=float(np.quantile(errors, 0.5, method="higher" if np.isinf(errors).any() else "linear")),
        nine_of_ten=float(np.quantile(errors, 0.9, method="higher")),
        worst=float(errors.max()),
        off=off,
        within=float(np.mean(errors <= topic.share_within[0])) if topic.share_within else float("nan"),
        inside=coverage(verdicts),
    )
