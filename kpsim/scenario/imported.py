"""A scenario that stands alone, made of real objects: what ``kpsim import`` prints for a user to edit."""

from __future__ import annotations

from pathlib import Path

from kpsim.scenario.reader import read
from kpsim.scenario.resolved import write_resolved

__all__ = ["scenario_document"]

COMMENTS = {
    "  kubernetes:": "which modes and defaults there are",
    "  cluster:": "nodes and address ranges, as far as the objects show them",
    "  services:": "groups to grow beside the real Services, e.g. - {name: more, count: 1000, endpoints: 5}",
    "  kubeProxy:": "a KubeProxyConfiguration; paste the cluster's own",
    "  compare:": "the same arrivals and changes for each of these modes",
    "  traffic:": "an assumption: measure it, e.g. from the node's conntrack counters",
    "  changes:": "an assumption: how many Pods come and go",
    "  run:": "simulated time, and how often",
    "  thresholds:": 'objectives, e.g. network_programming_true: ["p99 < 10s"]',
    "  objects:": "the cluster's own objects, one a line",
}


def scenario_document(objects_path: Path) -> str:
    """A commented scenario, with everything that was read written into it.

    Raises
    ------
    InputError
        if the objects cannot be read, or the API server would refuse them.
    """
    path = Path(objects_path)
    scenario = read(path)
    objects = scenario.objects
    heading = [
        f"Made from {_plain(path.name)}: {len(objects.services):,} Services, {len(objects.slices):,} EndpointSlices,",
        f"{len(objects.pods):,} Pods, {len(objects.workloads):,} workloads, {len(objects.nodes):,} Nodes.",
        *(f"Note: {_plain(warning)}" for warning in scenario.warnings),
    ]
    lines = [f"# {line}" for line in heading]
    for line in write_resolved(scenario).splitlines():
        start = next((key for key in COMMENTS if line.startswith(key)), None)
        if start:
            lines.append(f"  # {COMMENTS[start]}")
        lines.append(line)
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
