"""A Pod's lookup of a name is told step by step: each name tried, its question, its answer, its cost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kpsim.dns.caches import CacheTimes
from kpsim.dns.names import Answer, Zone, asked_for
from kpsim.dns.resolver import unloaded_s
from kpsim.dns.search import MOST_NDOTS, ResolvConf
from kpsim.dns.wire import PLAIN_BYTES, answer_bytes, truncated
from kpsim.errors import InputError, Place, Problem, nearest
from kpsim.explain.zone import Known, known_names
from kpsim.measure.summary import Estimate
from kpsim.profiles.defaults import load_defaults
from kpsim.scenario.model import Scenario

LABEL = re.compile(r"[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9])?", re.IGNORECASE)
NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
MOST_CHARS = 253
SHOWN = 4  # records of one answer


@dataclass(frozen=True, slots=True)
class NameTried:
    """One name tried: its questions, and their answers."""

    name: str
    queries: int
    answers: tuple[str, ...]
    found: bool


@dataclass(frozen=True, slots=True)
class LookupStory:
    """A lookup from its first query to its last answer, in sentences."""

    headline: str
    resolv_conf: tuple[str, ...]
    steps: tuple[NameTried, ...]
    verdict: str
    outcome: str  # found, "no data", NXDOMAIN or forwarded
    tries: int
    queries: int
    expected_s: Estimate
    costs: tuple[str, ...]
    notes: tuple[str, ...]


def explain_lookup(scenario: Scenario, name: str, namespace: str, ndots: int | None = None) -> LookupStory:
    """Explain how a Pod in ``namespace`` looks ``name`` up; ``ndots`` is the scenario's unless given.

    Raises
    ------
    InputError
        if one of them cannot be such a thing; a name that does not exist is explained.
    """
    params = scenario.dns
    dots = params.ndots if ndots is None else ndots
    _check(name, namespace, dots)
    known = known_names(scenario, namespace)
    domains = tuple(f"node-{i}.example" for i in range(params.node_domains))
    conf = ResolvConf.of_pod(namespace, node_domains=domains, ndots=dots, library=params.library)
    asked, kinds = asked_for(name)
    times = CacheTimes.of(params.ttl_s, node_local=params.node_local)
    last: tuple[Answer, ...] = ()
    every: list[Answer] = []
    steps, exchanges, upstream = [], [], 0
    for tried in conf.tries(asked):
        last = tuple(known.zone.answer(tried, kind) for kind in kinds)
        every += last
        found = any(_final(answer, asked) for answer in last)
        steps.append(NameTried(tried, len(kinds), tuple(_said(answer, times, asked) for answer in last), found))
        exchanges.append((1, len(kinds)))
        exchanges += [(2, 1) for answer in last if truncated(answer)]
        upstream += any(answer.outcome == "forwarded" for answer in last)
        if found or (conf.stops_without_address() and any(answer.outcome == "no data" for answer in last)):
            break
    expected = unloaded_s(exchanges, upstream=upstream)
    return LookupStory(
        headline=f"A Pod in namespace {namespace} looks up {name} ({conf.library}, ndots:{conf.ndots})",
        resolv_conf=(f"search {' '.join(conf.search)}", f"options ndots:{conf.ndots}"),
        steps=tuple(steps),
        verdict=_verdict(last, asked, known),
        outcome=next((a.outcome for a in last if a.outcome == "found"), last[0].outcome),
        tries=len(steps),
        queries=sum(queries for _, queries in exchanges),
        expected_s=expected,
        costs=tuple(_costs(exchanges, upstream, expected, params.node_local)),
        notes=tuple(_notes(steps, every, times, known.zone)),
    )


def _check(name: str, namespace: str, ndots: int) -> None:
    problems = []
    labels = name.removesuffix(".").split(".")
    if ":" not in name and (len(name) > MOST_CHARS or not all(LABEL.fullmatch(label) for label in labels)):
        mend = "letters, digits and '-' between dots, at most 63 in a row and 253 in all, e.g. web.default"
        problems.append(Problem(Place(), key="NAME", what=f"{name[:60]!r} is no name that DNS could hold", mend=mend))
    if not NAMESPACE.fullmatch(namespace):
        mend = "lower-case letters, digits and '-', e.g. default"
        what = f"{namespace[:60]!r} is not the name of a namespace"
        problems.append(Problem(Place(), key="--from-namespace", what=what, mend=mend))
    if not 0 <= ndots <= MOST_NDOTS:
        mend = f"0 to {MOST_NDOTS}; Pods have 5 unless dnsConfig says otherwise"
        problems.append(Problem(Place(), key="--ndots", what=f"resolv.conf has no ndots:{ndots}", mend=mend))
    if problems:
        raise InputError(problems)


def _final(answer: Answer, asked: str) -> bool:
    """Return True if the search ends here: an answer was found, or the name as asked went to the upstream."""
    as_asked = answer.name == asked.rstrip(".") and "." in answer.name
    return answer.outcome == "found" or (answer.outcome == "forwarded" and as_asked)


def _said(answer: Answer, times: CacheTimes, asked: str) -> str:
    """Return one question and its answer in a line."""
    kept = "" if not times.success_s else f"; the node keeps it {times.success_s:g} s"
    denied = "" if not times.denial_s else f"; the node keeps that {times.denial_s:g} s"
    match answer.outcome:
        case "NXDOMAIN":
            return f"{answer.kind}: NXDOMAIN, there is no such name (may be kept {times.record_s:g} s{denied})"
        case "no data":
            return f"{answer.kind}: the name is there, without such a record (may be kept {times.record_s:g} s{denied})"
        case "forwarded":
            whose = "outside the cluster, so CoreDNS asks its upstream"
            return f"{answer.kind}: {whose}" + ("" if answer.name == asked.rstrip(".") else ", NXDOMAIN as a rule")
    values = [f"{r.kind} {r.value}" if r.kind == "CNAME" else r.value for r in answer.records]
    more = f" and {len(values) - SHOWN:,} more" if len(values) > SHOWN else ""
    size = f"; {answer_bytes(answer):,} bytes do not fit into {PLAIN_BYTES}: asked again over TCP"
    large = size if truncated(answer) else ""
    return f"{answer.kind}: {', '.join(values[:SHOWN])}{more}, TTL {times.record_s:g} s{kept}{large}"


def _verdict(last: Sequence[Answer], asked: str, known: Known) -> str:
    found = next((answer for answer in last if answer.outcome == "found"), None)
    if found is not None:
        if found.records[0].kind == "CNAME":
            return f"=> another name: CoreDNS looks {found.records[0].value} up too and answers with what it finds"
        what = "addresses" if len(found.records) > 1 else "address"
        kind = "" if found.kind in ("A", "AAAA") else f"{found.kind} "
        records = "records" if len(found.records) > 1 else "record"
        return f"=> {found.name}: {len(found.records):,} {f'{kind}{records}' if kind else what}"
    labels = [label for label in asked.split(".") if not label.startswith("_")]
    service = f"{labels[1] if len(labels) > 1 else known.namespace}/{labels[0]}"
    if asked.startswith("_") and service in known.services():
        return f"=> no such record: Service {service} has no port of that name and protocol"
    near = _near(asked, known)
    hint = f"; did you mean {near}?" if near else ""
    if any(answer.outcome == "no data" for answer in last):
        return f"=> no answer: the name is there, but has nothing of what was asked{hint}"
    if last[0].outcome == "forwarded" and "." in asked.rstrip("."):
        return f"=> whatever the upstream says: no Service is called so, and outside kpsim knows no names{hint}"
    return f"=> NXDOMAIN: the lookup fails{hint}"


def _near(asked: str, known: Known) -> str:
    """Return a Service whose name is nearly the one asked for; "" if none is, or there is a good reason not to say."""
    labels = asked.rstrip(".").removesuffix(".cluster.local").removesuffix(".svc").split(".")
    here, space = labels[0], labels[1] if len(labels) > 1 else known.namespace
    names = known.services()
    elsewhere = (name for name in names if name.rpartition("/")[2] == here and len(labels) < 3)
    found = nearest(f"{space}/{here}", names, 0.75) or next(elsewhere, "")
    if not found or (found == f"{space}/{here}" and not asked.endswith(".")):
        return ""
    namespace, _, service = found.partition("/")
    if asked.endswith("."):
        return f"{service}.{namespace}.svc.cluster.local."
    return service if namespace == known.namespace else f"{service}.{namespace}"


def _costs(exchanges: Sequence[tuple[int, int]], upstream: int, expected: Estimate, node_local: bool) -> Iterator[str]:
    queries = sum(queries for _, queries in exchanges)
    tries = sum(trips == 1 for trips, _ in exchanges)
    asked = f"{queries} {'query' if queries == 1 else 'queries'}"
    yield f"{asked} in {'1 try' if tries == 1 else f'{tries} tries, one after another'}: {_ms(expected)}"
    if upstream:
        wait = "waits" if upstream == 1 else "wait"
        yield f"of which {upstream} {wait} for the upstream, unless CoreDNS has kept the answer"
    if node_local:
        yield f"{_ms(unloaded_s(exchanges, node_local=True))} when the node's cache has every answer"
    else:
        race = load_defaults().coefficients["dns.udp_race"]
        pairs = sum(trips == 1 and queries > 1 for trips, queries in exchanges)
        if pairs:
            value, low, high = (f"{100 * pairs * share:.2g}" for share in (race.value, race.low, race.high))
            share = f"{value} % of lookups [{low}, {high}]"
            wait = f"wait {load_defaults().value('dns.timeout'):g} s more"
            yield f"on kernels before 5.1 {share} {wait}, because conntrack drops one of a pair [A31]"


def _ms(found: Estimate) -> str:
    assert found.low is not None
    assert found.high is not None
    return f"{found.value * 1e3:.3g} ms [{found.low * 1e3:.3g}, {found.high * 1e3:.3g}] without load"


def _notes(steps: Sequence[NameTried], every: Sequence[Answer], times: CacheTimes, zone: Zone) -> Iterator[str]:
    if steps[-1].found and len(steps) > 1:
        saved = sum(step.queries for step in steps[:-1])
        yield f"Written {steps[-1].name}. with its last dot, it is the first name tried: {saved} queries fewer."
    service = _about(every, zone)
    if service:
        yield service
    if not times.success_s:
        yield "CoreDNS answers from memory and keeps no copies; a client may keep an answer as long as its TTL."
    if not any(step.found for step in steps):
        longest = max(times.denial_s, times.record_s)
        yield f"A Service of that name made now stays unknown for up to {longest:g} s to a cache that has asked before."


def _about(every: Sequence[Answer], zone: Zone) -> str:
    """Return a note on the Service found, if its endpoints are not ready; "" otherwise."""
    name = next((answer.service for answer in every if answer.service), "")
    namespace, _, bare = name.partition("/")
    found = zone.find(namespace, bare) if name else None
    kinds = {answer.kind for answer in every}
    if found is None or found.service.type == "ExternalName" or "PTR" in kinds:
        return ""
    ready = sum(endpoint.ready for endpoint in found.endpoints)
    if found.service.headless and not ready:
        return f"Service {name} is headless, and while none of its endpoints is ready its name is not there."
    if not found.service.headless and not ready:
        return f"Service {name} has no ready endpoint; its name is answered all the same, and connections to it fail."
    return ""
