"""``services:`` of a scenario: groups as written and those that presets stand for, held to what Kubernetes takes."""

from __future__ import annotations

import re
from dataclasses import replace

from kpsim.cluster.params import EndpointCount, ServiceGroup
from kpsim.documents import Key, dotted
from kpsim.kube.defaults import NODE_PORT_TYPES
from kpsim.scenario.complaints import Complaints
from kpsim.scenario.schema import Preset, Spec
from kpsim.scenario.sections.presets import preset_groups

GROUP_NAME = re.compile(r"[a-z]([-a-z0-9]{0,40}[a-z0-9])?")
NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def groups_of(spec: Spec, complaints: Complaints) -> tuple[ServiceGroup, ...]:
    """Return the groups of a scenario, in file order; what cannot be is complained of."""
    groups: list[ServiceGroup] = []
    seen: dict[tuple[str, str], int] = {}
    for index, item in enumerate(spec.services):
        key: Key = ("spec", "services", index)
        if isinstance(item, Preset):
            made = preset_groups(item, spec.cluster.nodes, key, complaints)
            if any(seen.setdefault((group.namespace, group.name), index) != index for group in made):
                complaints.problem((*key, "preset"), f"there are two groups called {made[0].name!r}")
            groups += made
        elif isinstance(item, ServiceGroup):
            _check(item, key, complaints, dual_stack=spec.cluster.dual_stack)
            if seen.setdefault((item.namespace, item.name), index) != index:
                complaints.problem((*key, "name"), f"there are two groups called {item.name!r}")
            groups.append(replace(item, endpoints=_endpoints(item.endpoints, (*key, "endpoints"), complaints)))
    return tuple(groups)


def _check(group: ServiceGroup, key: Key, complaints: Complaints, *, dual_stack: bool) -> None:
    if not GROUP_NAME.fullmatch(group.name):
        mend = "lower-case letters, digits and '-', starting with a letter, at most 42 characters"
        complaints.problem((*key, "name"), f"{group.name[:60]!r} cannot be part of a Service's name", mend)
    if not NAMESPACE.fullmatch(group.namespace):
        complaints.problem((*key, "namespace"), f"{group.namespace[:60]!r} is not the name of a namespace")
    if group.headless and group.type != "ClusterIP":
        complaints.problem((*key, "clusterIP"), f"may not be None for {group.type} Services")
    if group.external_traffic_policy == "Local" and group.type not in NODE_PORT_TYPES:
        what, mend = f"may not be Local for {group.type} Services", "it is for NodePort and LoadBalancer"
        complaints.problem((*key, "externalTrafficPolicy"), what, mend)
    if group.ip_family_policy == "RequireDualStack" and not dual_stack:
        mend = "write ipFamilies: [IPv4, IPv6] below cluster"
        complaints.problem((*key, "ipFamilyPolicy"), "the cluster has one IP family only", mend)


def _endpoints(count: EndpointCount, key: Key, complaints: Complaints) -> EndpointCount:
    """A number of endpoints as it is drawn: a uniform one has its mean in the middle, the others must have one."""
    written = complaints.tree.at(key)
    if not isinstance(written, dict) or complaints.about(dotted(key)):
        return count
    mean, most = written.get("mean"), count.max
    if count.distribution == "uniform":
        if most is None:
            complaints.problem(key, "a uniform number of endpoints needs min and max")
        if mean is None:
            count = replace(count, mean=(count.min + (most or 0)) / 2)
    elif mean is None or (count.distribution == "lognormal" and not count.mean):
        complaints.problem(key, f"a {count.distribution} number of endpoints needs a mean, more than 0")
    if most is not None and most < count.min:
        complaints.problem((*key, "max"), f"must be at least min, {count.min}, not {most}")
    return count
