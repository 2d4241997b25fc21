"""A scenario takes a real cluster's objects and the rules of its nodes.

Objects say more than rules do: rules add the Services and endpoints that no object was read of, and where nothing else
says it, kube-proxy's mode.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kpsim.cluster.addresses import RANGES
from kpsim.cluster.params import ClusterParams
from kpsim.documents import Document, Key, Source
from kpsim.dumps.evidence.settings import Setting, Signs, clear_of
from kpsim.kube.components.commands import Command
from kpsim.kube.reader import Reading
from kpsim.kube.writer import documents_of
from kpsim.scenario.kinds import LogFile, Look, ObjectsFile, OtherFile, ScenarioFile, identify
from kpsim.scenario.model import Scenario
from kpsim.scenario.sections.cluster import service_range
from kpsim.scenario.sections.modes import built_modes
from kpsim.scenario.tree import Tree

if TYPE_CHECKING:
    from kpsim.dumps.detection import RuleDump


def import_into(reading: Reading, paths: Sequence[str], folder: Path, tree: Tree) -> tuple[RuleDump, ...]:
    """Take what ``importFrom`` names into ``reading``.

    Parameters
    ----------
    paths
        as they are written; relative to ``folder``.
    tree
        of the scenario: a file that is not there, or shows nothing, is a problem of its line.

    Returns
    -------
    dumps
        what each of the files that hold a node's rules showed.
    """
    dumps: list[RuleDump] = []
    for index, path in enumerate(paths):
        key: Key = ("spec", "importFrom", index)
        file = folder / path
        if not file.exists():
            reading.problems.append(tree.problem(key, f"there is no file or directory {str(file)!r}"))
            continue
        if file not in tree.opened:
            tree.opened[file] = identify([file])
        dumps += take(reading, tree.opened[file], beside=True)
    _refuse_nothing(reading, dumps, tree)
    add_rules(reading, dumps)
    return tuple(dumps)


def take(reading: Reading, look: Look, *, beside: bool = False) -> tuple[RuleDump, ...]:
    """Take the objects of files into ``reading``, and return what their rules show; other files are problems of it.

    A log says something of what stands ``beside`` it, and nothing alone.
    """
    beside = beside or not all(isinstance(file, OtherFile) for file in look.files)
    for file in look.files:
        if isinstance(file, ObjectsFile):
            reading.add_all(file.documents)
        elif isinstance(file, ScenarioFile):
            reading.problems.append(file.documents[0].problem((), "is a scenario, not an object of a cluster"))
        elif isinstance(file, LogFile) and file.mode and beside:
            where = f'"{file.said}" in {file.path.name}'
            reading.commands.append(Command("log", (("proxy-mode", file.mode),), file.version, where))
        elif isinstance(file, OtherFile) and not file.beside:
            reading.problems += file.problems
    reading.warnings += look.left_out()
    return look.dumps


def _refuse_nothing(reading: Reading, dumps: Sequence[RuleDump], tree: Tree) -> None:
    """Rules that show no Service, with nothing beside them that does, were not what was meant."""
    if dumps and not reading.services and not any(dump.findings.ports for dump in dumps):
        from kpsim.dumps.detection import gaps

        files = " and ".join(dump.file for dump in dumps)
        mend = "\n    ".join(gaps(dumps))
        reading.problems.append(tree.problem(("spec", "importFrom"), f"{files}: no rule belongs to a Service", mend))


def add_rules(reading: Reading, dumps: Sequence[RuleDump]) -> None:
    """Take the Services and endpoints that rules show and no object that was read does."""
    if not dumps:
        return
    from kpsim.dumps.detection import gaps, merged

    reading.problems += [problem for dump in dumps for problem in dump.problems]
    found = merged([dump.findings for dump in dumps], reading.services).objects(reading.pods)
    known = {(service.namespace, service.name) for service in reading.services}
    sliced = {(made.namespace, made.service) for made in (*reading.slices, *reading.endpoints)}
    new = replace(
        found,
        services=tuple(made for made in found.services if (made.namespace, made.name) not in known),
        slices=tuple(made for made in found.slices if (made.namespace, made.service) not in sliced),
    )
    data = {"kind": "List", "items": list(documents_of(new))}
    reading.add(Document(Source(" + ".join(dump.file for dump in dumps), ""), data, None), (), data)
    reading.warnings += [*gaps(dumps), *(warning for dump in dumps for warning in dump.warnings)]


def signs_of(reading: Reading, dumps: Sequence[RuleDump]) -> Signs:
    """Return everything read in which the cluster's settings show."""
    return Signs(reading.commands, reading.nodes, dumps, reading.proxy)


def take_shown(tree: Tree, reading: Reading, dumps: Sequence[RuleDump], *, nodes_known: bool) -> bool:
    """Write what was read of the cluster into a scenario that does not say it, and return whether anything was.

    Rules are one node's and do not show how many there are: where no object does either, the default is taken, and
    said.
    """
    spec = tree.data.setdefault("spec", {}) if dumps else tree.data.get("spec")
    if not isinstance(spec, dict):
        return False
    shown = _Shown(tree, spec, reading, dumps)
    shown.take()
    cluster = spec.get("cluster") or {}
    if dumps and not nodes_known and isinstance(cluster, dict) and cluster.get("nodes") is None:
        nodes = ClusterParams().nodes
        spec["cluster"] = {**cluster, "nodes": nodes}
        reading.warnings.append(f"rules do not show how many nodes there are: cluster.nodes is taken as {nodes:,}")
        shown.changed = True
    said = f"taken from what was read: {'; '.join(shown.said)}"
    if shown.said and said not in reading.warnings:
        reading.warnings.append(said)
    return bool(shown.said) or shown.changed


def families_shown(reading: Reading) -> list[str]:
    """Return the IP families of the addresses that Services and endpoints have; IPv4 only if nothing has any."""
    seen = {at.address_type for at in (*reading.slices, *reading.endpoints)} & {"IPv4", "IPv6"}
    for service in reading.services:
        addressed = bool({service.cluster_ip, service.cluster_ip6} - {"", "None"})
        seen.update(service.ip_families if addressed or "IPv6" in service.ip_families else ())
    return sorted(seen) or ["IPv4"]


@dataclass(slots=True)
class _Shown:
    """Settings on their way from what was read into a scenario; those that are written there already stay."""

    tree: Tree
    spec: dict[str, object]
    reading: Reading
    dumps: Sequence[RuleDump]
    said: list[str] = field(default_factory=list)
    changed: bool = False

    def take(self) -> None:
        signs, services = signs_of(self.reading, self.dumps), self.reading.services
        self._put("kubernetes", "version", signs.release(Scenario("").kubernetes_version))
        self._take_families()
        family = self._family()
        ips = [ip for service in services for ip in (service.cluster_ip, service.cluster_ip6)]
        taken = signs.service_range(ips, family)
        self._put("cluster", "serviceClusterIPRange", taken)
        ports = [port.node_port for service in services for port in service.ports if port.node_port]
        self._put("cluster", "serviceNodePortRange", signs.node_port_range(ports))
        known = taken.value if taken else service_range(services, len(services), family)
        self._take_pod_range(signs, known, family)
        self._take_proxy(signs)

    def _put(self, section: str, key: str, setting: Setting | None) -> None:
        """Write a setting below a section of the scenario, unless something stands there."""
        if setting is None or self.tree.given(("spec", section, key)):
            return
        part = self.spec.setdefault(section, {})
        if part is None:
            part = self.spec[section] = {}
        if isinstance(part, dict):
            part[key] = setting.value
            self.said.append(f"{section}.{key} {setting.value} ({setting.said})")

    def _take_pod_range(self, signs: Signs, services: str, family: str) -> None:
        """Pods lie in the range that kube-proxy takes for theirs, beside the Services if these are in it too."""
        written = self.tree.at(("spec", "kubeProxy", "clusterCIDR"))
        if isinstance(written, str):
            signs = replace(signs, proxy={"clusterCIDR": written})
        found = signs.pod_range(family) or self._range_of_pods(signs, family)
        given = self.tree.at(("spec", "cluster", "serviceClusterIPRange"))
        services = given if isinstance(given, str) else services or RANGES[family][0]
        if found is None or self.tree.given(("spec", "cluster", "podCIDR")):
            return
        try:
            free = clear_of(found.value, services)
        except ValueError:  # which is said of the range of Services
            return
        if not free:
            return
        self._put("cluster", "podCIDR", Setting(free, found.said))
        if isinstance(written, str) and self.said:  # which the scenario says itself
            self.changed = bool(self.said.pop())
        if free != found.value and not self.reading.proxy:
            self._put("kubeProxy", "clusterCIDR", found)

    def _range_of_pods(self, signs: Signs, family: str) -> Setting | None:
        """The range that endpoints' addresses tell, where they are not in the usual one; the API server's apart."""
        api_server = ("default", "kubernetes")
        made = (
            at for at in (*self.reading.slices, *self.reading.endpoints) if (at.namespace, at.service) != api_server
        )
        ips = {endpoint.ip for at in made for endpoint in at.endpoints}
        ips -= {pod.ip for pod in self.reading.pods if pod.host_network}
        ips |= {pod.ip for pod in self.reading.pods if pod.ip and not pod.host_network}
        found = signs.pod_range_by_addresses(sorted(ips), family)
        usual = RANGES[family][1]
        return found if found and not ipaddress.ip_network(usual).overlaps(ipaddress.ip_network(found.value)) else None

    def _take_families(self) -> None:
        """IPv6 addresses are of a cluster that has IPv6, beside IPv4 if anything of that is there too."""
        families = families_shown(self.reading)
        cluster = self.spec.setdefault("cluster", {}) if "IPv6" in families else None
        if isinstance(cluster, dict) and not self.tree.given(("spec", "cluster", "ipFamilies")):
            cluster["ipFamilies"] = families
            self.said.append(f"cluster.ipFamilies [{', '.join(families)}] (addresses of Services and endpoints)")

    def _family(self) -> str:
        """Return the first IP family that the scenario's cluster has, as far as it can be read."""
        families = self.tree.at(("spec", "cluster", "ipFamilies"))
        return "IPv6" if families == ["IPv6"] else "IPv4"

    def _take_proxy(self, signs: Signs) -> None:
        """kube-proxy's configuration where none was read: flags, else what rules and logs show of it."""
        self.reading.warnings += [text for text in signs.contradicted() if text not in self.reading.warnings]
        mode = signs.mode(built_modes())
        if self.reading.proxy:
            if mode and not self.reading.proxy.get("mode"):
                self.reading.proxy["mode"] = mode.value
                self.said.append(f"kubeProxy.mode {mode.value} ({mode.said})")
            origin = self.reading.proxy_origin
            if origin and not self.tree.given(("spec", "kubeProxy")):
                self.said.append(f"KubeProxyConfiguration of {Path(origin.document.file).name}")
            return
        if self.tree.given(("spec", "kubeProxy", "mode")):
            return
        flags, where = signs.configuration()
        section = {key: value for key, value in flags.items() if key != "mode"}
        scheduler = next((dump.scheduler for dump in self.dumps if dump.scheduler), "")
        if mode and mode.value == "ipvs" and scheduler:
            section.setdefault("ipvs", {"scheduler": scheduler})
        written = self.spec.get("kubeProxy") or {}
        if isinstance(written, dict) and (mode or section.keys() - written.keys()):
            self.spec["kubeProxy"] = {**({"mode": mode.value} if mode else {}), **section, **written}
            self.changed = True
            if mode:
                self.said.append(f"kubeProxy.mode {mode.value} ({mode.said})")
            if section and where:
                self.said.append(f"kubeProxy.{', '.join(section)} ({where})")
