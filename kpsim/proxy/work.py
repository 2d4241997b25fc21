"""A sync that was timed in parts is said as those parts and their counts; ``terms.yaml`` turns them into work.

Engines, curves and ``kpsim validate`` ask the same mode for the same parts, so that a profile fitted to syncs of real
kube-proxies prices exactly what it was fitted to.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from kpsim.profiles.defaults import load_defaults
from kpsim.profiles.terms import Counts, Part, work
from kpsim.proxy.contract import Mode, SyncCounts, SyncKind, Work
from kpsim.units import I64, Bools

REWRITTEN = "rewritten"  # what a partial sync writes, beside what else it writes
EVERY_PART = ("go", "iptables", "save", "list", "restore", "conntrack")


class Timed(NamedTuple):
    """Parts of a sync that were timed, and how much of everything there was."""

    parts: tuple[Part, ...]
    counts: Counts
    aspect: str = ""  # as a profile calls it: of wall time if empty, else cpu

    @property
    def work(self) -> Work:
        """Return all parts' work together, by coefficient."""
        total: dict[str, int | I64] = {}
        for part in self.parts:
            done = work(part, self.counts, self.aspect)
            assert done is not None, f"terms.yaml has no {part}"
            for name, count in done.items():
                total[name] = total[name] + count if name in total else count
        return total


@runtime_checkable
class TimedMode(Protocol):
    """A mode whose syncs were timed part by part, wall and CPU apart; of others the same work has other prices."""

    def timed(
        self, kind: SyncKind, counts: SyncCounts, wanted: Collection[str] = EVERY_PART, *, cpu: bool = False
    ) -> Timed:
        """Return the ``wanted`` parts of a sync of ``kind``; ``cpu`` asks for those of its CPU time."""
        ...


def cpu_work(mode: Mode, kind: SyncKind, counts: SyncCounts, work: Work | None = None) -> Work:
    """Return the work that a sync's CPU time is priced by; a mode that was not timed part by part has one for both.

    ``work`` is that one, where it has been counted already.
    """
    if isinstance(mode, TimedMode):
        return mode.timed(kind, counts, cpu=True).work
    return work or mode.sync_work(kind, counts)


def named(counts: SyncCounts, more: Mapping[str, int | I64]) -> Counts:
    """Return what every sync counts by the names of ``terms.yaml``, and ``more`` that a mode counts."""
    return {
        "one": 1,
        "services": counts.service_ports,
        "endpoints": counts.endpoints,
        "dispatch": counts.dispatch,
        "changed": counts.changed_services - counts.gone_services,
        "changed_rules": counts.changed_own,
        "conntrack_entries": counts.conntrack_listed,
        "conntrack_runs": counts.conntrack_runs,
        **more,
    }


def steps_of_searches(n: int | I64, of: str) -> int | I64:
    """Return the steps of ``n`` searches of a list of ``n`` chains or rules, times two; a long list's count double.

    The list is walked from its head, so as soon as it is longer than what the processor's caches hold, each step has to
    wait [A39].

    >>> int(steps_of_searches(10, "chains")), int(steps_of_searches(20_000, "chains"))
    (100, 700000000)
    """
    near = int(load_defaults().value(f"searched_lists.{of}"))
    far: I64 = np.maximum(n * n - near * near, 0)
    return n * n + far


def kinds(counts: SyncCounts, full: Bools) -> Iterator[tuple[SyncKind, Bools]]:
    """Yield each kind that any sync is of, and which syncs those are, (lanes,)."""
    changed, gone, new = counts.changed_services, counts.gone_services, counts.new_services
    left = np.ones(len(full), np.bool_)
    for kind, which in (
        (SyncKind.START, lambda: counts.fresh > 0),
        (SyncKind.RESTART, lambda: counts.first > 0),
        (SyncKind.FULL, lambda: full),
        (SyncKind.NOTHING, lambda: changed == 0),
        (SyncKind.DELETE, lambda: changed == gone),
        (SyncKind.ADD, lambda: changed == new),
        (SyncKind.PARTIAL, lambda: True),
    ):
        chosen = which() & left
        if chosen.any():
            yield kind, chosen
            left = left & ~chosen
            if not left.any():
                return


def parts_of(kind: SyncKind, names: Sequence[str], wanted: Collection[str], *, cpu: bool) -> list[str]:
    """Return the names of parts that are ``wanted``; Go's CPU time has terms of its own.

    Where a sync that writes a part of the rules is asked for what writes them, ``REWRITTEN`` goes with it.
    """
    asked = ["go cpu" if cpu and name == "go" else name for name in names if name in wanted]
    writes = kind in (SyncKind.PARTIAL, SyncKind.ADD) and not {"restore", "sync"}.isdisjoint(asked)
    return [*asked, REWRITTEN] if writes else asked
