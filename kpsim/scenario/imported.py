"""A scenario that stands alone, made of what a cluster gave: what ``kpsim import`` prints for a user to edit."""

from __future__ import annotations

from collections.abc import Sized

from kpsim.errors import InputError, Place, Problem
from kpsim.scenario.kinds import Look
from kpsim.scenario.reader import read
from kpsim.scenario.resolved import as_text, write_resolved
from kpsim.scenario.starts.anonymous import anonymous_document

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


def scenario_document(look: Look, *, anonymise: bool = False) -> str:
    """Return a commented scenario, with everything that was read written into it.

    Parameters
    ----------
    look
        what one cluster gave: objects, rules of its nodes, or directories of those; or one scenario.
    anonymise
        names, namespaces, addresses and labels are replaced; notes of the reading, which name them, are left out.

    Raises
    ------
    InputError
        if something cannot be read, or the API server would refuse the objects; or if a scenario is to be anonymised,
        whose own names are part of its question.
    """
    scenario = read(look)
    if anonymise and look.scenario is not None:
        what, mend = "is a scenario, and only what a cluster gave is anonymised", "give the dump itself"
        raise InputError([Problem(Place(look.name), what=what, mend=mend)])
    objects = scenario.objects
    names = ", ".join(path.name for path in look.paths)
    origin = "a cluster; its names, namespaces, addresses and labels are replaced" if anonymise else _plain(names)
    heading = [
        f"Made from {origin}: {_number(objects.services, 'Service')}, {_number(objects.slices, 'EndpointSlice')},",
        f"{_number(objects.pods, 'Pod')}, {_number(objects.workloads, 'workload')}, {_number(objects.nodes, 'Node')}.",
    ]
    if not anonymise:
        heading += [_plain(note) for dump in look.dumps for note in dump.notes()]
        heading += [f"Note: {_plain(warning)}" for warning in scenario.warnings]
    text = as_text(anonymous_document(scenario)) if anonymise else write_resolved(scenario)
    lines = [f"# {line}" for line in heading]
    for line in text.splitlines():
        start = next((key for key in COMMENTS if line.startswith(key)), None)
        if start:
            lines.append(f"  # {COMMENTS[start]}")
        lines.append(line)
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _number(objects: Sized, noun: str) -> str:
    return f"{len(objects):,} {noun}{'s' * (len(objects) != 1)}"
