"""What a scenario is given of a real cluster: its objects, and the rules of its nodes.

Objects say more than rules do: rules add the Services and endpoints that no object was read of, and where nothing else
says it, kube-proxy's mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kpsim.cluster.params import ClusterParams
from kpsim.documents import Document, Key
from kpsim.dumps.detection import RuleDump, gaps, merged
from kpsim.kube.reader import Reading
from kpsim.kube.writer import documents_of
from kpsim.scenario.kinds import Look, ObjectsFile, OtherFile, ScenarioFile, identify
from kpsim.scenario.sections.modes import built_modes
from kpsim.scenario.tree import Tree
from kpsim.yamltree import Source


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
        dumps += take(reading, tree.opened[file])
    _refuse_nothing(reading, dumps, tree)
    add_rules(reading, dumps)
    return tuple(dumps)


def take(reading: Reading, look: Look) -> tuple[RuleDump, ...]:
    """Take the objects of files into ``reading``, and return what their rules show; other files are problems of it."""
    for file in look.files:
        if isinstance(file, ObjectsFile):
            reading.add_all(file.documents)
        elif isinstance(file, ScenarioFile):
            reading.problems.append(file.documents[0].problem((), "is a scenario, not what a cluster gives"))
        elif isinstance(file, OtherFile) and not file.beside:
            reading.problems += file.problems
    reading.warnings += look.left_out()
    return look.dumps


def _refuse_nothing(reading: Reading, dumps: Sequence[RuleDump], tree: Tree) -> None:
    """Rules that show no Service, with nothing beside them that does, were not what was meant."""
    if dumps and not reading.services and not any(dump.findings.ports for dump in dumps):
        files = " and ".join(dump.file for dump in dumps)
        mend = "\n    ".join(gaps(dumps))
        reading.problems.append(tree.problem(("spec", "importFrom"), f"{files}: no rule is of a Service", mend))


def add_rules(reading: Reading, dumps: Sequence[RuleDump]) -> None:
    """Take the Services and endpoints that rules show and no object that was read does."""
    if not dumps:
        return
    found = merged([dump.findings for dump in dumps], reading.services).objects(reading.pods)
    known = {(service.namespace, service.name) for service in reading.services}
    sliced = {(at.namespace, at.service) for at in (*reading.slices, *reading.endpoints)}
    new = replace(
        found,
        services=tuple(at for at in found.services if (at.namespace, at.name) not in known),
        slices=tuple(at for at in found.slices if (at.namespace, at.service) not in sliced),
    )
    data = {"kind": "List", "items": list(documents_of(new))}
    reading.add(Document(Source(" + ".join(dump.file for dump in dumps), ""), data, None), (), data)
    reading.warnings += [*gaps(dumps), *(warning for dump in dumps for warning in dump.warnings)]


def proxy_section(dumps: Sequence[RuleDump]) -> dict[str, object]:
    """kube-proxy's configuration as far as rules show it: the mode that wrote them, and IPVS's scheduler."""
    mode = next((dump.mode for dump in dumps if dump.mode in built_modes()), "")
    scheduler = next((dump.scheduler for dump in dumps if dump.scheduler), "")
    if not mode:
        return {}
    return {"mode": mode, **({"ipvs": {"scheduler": scheduler}} if scheduler else {})}


def take_shown(tree: Tree, reading: Reading, dumps: Sequence[RuleDump], *, nodes_known: bool) -> bool:
    """Write what rules show into a scenario that does not say it; whether anything was written.

    Rules are one node's and do not show how many there are: where no object does either, the default is taken, and
    said.
    """
    spec = tree.data.setdefault("spec", {}) if dumps else None
    if not isinstance(spec, dict):
        return False
    section = proxy_section(dumps)
    takes_mode = bool(section) and not reading.proxy and not tree.given(("spec", "kubeProxy"))
    if takes_mode:
        spec["kubeProxy"] = section
    cluster = spec.get("cluster") or {}
    takes_nodes = not nodes_known and isinstance(cluster, dict) and cluster.get("nodes") is None
    if takes_nodes:
        nodes = ClusterParams().nodes
        spec["cluster"] = {**cluster, "nodes": nodes}
        reading.warnings.append(f"rules do not show how many nodes there are: cluster.nodes is taken as {nodes:,}")
    return takes_mode or takes_nodes
