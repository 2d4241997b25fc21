"""A document becomes a :class:`Scenario`; what its values mean is checked here, and all problems are collected."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from kpsim.cluster.params import ChurnParams, EndpointCount, ServiceGroup
from kpsim.controlplane.params import ApiServerParams, ControllerManagerParams
from kpsim.documents import Document, Key
from kpsim.errors import InputError, Problem
from kpsim.kube.defaults import NODE_PORT_TYPES
from kpsim.kube.reader import Reading
from kpsim.kube.validation import ApiServer
from kpsim.profiles.costs import profile_names
from kpsim.proxy.byversion import quirks
from kpsim.proxy.params import FaultParams
from kpsim.scenario.model import ProfileChoice, RunParams, Scenario
from kpsim.scenario.schema import DrawnPart, PresetPart, ScenarioDocument, ServicePart, SpecPart
from kpsim.scenario.sections.cluster import cluster_params, range_problems
from kpsim.scenario.sections.dns import dns_params
from kpsim.scenario.sections.events import Stage, events_of
from kpsim.scenario.sections.imports import import_into, take_shown
from kpsim.scenario.sections.kubeproxy import odd_keys, proxy_params
from kpsim.scenario.sections.modes import mode_problems
from kpsim.scenario.sections.presets import preset_groups
from kpsim.scenario.sections.thresholds import thresholds
from kpsim.scenario.tree import Tree, did_you_mean
from kpsim.scenario.words import problems_of, without_faults
from kpsim.traffic.params import TrafficParams

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
GROUP_NAME = re.compile(r"[a-z]([-a-z0-9]{0,40}[a-z0-9])?")
NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
ATTEMPTS = 4  # a fault may hide another; after so many, the rest waits for the next reading
CLUSTER: Key = ("spec", "cluster")


def build(tree: Tree, document: Document | None, reading: Reading, folder: Path, name: str) -> Scenario:
    """The scenario a tree describes.

    Parameters
    ----------
    tree
        the document with overrides set.
    document
        where inline Kubernetes objects stand, if the tree came from a file.
    reading
        objects read already; inline and imported ones are added to it.
    folder
        what paths in ``importFrom`` are relative to.
    name
        what the scenario is called if it does not say.

    Raises
    ------
    InputError
        with everything that is wrong.
    """
    problems = [*tree.problems, *(document.traps() if document else [])]
    imported = bool(reading.services)
    _take_inline(tree, document, reading)
    inline = len(reading.services)
    parsed = _parse(tree, problems)
    if parsed is not None:
        dumps = import_into(reading, parsed.spec.import_from, folder, tree)
        imported = imported or len(reading.services) > inline
        if take_shown(tree, reading, dumps, nodes_known=bool(reading.nodes or reading.pods)):
            parsed = _parse(tree, problems) or parsed
    problems += reading.problems
    if parsed is None:
        raise InputError(_first_at_each_place(problems))
    if reading.proxy and not tree.given(("spec", "kubeProxy")) and reading.proxy_origin:
        tree.data.setdefault("spec", {})["kubeProxy"] = reading.proxy  # type: ignore[index]
        tree.mount(("spec", "kubeProxy"), reading.proxy_origin.document, reading.proxy_origin.key)
        parsed = _parse(tree, problems) or parsed
    scenario = _assemble(parsed, tree, reading, imported, problems, name)
    if problems:
        raise InputError(_first_at_each_place(problems))
    assert scenario is not None
    return scenario


def _first_at_each_place(problems: list[Problem]) -> list[Problem]:
    """The problems without those that only follow from an earlier one at the same place."""
    seen: dict[object, Problem] = {}
    for problem in problems:
        seen.setdefault((problem.place, problem.place.line or problem.what), problem)
    return list(seen.values())


def _take_inline(tree: Tree, document: Document | None, reading: Reading) -> None:
    """Read the Kubernetes objects that stand among the services or under ``objects``."""
    for key in (("spec", "services"), ("spec", "objects")):
        items = tree.at(key)
        for index, item in enumerate(items if isinstance(items, list) else []):
            if document is not None and isinstance(item, dict) and "kind" in item:
                reading.add(document, (*key, index), item)


def _parse(tree: Tree, problems: list[Problem]) -> ScenarioDocument | None:
    """The document typed; what cannot be is reported and left out, so that the rest is checked in the same pass."""
    data = _without_nulls(tree.data)
    for attempt in range(ATTEMPTS):
        try:
            return ScenarioDocument.model_validate(data)
        except ValidationError as error:
            if not attempt:
                problems += problems_of(error, tree)
            data = without_faults(data, error)
    problems += odd_keys(tree)[0]
    return None


def _without_nulls(value: object) -> object:
    """Mappings without the keys nothing was written for: an empty section is one left out."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


def _assemble(
    parsed: ScenarioDocument, tree: Tree, reading: Reading, imported: bool, problems: list[Problem], name: str
) -> Scenario | None:
    spec = parsed.spec
    odd, warnings = odd_keys(tree)
    proxy, proxy_problems = proxy_params(spec.kube_proxy, tree)
    objectives, threshold_problems = thresholds(spec.thresholds, tree)
    problems += [*odd, *proxy_problems, *threshold_problems, *_oddities(parsed, tree)]
    version = _version(spec, tree, problems)
    modes = tuple(spec.compare.modes) if spec.compare else (proxy.mode,)
    problems += mode_problems(modes, proxy.mode, version, tree, compared=spec.compare is not None)
    warnings += quirks(proxy.settings, modes, version)
    groups = _groups(spec, tree, problems)
    objects = reading.objects()
    cluster = cluster_params(spec.cluster, tree, objects, imported, problems, warnings)
    if cluster is None:
        return None
    families = ("IPv4", "IPv6") if cluster.dual_stack else ("IPv4",)
    api = ApiServer(cluster.service_cluster_ip_range, cluster.service_node_port_range, families, version)
    problems += reading.check(api)
    problems += range_problems(cluster, groups, objects.services, tree)
    stage = Stage(cluster, groups, objects, spec.run.duration, spec.run.warmup, spec.api_server.replicas)
    events = events_of(spec.changes.events, stage, tree, problems, warnings)
    return Scenario(
        name=parsed.metadata.name or name,
        description=parsed.metadata.description,
        kubernetes_version=version,
        cluster=cluster,
        groups=groups,
        objects=objects,
        api_server=_api_server(spec),
        controller_manager=_controller_manager(spec),
        kube_proxy=proxy,
        modes=modes,
        traffic=_traffic(spec),
        churn=_churn(spec),
        events=events,
        faults=_faults(spec),
        dns=dns_params(spec.dns),
        profile=ProfileChoice(spec.profile.name, spec.profile.set, spec.profile.cache_warmth),
        run=_run(spec),
        thresholds=objectives,
        warnings=(*objects.warnings, *warnings),
    )


def _oddities(parsed: ScenarioDocument, tree: Tree) -> Iterator[Problem]:
    """What is well written and still cannot be."""
    spec = parsed.spec
    if parsed.metadata.name and not NAME.fullmatch(parsed.metadata.name):
        mend = "letters, digits, '.', '_' and '-': it becomes the name of a directory"
        yield tree.problem(("metadata", "name"), f"{parsed.metadata.name!r} is not a name", mend)
    if parsed.kind == "Scenario" and parsed.sweep is not None:
        yield tree.problem(("sweep",), "a Scenario has no sweep", "write kind: Sweep", on_key=True)
    for measure in ("dns_latency", "dns_latency_absolute", "connection_latency"):
        if measure in spec.thresholds and not spec.dns.clients_use_names:
            what, mend = "is measured only where clients use names", "write dns: {clientsUseNames: true}"
            yield tree.problem(("spec", "thresholds", measure), what, mend, on_key=True)
    name, known = spec.profile.name, profile_names()
    if name not in known and not name.endswith((".yaml", ".yml")):
        mend = did_you_mean(name, known) or f"there are {', '.join(known)}, or a file's name"
        yield tree.problem(("spec", "profile", "name"), f"there is no profile {name[:60]!r}", mend)
    lock = spec.faults.xtables_lock
    if lock.held and not lock.hold:
        what, mend = "says how much of the time; hold, for how long each time, is missing", "e.g. {held: 0.1, hold: 1s}"
        yield tree.problem(("spec", "faults", "xtablesLock", "held"), what, mend)
    if spec.run.warmup >= spec.run.duration:
        key: Key = ("spec", "run", "warmup" if tree.given(("spec", "run", "warmup")) else "duration")
        yield tree.problem(key, "the warm-up must be shorter than the duration, which includes it")


def _faults(spec: SpecPart) -> FaultParams:
    part = spec.faults
    return FaultParams(
        failed_syncs=part.failed_syncs,
        restarts_per_hour=part.restarts_per_node_per_hour,
        flushes_per_hour=part.rule_flushes_per_node_per_hour,
        lock_held=part.xtables_lock.held,
        lock_hold_s=part.xtables_lock.hold,
    )


def _version(spec: SpecPart, tree: Tree, problems: list[Problem]) -> tuple[int, int]:
    written = spec.kubernetes.version
    match = re.fullmatch(r"v?(\d{1,3})\.(\d{1,3})(\.\d{1,3})?([-+].*)?", written)
    if match:
        return int(match[1]), int(match[2])
    what = f"{written[:40]!r} is not a version of Kubernetes"
    problems.append(tree.problem(("spec", "kubernetes", "version"), what, 'write e.g. "1.34"'))
    return 1, 34


def _groups(spec: SpecPart, tree: Tree, problems: list[Problem]) -> tuple[ServiceGroup, ...]:
    groups: list[ServiceGroup] = []
    seen: dict[tuple[str, str], int] = {}
    for index, part in enumerate(spec.services):
        key: Key = ("spec", "services", index)
        if isinstance(part, PresetPart):
            made = preset_groups(part, spec.cluster.nodes, key, tree, problems)
            if any(seen.setdefault((group.namespace, group.name), index) != index for group in made):
                problems.append(tree.problem((*key, "preset"), f"there are two groups called {made[0].name!r}"))
            groups += made
        if not isinstance(part, ServicePart):
            continue
        if not GROUP_NAME.fullmatch(part.name):
            mend = "lower-case letters, digits and '-', starting with a letter, at most 42 characters"
            what = f"{part.name[:60]!r} cannot be part of a Service's name"
            problems.append(tree.problem((*key, "name"), what, mend))
        if not NAMESPACE.fullmatch(part.namespace):
            what = f"{part.namespace[:60]!r} is not the name of a namespace"
            problems.append(tree.problem((*key, "namespace"), what))
        if seen.setdefault((part.namespace, part.name), index) != index:
            problems.append(tree.problem((*key, "name"), f"there are two groups called {part.name!r}"))
        if part.cluster_ip and part.type != "ClusterIP":
            problems.append(tree.problem((*key, "clusterIP"), f"may not be None for {part.type} Services"))
        if part.external_traffic_policy == "Local" and part.type not in NODE_PORT_TYPES:
            what, mend = f"may not be Local for {part.type} Services", "it is for NodePort and LoadBalancer"
            problems.append(tree.problem((*key, "externalTrafficPolicy"), what, mend))
        if part.ip_family_policy == "RequireDualStack" and "IPv6" not in spec.cluster.ip_families:
            mend = "write ipFamilies: [IPv4, IPv6] below cluster"
            problems.append(tree.problem((*key, "ipFamilyPolicy"), "the cluster has one IP family only", mend))
        groups.append(_group(part, key, tree, problems))
    return tuple(groups)


def _group(part: ServicePart, key: Key, tree: Tree, problems: list[Problem]) -> ServiceGroup:
    count = EndpointCount(mean=float(part.endpoints)) if isinstance(part.endpoints, int) else None
    if isinstance(part.endpoints, DrawnPart):
        count, problem = _drawn(part.endpoints, (*key, "endpoints"), tree)
        problems += [problem] if problem else []
    return ServiceGroup(
        name=part.name,
        count=part.count,
        endpoints=count or EndpointCount(),
        namespace=part.namespace,
        type=part.type,
        headless=part.cluster_ip == "None",
        ports=part.ports,
        protocol=part.protocol,
        session_affinity=part.session_affinity,
        internal_traffic_policy=part.internal_traffic_policy,
        external_traffic_policy=part.external_traffic_policy,
        ip_family_policy=part.ip_family_policy,
    )


def _drawn(part: DrawnPart, key: Key, tree: Tree) -> tuple[EndpointCount, Problem | None]:
    mean, kind = part.mean, part.distribution
    problem = None
    if kind == "uniform":
        mean = (part.min + (part.max or 0)) / 2 if mean is None else mean
        if part.max is None:
            problem = tree.problem(key, "a uniform number of endpoints needs min and max")
    elif mean is None or (kind == "lognormal" and not mean):
        problem = tree.problem(key, f"a {kind} number of endpoints needs a mean, more than 0")
    if part.max is not None and part.max < part.min:
        problem = tree.problem((*key, "max"), f"must be at least min, {part.min}, not {part.max}")
    return EndpointCount(kind, mean or 0.0, part.sigma, part.min, part.max), problem


def _controller_manager(spec: SpecPart) -> ControllerManagerParams:
    part = spec.controller_manager
    return ControllerManagerParams(
        qps=part.qps,
        burst=part.burst,
        concurrent_service_endpoint_syncs=part.concurrent_service_endpoint_syncs,
        max_endpoints_per_slice=part.max_endpoints_per_slice,
        endpointslice_updates_batch_period_s=part.endpoint_slice_updates_batch_period,
        endpoints_controller=part.endpoints_controller,
    )


def _api_server(spec: SpecPart) -> ApiServerParams:
    part = spec.api_server
    return ApiServerParams(
        replicas=part.replicas,
        max_requests_inflight=part.max_requests_inflight,
        max_mutating_requests_inflight=part.max_mutating_requests_inflight,
        egress_bytes_per_s=part.egress_bytes_per_second,
        object_sizes=part.object_sizes,
        priority_and_fairness=part.priority_and_fairness,
    )


def _traffic(spec: SpecPart) -> TrafficParams:
    part = spec.traffic
    return TrafficParams(
        part.connections_per_second_per_node, part.packets_per_connection, part.packet_interval, part.popularity.zipf
    )


def _churn(spec: SpecPart) -> ChurnParams:
    part = spec.changes.churn
    return ChurnParams(
        part.pod_replacements_per_second, part.services_created_per_second, part.pod_shutdown, part.pre_stop
    )


def _run(spec: SpecPart) -> RunParams:
    part = spec.run
    return RunParams(part.duration, part.warmup, part.seed, part.replications, part.engine, part.packets)
