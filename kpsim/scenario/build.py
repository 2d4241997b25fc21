"""A document becomes a :class:`Scenario`; what its values mean is checked here, and all problems are collected."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from kpsim.dns.params import DnsParams
from kpsim.documents import Document, Key
from kpsim.errors import did_you_mean
from kpsim.history.events import Setting
from kpsim.kube.reader import Reading
from kpsim.kube.server import ApiServer
from kpsim.measure.summary import MEASURES
from kpsim.profiles.costs import aliases, profile_names
from kpsim.proxy.byversion import quirks
from kpsim.proxy.registry import beyond
from kpsim.scenario.complaints import Complaints
from kpsim.scenario.keys.reading import Reader
from kpsim.scenario.model import ProfileChoice, Scenario
from kpsim.scenario.schema import EXAMPLES, ScenarioDocument
from kpsim.scenario.sections.cluster import check_ranges, cluster_params
from kpsim.scenario.sections.events import events_of
from kpsim.scenario.sections.imports import import_into, take_shown
from kpsim.scenario.sections.ingress import check_ingress, with_controller
from kpsim.scenario.sections.kubeproxy import check_keys, proxy_params
from kpsim.scenario.sections.modes import check_modes
from kpsim.scenario.sections.services import groups_of
from kpsim.scenario.sections.thresholds import thresholds
from kpsim.scenario.tree import Tree

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
CLUSTER: Key = ("spec", "cluster")
LONGEST_LIFE_S = 365 * 86_400.0  # of a connection


def build(tree: Tree, document: Document | None, reading: Reading, folder: Path, name: str) -> Scenario:
    """Return the scenario a tree describes.

    Parameters
    ----------
    tree
        the document with overrides set.
    document
        where inline Kubernetes objects stand, if the tree came from a file.
    reading
        objects read already; inline and imported ones are added to it.
    folder
        what paths in ``importFrom`` and ``profile.name`` are relative to.
    name
        what the scenario is called if it does not say.

    Raises
    ------
    InputError
        with everything that is wrong.
    """
    complaints = Complaints(tree)
    complaints.problems += document.traps() if document else []
    reader = Reader(complaints, ScenarioDocument, EXAMPLES)
    imported = bool(reading.services)
    _take_inline(tree, document, reading)
    inline = len(reading.services)
    written = reader.read(ScenarioDocument, tree.data)
    dumps = import_into(reading, written.spec.import_from or (), folder, tree)
    imported = imported or len(reading.services) > inline
    changed = take_shown(tree, reading, dumps, nodes_known=bool(reading.nodes or reading.pods))
    complaints.problems += reading.problems
    if reading.proxy and not tree.given(("spec", "kubeProxy")) and reading.proxy_origin:
        tree.data.setdefault("spec", {})["kubeProxy"] = reading.proxy  # type: ignore[index]
        tree.mount(("spec", "kubeProxy"), reading.proxy_origin.document, reading.proxy_origin.key)
        changed = True
    if changed:
        written = reader.read(ScenarioDocument, tree.data)
    scenario = _assemble(written, reading, imported, reader, complaints, name)
    if scenario is not None:
        scenario = replace(scenario, profile=_profile(scenario.profile, folder, complaints))
    if complaints.problems or scenario is None:
        raise complaints.refusal()
    return scenario


def _profile(chosen: ProfileChoice, folder: Path, complaints: Complaints) -> ProfileChoice:
    """Return the choice with the path of its file, which is looked for beside the scenario, then where kpsim runs."""
    if not chosen.name.endswith((".yaml", ".yml")):
        return chosen
    for path in (folder / chosen.name, Path(chosen.name)):
        if path.is_file():
            return replace(chosen, name=str(path))
    what, mend = f"there is no file {chosen.name[:200]}", f"it is looked for in {folder}, then where kpsim was started"
    complaints.problem(("spec", "profile", "name"), what, mend)
    return chosen


def _take_inline(tree: Tree, document: Document | None, reading: Reading) -> None:
    """Read the Kubernetes objects that stand among the services or under ``objects``."""
    for key in (("spec", "services"), ("spec", "objects")):
        items = tree.at(key)
        for index, item in enumerate(items if isinstance(items, list) else []):
            if document is not None and isinstance(item, dict) and "kind" in item:
                reading.add(document, (*key, index), item)


def _assemble(
    written: ScenarioDocument, reading: Reading, imported: bool, reader: Reader, complaints: Complaints, name: str
) -> Scenario | None:
    spec = written.spec
    check_keys(complaints)
    proxy = proxy_params(spec.kube_proxy, reader, complaints)
    objectives = thresholds(spec.thresholds, complaints)
    _check(written, complaints)
    version = spec.kubernetes.version
    chosen = bool(spec.kube_proxy.mode) or spec.compare is not None
    complaints.warnings += beyond(version, chosen=chosen)
    modes = spec.compare.modes if spec.compare else (proxy.mode,)
    check_modes(modes, proxy.mode, version, complaints, compared=spec.compare is not None)
    complaints.warnings += quirks(proxy.settings, modes, version)
    groups = groups_of(spec, complaints)
    objects = reading.objects()
    if spec.ingress is not None:
        objects = with_controller(objects, spec.ingress)
        check_ingress(spec.ingress, objects, groups, spec.run, complaints)
    cluster = cluster_params(spec.cluster, objects, imported, complaints)
    if cluster is None:
        complaints.problems += reading.check_alone(version)
        return None
    api = ApiServer(cluster.service_cluster_ip_range, cluster.service_node_port_range, cluster.ip_families, version)
    complaints.problems += reading.check(api)
    check_ranges(cluster, groups, objects.services, complaints)
    setting = Setting(cluster, groups, objects, spec.api_server.replicas)
    return Scenario(
        name=written.metadata.name or name,
        description=written.metadata.description,
        kubernetes_version=version,
        cluster=cluster,
        groups=groups,
        objects=objects,
        api_server=spec.api_server,
        controller_manager=spec.controller_manager,
        kube_proxy=proxy,
        modes=modes,
        traffic=spec.traffic,
        churn=spec.changes.churn,
        events=events_of(spec.changes.events or (), setting, spec.run, complaints),
        faults=spec.faults,
        dns=spec.dns or DnsParams(),
        ingress=spec.ingress,
        profile=replace(spec.profile, name=aliases().get(spec.profile.name, spec.profile.name)),
        run=spec.run,
        thresholds=objectives,
        ask=spec.ask,
        warnings=(*objects.warnings, *complaints.warnings),
    )


def _check(written: ScenarioDocument, complaints: Complaints) -> None:
    """Complain of what is well written and still cannot be."""
    spec = written.spec
    if written.metadata.name and not NAME.fullmatch(written.metadata.name):
        mend = "letters, digits, '.', '_' and '-': it becomes the name of a directory"
        complaints.problem(("metadata", "name"), f"{written.metadata.name!r} is not a name", mend)
    if written.kind == "Scenario" and written.sweep is not None:
        complaints.problem(("sweep",), "a Scenario has no sweep", "write kind: Sweep", on_key=True)
    for measure in spec.thresholds:
        where = MEASURES[measure].where if measure in MEASURES else ""
        if where == "names" and not (spec.dns and spec.dns.clients_use_names):
            what, mend = "is measured only where clients use names", "write dns: {clientsUseNames: true}"
            complaints.problem(("spec", "thresholds", measure), what, mend, on_key=True)
        if where == "ingress" and spec.ingress is None:
            what, mend = "is measured only where there is an Ingress controller", "write ingress: {replicas: 2}"
            complaints.problem(("spec", "thresholds", measure), what, mend, on_key=True)
    name, known = spec.profile.name, [*profile_names(), *aliases()]
    if name not in known and not name.endswith((".yaml", ".yml")):
        mend = did_you_mean(name, known) or f"there are {', '.join(known)}, or a file's name"
        complaints.problem(("spec", "profile", "name"), f"there is no profile {name[:60]!r}", mend)
    if spec.faults.lock_held and not spec.faults.lock_hold_s:
        what, mend = "says how much of the time; hold, for how long each time, is missing", "e.g. {held: 0.1, hold: 1s}"
        complaints.problem(("spec", "faults", "xtablesLock", "held"), what, mend)
    if spec.traffic.life_s > LONGEST_LIFE_S:
        lasts = f"{spec.traffic.packets_per_connection:,} packets of a connection take more than a year"
        mend = "a shorter packetInterval, or fewer packetsPerConnection"
        complaints.problem(("spec", "traffic", "packetInterval"), lasts, mend)
    if spec.run.warmup_s >= spec.run.duration_s:
        key: Key = ("spec", "run", "warmup" if complaints.tree.given(("spec", "run", "warmup")) else "duration")
        complaints.problem(key, "the warm-up must be shorter than the duration, which includes it")
