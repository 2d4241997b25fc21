"""A request for a host and path, explained: the rule that it meets, the Service port, the hop's cost, the way on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kpsim.cluster.columns import Cluster
from kpsim.errors import InputError, Place, Problem, did_you_mean
from kpsim.explain.service import PortExplanation, explain_service
from kpsim.explain.subject import entrances, find_service
from kpsim.ingress.params import IngressParams
from kpsim.ingress.routing import NOWHERE, Match, matches, of_class, route, rules_of_host, service_port
from kpsim.kube.objects import Ingress, IngressBackend
from kpsim.measure.summary import Estimate
from kpsim.profiles.defaults import load_defaults
from kpsim.scenario.model import Scenario
from kpsim.simulation import build_cluster


@dataclass(frozen=True, slots=True)
class RequestStory:
    """A request's way through an Ingress controller, in sentences; ``port`` tells how a ClusterIP sends it on."""

    headline: str
    way_in: tuple[str, ...]
    rules: tuple[str, ...]
    verdict: str
    endpoints: tuple[str, ...]
    costs: tuple[str, ...]
    expected_s: Estimate | None
    port: PortExplanation | None
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def explain_request(scenario: Scenario, url: str, node: str = "") -> RequestStory:
    """Explain a request for ``host/path``; ``node`` is the controller's, where that matters.

    Raises :class:`InputError` if there is no Ingress at all, or the URL has no host.
    """
    params = scenario.ingress or IngressParams()
    taken = of_class(scenario.objects.ingresses, params.class_name)
    host, path = _parts(url)
    if not taken:
        what = "no Ingress was read" + (f" of class {params.class_name}" if params.class_name else "")
        raise InputError([Problem(Place(), key="HOST/PATH", what=what, mend="name a file with Ingress objects by -f")])
    cluster, warnings = build_cluster(scenario)
    found = route(taken, host, path)
    q = NOWHERE if found is None else service_port(cluster, found.service, found.backend)
    to_pods = params.to == "Pods"
    port, pods = None, 0
    endpoints: tuple[str, ...] = ()
    if found is not None and q != NOWHERE:
        subject = find_service(scenario, cluster, found.service)
        endpoints = (f"{len(subject.of_port(q).pods):,} ready: {subject.addresses(q)}",) if subject.pods else ()
        pods = len(subject.of_port(q).pods)
        told = explain_service(scenario, found.service, node).ports
        port = None if to_pods or not told else told[q - subject.ports.start]
    served = pods > 0
    expected = _expected() if served else None
    return RequestStory(
        headline=f"A request for http://{host}{path}",
        way_in=tuple(_way_in(scenario, cluster, params)),
        rules=tuple(_rules(taken, host, path, found)),
        verdict=_verdict(found, q, pods, to_pods, cluster),
        endpoints=endpoints,
        costs=tuple(_costs(expected, to_pods)) if expected else (),
        expected_s=expected,
        port=port,
        notes=tuple(_notes(params)) if served and to_pods else (),
        warnings=tuple(w for w in warnings if "Ingress" in w or (found is not None and found.service in w)),
    )


def _parts(url: str) -> tuple[str, str]:
    """Return (host, path) of a URL; the scheme, a port and a query are not looked at."""
    rest = url.partition("://")[2] or url
    host, slash, path = rest.partition("/")
    host = host.partition("?")[0].partition(":")[0].lower()
    if not host or any(letter.isspace() for letter in url):
        problem = Problem(Place(), key="HOST/PATH", what=f"{url[:60]!r} has no host", mend="e.g. shop.example.com/cart")
        raise InputError([problem])
    return host, f"{slash or '/'}{path.partition('?')[0].partition('#')[0]}"


def _way_in(scenario: Scenario, cluster: Cluster, params: IngressParams) -> Iterator[str]:
    """Yield how a client outside comes to the controller."""
    if not cluster.rows_of(params.service):
        yield f"The controller's own Service {params.service} was not read: how clients reach it is not told."
        return
    subject = find_service(scenario, cluster, params.service)
    yield f"The client connects to Service {params.service}, type {subject.type}; kube-proxy picks a controller Pod:"
    for q in subject.ports[:1]:
        yield from entrances(subject, q, "the source is kept", "such a packet is masqueraded")


def _rules(taken: Sequence[Ingress], host: str, path: str, found: Match | None) -> Iterator[str]:
    """Yield which rules are about the host, and which of their paths match."""
    asked, rules = rules_of_host(taken, host)
    names = ", ".join(dict.fromkeys(f"{each.namespace}/{each.name}" for each, _ in rules))
    if not rules:
        yield f"no rule is about host {host}{_near(taken, host)}"
    elif asked:
        by = "names it" if asked == host else "stands for it, because no rule names it"
        yield f"host {host}: {asked} {by}, in Ingress {names}"
    else:
        yield f"host {host}: no rule names it, so those without a host decide, in Ingress {names}{_near(taken, host)}"
    for each, at in rules:
        mark = "matches" if matches(at, path) else "does not match"
        if found is not None and found.path is at:
            mark += ", and wins"
        yield f"  {at.path_type} {at.path} -> {each.namespace}/{_backend(at.backend)}: {mark}"
    winners = [at for _, at in rules if matches(at, path)]
    if len(winners) > 1:
        yield "the longest path wins, of equal ones Exact before Prefix"
    if rules and not winners:
        yield f"no path of that host matches {path}"
    if found is not None and found.path is None:
        yield f"the default backend of Ingress {found.ingress.namespace}/{found.ingress.name} takes it"


def _near(taken: Sequence[Ingress], host: str) -> str:
    hosts = sorted({at.host for each in taken for at in each.paths} - {""})
    mend = did_you_mean(host, hosts)
    return f" ({mend or 'there are ' + ', '.join(hosts[:5])})" if hosts else ""


def _backend(backend: IngressBackend) -> str:
    return f"{backend.service or 'a resource'}:{backend.port_name or backend.port}" if backend.service else "a resource"


def _verdict(found: Match | None, q: int, pods: int, to_pods: bool, cluster: Cluster) -> str:
    if found is None:
        return "no rule and no default backend: the controller answers 404 itself"
    where = f"Service {found.service}"
    if not found.backend.service:
        return "its backend is no Service: which answer there is, the controller knows alone"
    if q == NOWHERE:
        what = f"has no port {found.backend.port_name or found.backend.port}" if cluster.rows_of(found.service) else ""
        return f"{where} {what or 'is not there'}: the controller answers 503"
    if not pods:
        how = "503" if to_pods else "502 or 504, as kube-proxy's rules reject or drop"
        return f"{where} has no endpoint that is ready: the controller answers {how}"
    name = cluster.port_name[q]
    port = f"port {cluster.port_number[q]}" + (f" ({name})" if name else "")
    on = "straight to one of its Pods, past kube-proxy" if to_pods else "to its ClusterIP, where kube-proxy chooses"
    return f"{where}, {port}: {on}"


def _expected() -> Estimate:
    """Return what the hop costs a request that waits for no other [s]: its work, and two round trips to a Pod."""
    work, trip = (load_defaults().coefficients[f"ingress.{name}"] for name in ("request", "round_trip"))
    ends = [getattr(work, bound) + 2 * getattr(trip, bound) for bound in ("value", "low", "high")]
    return Estimate(*ends)


def _costs(expected: Estimate, to_pods: bool) -> Iterator[str]:
    known = load_defaults().coefficients
    work, trip = known["ingress.request"], known["ingress.round_trip"]
    assert expected.low is not None
    assert expected.high is not None
    yield f"{1e6 * work.value:.3g} us of a core of the controller, [{1e6 * work.low:.3g}, {1e6 * work.high:.3g}]"
    yield f"two round trips to the Pod of {1e6 * trip.value:.3g} us, [{1e6 * trip.low:.3g}, {1e6 * trip.high:.3g}]"
    ends = f"[{1e3 * expected.low:.3g}, {1e3 * expected.high:.3g}]"
    more = "" if to_pods else ", and the rules that the ClusterIP costs below"
    yield f"together {1e3 * expected.value:.3g} ms {ends} without load{more}, before the Pod's own work [A36]"


def _notes(params: IngressParams) -> Iterator[str]:
    """Yield how far the controller's list is behind, and what it does about Pods that are gone."""
    defaults = load_defaults()
    between_s = 1 / (params.syncs_per_s or defaults.value("ingress.syncs"))
    tick_s, sync_s = defaults.value("ingress.tick"), defaults.value("ingress.sync")
    yield (
        f"Its list of endpoints lags behind a change by the watch, up to {between_s:.2g} s between two syncs, "
        f"{1e3 * sync_s:.3g} ms for one, and up to {tick_s:g} s until a worker of NGINX looks."
    )
    tries, timeout_s = params.tries or round(defaults.value("ingress.tries")), defaults.value("ingress.connect_timeout")
    yield (
        f"A Pod that is gone refuses and another is tried, {tries} in all, then 502; one that is silent is waited for "
        f"{timeout_s:g} s, then 504."
    )
