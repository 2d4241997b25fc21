"""Summaries of a quantity: estimates with their intervals, and the number of observations they rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

SLOW_LOOKUP_S = 1.0  # lookups that take longer are counted: only a lost answer or a queue takes so long


@dataclass(frozen=True, slots=True)
class Measure:
    """A quantity with its unit, the words a reader sees, and what is made of it beside its row in the tables.

    ``subject`` is what it tells of in a sentence ("first packets"), ``each`` what its observations are.  A measure that
    is ``compared`` has paired ratios between modes and a curve over a sweep's sizes; ``drawn`` names its file among the
    figures, a distribution mode by mode; ``reported_as`` names the measure that kube-proxy's own metric would show.
    """

    name: str
    unit: str
    title: str
    about: str
    subject: str = ""
    each: str = "observations"
    compared: bool = False
    drawn: str = ""
    note: str = ""  # below its figure
    reported_as: str = ""
    where: Literal["", "names", "ingress"] = ""  # observed only where clients look up names, or have an Ingress

    @property
    def told(self) -> str:
        """Return the subject of a sentence about the measure: its own, or else the title."""
        return self.subject or self.noun

    @property
    def noun(self) -> str:
        """Return the title as it stands within a sentence: "first-packet latency"."""
        return self.title if self.title[:2].isupper() else self.title[:1].lower() + self.title[1:]


MEASURES: dict[str, Measure] = {
    m.name: m
    for m in (
        Measure(
            "first_packet_latency",
            "s",
            "First-packet latency",
            "queue and rules of a connection's first packet",
            subject="first packets",
            each="connections",
            compared=True,
            drawn="latency",
            note="Includes the wait for the node's CPU.",
        ),
        Measure("later_packet_latency", "s", "Later-packet latency", "queue and conntrack path of every later packet"),
        Measure(
            "dns_latency",
            "s",
            "DNS latency",
            "from a client's lookup of a Service's name to its answer",
            where="names",
        ),
        Measure(
            "dns_latency_absolute",
            "s",
            "DNS latency with absolute names",
            "the same lookups, had every client written the last dot",
            where="names",
        ),
        Measure(
            "connection_latency",
            "s",
            "Connection latency",
            "the lookup of the name, and the first packet",
            where="names",
        ),
        Measure(
            "ingress_latency",
            "s",
            "Ingress latency",
            "from a request's arrival at the Ingress controller to its answer, without the Pod's own work",
            subject="requests through the Ingress",
            each="requests",
            where="ingress",
            drawn="ingress",
            note="Includes the wait for the controller's cores and tries at Pods that are gone.",
        ),
        Measure(
            "ingress_programming",
            "s",
            "Ingress programming latency",
            "from the change of a Pod's readiness to the lists of each of the Ingress controller's workers",
            subject="changes in the controller's lists",
            where="ingress",
        ),
        Measure(
            "network_programming_true",
            "s",
            "Network programming latency, true",
            "from the change of a Pod's readiness to the rules in force, each change on each node",
            subject="changes in force",
            compared=True,
            reported_as="network_programming_reported",
        ),
        Measure(
            "network_programming_reported",
            "s",
            "Network programming latency, as kube-proxy reports it",
            "from the trigger-time annotation (whole seconds, minimum of a batch, none for deletions)",
        ),
        Measure(
            "sync_duration",
            "s",
            "Sync duration",
            "one kube-proxy sync, start to rules in force",
            subject="syncs",
            compared=True,
        ),
        Measure("sync_duration_full", "s", "Sync duration, full", "a full sync", subject="full syncs"),
        Measure("sync_duration_partial", "s", "Sync duration, partial", "a partial sync"),
    )
}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval; ``low`` and ``high`` are ``None`` where the sample gives no interval.

    ``at_least`` says that too much was unfinished when the run was over: the true value is this, or larger.
    """

    value: float
    low: float | None = None
    high: float | None = None
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """One measure under one mode.

    ``quantiles`` holds only what the sample supports, keyed "p50", "p90", "p99", "p99.9".  ``batches`` is how many
    groups of observations the intervals rest on.  Percentiles are of the ``n`` that were over and the ``unfinished``.
    """

    measure: str
    unit: str
    n: int
    mean: Estimate
    min: float
    max: float
    quantiles: Mapping[str, Estimate]
    batches: int
    unfinished: int = 0
    max_at_least: bool = False

    def statistic(self, name: str) -> Estimate | None:
        """Return the estimate named "mean", "min", "max" or a percentile; ``None`` if the sample is too small."""
        if name == "mean":
            return self.mean
        if name in ("min", "max"):
            return Estimate(float(getattr(self, name)), at_least=name == "max" and self.max_at_least)
        return self.quantiles.get(name)
