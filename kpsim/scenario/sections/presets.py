"""Services of well-known load tests as shorthand: ``services: [{preset: cl2-load, nodes: 5000}]``.

A preset stands for groups, and is written out as groups wherever a scenario is written back.  It says which Services
exist when a test has created everything; how fast the test creates, resizes and deletes them is for ``changes`` to say.

- ``cl2-load``: clusterloader2's load test.  Namespaces of 100 nodes, 30 Pods a node, a quarter of them in Deployments
  of 250, a quarter of 30, half of 5; one Deployment of each size makes way for a Job, one of 30 and one of 5 for
  StatefulSets with headless Services; half of the Deployments have a Service.  Left-over nodes get no namespace.
- ``huge-service``: one Service, 1,000 endpoints unless it says otherwise.
- ``node-density``: kube-burner's node-density-cni.  A Service with one endpoint for each pair of server and client Pod
  that brings every node to 245 Pods; a namespace for each 1,000.
- ``cluster-density``: kube-burner's cluster-density-v2.  Five Services with two ports and two endpoints in each of as
  many namespaces as there are nodes.

Source: kubernetes/perf-tests clusterloader2/testing/load/config.yaml and testing/huge-service;
kube-burner/kube-burner-ocp cmd/config/node-density-cni and cmd/config/cluster-density-v2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from kpsim.cluster.params import EndpointCount, ServiceGroup
from kpsim.documents import Key
from kpsim.errors import GuardError
from kpsim.scenario.complaints import Complaints
from kpsim.scenario.schema import Preset

MOST_GROUPS = 100_000
NODES_PER_NAMESPACE = 100
PODS_PER_NODE = 30
BIG, MEDIUM, SMALL = 250, 30, 5  # Pods of a Deployment

BURNER_PODS_PER_NODE = 245
ITERATIONS_PER_NAMESPACE = 1000

Groups = Iterator[ServiceGroup]


def preset_groups(part: Preset, nodes: int, key: Key, complaints: Complaints) -> list[ServiceGroup]:
    """Return the groups a preset stands for, in a cluster of ``nodes`` unless the preset says for how many."""
    preset = PRESETS[part.preset]
    for name in ("nodes", "endpoints", "iterations"):
        if getattr(part, name) is not None and name not in preset.sized_by:
            what = f"the preset {part.preset} is not sized by {name}"
            complaints.problem((*key, name), what, f"it takes {' or '.join(preset.sized_by)}", on_key=True)
    groups = list(islice(preset.groups(part, part.nodes or nodes), MOST_GROUPS + 1))
    if len(groups) > MOST_GROUPS:
        raise GuardError(f"the preset {part.preset} stands for more than {MOST_GROUPS:,} groups of Services")
    return groups


def _group(name: str, count: int, endpoints: int, namespace: str, *, headless: bool = False, ports: int = 1) -> Groups:
    if count:
        mean = EndpointCount(mean=float(endpoints))
        yield ServiceGroup(name, count, mean, namespace=namespace, headless=headless, ports=ports)


def _cl2_load(part: Preset, nodes: int) -> Groups:
    del part
    each = min(nodes, NODES_PER_NAMESPACE)
    pods = each * PODS_PER_NODE
    big = max(pods // (4 * BIG) - 1, 0)  # one of each size is a Job
    medium = max(pods // (4 * MEDIUM) - 2, 0)  # and one of these a StatefulSet
    small = max(pods // (2 * SMALL) - 2, 0)
    for number in range(1, nodes // each + 1):
        namespace = f"cl2-load-{number}"
        yield from _group("big-service", (big + 1) // 2, BIG, namespace)
        yield from _group("medium-service", (medium + 1) // 2, MEDIUM, namespace)
        yield from _group("small-service", (small + 1) // 2, SMALL, namespace)
        yield from _group("medium-statefulset", 1, MEDIUM, namespace, headless=True)
        yield from _group("small-statefulset", 1, SMALL, namespace, headless=True)


def _huge_service(part: Preset, nodes: int) -> Groups:
    del nodes
    yield from _group("huge-service", 1, part.endpoints or 1000, "default")


def _node_density(part: Preset, nodes: int) -> Groups:
    left = nodes * BURNER_PODS_PER_NODE // 2 if part.iterations is None else part.iterations
    for number in range(1, -(-left // ITERATIONS_PER_NAMESPACE) + 1):
        yield from _group("webserver", min(left, ITERATIONS_PER_NAMESPACE), 1, f"node-density-{number}")
        left -= ITERATIONS_PER_NAMESPACE


def _cluster_density(part: Preset, nodes: int) -> Groups:
    for number in range(1, (part.iterations or nodes) + 1):
        yield from _group("cluster-density", 5, 2, f"cluster-density-{number}", ports=2)


@dataclass(frozen=True, slots=True)
class _LoadTest:
    """A load test becomes groups, sized by these fields."""

    groups: Callable[[Preset, int], Groups]
    sized_by: tuple[str, ...]


PRESETS = {
    "cl2-load": _LoadTest(_cl2_load, ("nodes",)),
    "huge-service": _LoadTest(_huge_service, ("endpoints",)),
    "node-density": _LoadTest(_node_density, ("nodes", "iterations")),
    "cluster-density": _LoadTest(_cluster_density, ("nodes", "iterations")),
}
