"""What a scenario is given of a real cluster: its objects, and the rules of its nodes.

Objects say more than rules do: rules add the Services and endpoints that no object was read of, and where nothing else
says it, kube-proxy's mode.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from kpsim.cluster.params import ClusterParams
from kpsim.documents import Document, Key
from kpsim.dumps.detection import FORMATS, RuleDump, gaps, merged, read_dump
from kpsim.errors import InputError, Problem
from kpsim.kube.reader import Reading, read_into
from kpsim.kube.writer import documents_of
from kpsim.scenario.kinds import rule_text
from kpsim.scenario.sections.modes import built_modes
from kpsim.scenario.tree import Tree
from kpsim.yamltree import Source

EXPECTED = f"or give Kubernetes objects, or what one of these prints: {', '.join(FORMATS)}"
OBJECTS = (".yaml", ".yml", ".json", ".yaml.gz", ".yml.gz", ".json.gz")


def files_in(paths: Sequence[Path]) -> Iterator[Path]:
    """The files to read; a directory without rule dumps is read as one."""
    for path in paths:
        entries = sorted(at for at in path.iterdir() if at.is_file()) if path.is_dir() else []
        dumps = [at for at in entries if rule_text(at) is not None]
        if dumps:
            yield from (at for at in entries if at in dumps or at.name.endswith(OBJECTS))
        else:
            yield path


def name_of(path: Path) -> str:
    """A name for a scenario or a node after the file it came from."""
    name = path.resolve().name if path.name in ("", ".", "..") else path.name
    for suffix in (".gz", ".json", ".yaml", ".yml", ".txt"):
        name = name.removesuffix(suffix)
    name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in name).strip("._-")[:100]
    return name or "cluster"


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
        if not (folder / path).exists():
            reading.problems.append(tree.problem(key, f"there is no file or directory {str(folder / path)!r}"))
            continue
        dumps += _dumps_or_objects(reading, folder / path)
    _refuse_nothing(reading, dumps, tree)
    add_rules(reading, dumps)
    return tuple(dumps)


def _dumps_or_objects(reading: Reading, path: Path) -> Iterator[RuleDump]:
    """The rule dumps of a file or directory; objects go into the reading."""
    for at in files_in([path]):
        try:
            text = rule_text(at)
        except InputError as error:
            reading.problems += error.problems
            continue
        if text is not None:
            yield read_dump(text, at.name, name_of(at))
            continue
        before = len(reading.problems)
        read_into(reading, [at])
        if at.is_file() and not at.name.endswith(OBJECTS):
            reading.problems[before:] = [_with_mend(problem) for problem in reading.problems[before:]]


def _with_mend(problem: Problem) -> Problem:
    return replace(problem, mend=problem.mend or EXPECTED.removeprefix("or "))


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
    reading.problems += [problem for dump in dumps for problem in dump.problems]
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
