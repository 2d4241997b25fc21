"""Metrics with their samples, as the catalogue has them for a mode and a Kubernetes version.

A metric without labels is there from the start, with 0; one with labels has a series only once something was set,
counted or observed, and is left out while it has none.  That is how kube-proxy's client library does it.  On a
dual-stack node both families count in the same series where there is no label to tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kpsim.profiles.metrics import Catalogue, Metric
from kpsim.scrape.proxier import Proxier
from kpsim.scrape.quantities import QUANTITIES, Reading
from kpsim.units import Version, to_ns

IP_FAMILY = "ip_family"


@dataclass(frozen=True, slots=True)
class Sample:
    """One number of a metric; ``suffix`` is empty, or tells it from the metric's other ones."""

    suffix: str
    labels: Mapping[str, str]
    value: float | int  # counts of a histogram are integers


@dataclass(frozen=True, slots=True)
class Family:
    """One metric as it is shown; a counter's name comes without ``_total``, which its samples have."""

    name: str
    type: str
    help: str
    samples: tuple[Sample, ...]


def families_of(catalogue: Catalogue, mode: str, version: Version, proxiers: Sequence[Proxier]) -> Iterator[Family]:
    """Yield the metric families that kube-proxy shows, by name; ``proxiers`` are those of its IP families."""
    for metric in catalogue.registered(mode, version):
        labels = catalogue.labels(metric, version)
        readings: Sequence[Reading] = ()
        if metric.quantity and metric.counts(mode, version):
            readings = _readings(metric, IP_FAMILY in labels, proxiers)
        if not labels:
            readings = readings or (Reading(),)
        samples = tuple(sample for reading in readings for sample in _samples(metric, labels, reading))
        if samples:
            name = catalogue.prefix + metric.name
            yield Family(
                name.removesuffix("_total") if metric.type == "counter" else name,
                metric.type,
                f"[{catalogue.stability}] {metric.help}" + (f" Simulated: {metric.note}." if metric.note else ""),
                samples,
            )


def _readings(metric: Metric, by_family: bool, proxiers: Sequence[Proxier]) -> Sequence[Reading]:
    """Return every family's readings; where no label tells families apart, as they come to stand in one series."""
    found = []
    merged: dict[tuple[tuple[str, str], ...], Reading] = {}
    for proxier in sorted(proxiers, key=lambda each: each.ip_family if by_family else each.last_end_ns):
        for reading in QUANTITIES[metric.quantity](proxier):
            if by_family:
                labels = {IP_FAMILY: proxier.ip_family, **reading.labels}
                found.append(Reading(reading.value, labels, reading.observed_ns))
            else:
                key = tuple(reading.labels.items())
                merged[key] = _merged(metric, merged[key], reading) if key in merged else reading
    return found or list(merged.values())


def _merged(metric: Metric, one: Reading, other: Reading) -> Reading:
    """Two families' readings in one series; ``other`` is of the family that synced last."""
    values = {"sum": one.value + other.value, "max": max(one.value, other.value), "last": other.value}
    observed_ns = np.concatenate([one.observed_ns, other.observed_ns])
    return Reading(values[metric.families], other.labels, observed_ns)


def not_simulated(catalogue: Catalogue, mode: str, version: Version) -> tuple[str, ...]:
    """Return the metrics that kube-proxy has and that are not shown, or always 0."""
    return tuple(catalogue.prefix + m.name for m in catalogue.registered(mode, version) if not m.quantity)


def _samples(metric: Metric, labels: Sequence[str], reading: Reading) -> Iterator[Sample]:
    values = {label: reading.labels[label] for label in labels}
    if metric.type == "histogram":
        yield from _histogram(metric, values, reading)
    else:
        yield Sample("_total" if metric.type == "counter" else "", values, float(reading.value))


def _histogram(metric: Metric, labels: Mapping[str, str], reading: Reading) -> Iterator[Sample]:
    """Cumulative counts by upper bound, then the sum and the count."""
    observed = np.sort(reading.observed_ns)
    for bound in metric.bounds:
        count = int(np.searchsorted(observed, to_ns(bound), side="right"))
        yield Sample("_bucket", {**labels, "le": _number(bound)}, count)
    yield Sample("_bucket", {**labels, "le": "+Inf"}, len(observed))
    yield Sample("_sum", labels, int(observed.sum()) / 1e9)
    yield Sample("_count", labels, len(observed))


def _number(bound: float) -> str:
    """Return a bound as OpenMetrics wants it: a float, with its point."""
    return repr(float(bound))
