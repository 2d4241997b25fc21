"""Hard limits on the way along an axis: nothing is simulated, the cluster is only laid out and its limits are read.

A limit of a rate that a run plays out by itself, as the controller's client does, ends nothing: what waits for it is in
the latencies.  Any other hard limit ends the cluster, whatever its latencies are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from kpsim.errors import GuardError, InputError
from kpsim.experiment.answers.limits import Limit, limits_of
from kpsim.experiment.guard import check_size
from kpsim.experiment.searches.axis import Axis
from kpsim.simulation import build_cluster

PLAYED_OUT = ("EndpointSlice writes, by client", "EndpointSlice writes, by seats", "DNS queries", "Ingress requests")
FACTOR, MOST_STEPS = 4, 6  # a ladder of values from where the scenario stands
EXACT = 0.001  # of a value
MOST_HALVINGS = 30


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A limit, and the largest value of the axis within it; ``before`` is false where it is beyond from the start.

    ``mode`` is the only one that has it, "" if all do.  Soft ones, and those that ``ends`` is false of, end nothing.
    """

    limit: Limit
    at: float
    mode: str
    ends: bool


@dataclass(slots=True)
class Ceilings:
    """The limits of an axis, laid out once a value."""

    axis: Axis
    most_bytes: float | None = None
    seen: dict[float, Mapping[str, Limit] | None] = field(default_factory=dict)
    refusal: str = ""  # of the smallest value that cannot be

    def limits(self, value: float) -> Mapping[str, Limit] | None:
        """Return every limit's use at a value, by name; ``None`` where the value cannot be."""
        if value not in self.seen:
            try:
                scenario = self.axis.scenario_at(value)
                check_size(scenario, self.most_bytes, inf)  # it is laid out, and lighter runs are simulated
                cluster, _ = build_cluster(scenario)
                self.seen[value] = {each.name: each for each in limits_of(scenario, cluster)}
            except (InputError, GuardError) as error:
                if value <= min((v for v, found in self.seen.items() if found is None), default=value):
                    self.refusal = str(error)
                self.seen[value] = None
        return self.seen[value]

    def climb(self, start: float, highest: float | None) -> float:
        """Lay out a ladder upwards from ``start``, to ``highest`` if given; the last that can be is returned.

        Raises :class:`InputError` if the start itself cannot be.
        """
        if self.limits(start) is None:
            raise InputError(f"{self.axis.noun} {self.axis.text(start)}: {self.refusal}")
        last = start
        for step in range(1, MOST_STEPS + 1):
            value = self.axis.snap(start * FACTOR**step)
            value = min(value, highest) if highest is not None else value
            if self.limits(value) is None:
                return last
            last = value
            if value == highest:
                break
        return last

    def last(self, known: float) -> float:
        """Return the largest value that can be, from one that can; that one, if nothing was refused."""
        refused = min((value for value, found in self.seen.items() if found is None), default=known)
        for _ in range(MOST_HALVINGS):
            middle = self.axis.snap((known + refused) / 2)
            if refused - known <= EXACT * known or middle in (known, refused):
                break
            if self.limits(middle) is None:
                refused = middle
            else:
                known = middle
        return known

    @property
    def known(self) -> list[float]:
        """Return the values that can be, as far as they were laid out, in order."""
        return sorted(value for value, found in self.seen.items() if found is not None)

    def ceilings(self, modes: Sequence[str]) -> tuple[Ceiling, ...]:
        """Return every limit that is reached among the values laid out, the nearest first."""
        values = self.known
        found = []
        for name in {name: None for value in values for name in self._limits_at(value)}:
            mode = next((each for each in modes if name.startswith(f"{each}: ")), "")
            if ": " in name and not mode:
                continue  # of a mode that was not asked about
            at = self._reached(name, values)
            if at is not None:
                limit = self._limits_at(at).get(name) or self._limits_at(values[-1])[name]
                ends = limit.kind == "hard" and name not in PLAYED_OUT
                found.append(Ceiling(limit, at, mode, ends))
        return tuple(sorted(found, key=lambda each: (each.at, each.limit.name)))

    def _limits_at(self, value: float) -> Mapping[str, Limit]:
        return self.limits(value) or {}

    def _share(self, name: str, value: float) -> float:
        limit = self._limits_at(value).get(name)
        return limit.share if limit else 0.0

    def _reached(self, name: str, values: Sequence[float]) -> float | None:
        """Return the largest value within a limit; ``None`` where it is not reached, 0 where it is beyond at once."""
        beyond = next((value for value in values if self._share(name, value) > 1), None)
        if beyond is None:
            return None
        if beyond == values[0]:
            return 0.0
        low = values[values.index(beyond) - 1]
        if self._limits_at(beyond)[name].kind == "soft":
            return self.axis.snap(self._secant(name, low, beyond))  # nothing ends there: near enough
        for _ in range(MOST_HALVINGS):
            middle = self.axis.snap(self._secant(name, low, beyond))
            if middle in (low, beyond):
                middle = self.axis.snap((low + beyond) / 2)
            if beyond - low <= EXACT * low or middle in (low, beyond) or self.limits(middle) is None:
                break
            if self._share(name, middle) > 1:
                beyond = middle
            else:
                low = middle
        return low

    def _secant(self, name: str, low: float, high: float) -> float:
        """Return the value at which a straight line between two uses reaches the limit."""
        below, above = self._share(name, low), self._share(name, high)
        return low + (high - low) * (1 - below) / (above - below)
