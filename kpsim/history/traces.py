"""Each event of a scenario leaves a trace: the Pods it took away, the times, and the state of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kpsim.cluster.changes import ChangeKind, Spells
from kpsim.history.events import Event
from kpsim.units import I64

_UNSEEN = (ChangeKind.POD_CREATED, ChangeKind.POD_POSTED)  # a Pod without an address


@dataclass(frozen=True, slots=True)
class Course:
    """Counts of an event's Pods by state after each change of its course, (t,) each; times since the run began."""

    time_ns: I64
    old_ready: I64  # there when the event began
    new_ready: I64
    starting: I64  # with or without an address, not ready
    terminating: I64

    @staticmethod
    def of(
        told: Sequence[tuple[int, ChangeKind, int]], old: set[int], new: set[int], ready: set[int], from_ns: int
    ) -> Course:
        """Count Pods by what they are, from the beginning of an event on."""
        state = {pod: "ready" if pod in ready else "starting" for pod in old}
        counts = {"old ready": len(ready), "new ready": 0, "starting": len(old) - len(ready), "terminating": 0}
        after = {
            ChangeKind.POD_APPEARED: "starting",
            ChangeKind.POD_READY: "ready",
            ChangeKind.POD_UNREADY: "starting",
            ChangeKind.POD_TERMINATING: "terminating",
            ChangeKind.POD_EXITED: "terminating",
            ChangeKind.POD_GONE: "",
        }
        rows = [(from_ns, *counts.values())]
        for at_ns, kind, pod in told:
            late = kind is ChangeKind.POD_UNREADY and state.get(pod) == "terminating"
            if late or kind in _UNSEEN or (pod not in old and pod not in new):
                continue
            age = "old " if pod in old else "new "
            for name, step in ((state.get(pod, ""), -1), (after[kind], 1)):
                if name:
                    counts[age + name if name == "ready" else name] += step
            state[pod] = after[kind]
            now_ns = max(at_ns, from_ns)
            if now_ns == rows[-1][0]:
                rows.pop()
            rows.append((now_ns, *counts.values()))
        return Course(*np.array(rows, np.int64).T.copy())


@dataclass(frozen=True, slots=True)
class EventTrace:
    """One event leaves outages of Pods, readiness taken from Pods (r,), and its course."""

    event: Event
    outages: Spells  # of Pods; each Pod at most once
    removed_pod: I64
    removed_ns: I64
    course: Course
