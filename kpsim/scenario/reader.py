"""Files and directories become a :class:`Scenario`: one as written, or a moderate one around real objects or rules."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kpsim.documents import Document
from kpsim.dumps.detection import RuleDump, gaps, read_dump
from kpsim.errors import InputError, Place, Problem
from kpsim.kube.reader import Reading, read_into, read_raw
from kpsim.scenario.build import build
from kpsim.scenario.kinds import rule_text
from kpsim.scenario.model import Scenario, Sweep
from kpsim.scenario.schema import API_VERSION
from kpsim.scenario.sections.imports import (
    EXPECTED,
    OBJECTS,
    add_rules,
    files_in,
    name_of,
    proxy_section,
    take_shown,
)
from kpsim.scenario.sections.modes import built_modes, usual_modes
from kpsim.scenario.sections.ranges import expand
from kpsim.scenario.tree import Tree, did_you_mean
from kpsim.units import Version

KINDS = ("Scenario", "Sweep")
EXAMPLE = f"a scenario begins with apiVersion: {API_VERSION} and kind: Scenario"
DUMP = "kubectl get svc,endpointslices,nodes -A -o json"
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
    for path in files_in(list(map(Path, paths))):
        text = rule_text(path)
        if text is not None:
            dumps.append(read_dump(text, path.name, name_of(path)))
        else:
            _read_objects(reading, path, alone=len(paths) == 1)
    return _around(reading, tuple(dumps), paths, overrides), tuple(dumps)


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
    return build(tree, document, Reading(), path.parent, name_of(path))


def _around(
    reading: Reading, dumps: Sequence[RuleDump], paths: Sequence[Path], overrides: Sequence[tuple[str, str]]
) -> Scenario:
    nodes_known = bool(reading.nodes or reading.pods)
    add_rules(reading, dumps)
    if not reading.problems and not reading.objects() and not reading.proxy:
        what = "holds no Service, Pod, EndpointSlice, workload or Node"
        said = "\n    ".join(gaps(dumps))
        raise InputError([Problem(Place(str(path)), what=what, mend=said or DUMP) for path in paths])
    mode = str(proxy_section(dumps).get("mode", ""))
    compared = usual_modes(_version_among(overrides))
    spec: dict[str, object] = {
        "compare": {"modes": [name for name in dict.fromkeys((mode, *compared)) if name in built_modes()]},
        "traffic": dict(DEFAULT_TRAFFIC),
        "changes": {"churn": dict(DEFAULT_CHURN)},
        "run": dict(DEFAULT_RUN),
    }
    _drop_unbuilt_mode(reading)
    tree = Tree(str(paths[0]), {"apiVersion": API_VERSION, "kind": "Scenario", "spec": spec})
    take_shown(tree, reading, dumps, nodes_known=nodes_known)
    tree.override(overrides)
    return build(tree, None, reading, paths[0].parent, name_of(paths[0]))


def _version_among(overrides: Sequence[tuple[str, str]]) -> Version:
    """The Kubernetes version an override asks for; what is wrong with it is said when the scenario is built."""
    written = dict(overrides).get("kubernetes.version", "")
    found = re.match(r"v?(\d{1,3})\.(\d{1,3})", written.strip("\"'"))
    return (int(found[1]), int(found[2])) if found else Scenario("").kubernetes_version


def _drop_unbuilt_mode(reading: Reading) -> None:
    """A real cluster may run a mode that is not built yet; the comparison of those that are is still an answer."""
    mode = (reading.proxy or {}).get("mode")
    if reading.proxy and isinstance(mode, str) and mode and mode not in built_modes():
        reading.proxy.pop("mode")
        reading.warnings.append(f"the cluster runs kube-proxy in mode {mode[:40]!r}, which kpsim cannot simulate yet")
