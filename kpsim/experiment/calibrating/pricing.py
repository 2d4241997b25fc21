"""Each sync's work is counted as the mode counts it, from as much as its reading says, and priced by a profile.

A partial sync's own lines say what it wrote, and a full one's how many rules there are.  Where neither is known,
Services are taken as ClusterIP ones of one port, all with endpoints.  Where nothing says what a partial sync changed,
one Service is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import log

from kpsim.calibration.readings import SyncReading
from kpsim.calibration.scatter import assumed_scatter
from kpsim.experiment.calibrating.observed import Cluster, Hints
from kpsim.experiment.validation.sizes import Size, counts, mode_of
from kpsim.profiles.costs import CostProfile, Costs
from kpsim.profiles.defaults import load_defaults
from kpsim.proxy.contract import Mode, SyncCounts, SyncKind
from kpsim.scenario.model import ProfileChoice
from kpsim.units import Version

FIRST, FULL, PARTIAL = "first", "full", "partial"
_KINDS = {each.value: each for each in SyncKind}
SPARED_SINCE: Version = (1, 25)  # large clusters look for stale chains once a syncPeriod
SHOWS_WRITTEN: Version = (1, 27)  # the metric of all rules shows those of the last sync (kubernetes issue 118978)
WHOLE, MOST_OF = 0.9, 0.5  # a sync that wrote so much of the most is full; the most must be so much of what is expected
EMPTY = "of an IP family that has no Services"
UNCOUNTED = "how many Services and endpoints there were is not said: give --services and --endpoints"


@dataclass(frozen=True, slots=True)
class Priced:
    """A sync, its kind, size (``rules`` or servers there), work by coefficient, and the time the profile says [s]."""

    reading: SyncReading
    kind: str
    services: float
    endpoints: float
    rules: float
    work: Mapping[str, float]
    predicted_s: float


@cache
def _counts(family: str, services: float, endpoints: float) -> Mapping[str, float]:
    """Return the counts of a size of which one Service changes; a log has few sizes and many syncs."""
    return counts(family, Size(services, endpoints, 1.0))


def costs_of(profile: CostProfile, family: str) -> Costs:
    """Return the costs of a family as scenarios take them where they say nothing else."""
    usual = ProfileChoice()
    return profile.costs(family, usual.set, usual.cache_warmth)


def priced(
    readings: Iterable[SyncReading], cluster: Cluster, hints: Hints, profile: CostProfile
) -> tuple[list[Priced], list[str]]:
    """Return every sync that can be priced, and a sentence for each reason why others cannot."""
    mode, costs = mode_of(cluster.family, cluster.version), costs_of(profile, cluster.family)
    sized = [_sized(each, cluster, hints, mode) for each in readings]
    known = [each for each in sized if each.services and each.endpoints is not None]
    left: list[str] = []
    for reason, number in (
        (EMPTY, sum(each.times for each in sized if each.services == 0)),
        (UNCOUNTED, sum(each.times for each in sized if each.services != 0) - sum(each.times for each in known)),
    ):
        left += [f"{number:,} sync{'s' * (number > 1)} left out: {reason}"] if number else []
    kinds = list(_kinds(known, cluster, mode))
    whole = [each for each, kind in zip(known, kinds, strict=True) if kind != PARTIAL and each.written]
    found = []
    for each, kind in zip(known, kinds, strict=True):
        rules, work = _work(each, kind, cluster, mode, whole)
        size = each.services or 0.0, each.endpoints or 0.0, rules
        found.append(Priced(each, kind, *size, work, _seconds(costs, work)))
    return found, left


def _seconds(costs: Costs, work: Mapping[str, float]) -> float:
    return sum(count * costs.coefficients[name].value for name, count in work.items())


def _sized(reading: SyncReading, cluster: Cluster, hints: Hints, mode: Mode) -> SyncReading:
    """Return a reading with its Services and endpoints: as said, as the user says, else as its rules let them be."""
    services = reading.services if reading.services is not None else hints.services
    endpoints = reading.endpoints if reading.endpoints is not None else hints.endpoints
    constant = float(mode.rules_present(0, 0))
    if cluster.version == SHOWS_WRITTEN and reading.present is not None:
        reading = replace(reading, written=reading.present, present=None)
    if reading.present is not None and (services is None or endpoints is None):
        if reading.present <= constant:
            return replace(reading, services=0.0, endpoints=0.0)
        one, two = (_counts(cluster.family, 1.0, n) for n in (1.0, 2.0))
        an_endpoint = two["changed_rules"] - one["changed_rules"]
        a_service = one["changed_rules"] - an_endpoint + one["dispatch"]
        each = assumed_scatter("endpoints_a_service")
        rules = reading.present - constant
        if services is None:  # a partial sync wrote one rule a Service, and a changed Service's own beside them
            few = a_service + each * an_endpoint
            services = max(reading.written - constant - few, 1.0) if reading.written else rules / few
        if endpoints is None:
            endpoints = max((rules - services * a_service) / an_endpoint, 0.0)
    return replace(reading, services=services, endpoints=endpoints)


def _kinds(readings: Sequence[SyncReading], cluster: Cluster, mode: Mode) -> Iterator[str]:
    """Yield the kind of each sync: as it says, as its release must, else by how much it wrote."""
    always = mode.runner(cluster.version).full_s is None
    most = max((each.written or 0.0 for each in readings), default=0.0)
    for each in readings:
        expected = _counts(cluster.family, each.services or 0.0, each.endpoints or 0.0)["rules"]
        written = each.written or 0.0
        if each.first:
            yield FIRST
        elif each.full is not None and not always:
            yield FULL if each.full else PARTIAL
        else:
            whole = written > WHOLE * most and most > MOST_OF * expected > 0
            yield FULL if always or each.after_failure or whole else PARTIAL


def _work(
    reading: SyncReading, kind: str, cluster: Cluster, mode: Mode, whole: Sequence[SyncReading]
) -> tuple[float, dict[str, float]]:
    """Return the rules there are, and how often a sync pays each coefficient."""
    n, endpoints = reading.services or 0.0, reading.endpoints or 0.0
    found = _counts(cluster.family, n, endpoints)
    dispatch, own, changed_own = found["dispatch"], n * found["changed_rules"], found["changed_rules"]
    constant = float(mode.rules_present(0, 0))
    if cluster.family.startswith("iptables"):
        present = reading.present or (reading.written if kind != PARTIAL else _present(reading, whole, cluster.family))
        if reading.written and kind == PARTIAL:
            dispatch = min(dispatch, max(reading.written - constant, 0.0))
            changed_own = max(reading.written - constant - dispatch, 0.0)
        own = max(present - constant - dispatch, 0.0) if present else own
    each = max(own / n, 1.0) if n else 1.0
    large = endpoints > load_defaults().value("kube_proxy.large_cluster_endpoints") and cluster.version >= SPARED_SINCE
    asked = SyncCounts(
        service_ports=round(n),
        endpoints=round(endpoints),
        dispatch=round(dispatch),
        own=round(own),
        changed_services=max(round(changed_own / each), 1),
        changed_own=round(changed_own),
        endpoint_changes=1,
        cleanup=1,
        changed_dispatch=max(round(changed_own / each), 1),
    )
    share = reading.cleanup if large else 1.0
    wanted = _KINDS.get("restart" if kind == FIRST else kind, SyncKind.FULL)
    with_it, without = mode.sync_work(wanted, asked), mode.sync_work(wanted, replace(asked, cleanup=0))
    work = {name: share * float(count) + (1 - share) * float(without.get(name, 0)) for name, count in with_it.items()}
    rules = float(mode.rules_present(asked.dispatch, asked.own))
    return rules, {name: count for name, count in work.items() if count}


def _present(reading: SyncReading, whole: Sequence[SyncReading], family: str) -> float | None:
    """Return the rules that stand there in a partial sync: as the full sync nearest in size wrote, in proportion."""

    def expected(each: SyncReading) -> float:
        return max(_counts(family, each.services or 0.0, each.endpoints or 0.0)["rules"], 1.0)

    mine = expected(reading)
    near = min(whole, key=lambda each: abs(log(expected(each) / mine)), default=None)
    return None if near is None or near.written is None else near.written * mine / expected(near)
