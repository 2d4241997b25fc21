"""Files and directories become a :class:`Scenario`: one as written, or a moderate one around real objects or rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from kpsim.cluster.params import ClusterParams
from kpsim.documents import Document
from kpsim.errors import InputError, Place, Problem
from kpsim.kube.reader import Reading, read_into, read_raw
from kpsim.kube.writer import documents_of
from kpsim.proxy.dumps.detection import FORMATS, RuleDump, gaps, merged, read_dump
from kpsim.scenario.build import NAME, build
from kpsim.scenario.kinds import rule_text
from kpsim.scenario.model import Scenario, Sweep
from kpsim.scenario.schema import API_VERSION
from kpsim.scenario.sections.modes import built_modes
from kpsim.scenario.sections.ranges import expand
from kpsim.scenario.tree import Tree, did_you_mean
from kpsim.yamltree import Source

__all__ = ["read", "read_around", "read_sweep"]

KINDS = ("Scenario", "Sweep")
EXAMPLE = f"a scenario begins with apiVersion: {API_VERSION} and kind: Scenario"
EXPECTED = f"or give Kubernetes objects, or what one of these prints: {', '.join(FORMATS)}"
DUMP = "kubectl get svc,endpointslices,nodes -A -o json"
COMPARED = ("iptables", "ipvs", "nftables")  # around real objects, the modes a Linux cluster can choose from
OBJECTS = (".yaml", ".yml", ".json", ".yaml.gz", ".yml.gz", ".json.gz")
DEFAULT_TRAFFIC = {"connectionsPerSecondPerNode": 100}
DEFAULT_CHURN = {"podReplacementsPerSecond": 0.1}
DEFAULT_RUN = {"duration": "60s", "warmup": "10s", "engine": "auto"}


def read(path: Path, overrides: Sequence[tuple[str, str]] = ()) -> Scenario:
    """The scenario in a file, or a default one around the Kubernetes objects in a file or directory.

    Parameters
    ----------
    path
        a scenario, a manifest, what ``kubectl get -o json|yaml`` printed, what a tool printed of a node's rules, or a
        directory of those.
    overrides
        (path, value) pairs, as ``--set path=value`` gives them; paths are relative to ``spec``.

    Raises
    ------
    InputError
        with everything that is wrong, by line.
    """
    path = Path(path)
    if path.is_dir() or rule_text(path) is not None:
        return read_around([path], overrides)[0]
    documents = _documents(path)
    if any(_is_scenario(document) for document in documents):
        return _read_scenario(path, documents, overrides)
    if not any(_is_kubernetes(document) for document in documents):
        raise InputError([_neither(documents[0])])
    reading = Reading()
    reading.add_all(documents)
    return _around(reading, (), [path], overrides)


def read_around(
    paths: Sequence[Path], overrides: Sequence[tuple[str, str]] = ()
) -> tuple[Scenario, tuple[RuleDump, ...]]:
    """A default scenario around everything that several files and directories show of one cluster.

    Kubernetes objects say more than rules do: rules add the Services and endpoints that no object was read of.

    Returns
    -------
    scenario, dumps
        and what each of the files that hold a node's rules showed.

    Raises
    ------
    InputError
        with everything that is wrong, by file and line.
    """
    reading = Reading()
    dumps: list[RuleDump] = []
    for path in _files(list(map(Path, paths))):
        text = rule_text(path)
        if text is not None:
            dumps.append(read_dump(text, path.name, _stem(path)))
        else:
            _read_objects(reading, path, alone=len(paths) == 1)
    return _around(reading, tuple(dumps), paths, overrides), tuple(dumps)


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    """The files to read; a directory without rule dumps is read as one."""
    for path in paths:
        entries = sorted(at for at in path.iterdir() if at.is_file()) if path.is_dir() else []
        dumps = [at for at in entries if rule_text(at) is not None]
        if dumps:
            yield from (at for at in entries if at in dumps or at.name.endswith(OBJECTS))
        else:
            yield path


def _read_objects(reading: Reading, path: Path, *, alone: bool) -> None:
    """Take the objects of a file or directory; a file of something else is a problem of the reading."""
    if alone or path.is_dir():
        read_into(reading, [path])
        return
    try:
        documents = _documents(path)
    except InputError as error:
        reading.problems += error.problems
        return
    if any(_is_scenario(document) for document in documents):
        reading.problems.append(documents[0].problem((), "is a scenario, not what a cluster gives"))
    elif not any(_is_kubernetes(document) for document in documents):
        reading.problems.append(_neither(documents[0]))
    else:
        reading.add_all(documents)


def _documents(path: Path) -> tuple[Document, ...]:
    """The documents of a file that holds no rules; where it is not YAML either, say what is taken."""
    try:
        return read_raw(path)
    except InputError as error:
        if path.name.endswith(OBJECTS) or not path.is_file():
            raise
        problems = [replace(at, mend=at.mend or EXPECTED) for at in error.problems[:1]]
        raise InputError(problems) from None


def read_sweep(path: Path, sets: Sequence[tuple[str, str]] = ()) -> Sweep:
    """The grid a ``kind: Sweep`` file asks for, with ranges given as ``--set`` added or put in the place of the file's.

    Raises
    ------
    InputError
        if a range cannot be read, or the first or last scenario of the grid is not valid.
    """
    path = Path(path)
    ranges: dict[str, tuple[object, Document | None]] = {}
    for document in () if path.is_dir() else read_raw(path):
        sweep = document.data.get("sweep") if isinstance(document.data, dict) else None
        if isinstance(sweep, dict):
            ranges |= {name: (value, document) for name, value in sweep.items()}
    ranges |= {name: (value, None) for name, value in sets}
    problems: list[Problem] = []
    axes = [(name, _values(name, value, document, problems)) for name, (value, document) in ranges.items()]
    if not axes:
        what = "nothing to sweep over"
        problems.append(Problem(Place(str(path)), "sweep", what, "add sweep: {services.small.count: 100..100k:log:13}"))
    if problems:
        raise InputError(problems)
    for end in (0, -1):
        read(path, [(name, values[end]) for name, values in axes])
    return Sweep(tuple(axes))


def _values(name: str, value: object, document: Document | None, problems: list[Problem]) -> tuple[str, ...]:
    try:
        return expand(value)
    except ValueError as error:
        what, mend = str(error), "write 100..100k:log:13, 1..50:lin:5 or a,b,c"
        if document is not None:
            problems.append(document.problem(("sweep", name), what, mend))
        else:
            problems.append(Problem(Place(f"--set {name}={value}"), "", what, mend))
        return ()


def _is_scenario(document: Document) -> bool:
    data = document.data
    if not isinstance(data, dict):
        return False
    return data.get("kind") in KINDS or str(data.get("apiVersion")).startswith("kpsim") or _almost(data)


def _almost(data: dict[str, object]) -> bool:
    """A mapping that was meant to be a scenario: it has a spec of ours, and no kind of Kubernetes'."""
    return "spec" in data and ("kind" not in data or bool(did_you_mean(str(data["kind"]), KINDS)))


def _is_kubernetes(document: Document) -> bool:
    return isinstance(document.data, dict) and "kind" in document.data


def _neither(document: Document) -> Problem:
    mend = EXAMPLE if isinstance(document.data, dict) else f"{EXAMPLE}; {EXPECTED}"
    return document.problem((), "is neither a scenario nor Kubernetes objects: it has no kind", mend)


def _read_scenario(path: Path, documents: Sequence[Document], overrides: Sequence[tuple[str, str]]) -> Scenario:
    document = documents[0]
    if len(documents) > 1:
        other = next(at for at in documents[::-1] if at is not document)
        what = "a scenario file holds one document"
        mend = "put Kubernetes objects under spec.objects, or name their file in spec.importFrom"
        raise InputError([other.problem((), what, mend)])
    tree = Tree.of(document)
    tree.override(overrides)
    return build(tree, document, Reading(), path.parent, _stem(path))


def _around(
    reading: Reading, dumps: Sequence[RuleDump], paths: Sequence[Path], overrides: Sequence[tuple[str, str]]
) -> Scenario:
    nodes_known = bool(reading.nodes or reading.pods)
    _add_rules(reading, dumps)
    if not reading.problems and not reading.objects() and not reading.proxy:
        what = "holds no Service, Pod, EndpointSlice, workload or Node"
        said = "\n    ".join(gaps(dumps))
        raise InputError([Problem(Place(str(path)), what=what, mend=said or DUMP) for path in paths])
    mode = next((dump.mode for dump in dumps if dump.mode in built_modes()), "")
    spec: dict[str, object] = {
        "compare": {"modes": [name for name in dict.fromkeys((mode, *COMPARED)) if name in built_modes()]},
        "traffic": dict(DEFAULT_TRAFFIC),
        "changes": {"churn": dict(DEFAULT_CHURN)},
        "run": dict(DEFAULT_RUN),
    }
    if mode and not reading.proxy:
        scheduler = next((dump.scheduler for dump in dumps if dump.scheduler), "")
        spec["kubeProxy"] = {"mode": mode, **({"ipvs": {"scheduler": scheduler}} if scheduler else {})}
    if dumps and not nodes_known:
        nodes = ClusterParams().nodes
        spec["cluster"] = {"nodes": nodes}
        reading.warnings.append(f"rules do not show how many nodes there are: cluster.nodes is taken as {nodes:,}")
    _drop_unbuilt_mode(reading)
    tree = Tree(str(paths[0]), {"apiVersion": API_VERSION, "kind": "Scenario", "spec": spec})
    tree.override(overrides)
    return build(tree, None, reading, paths[0].parent, _stem(paths[0]))


def _add_rules(reading: Reading, dumps: Sequence[RuleDump]) -> None:
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


def _drop_unbuilt_mode(reading: Reading) -> None:
    """A real cluster may run a mode that is not built yet; the comparison of those that are is still an answer."""
    mode = (reading.proxy or {}).get("mode")
    if reading.proxy and isinstance(mode, str) and mode and mode not in built_modes():
        reading.proxy.pop("mode")
        reading.warnings.append(f"the cluster runs kube-proxy in mode {mode[:40]!r}, which kpsim cannot simulate yet")


def _stem(path: Path) -> str:
    """A name for a scenario after the file it came from."""
    name = path.resolve().name if path.name in ("", ".", "..") else path.name
    for suffix in (".gz", ".json", ".yaml", ".yml", ".txt"):
        name = name.removesuffix(suffix)
    name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in name).strip("._-")[:100]
    return name if NAME.fullmatch(name) else "cluster"
