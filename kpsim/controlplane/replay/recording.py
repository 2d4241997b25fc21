"""A recording of a real API server and its controllers holds requests with their times, and a watcher's events.

Two tables a run.  Of the watcher's only that is taken which nobody chose: what there was at the start, when Services
had been created whose slices were still owed, and when the machine stood still, so that nobody was answered.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from kpsim.cluster.changes import ChangeKind
from kpsim.cluster.columns import PodState

Row = Mapping[str, str]
OPERATIONS = {
    "create": ChangeKind.POD_CREATED,
    "ip": ChangeKind.POD_APPEARED,
    "ready": ChangeKind.POD_READY,
    "unready": ChangeKind.POD_UNREADY,
    "term": ChangeKind.POD_TERMINATING,
    "exit": ChangeKind.POD_EXITED,
    "gone": ChangeKind.POD_GONE,
}
_BITS = {"R": PodState.READY, "S": PodState.SERVING, "T": PodState.TERMINATING}
_STILL_S = 0.8  # neither an answer nor an event for so long, while both were due, is the machine's doing


@dataclass(frozen=True, slots=True)
class Action:
    """One request about a Pod: when it was made and when it was answered [s]."""

    asked_s: float
    answered_s: float
    kind: ChangeKind
    service: str
    address: str


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording keeps only inputs: requests, standing endpoints, creations, and when the machine stood still.

    ``standing`` is by Service and address, ``created_s`` says when Services came whose slices were still owed at the
    start, in that order; times are from a whole second of the clock on the wall.
    """

    actions: Sequence[Action]
    standing: Mapping[str, Mapping[str, int]]
    created_s: Mapping[str, float]
    stalls: Sequence[tuple[float, float]] = ()

    @staticmethod
    def of(actions: Iterable[Row], events: Iterable[Row]) -> Recording:
        """The recording in two tables' rows: what was asked, and what a watcher saw."""
        asked = [
            Action(float(row["asked_s"]), float(row["answered_s"]), OPERATIONS[row["operation"]], *_whose(row))
            for row in actions
            if row["status"].startswith("2") and row["operation"] in OPERATIONS
        ]
        touched = {action.service for action in asked}
        seen = [row for row in events if row["service"] in touched]
        stalls = _stalls([a.answered_s for a in asked], [float(row["at_s"]) for row in seen])
        slices = [row for row in seen if row["resource"] == "endpointslices"]
        standing: dict[str, dict[str, int]] = {service: {} for service in sorted(touched)}
        clock_s = _clock(asked, slices)
        births: dict[str, float] = {}
        owed = False
        for row in slices:
            if row["type"] == "ADDED" and row["trigger"] and row["service"] not in births:
                births[row["service"]] = _second(row["trigger"]) - clock_s
                owed = owed or float(row["at_s"]) >= 0
            if float(row["at_s"]) < 0:
                standing[row["service"]].update(_endpoints(row["changed"]))
        created = _spread(births) if owed else {}
        begins = min([0.0, *created.values()])
        shift = clock_s % 1 - math.floor(begins + clock_s % 1)
        return Recording(
            [replace(a, asked_s=a.asked_s + shift, answered_s=a.answered_s + shift) for a in asked],
            standing,
            {service: at_s + shift for service, at_s in created.items()},
            [(a + shift, b + shift) for a, b in stalls],
        )


def _whose(row: Row) -> tuple[str, str]:
    """The Service, which its Deployment's Pods are named after, and the Pod's address."""
    return row["pod"].rsplit("-", 2)[0], row["ip"]


def _endpoints(changed: str) -> dict[str, int]:
    pairs = (each.split("=") for each in changed.split("|") if "=" in each)
    return {address: int(sum(_BITS[flag] for flag in flags)) for address, flags in pairs}


def _stalls(answers: Iterable[float], events: Iterable[float]) -> list[tuple[float, float]]:
    """Stretches in which nothing was answered and nothing seen, up to the last event."""
    moments = sorted(at_s for at_s in (*answers, *events) if at_s >= 0)
    return [(a, b) for a, b in pairwise(moments) if b - a > _STILL_S]


def _second(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()


def _clock(asked: Sequence[Action], slices: Sequence[Row]) -> float:
    """Return the wall clock at the recording's zero, by triggers: none is later than the request it stems from."""
    latest: dict[str, float] = {}
    for action in asked:
        latest[action.address] = max(action.asked_s, latest.get(action.address, 0.0))
    bounds = [
        _second(row["trigger"]) - max(latest.get(ip, 0.0) for ip in _endpoints(row["changed"]))
        for row in slices
        if row["trigger"] and float(row["at_s"]) >= 0 and _endpoints(row["changed"]).keys() & latest.keys()
    ]
    return max(bounds, default=0.0)


def _spread(births: Mapping[str, float]) -> dict[str, float]:
    """Creations that are known by the second, dealt evenly over it in order of their first slices."""
    by_second: dict[float, list[str]] = {}
    for service, at_s in births.items():
        by_second.setdefault(at_s, []).append(service)
    return {
        service: at_s + i / len(names) for at_s, names in sorted(by_second.items()) for i, service in enumerate(names)
    }
