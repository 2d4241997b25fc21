"""A file or directory becomes a :class:`Scenario`: a scenario as written, or a moderate one around real objects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kpsim.documents import Document
from kpsim.errors import InputError, Place, Problem
from kpsim.kube.reader import Reading, read_into, read_raw
from kpsim.scenario.build import NAME, build
from kpsim.scenario.model import Scenario, Sweep
from kpsim.scenario.schema import API_VERSION
from kpsim.scenario.sections.modes import built_modes
from kpsim.scenario.sections.ranges import expand
from kpsim.scenario.tree import Tree, did_you_mean

__all__ = ["read", "read_sweep"]

KINDS = ("Scenario", "Sweep")
EXAMPLE = f"a scenario begins with apiVersion: {API_VERSION} and kind: Scenario"
COMPARED = ("iptables", "ipvs")  # around real objects, the two modes most clusters choose between
DEFAULT_TRAFFIC = {"connectionsPerSecondPerNode": 100}
DEFAULT_CHURN = {"podReplacementsPerSecond": 0.1}
DEFAULT_RUN = {"duration": "60s", "warmup": "10s", "engine": "auto"}


def read(path: Path, overrides: Sequence[tuple[str, str]] = ()) -> Scenario:
    """The scenario in a file, or a default one around the Kubernetes objects in a file or directory.

    Parameters
    ----------
    path
        a scenario, a manifest, what ``kubectl get -o json|yaml`` printed, or a directory of those.
    overrides
        (path, value) pairs, as ``--set path=value`` gives them; paths are relative to ``spec``.

    Raises
    ------
    InputError
        with everything that is wrong, by line.
    """
    path = Path(path)
    documents = () if path.is_dir() else read_raw(path)
    written = [document for document in documents if _is_scenario(document)]
    if written:
        return _read_scenario(path, documents, overrides)
    if documents and not any(_is_kubernetes(document) for document in documents):
        raise InputError([_neither(documents[0])])
    return _around_objects(path, overrides, documents)


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
    return document.problem((), "is neither a scenario nor Kubernetes objects: it has no kind", EXAMPLE)


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


def _around_objects(path: Path, overrides: Sequence[tuple[str, str]], documents: Sequence[Document]) -> Scenario:
    reading = Reading()
    if documents:
        reading.add_all(documents)
    else:
        read_into(reading, [path])
    if not reading.problems and not reading.objects() and not reading.proxy:
        what = "holds no Service, Pod, EndpointSlice, workload or Node"
        raise InputError([Problem(Place(str(path)), what=what, mend="kubectl get svc,endpointslices,nodes -A -o json")])
    spec: dict[str, object] = {
        "compare": {"modes": [mode for mode in COMPARED if mode in built_modes()]},
        "traffic": dict(DEFAULT_TRAFFIC),
        "changes": {"churn": dict(DEFAULT_CHURN)},
        "run": dict(DEFAULT_RUN),
    }
    _drop_unbuilt_mode(reading)
    tree = Tree(str(path), {"apiVersion": API_VERSION, "kind": "Scenario", "spec": spec})
    tree.override(overrides)
    return build(tree, None, reading, path.parent, _stem(path))


def _drop_unbuilt_mode(reading: Reading) -> None:
    """A real cluster may run a mode that is not built yet; the comparison of those that are is still an answer."""
    mode = (reading.proxy or {}).get("mode")
    if reading.proxy and isinstance(mode, str) and mode and mode not in built_modes():
        reading.proxy.pop("mode")
        reading.warnings.append(f"the cluster runs kube-proxy in mode {mode[:40]!r}, which kpsim cannot simulate yet")


def _stem(path: Path) -> str:
    """A name for a scenario after the file it came from."""
    name = path.resolve().name if path.name in ("", ".", "..") else path.name
    for suffix in (".gz", ".json", ".yaml", ".yml"):
        name = name.removesuffix(suffix)
    name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in name).strip("._-")[:100]
    return name if NAME.fullmatch(name) else "cluster"
