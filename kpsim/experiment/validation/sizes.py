"""A set-up's counts, as the modes count: so many Services of so many endpoints, on a node that has none of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import log2

import numpy as np

from kpsim.cluster.columns import ServiceColumns
from kpsim.proxy.contract import Mode, SyncCounts, SyncKind
from kpsim.proxy.counts import EndpointCounts
from kpsim.proxy.params import ProxyParams
from kpsim.proxy.registry import create
from kpsim.proxy.work import steps_of_searches
from kpsim.units import Version


@dataclass(frozen=True, slots=True)
class Size:
    """Services of one port on a node, and all their endpoints together."""

    services: float
    endpoints: float
    changed: float = 0.0

    @property
    def each(self) -> float:
        """Return the endpoints of a Service."""
        return self.endpoints / self.services if self.services else 0.0


def mode_of(family: str, version: Version = (1, 34)) -> Mode:
    """Return the mode that a family of a profile prices, "iptables-nft" or "ipvs"."""
    name, _, backend = family.partition("-")
    return create(ProxyParams(mode=name, kubernetes_version=version), backend or "legacy")


@cache
def _rules(family: str, endpoints: int, version: Version = (1, 34)) -> tuple[float, float]:
    """Return what one Service of a port and so many endpoints is: dispatch rules, and all others."""
    one, none, no = np.ones(1, np.int64), np.zeros(1, np.int64), np.zeros(1, bool)
    columns = ServiceColumns(
        proxied=~no, headless=no, ports=one, external_ips=none, load_balancer_ips=none, source_ranges=none,
        node_ports=none, affinity=no, cluster_ip=np.ones(1, np.uint32), internal_local=no, external_local=no, udp=no,
        dual_stack=no, continued=no,
    )  # fmt: skip
    found = mode_of(family, version).rule_counts(columns, EndpointCounts.elsewhere(endpoints * one))
    return float(found.dispatch[0]), float(found.own[0])


def _own(family: str, version: Version) -> tuple[float, float, float]:
    """Return the dispatch rules of a Service, its other rules, and those of an endpoint."""
    dispatch, first = _rules(family, 1, version)
    an_endpoint = _rules(family, 2, version)[1] - first
    return dispatch, first - an_endpoint, an_endpoint


def sync_counts(family: str, version: Version, size: Size, kind: SyncKind, *, looks: bool, swept: bool) -> SyncCounts:
    """Return what a sync of kube-proxy counts at this size; rules are linear in the endpoints, whatever their spread.

    ``looks``: for stale chains; ``swept``: chains of endpoints that went are deleted in it.
    """
    dispatch, a_service, an_endpoint = _own(family, version)
    n, changed = size.services, round(size.changed)
    return SyncCounts(
        service_ports=round(n),
        endpoints=round(size.endpoints),
        dispatch=round(n * dispatch),
        own=round(n * a_service + size.endpoints * an_endpoint),
        changed_services=max(changed, kind is SyncKind.DELETE),
        changed_own=round(changed * (a_service + size.each * an_endpoint)),
        endpoint_changes=changed if swept else 0,
        cleanup=int(looks),
        fresh=int(kind is SyncKind.START),
        first=int(kind in (SyncKind.START, SyncKind.RESTART)),
        gone_services=int(kind is SyncKind.DELETE),
        new_services=changed if kind is SyncKind.ADD else 0,
    )


def counts(family: str, size: Size) -> dict[str, float]:
    """Return the counts that ``terms.yaml`` multiplies, of packets and of commands by hand."""
    dispatch, a_service, an_endpoint = _own(family, (1, 34))
    n, all_endpoints = size.services, size.endpoints
    own = n * a_service + all_endpoints * an_endpoint
    rules = float(mode_of(family).rules_present(int(n * dispatch), int(own)))
    each = size.each
    nftables = family == "nftables"
    return {
        "one": 1.0,
        "services": n,
        "endpoints": all_endpoints,
        "dispatch": n * dispatch,
        "rules": rules,
        "chain_steps": float(steps_of_searches(int(n + all_endpoints), "chains")),
        "dispatch_steps": float(steps_of_searches(int(n * dispatch), "rules")),
        "objects": 2 * own + n * dispatch if nftables else rules,
        "changed": size.changed,
        "changed_rules": size.changed * (a_service + each * an_endpoint),
        "doublings": log2(each) if each >= 1 else 0.0,
        "tried": (each - 1) * (each + 2) / (2 * each) if each >= 1 else 0.0,  # rule i after i misses, the last untried
        "rank": 0.0,
        "saves": 0.0,
        "saved": 0.0,
    }
