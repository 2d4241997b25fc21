"""The process that measures: ``python -m kpsim.calibration.bench.worker`` reads a plan and prints what it found.

It has its own network, mounts and process numbers.  It dies with the one that started it, and all that it started
dies with it: there is nothing left to tidy up.  Each line printed is JSON: ``{"row": …}``, ``{"says": …}`` for people
who wait, or ``{"missing": …, "why": …}``.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import statistics
import sys
from collections.abc import Sequence
from time import perf_counter
from typing import Any

from kpsim.calibration.bench.namespaces import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    Namespace,
    Refused,
    die_with_parent,
    unshare,
)
from kpsim.calibration.bench.packets import Walkers, added_by_python_ns, rounds
from kpsim.calibration.bench.plan import Plan, Updates, Walk
from kpsim.calibration.bench.town import build
from kpsim.calibration.bench.updates import Visited, measure

PACKET_RUNS = 4  # stretches of time, each with its own percentiles: an interval is made of how far they differ
FEWEST = 4  # samples, below which there is no 10th percentile
_PRIVATE = 1 << 18 | 1 << 14  # MS_PRIVATE, MS_REC
_ASPECTS = {"wall": ("s", "wall_s"), "user": ("s", "user_s"), "sys": ("s", "sys_s"), "rss_kb": ("KiB", "rss_kib")}


def main() -> None:
    """Measure in a process that is the first of its own process numbers."""
    began_s = perf_counter()
    die_with_parent(int(sys.argv[1]))
    plan = Plan.of(sys.stdin.buffer.read())
    unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID)
    reader, writer = os.pipe()
    inner = os.fork()
    if inner:
        raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1]))
    os.close(writer)
    die_with_parent(0)  # seen from in here, whoever is outside has no number
    if select.select([reader], [], [], 0)[0]:
        os._exit(1)  # the end of the pipe says that the one outside is gone already
    _own_mounts()
    _all(plan, began_s)


def _own_mounts() -> None:
    """Put a /proc of its own over the host's, and an empty /run: a kube-proxy may hold the lock of iptables there."""
    libc = ctypes.CDLL(None, use_errno=True)
    for given in (
        (b"none", b"/", None, _PRIVATE, None),
        (b"none", b"/run", b"tmpfs", 0, b"size=1m"),
        (b"none", b"/proc", b"proc", 0, None),
    ):
        if libc.mount(*given):
            raise OSError(ctypes.get_errno(), "mount: " + os.strerror(ctypes.get_errno()))


def _all(plan: Plan, began_s: float) -> None:
    """Send packets before, between and after the commands, so that a slow moment of the host is one of several."""
    smallest = {each.mode: each for each in reversed(plan.updates)}
    gone = {mode for mode, each in smallest.items() if _missing(each)}
    walkers = [made for walk in plan.walks if walk.mode not in gone and (made := _walkers(walk))]
    modes = [mode for mode in dict.fromkeys(each.mode for each in plan.updates) if mode not in gone]
    sizes = [[each for each in plan.updates if each.mode == mode] for mode in modes]
    runs = PACKET_RUNS if sizes else 1
    visits_s = max(plan.whole_s - plan.packets_s - (perf_counter() - began_s), 0.0)
    visits, found = measure(sizes, visits_s), list[Visited]()
    for run in range(runs):
        if walkers:
            _packets(walkers, plan.packets_s / runs, run)
        if run < runs - 1:
            _tell(says=f"{', '.join(modes)}: commands for {visits_s / (runs - 1):.0f} s")
            until_s = perf_counter() + visits_s / (runs - 1)
            for found in visits:  # noqa: B007 - what has been visited is told in the end
                if perf_counter() > until_s:
                    break
    for each in walkers:
        each.close()
    _tell_updates(sizes, found)


def _walkers(walk: Walk) -> Walkers | None:
    """Return a town with a walk's rules in which a packet arrives; ``None`` after it was said why there is none."""
    if why := _absent({*walk.tools, *(each.command[0] for each in walk.inputs)}):
        _tell(missing=walk.mode, why=why)
        return None
    _tell(says=f"{walk.mode}: {walk.services:,} Services for packets")
    town = build()
    try:
        for each in walk.inputs:
            town.node.run(each.command, each.text)
        made = Walkers.of(walk, town)
        made.round()
        made.delivered()
    except (OSError, Refused) as refused:
        _tell(missing=f"packets under {walk.mode}", why=f"its rules are refused: {refused}")
        town.close()
        return None
    return made


def _missing(smallest: Updates) -> str:
    """Return why a mode cannot be measured here, and say it; "" if its rules are taken."""
    why = _refusal(smallest)
    if why:
        _tell(missing=smallest.mode, why=why)
    return why


def _absent(tools: set[str]) -> str:
    absent = sorted(tool for tool in tools if not shutil.which(tool))
    return f"{', '.join(absent)} {'is' if len(absent) == 1 else 'are'} not installed" if absent else ""


def _refusal(smallest: Updates) -> str:
    if why := _absent({each.command[0] for each in (*smallest.inputs, *(step.run for step in smallest.steps))}):
        return why
    inside = Namespace.make()
    try:
        for each in (*smallest.inputs, smallest.steps[0].run):
            inside.run(each.command, each.text)
    except Refused as refused:
        return f"its rules are refused: {refused}"
    finally:
        inside.close()
    return ""


def _packets(walkers: list[Walkers], seconds: float, run: int) -> None:
    _tell(says=f"packets for {seconds:.0f} s")
    added_ns = added_by_python_ns(walkers[0].town)
    rounds(walkers, seconds)
    for each in walkers:
        for (quantity, target), samples in each.samples.items():
            row = _row(each.walk.mode, each.walk.services, quantity, "ns", [sample - added_ns for sample in samples])
            at = {"endpoints": target.endpoints, "position": target.position, "rules_traversed": target.rank}
            _tell(row=row | at | {"run": run})


def _tell_updates(modes: Sequence[Sequence[Updates]], found: Sequence[Visited]) -> None:
    for each in found:
        size = each.size
        for quantity, taken in each.samples.items():
            for aspect, (unit, name) in _ASPECTS.items():
                values = [float(getattr(sample, name)) for sample in taken]
                row = _row(size.mode, size.services, f"{quantity}.{aspect}", unit, values)
                _tell(row=row | {"endpoints": size.endpoints, "position": "-", "rules_traversed": size.rules})
    seen = [each.size for each in found]
    for sizes in modes:
        left = [f"{each.services:,} x {each.endpoints}" for each in sizes if each not in seen]
        if left:
            _tell(
                missing=f"{sizes[0].mode} with {', '.join(left)} endpoints",
                why="they would take more than their share of the time",
            )


def _row(mode: str, services: int, quantity: str, unit: str, values: list[float]) -> dict[str, object]:
    tenth = statistics.quantiles(values, n=10)[0] if len(values) >= FEWEST else min(values)
    middle = statistics.median(values)
    return {
        "kernel": os.uname().release, "mode": mode, "services": services, "quantity": quantity, "unit": unit,
        "n_samples": len(values), "p10": float(f"{max(tenth, 0):.6g}"), "p50": float(f"{max(middle, 0):.6g}"),
    }  # fmt: skip


def _tell(**said: Any) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        main()
    except PermissionError as error:
        _tell(refused=f"{error.strerror}; it needs CAP_SYS_ADMIN and CAP_NET_ADMIN, in a container --privileged")
        raise SystemExit(1) from None
    except (OSError, Refused) as error:
        _tell(refused=str(error))
        raise SystemExit(1) from None
