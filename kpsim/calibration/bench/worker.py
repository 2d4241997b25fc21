"""The process that measures: ``python -m kpsim.calibration.bench.worker`` reads a plan and prints what it found.

It has its own network, mounts and process numbers.  It dies with the one that started it, and all that it started
dies with it: there is nothing left to tidy up.  Each line printed is JSON: ``{"row": …}``, ``{"says": …}`` for people
who wait, or ``{"missing": …, "why": …}``.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
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
from kpsim.calibration.bench.plan import Input, Plan, Target, Updates
from kpsim.calibration.bench.tools import Timed
from kpsim.calibration.bench.town import build
from kpsim.calibration.bench.updates import measure

FEWEST = 4  # samples, below which there is no 10th percentile
_PRIVATE = 1 << 18 | 1 << 14  # MS_PRIVATE, MS_REC
_ASPECTS = {"wall": ("s", "wall_s"), "user": ("s", "user_s"), "sys": ("s", "sys_s"), "rss_kb": ("KiB", "rss_kib")}


def main() -> None:
    """Measure in a process that is the first of its own process numbers."""
    die_with_parent(int(sys.argv[1]))
    plan = Plan.of(sys.stdin.read())
    unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID)
    inner = os.fork()
    if inner:
        raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1]))
    die_with_parent(0)  # seen from in here, whoever is outside has no number
    _own_mounts()
    _all(plan)


def _own_mounts() -> None:
    """Put an empty /run over the host's, whose lock of iptables its kube-proxy may hold, and a /proc of what is here."""
    libc = ctypes.CDLL(None, use_errno=True)
    for given in (
        (b"none", b"/", None, _PRIVATE, None),
        (b"none", b"/run", b"tmpfs", 0, b"size=1m"),
        (b"none", b"/proc", b"proc", 0, None),
    ):
        if libc.mount(*given):
            raise OSError(ctypes.get_errno(), "mount: " + os.strerror(ctypes.get_errno()))


def _all(plan: Plan) -> None:
    there = {each.mode: why for each in plan.updates if (why := _missing(each))}
    for mode, why in there.items():
        _tell(missing=mode, why=why)
    walkers: list[Walkers] = []
    for walk in plan.walks:
        if walk.mode not in there:
            town = build()
            _tell(says=f"{walk.mode}: {walk.services:,} Services for packets")
            try:
                for each in walk.inputs:
                    town.node.run(each.command, each.text)
                made = Walkers.of(walk, town)
                made.round()
                made.delivered()
            except Refused as refused:
                _tell(missing=f"packets under {walk.mode}", why=str(refused))
                town.close()
                continue
            walkers.append(made)
    if walkers:
        _packets(walkers, plan.packets_s * len(walkers))
    for mode in dict.fromkeys(each.mode for each in plan.updates):
        if mode not in there:
            _updates([each for each in plan.updates if each.mode == mode], plan.commands_s)


def _missing(smallest: Updates) -> str:
    """Return why a mode cannot be measured here; "" if its rules are taken."""
    wanted = {each.command[0] for each in (*smallest.inputs, *(step.run for step in smallest.steps))}
    absent = sorted(tool for tool in wanted if not shutil.which(tool))
    if absent:
        return f"{', '.join(absent)} {'is' if len(absent) == 1 else 'are'} not installed"
    inside = Namespace.make()
    try:
        for each in (*smallest.inputs, smallest.steps[0].run):
            inside.run(each.command, each.text)
    except Refused as refused:
        return f"its rules are refused: {refused}"
    finally:
        inside.close()
    return ""


def _packets(walkers: list[Walkers], seconds: float) -> None:
    _tell(says=f"packets for {seconds:.0f} s, through {', '.join(each.walk.mode for each in walkers)}")
    added_ns = added_by_python_ns(walkers[0].town)
    rounds(walkers, seconds)
    for each in walkers:
        for (quantity, target), samples in each.samples.items():
            taken = [sample - added_ns for sample in samples]
            _row(each.walk.mode, each.walk.services, target.endpoints, target.position, quantity, "ns", target.rank, taken)
        each.close()


def _updates(sizes: Sequence[Updates], seconds: float) -> None:
    mode = sizes[0].mode
    _tell(says=f"{mode}: commands on up to {sizes[-1].services:,} Services, for {seconds:.0f} s")
    found = measure(sizes, seconds)
    for size, samples in found:
        for quantity, taken in samples.items():
            for aspect, (unit, name) in _ASPECTS.items():
                values = [float(getattr(each, name)) for each in taken]
                _row(mode, size.services, size.endpoints, "-", f"{quantity}.{aspect}", unit, size.rules, values)
    if len(found) < len(sizes):
        left = ", ".join(f"{each.services:,}" for each in sizes[len(found) :])
        _tell(missing=f"{mode} with {left} Services", why="it would have taken more than its share of a minute")


def _row(
    mode: str, services: int, endpoints: int, position: str, quantity: str, unit: str, rules: int, values: list[float]
) -> None:
    tenth = statistics.quantiles(values, n=10)[0] if len(values) >= FEWEST else min(values)
    _tell(
        row={
            "kernel": os.uname().release, "mode": mode, "services": services, "endpoints": endpoints,
            "position": position, "quantity": quantity, "unit": unit, "n_samples": len(values),
            "p10": f"{max(tenth, 0.0):.6g}", "p50": f"{max(statistics.median(values), 0.0):.6g}", "rules_traversed": rules,
        }
    )  # fmt: skip


def _tell(**said: Any) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        main()
    except (OSError, Refused) as error:
        _tell(refused=str(error))
        raise SystemExit(1) from None
