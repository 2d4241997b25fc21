"""The rule of an Ingress that a host and a path match, and the service port it leads to.

A host that some rule names is matched by that rule's paths alone; else by those of ``*.`` and the host without its
first label; else by those without a host.  Of several paths the longest wins, of equal ones Exact before Prefix, then
the one read first.  A path of type ImplementationSpecific is a prefix letter by letter, as it is to ingress-nginx.
Source: kubernetes/website concepts/services-networking/ingress.md; ingress-nginx internal/ingress/controller.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kpsim.cluster.columns import Cluster
from kpsim.kube.objects import Ingress, IngressBackend, IngressPath

NOWHERE = -1  # as a service port


@dataclass(frozen=True, slots=True)
class Match:
    """The Ingress that decides about a request; ``path`` is ``None`` for a default backend, ``host`` the rules' own."""

    ingress: Ingress
    backend: IngressBackend
    path: IngressPath | None

    @property
    def service(self) -> str:
        """Return the Service it leads to, as ``namespace/name``."""
        return f"{self.ingress.namespace}/{self.backend.service}"


def of_class(ingresses: Iterable[Ingress], class_name: str) -> tuple[Ingress, ...]:
    """Return the Ingresses that a controller of this class serves; "" serves any."""
    return tuple(each for each in ingresses if not class_name or each.class_name == class_name)


def matches(at: IngressPath, path: str) -> bool:
    """Return True if ``path`` of a request is matched: Exact, element by element, or letter by letter.

    >>> at = IngressPath(IngressBackend("web", 80), "/shop", "Prefix")
    >>> [matches(at, path) for path in ("/shop", "/shop/", "/shop/cart", "/shopping")]
    [True, True, True, False]
    """
    if at.path_type == "Exact":
        return path == at.path
    if at.path_type == "ImplementationSpecific":
        return path.startswith(at.path)
    prefix = at.path.rstrip("/")
    return path == prefix or path.startswith(f"{prefix}/")


def rules_of_host(ingresses: Iterable[Ingress], host: str) -> tuple[str, list[tuple[Ingress, IngressPath]]]:
    """Return (the host of the rules that decide about ``host``, their paths); no paths where no rule is about it."""
    every = [(each, at) for each in ingresses for at in each.paths]
    _, dot, parent = host.partition(".")
    for asked in (host, f"*.{parent}" if dot else "", ""):
        found = [(each, at) for each, at in every if at.host == asked]
        if found:
            return asked, found
    return "", []


def route(ingresses: Sequence[Ingress], host: str, path: str) -> Match | None:
    """Return the rule or default backend that a request meets; ``None`` where it meets the controller's own 404."""
    _, rules = rules_of_host(ingresses, host.lower())
    found = [(each, at) for each, at in rules if matches(at, path)]
    if found:
        best = max(found, key=lambda rule: (len(rule[1].path.rstrip("/")), rule[1].path_type == "Exact"))
        return Match(best[0], best[1].backend, best[1])
    owners = [each for each, _ in rules]
    alone = [each for each in ingresses if not each.paths]
    return next((Match(each, each.default, None) for each in (*owners, *alone) if each.default), None)


def service_port(cluster: Cluster, service: str, backend: IngressBackend) -> int:
    """Return the service port's row in ``cluster``, or NOWHERE if there is no such Service or port."""
    rows = cluster.rows_of(service)
    if not rows:
        return NOWHERE
    for q in range(int(cluster.port_offset[rows.start]), int(cluster.port_offset[rows.stop])):
        named = bool(backend.port_name) and cluster.port_name[q] == backend.port_name
        if named or (backend.port and int(cluster.port_number[q]) == backend.port):
            return q
    return NOWHERE


def backends(ingresses: Iterable[Ingress]) -> tuple[Match, ...]:
    """Return where requests go, a path a row; an Ingress without any path counts with its default backend."""
    found = []
    for each in ingresses:
        found += [Match(each, at.backend, at) for at in each.paths]
        if not each.paths and each.default:
            found.append(Match(each, each.default, None))
    return tuple(found)
