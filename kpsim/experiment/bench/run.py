"""One calibration of this host, from the plan to the profile."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import perf_counter, process_time
from typing import Any

from kpsim.calibration.bench.session import measure, refusal
from kpsim.errors import GuardError
from kpsim.experiment.bench.host import kernel, machine, processor, tools
from kpsim.experiment.bench.profile import SOURCE, Compared, Ratio, Row, against, compared, document, unsteady
from kpsim.experiment.bench.rules import FULL, QUICK, plan
from kpsim.profiles.costs import CostProfile, load_profile

WHOLE_S, QUICK_S = 46.0, 16.0  # for measuring, with the rules that are made before
TOTAL_S = 50.0  # for all; what is left of a minute is for starting and for writing files
FITS_CPU_S = 3.0  # of a processor of 2025
MOST_SHARED = 8.0  # times; where more want the cores, a minute is not kept
PACKETS_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class Benched:
    """A host's profile as a document, the rows behind it, and whatever could not be measured, with the reasons."""

    document: Mapping[str, Any]
    rows: Sequence[Row]
    compared: Sequence[Compared]
    missing: Sequence[tuple[str, str]]
    warnings: Sequence[str]
    base: CostProfile

    def against_base(self) -> list[tuple[str, str, int, float]]:
        """Return (mode, packets or commands, rows, measured time over what the other profile says), medians."""
        return [
            (mode, "packets" if packets else "commands", len(ratios), Ratio.of(ratios).median)
            for (mode, packets), ratios in against(self.compared, self.base).items()
        ]

    def taken(self) -> dict[str, tuple[int, int]]:
        """Return by family how many coefficients were measured, and how many are the other profile's."""
        return {
            family: (n := sum(each["source"] == SOURCE for each in coefficients.values()), len(coefficients) - n)
            for family, coefficients in self.document["families"].items()
        }


def bench(name: str, base: str, says: Callable[[str], None], *, quick: bool = False) -> Benched:
    """Measure this host and return its profile, called ``name``; ``says`` hears of the progress.

    Raises :class:`GuardError` where nothing can be measured.
    """
    if why := refusal():
        raise GuardError(f"kpsim calibrate bench cannot measure here: {why}")
    load = os.getloadavg()[0]
    other, began_s, cpu_s = load_profile(base), perf_counter(), process_time()
    says("rules are written")
    wanted = plan(QUICK if quick else FULL, 0.0, 0.0)
    took_s = perf_counter() - began_s
    shared = took_s / max(process_time() - cpu_s, took_s / MOST_SHARED)  # how many times as long everything takes here
    whole_s = min(QUICK_S if quick else WHOLE_S, TOTAL_S - FITS_CPU_S * shared) - took_s
    found = measure(replace(wanted, whole_s=whole_s, packets_s=whole_s * PACKETS_SHARE), says)
    says("coefficients are fitted")
    about = (
        f"Linux {kernel()}, {processor()}, {', '.join(tools())}; kpsim calibrate bench, {datetime.now(UTC):%Y-%m-%d}."
    )
    said = (
        f"measured on this host, Linux {kernel()}, medians of {len(found.rows):,} rows of packets and commands in "
        "network namespaces; least squares on relative error, intervals by resampling sizes and stretches of time"
    )
    beside = compared(found.rows, other)
    made = document(found.rows, beside, other, name, about, machine(), said)
    return Benched(made, found.rows, beside, found.missing, list(_warnings(found.modules, load, beside)), other)


def _warnings(modules: Sequence[str], load: float, beside: Sequence[Compared]) -> Iterator[str]:
    if modules:
        yield f"the kernel has loaded {', '.join(modules)} for the rules, and keeps them"
    cores = os.cpu_count() or 1
    if load > cores:
        yield f"{load:.1f} processes wanted {cores} cores when it began: what others do here is in these numbers"
    for mode, off in unsteady(beside).items():
        timed = ", ".join(f"{name} {share:.0%}" for name, share in off.items())
        yield (
            f"{mode}: the largest size is far off what smaller ones say ({timed}): a busy host, or too few runs of each"
        )
