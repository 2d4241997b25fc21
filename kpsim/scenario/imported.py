"""A scenario that stands alone, made of what a cluster gave: what ``kpsim import`` prints for a user to edit."""

from __future__ import annotations

from kpsim.scenario.kinds import Look
from kpsim.scenario.reader import read
from kpsim.scenario.resolved import write_resolved

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


def scenario_document(look: Look) -> str:
    """Return a commented scenario, with everything that was read written into it.

    Parameters
    ----------
    look
        what one cluster gave: objects, rules of its nodes, or directories of those; or one scenario.

    Raises
    ------
    InputError
        if something cannot be read, or the API server would refuse the objects.
    """
    scenario = read(look)
    objects = scenario.objects
    names = ", ".join(path.name for path in look.paths)
    heading = [
        f"Made from {_plain(names)}: {len(objects.services):,} Services, {len(objects.slices):,} EndpointSlices,",
        f"{len(objects.pods):,} Pods, {len(objects.workloads):,} workloads, {len(objects.nodes):,} Nodes.",
        *(_plain(note) for dump in look.dumps for note in dump.notes()),
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
