"""Two scrapes of one kube-proxy's /metrics show the syncs between them: how many of each kind, and their mean time.

A counter that falls, or another start time, says that kube-proxy was started in between; then the second scrape counts
from that start.  Left out: everything that says nothing of syncs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite, log, sqrt

from kpsim.calibration.logs.texts import lines_of, refuse
from kpsim.calibration.readings import EARLIEST, LATEST, Observed, SyncReading
from kpsim.errors import MissingExtra, Place
from kpsim.profiles.defaults import load_defaults
from kpsim.profiles.metrics import load_catalogue
from kpsim.units import Version

_SYNC, _FULL, _PARTIAL = (f"sync_{kind}proxy_rules_duration_seconds" for kind in ("", "full_", "partial_"))
_RULES, _LAST = "sync_proxy_rules_iptables_total", "sync_proxy_rules_iptables_last"
_STAMP = "sync_proxy_rules_last_timestamp_seconds"
_SUFFIXES = ("_bucket", "_sum", "_count", "_total")
_OF_PROCESS = ("process_start_time_seconds", "process_cpu_seconds_total", "kubernetes_build_info")
_LINE = re.compile(r"[a-zA-Z_:][\w:]*(?:\{.*\})?\s+\S+(?:\s+-?[\d.]+)?(?:\s+# .*)?\s*")
MOST_SYNCS = 1e9  # of one process: more is damage
FAMILY_SINCE: Version = (1, 33)
HALF_A_BUCKET = log(2) / sqrt(12)  # spread within one, of those twice as wide as the one before

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Scrape:
    """One scrape: values by name without prefix and labels, and the names that it has series or types of."""

    file: str
    values: Mapping[tuple[str, Labels], float]
    names: frozenset[str]

    def value(self, name: str, **labels: str) -> float | None:
        """Return one series' value, or ``None`` where it is not there."""
        return self.values.get((name, tuple(sorted(labels.items()))))

    def series(self, name: str) -> Iterator[tuple[Labels, float]]:
        """Yield the series of a name."""
        return ((labels, value) for (found, labels), value in self.values.items() if found == name)


def read_scrape(text: str, file: str) -> Scrape:
    """Return one scrape.  Raises :class:`InputError` for a line that is none of the format's, or no kube-proxy's."""
    try:
        from prometheus_client.parser import text_string_to_metric_families as parsed
    except ImportError:
        raise MissingExtra("reading metrics needs prometheus-client: pip install 'kpsim[metrics]'") from None
    prefix = load_catalogue().prefix
    values: dict[tuple[str, Labels], float] = {}
    names: set[str] = set()
    for number, line in lines_of(text, file):
        if line.startswith("#"):
            words = line.split()
            if len(words) > 2 and words[1] == "TYPE":
                names.add(words[2].removeprefix(prefix))
            continue
        if not line.startswith((prefix, *_OF_PROCESS)):
            if not _LINE.fullmatch(line):
                refuse(Place(file, number, 1), "is no line of metrics", "give what GET /metrics of kube-proxy prints")
            continue
        try:
            (sample,) = (each for family in parsed(line.partition(" # ")[0] + "\n") for each in family.samples)
        except (ValueError, IndexError, KeyError):
            refuse(Place(file, number, 1), "is no metric and its value", "give the scrape as it was printed")
        name = sample.name.removeprefix(prefix)
        values[name, _labels(sample.labels)] = sample.value
        names.add(name)
    if not any(name.startswith("sync_") for name in names):
        what = "has no metric of kube-proxy's syncs"
        refuse(
            Place(file, 1, 1),
            what,
            "GET /metrics on port 10249 of a node: kube-proxy's own, not the kubelet's or a CNI's",
        )
    return Scrape(file, values, frozenset(names))


def _labels(found: Mapping[str, str]) -> Labels:
    """Return labels in order; a bucket's end as a number, which OpenMetrics writes otherwise ("1.0" for "1")."""
    try:
        ends = {"le": repr(float(found["le"]))} if "le" in found else {}
    except ValueError:
        ends = {}
    return tuple(sorted({**found, **ends}.items()))


@dataclass(slots=True)
class _Between:
    """Differences of counters between two scrapes; all of the second where kube-proxy was started in between."""

    one: Scrape
    two: Scrape
    restarted: bool = False
    notes: list[str] = field(default_factory=list)

    def grown(self, name: str, labels: Labels) -> float:
        """Return how far a counter got."""
        before = 0.0 if self.restarted else self.one.values.get((name, labels), 0.0)
        return self.two.values[name, labels] - before

    def order(self) -> None:
        """Put the earlier scrape first, and look for a start between them."""
        stamps = [max((value for _, value in each.series(_STAMP)), default=0.0) for each in (self.one, self.two)]
        starts = [each.value("process_start_time_seconds") or 0.0 for each in (self.one, self.two)]
        if stamps[0] > stamps[1] > 0:
            self._turn("by the time of its last sync")
        elif 0.0 in stamps and starts[0] > starts[1] > 0:
            self._turn("by the time of its kube-proxy's start")
        elif 0.0 in stamps and starts[0] == starts[1] > 0 and self._fell():
            self._turn("by its counts, which never fall in one process")
        starts = [each.value("process_start_time_seconds") or 0.0 for each in (self.one, self.two)]
        if self._fell() or (0.0 not in starts and starts[0] != starts[1]):
            self.restarted = True
            self.notes.append(
                "kube-proxy was started between the scrapes: the second one's counts since then are taken"
            )

    def _turn(self, why: str) -> None:
        self.one, self.two = self.two, self.one
        self.notes.append(f"{self.one.file} is the earlier scrape, {why}")

    def _fell(self) -> bool:
        """Return True if a counter is lower in the second scrape."""
        counters = (
            key
            for key in self.one.values
            if key[0].endswith(("_count", "_bucket", "_sum")) or key[0] == "process_cpu_seconds_total"
        )
        return any(self.two.values.get(key, 0.0) < self.one.values[key] for key in counters)

    def syncs(self, name: str) -> Iterator[tuple[Labels, float, float, float]]:
        """Yield labels, number, mean [s] and spread of the syncs of one histogram; series without one are left out."""
        for labels, _ in self.two.series(f"{name}_count"):
            count = self.grown(f"{name}_count", labels)
            if (f"{name}_sum", labels) in self.two.values and 1 <= count <= MOST_SYNCS:
                mean_s = self.grown(f"{name}_sum", labels) / count
                if isfinite(mean_s) and mean_s > 0:
                    yield labels, count, mean_s, self._spread(name, labels)

    def cleanups(self, labels: Labels, count: float) -> float:
        """Return the share of syncs that look for stale chains where that is done once a syncPeriod at most."""
        began_s, ended_s = (each.value(_STAMP, **dict(labels)) or 0.0 for each in (self.one, self.two))
        if self.restarted:
            began_s = self.two.value("process_start_time_seconds") or 0.0
        syncs = self.grown(f"{_SYNC}_count", labels) if (f"{_SYNC}_count", labels) in self.two.values else count
        periods = (ended_s - began_s) / load_defaults().value("kube_proxy.sync_period")
        return min(periods / max(syncs, 1.0), 1.0) if began_s and periods > 0 else 1.0

    def _spread(self, name: str, labels: Labels) -> float:
        """Return the standard deviation of the logarithm, by buckets; 0 where there are none."""
        below = sorted(
            (_bound(found), self.grown(f"{name}_bucket", found))
            for found, _ in self.two.series(f"{name}_bucket")
            if tuple(pair for pair in found if pair[0] != "le") == labels
        )
        total, last, previous = [], 0.0, 0.0
        for bound, count in below:
            middle = log(bound / sqrt(2)) if bound not in (0.0, float("inf")) else log(max(previous, 1e-3) * sqrt(2))
            total.append((middle, count - last))
            last, previous = count, bound
        n = sum(count for _, count in total)
        if n < 2:
            return 0.0
        mean = sum(middle * count for middle, count in total) / n
        return sqrt(sum(count * (middle - mean) ** 2 for middle, count in total) / (n - 1) + HALF_A_BUCKET**2)


def between(one: Scrape, two: Scrape) -> Observed:
    """Return the syncs between two scrapes.  Raises :class:`InputError` where there is none."""
    found = _Between(one, two)
    found.order()
    split = [*found.syncs(_FULL), *found.syncs(_PARTIAL)]
    readings = [
        _reading(found, at, name == _FULL if split else None)
        for name in ((_FULL, _PARTIAL) if split else (_SYNC,))
        for at in found.syncs(name)
    ]
    if not readings:
        what = "no sync ended between the two scrapes"
        refuse(
            Place(found.two.file, 1, 1),
            what,
            "scrape the same kube-proxy again later, after Services or endpoints have changed",
        )
    since, until = _releases(found.two)
    version = _version(found.two)
    cpu = None
    if ("process_cpu_seconds_total", ()) in found.two.values:
        cpu = found.grown("process_cpu_seconds_total", ())
    return Observed(
        f"{found.one.file} and {found.two.file}", "metrics", _mode(found.two), version, since, until, tuple(readings),
        tuple(found.notes), cpu,
    )  # fmt: skip


def _reading(found: _Between, at: tuple[Labels, float, float, float], full: bool | None) -> SyncReading:
    labels, count, mean_s, spread = at
    rules = {}
    for name in (_RULES, _LAST):
        rules[name] = found.two.value(name, table="nat", **dict(labels))
        if rules[name] is None:  # before 1.33 the two families share a series
            rules[name] = found.two.value(name, table="nat")
    present, last = rules[_RULES], rules[_LAST]
    partial_last = last is not None and present is not None and last < present and not full
    return SyncReading(
        mean_s, round(count), spread, full, first=found.restarted and count == 1 and full is True,
        written=last if partial_last else None, present=present, cleanup=found.cleanups(labels, count),
    )  # fmt: skip


def _bound(labels: Labels) -> float:
    try:
        return float(dict(labels).get("le", "inf"))
    except ValueError:
        return float("inf")


def _mode(scrape: Scrape) -> str:
    """Return the mode whose metrics these are; "" where they do not tell."""
    if any(True for _ in scrape.series(_RULES)):
        return "iptables"
    if any(name.startswith("sync_proxy_rules_nftables_") for name in scrape.names):
        by_mode = not any("iptables" in name for name in scrape.names)
        return "nftables" if by_mode else ""
    found = any(name.startswith(_FULL) for name in scrape.names) and not any("iptables" in n for n in scrape.names)
    return "nftables" if found else ""


def _version(scrape: Scrape) -> Version | None:
    for labels, _ in scrape.series("kubernetes_build_info"):
        major, dot, rest = dict(labels).get("git_version", "").removeprefix("v").partition(".")
        minor = rest.partition(".")[0]
        if dot and major.isdigit() and minor.isdigit():
            return int(major), int(minor)
    return None


def _releases(scrape: Scrape) -> tuple[Version, Version]:
    """Return the first and the last release that have such metrics."""
    stems = {name.removesuffix(suffix) for name in scrape.names for suffix in _SUFFIXES} | scrape.names
    since, until = EARLIEST, LATEST
    labelled = any(key == "ip_family" for _, labels in scrape.values for key, _ in labels)
    if labelled:
        since = FAMILY_SINCE
    elif any(name.startswith(_SYNC) for name, _ in scrape.values):
        until = FAMILY_SINCE[0], FAMILY_SINCE[1] - 1
    for metric in load_catalogue().metrics:
        if metric.name in stems and metric.since and until >= metric.since:
            alike = [other for other in load_catalogue().metrics if other.name == metric.name]
            since = max(since, min(other.since or EARLIEST for other in alike))
    return since, until
