"""Messages of a log become syncs: each source's own, and where the lines name it each IP family's own.

Up to 1.30 the lines of a node's two proxiers do not say which family they are of.  A sync's end is then paired with the
beginning that its duration leads back to; where two syncs are under way when counts are written, those are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from kpsim.calibration.logs import messages
from kpsim.calibration.logs.entries import Entry, entry_of
from kpsim.calibration.logs.texts import lines_of, refuse
from kpsim.calibration.readings import EARLIEST, LATEST, Observed, SyncReading
from kpsim.errors import Place
from kpsim.profiles.defaults import load_defaults
from kpsim.units import UnitError, Version, parse_duration

_METRICS = ("# HELP ", "# TYPE ", "kubeproxy_")
PAIRED_WITHIN_S = 1.0  # of the time that a sync's duration leads back to, its first line was written
_PROXIERS = 2  # of a process: one an IP family
DAMAGED = "a duration that cannot be read"
FAILED = "they failed, and say nothing of what a sync costs"
OTHER_RELEASE = "their kube-proxy was of another release than the newest there"
MINGLED = "two syncs ran at once, and before 1.31 no line says which family it is of"
_ASKED = "kube-proxy writes those from -v=2 on (in mode ipvs and on Windows from -v=4)"


@dataclass(slots=True)
class _Open:
    """A sync that has begun."""

    family: str
    at_s: float
    full: bool | None = None
    counts: dict[str, float | None] = field(default_factory=dict)
    failed: bool = False
    mingled: bool = False


@dataclass(slots=True)
class _Epoch:
    """A stretch of one source's lines that one release may have written, and the syncs in it."""

    version: Version | None = None
    since: Version = EARLIEST
    until: Version = LATEST
    readings: list[SyncReading] = field(default_factory=list)

    def narrowed(self, entry: Entry) -> _Epoch:
        """Return the stretch with another line in it: a new one where no release wrote both.

        A release that is named holds whatever forms its lines have: distributions take changes over from later ones.
        """
        version, (since, until) = messages.version_in(entry), messages.releases_of(entry)
        if version:
            told = (self.version, self.version) if self.version else (self.since, self.until)
            return _Epoch(version, version, version, self.readings if told[0] <= version <= told[1] else [])
        if self.version:
            return self
        found = _Epoch(None, max(since, self.since), min(until, self.until), self.readings)
        return found if found.since <= found.until else _Epoch(None, since, until)

    def alike(self, other: _Epoch) -> bool:
        """Return True if one release may have written both."""
        return max(self.since, other.since) <= min(self.until, other.until)


@dataclass(slots=True)
class _Process:
    """One source's kube-proxy: its syncs under way, and its Services as far as lines add and remove them."""

    under_way: list[_Open] = field(default_factory=list)
    epochs: list[_Epoch] = field(default_factory=lambda: [_Epoch()])
    fresh: bool = False
    started: bool = False  # its beginning was seen, and with it all Services that were added
    synced: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    ports: set[tuple[str, bool]] = field(default_factory=set)
    cleaned_at_s: dict[str, float] = field(default_factory=dict)
    period_s: float = 0.0


@dataclass(slots=True)
class _Log:
    """Everything that was read so far of a log."""

    processes: dict[str, _Process] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    synced_by: set[str] = field(default_factory=set)  # modes that lines of syncs name

    def take(self, entry: Entry) -> None:
        """Take one message in."""
        process = self.processes.setdefault(entry.source, _Process())
        for pattern, act in _ACTS:
            if pattern.match(entry.message):
                self._date(process, entry)
                act(self, process, entry)
                return

    def _date(self, process: _Process, entry: Entry) -> None:
        """Narrow the mode and the releases that wrote this."""
        mode = messages.mode_in(entry)
        self.modes.update([mode] if mode else [])
        if mode and not messages.STARTED.match(entry.message):
            self.synced_by.add(mode)
        found = process.epochs[-1].narrowed(entry)
        if found.readings is process.epochs[-1].readings:
            process.epochs[-1] = found
        else:
            process.epochs.append(found)

    def newest(self) -> _Epoch:
        """Return the newest release's lines together, and count the syncs of others as left out."""
        epochs = [each for process in self.processes.values() for each in process.epochs if each.readings]
        kept = _Epoch()
        for each in sorted(epochs, key=lambda epoch: epoch.since, reverse=True):
            if kept.alike(each):
                since, until = max(kept.since, each.since), min(kept.until, each.until)
                kept = _Epoch(kept.version or each.version, since, until, kept.readings + each.readings)
            else:
                self.left_out[OTHER_RELEASE] += len(each.readings)
        return kept

    def start(self, process: _Process, entry: Entry) -> None:
        """Begin a process anew: its next sync of each family is its first."""
        if process.synced or not process.fresh:
            process.under_way.clear()
            process.synced.clear()
            process.failed.clear()
            process.ports.clear()
            process.cleaned_at_s.clear()
        process.fresh = process.started = True
        with suppress(UnitError):
            process.period_s = parse_duration(entry.values.get("syncPeriod"))

    def begin(self, process: _Process, entry: Entry) -> None:
        """Open a sync; one of the same family that never ended is forgotten."""
        family = str(entry.values.get("ipFamily", ""))
        under_way = [each for each in process.under_way if not family or each.family != family]
        process.under_way = under_way[-(_PROXIERS - 1) :]
        process.under_way.append(_Open(family, entry.at_s, messages.full_of(entry.values)))

    def write(self, process: _Process, entry: Entry) -> None:
        """Note how much a sync writes."""
        family = str(entry.values.get("ipFamily", ""))
        found = [each for each in process.under_way if each.family == family]
        if not found:
            found = [_Open(family, entry.at_s)]
            process.under_way.append(found[0])
        for each in found:
            each.mingled |= len(found) > 1
            each.counts = {
                name: messages.count_of(entry.values, key)
                for name, key in (
                    ("services", "numServices"),
                    ("endpoints", "numEndpoints"),
                    ("written", "numNATRules"),
                )
            }

    def fail(self, process: _Process, entry: Entry) -> None:
        """Note that a sync failed."""
        family = str(entry.values.get("ipFamily", ""))
        for each in process.under_way:
            each.failed |= not family or each.family == family

    def end(self, process: _Process, entry: Entry) -> None:
        """Make a reading of a sync that ended."""
        took = messages.took_s(entry)
        if took is None:
            self.left_out[DAMAGED] += 1
            return
        family = str(entry.values.get("ipFamily", ""))
        found = [each for each in process.under_way if each.family == family]
        sync = min(found, key=lambda each: abs(entry.at_s - took - each.at_s), default=None)
        if sync is None or (not family and abs(entry.at_s - took - sync.at_s) > max(took / 2, PAIRED_WITHIN_S)):
            sync = _Open(family, entry.at_s - took)
        process.under_way = [each for each in process.under_way if each is not sync]
        first = process.fresh and family not in process.synced and sync.full is not False
        after_failure = family in process.failed
        if not family and first:
            first = len(process.synced) < 1
        process.synced.add(family)
        process.failed.discard(family)
        if sync.failed:
            process.failed.add(family)
        if sync.failed or sync.mingled:
            self.left_out[FAILED if sync.failed else MINGLED] += 1
            return
        last_s = process.cleaned_at_s.get(family, -float("inf"))
        cleanup = abs(entry.at_s - last_s) > (process.period_s or load_defaults().value("kube_proxy.sync_period"))
        if cleanup:
            process.cleaned_at_s[family] = entry.at_s
        counts = {"services": _added(process, family), "endpoints": None, "written": None} | sync.counts
        process.epochs[-1].readings.append(
            SyncReading(
                took,
                full=sync.full,
                first=first,
                after_failure=after_failure,
                cleanup=float(cleanup),
                services=counts["services"],
                endpoints=counts["endpoints"],
                written=counts["written"],
            )
        )

    def add(self, process: _Process, entry: Entry) -> None:
        """Count a service port."""
        found = messages.ADDED.match(entry.message)
        name = (found["name"] if found else None) or str(entry.values.get("portName", ""))
        address = (found["at"] if found else None) or str(entry.values.get("servicePort", ""))
        process.ports.add((name, address.startswith("[") or address.count(":") > 1))

    def remove(self, process: _Process, entry: Entry) -> None:
        """Forget a service port."""
        found = messages.REMOVED.match(entry.message)
        name = (found["name"] if found else None) or str(entry.values.get("portName", ""))
        process.ports -= {(name, False), (name, True)}


_ACTS = (
    (messages.STARTED, _Log.start),
    (messages.BEGUN, _Log.begin),
    (messages.WRITTEN, _Log.write),
    (messages.FAILED, _Log.fail),
    (messages.ENDED, _Log.end),
    (messages.ADDED, _Log.add),
    (messages.REMOVED, _Log.remove),
)


def read_log(text: str, file: str) -> Observed:
    """Return the syncs in a log.  Raises :class:`InputError` where it has none, and says why."""
    log, entries = _Log(), 0
    for number, line in lines_of(text, file):
        if line.startswith(_METRICS):
            what = "metrics among the lines of a log" if entries else "metrics, not a log"
            refuse(Place(file, number, 1), what, "give logs and metrics as files of their own")
        entry = entry_of(line)
        if entry is not None:
            entries += 1
            log.take(entry)
    if not entries:
        what = "is no log of kube-proxy: klog wrote none of its lines"
        refuse(
            Place(file, 1, 1),
            what,
            "give what kubectl logs or journalctl prints of kube-proxy, or two scrapes of its /metrics",
        )
    newest = log.newest()
    if not newest.readings:
        reasons = f" ({'; '.join(_said(log))})" if log.left_out else ""
        what = f"{entries:,} lines of klog's, and none is of a sync that can be taken{reasons}"
        refuse(Place(file, 1, 1), what, f"{_ASKED}, each with how long it took")
    if len(log.synced_by) > 1:
        what = f"syncs of modes {' and '.join(sorted(log.synced_by))} in one log"
        refuse(Place(file, 1, 1), what, "give the lines of one mode")
    return Observed(
        file, "log", log.modes.most_common(1)[0][0] if log.modes else "", newest.version, newest.since, newest.until,
        tuple(newest.readings), tuple(_said(log)),
    )  # fmt: skip


def _added(process: _Process, family: str) -> float | None:
    """Return the service ports that lines added, of one family, or ``None`` where the first of them may be missing."""
    if not process.started:
        return None
    sixth = sum(1 for _, is_sixth in process.ports if is_sixth)
    fourth = len(process.ports) - sixth
    return float(sixth if family == "IPv6" else fourth or sixth) or None


def _said(log: _Log) -> Iterator[str]:
    for reason, count in log.left_out.most_common():
        yield f"{count:,} sync{'s' * (count > 1)} left out: {reason}"
    if log.left_out[OTHER_RELEASE]:
        yield "lines of several releases are in it: those of the newest are taken"
    sources = sum(1 for process in log.processes.values() if process.synced)
    if sources > 1:
        yield f"{sources} kube-proxies are in it, taken together as if their machines were alike"
