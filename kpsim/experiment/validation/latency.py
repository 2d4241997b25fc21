"""Churn on one node: how often kube-proxy syncs, and how long a change waits for the end of the sync that takes it.

The loop is kube-proxy's: up to 1.33 a sync begins no sooner than minSyncPeriod after the last began, from 1.34 on
after it ended; in between, changes wait and the first one that comes later is taken at once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kpsim.calibration.records import END_TO_END, Record
from kpsim.experiment.validation.setups import (
    CHURNED,
    FAMILIES,
    Question,
    Unspoken,
    endpoints_each,
    sync_question,
    told_release,
)
from kpsim.experiment.validation.sizes import Size
from kpsim.profiles.costs import CostProfile
from kpsim.profiles.terms import Part
from kpsim.rng import stream
from kpsim.units import F64, Version, parse_duration

SPACED_FROM_THE_END = (1, 34)
Price = Callable[[Question, CostProfile], float]
PARTS = ("go", "iptables", "save", "list", "restore")
WINDOW = 0.5  # syncs more than periods: the window begins with one
PERIODS = 10.0  # played one after another, so that chance is small
MOST_CHANGES = 1e5  # played at all
AS_SHIPPED = Size(1000, 5000)  # of the end-to-end runs, on kube-proxy 1.36


def syncs(changes_s: F64, spacing_s: float, sync_s: float, version: Version) -> tuple[F64, F64]:
    """Return when each sync began, and for each change how long it took to the end of its sync [s]."""
    began: list[float] = []
    waits = np.zeros(len(changes_s))
    free, k = 0.0, 0
    while k < len(changes_s):
        start = max(free, float(changes_s[k]))
        end = start + sync_s
        taken = int(np.searchsorted(changes_s, start, "right"))
        waits[k:taken] = end - changes_s[k:taken]
        began.append(start)
        free = max(end, start + spacing_s) if version < SPACED_FROM_THE_END else end + spacing_s
        k = taken
    return np.asarray(began), waits


def latency(record: Record, profile: CostProfile, price: Price) -> float:
    """Return the predicted number of a churn or end-to-end record.  Raises :class:`Unspoken` for other modes."""
    if record.mode not in FAMILIES[:3]:
        raise Unspoken(f"no syncs of {record.mode} are priced by parts")
    whole = record.study == END_TO_END
    version = (1, 36) if whole else told_release(record)
    n = record.number("services", AS_SHIPPED.services)
    each = AS_SHIPPED.each if whole else endpoints_each(record)
    rate = record.number("changes_per_s")
    spacing = parse_duration(record.setup.get("min_sync_period") or "1s")
    seconds = record.number("seconds", 60.0)
    periods = min(PERIODS, MOST_CHANGES / max(rate * seconds, 1.0))
    if n < 0 or spacing < 0 or round(rate * seconds * periods) < 1:
        raise Unspoken("no Services or no changes, so nothing to sync")
    changes = np.sort(stream(1, "churn").uniform(0.0, seconds * periods, round(rate * seconds * periods)))
    size = Size(n, n * each, min(max(rate * spacing, 1.0), n))
    took = price(sync_question(record.mode, version, size, CHURNED, PARTS, ""), profile)
    began, waits = syncs(changes, spacing, took, version)
    count = len(began) / periods + WINDOW
    if whole:
        waits = waits + price(Question((Part("control plane", record.mode),), {"one": 1.0}), profile)
    quantity = record.quantity
    if quantity.startswith(("lat_p", "p")):
        return float(np.percentile(waits, float(quantity.rpartition("p")[2].removesuffix("_s"))))
    if quantity in ("lat_mean_s", "metric_mean_s"):
        return float(waits.mean())
    if quantity == "syncs":
        return count
    if quantity == "sync_p50_s":
        return took
    if quantity in ("cpu_s", "child_cpu_s", "go_cpu_s"):
        parts = {"cpu_s": PARTS, "child_cpu_s": PARTS[1:], "go_cpu_s": PARTS[:1]}[quantity]
        asked = sync_question(record.mode, version, size, CHURNED, parts, "cpu")
        events = price(
            Question((Part("events", record.mode),), {"changes": rate * seconds, "syncs": count}, "cpu"), profile
        )
        return count * price(asked, profile) + (events if quantity != "child_cpu_s" else 0.0)
    if quantity == "rss_kb":
        return price(sync_question(record.mode, version, size, CHURNED, ("memory",), "rss_kb"), profile) / 1024
    raise Unspoken(
        "kube-proxy's own histogram rounds its trigger time to a second: kpsim run has it, not this closed form"
    )
