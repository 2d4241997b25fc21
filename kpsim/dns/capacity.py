"""CoreDNS' memory and throughput in closed form, with the coefficients of ``kubernetes-defaults.yaml``.

Sources: coredns/deployment kubernetes/Scaling_CoreDNS.md; kubernetes/kubernetes
cluster/addons/dns-horizontal-autoscaler.
"""

from __future__ import annotations

import math

from kpsim.measure.summary import Estimate
from kpsim.profiles.defaults import load_defaults
from kpsim.profiles.format import Coefficient

ALONE = 1  # the autoscaler's minimum
WITHOUT_SINGLE_POINT = 2  # with preventSinglePointFailure, where there is more than one node


def memory_bytes(pods: int, services: int, *, autopath: bool = False) -> Estimate:
    """Memory of one CoreDNS replica that holds the records of so many Pods and Services [bytes]."""
    kind = "_autopath" if autopath else ""
    fixed, each = _number(f"memory{kind}"), _number(f"memory_object{kind}")
    objects = pods + services
    return Estimate(*(getattr(fixed, b) + getattr(each, b) * objects for b in ("value", "low", "high")))


def autoscaled_replicas(nodes: int, cores: int, *, prevent_single_point: bool = True) -> int:
    """Replicas that the proportional autoscaler gives CoreDNS; ``cores`` are those of all nodes together."""
    by_cores = math.ceil(cores / _number("cores_per_replica").value)
    by_nodes = math.ceil(nodes / _number("nodes_per_replica").value)
    least = WITHOUT_SINGLE_POINT if prevent_single_point and nodes > 1 else ALONE
    return max(by_cores, by_nodes, least)


def saturation_per_s(cores: int = 1, *, node_local: bool = False) -> Estimate:
    """Queries a second at which ``cores`` have no time left."""
    cost = _number("node_local_query" if node_local else "query")
    return Estimate(cores / cost.value, cores / cost.high, cores / cost.low)


def _number(name: str) -> Coefficient:
    return load_defaults().coefficients[f"dns.{name}"]
