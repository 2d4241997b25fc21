"""A set-up's counts, as the modes count: so many Services of so many endpoints, on a node that has none of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import log2

import numpy as np

from kpsim.cluster.columns import ServiceColumns
from kpsim.proxy.contract import Mode
from kpsim.proxy.counts import EndpointCounts
from kpsim.proxy.params import ProxyParams
from kpsim.proxy.registry import create
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
def _rules(family: str, endpoints: int) -> tuple[float, float]:
    """Return what one Service of a port and so many endpoints is: dispatch rules, and all others."""
    one, none, no = np.ones(1, np.int64), np.zeros(1, np.int64), np.zeros(1, bool)
    columns = ServiceColumns(
        proxied=~no, headless=no, ports=one, external_ips=none, load_balancer_ips=none, source_ranges=none,
        node_ports=none, affinity=no, cluster_ip=np.ones(1, np.uint32), internal_local=no, external_local=no, udp=no,
        dual_stack=no, continued=no,
    )  # fmt: skip
    found = mode_of(family).rule_counts(columns, EndpointCounts.elsewhere(endpoints * one))
    return float(found.dispatch[0]), float(found.own[0])


def counts(family: str, size: Size) -> dict[str, float]:
    """Return the counts that ``terms.yaml`` multiplies; rules are linear in the endpoints, whatever their spread."""
    dispatch, own_first = _rules(family, 1)
    an_endpoint = _rules(family, 2)[1] - own_first
    a_service = own_first - an_endpoint
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
        "own": own,
        "rules": rules,
        "chains": own / 2 if nftables else n + all_endpoints,
        "listed": own / 2 + n,  # chains, and the map or set of each choice
        "objects": 2 * own + n * dispatch if nftables else rules,
        "changed": size.changed,
        "changed_rules": size.changed * (a_service + each * an_endpoint),
        "doublings": log2(each) if each >= 1 else 0.0,
        "tried": (each - 1) * (each + 2) / (2 * each) if each >= 1 else 0.0,  # rule i after i misses, the last untried
        "rank": 0.0,
        "lost": 0.0,
        "runs": 0.0,
        "reads": 0.0,
        "saves": 0.0,
        "saved": 0.0,
        "lists": 0.0,
    }
