"""Files and directories become a :class:`Scenario`: one as written, or a moderate one around real objects or rules."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kpsim.collector import resting
from kpsim.documents import Document
from kpsim.dumps.others import OBJECTS
from kpsim.errors import InputError, Place, Problem, nearest
from kpsim.kube.decode import WORKLOAD_KINDS
from kpsim.kube.reader import KEPT, Reading
from kpsim.scenario.build import build
from kpsim.scenario.kinds import KINDS, Look, OtherFile, ScenarioFile, identify, name_of
from kpsim.scenario.model import Scenario, Sweep
from kpsim.scenario.schema import API_VERSION
from kpsim.scenario.sections.imports import add_rules, signs_of, take, take_shown
from kpsim.scenario.sections.modes import built_modes, usual_modes
from kpsim.scenario.sections.ranges import expand
from kpsim.scenario.tree import Tree
from kpsim.units import Version

if TYPE_CHECKING:
    from kpsim.dumps.detection import RuleDump

VERSION = ("spec", "kubernetes", "version")
DEFAULT_TRAFFIC = {"connectionsPerSecondPerNode": 100}
DEFAULT_CHURN = {"podReplacementsPerSecond": 0.1}
MOST_NAMED = 5  # kinds of objects that are of no use, in a message
DEFAULT_RUN = {"duration": "60s", "warmup": "10s", "engine": "auto"}


@resting()
def read(given: str | Path | Look, overrides: Sequence[tuple[str, str]] = ()) -> Scenario:
    """Return the scenario that was given, or a default one around the Kubernetes objects and rules that were.

    Objects say more than rules do: rules add the Services and endpoints that no object was read of.

    Parameters
    ----------
    given
        a scenario, a manifest, what ``kubectl get -o json|yaml`` printed, what a tool printed of a node's rules, a
        directory of those; or several of them that show one cluster, as :func:`~kpsim.scenario.kinds.identify` saw
        them.
    overrides
        (path, value) pairs, as ``--set path=value`` gives them; paths are relative to ``spec``.

    Raises
    ------
    InputError
        with everything that is wrong, by file and line.
    """
    look = _readable(given)
    if look.scenario is not None:
        return _read_scenario(look.scenario, overrides)
    reading = Reading()
    dumps = take(reading, look)
    return _around(reading, dumps, look.paths, overrides)


def read_sweep(given: str | Path | Look, sets: Sequence[tuple[str, str]] = ()) -> Sweep:
    """Return the grid a ``kind: Sweep`` file asks for; ranges given as ``--set`` are added, or replace the file's.

    Raises
    ------
    InputError
        if a range cannot be read, or the first or last scenario of the grid is not valid.
    """
    look = _readable(given)
    ranges: dict[str, tuple[object, Document | None]] = {}
    for document in look.scenario.documents if look.scenario else ():
        sweep = document.data.get("sweep") if isinstance(document.data, dict) else None
        if isinstance(sweep, dict):
            ranges |= {name: (value, document) for name, value in sweep.items()}
    ranges |= {name: (value, None) for name, value in sets}
    problems = [
        Problem(Place(look.name), name, f"--set names this axis {count} times", "give all its values in one list")
        for name, count in Counter(name for name, _ in sets).items()
        if count > 1
    ]
    axes = [(name, _values(name, value, document, problems)) for name, (value, document) in ranges.items()]
    if not axes:
        what = "nothing to sweep over"
        problems.append(Problem(Place(look.name), "sweep", what, "add sweep: {services.small.count: 100..100k:log:13}"))
    if problems:
        raise InputError(problems)
    for end in (0, -1):
        read(look, [(name, values[end]) for name, values in axes])
    return Sweep(tuple(axes), {name: value for name, (value, _) in ranges.items()})


def _readable(given: str | Path | Look) -> Look:
    """Return the files that were given as what they are.  Raises :class:`InputError` if nothing is taken from any."""
    look = given if isinstance(given, Look) else identify([given])
    others = [file for file in look.files if isinstance(file, OtherFile)]
    if len(others) == len(look.files):
        raise InputError([problem for file in others if not file.beside for problem in file.problems])
    return look


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


def _read_scenario(file: ScenarioFile, overrides: Sequence[tuple[str, str]]) -> Scenario:
    documents, document = file.documents, file.documents[0]
    if len(documents) > 1:
        other = next(each for each in documents[::-1] if each is not document)
        what = "a scenario file holds one document"
        mend = "put Kubernetes objects under spec.objects, or name their file in spec.importFrom"
        raise InputError([other.problem((), what, mend)])
    tree = Tree.of(document, file.opened)
    tree.override(overrides)
    return build(tree, document, Reading(), file.path.parent, name_of(file.path))


def _meant(kinds: Iterable[str]) -> str:
    """Return a hint where one of some kinds is a scenario, or another that is spelt otherwise; "" without one."""
    if any(kind in KINDS for kind in kinds):
        return "in a folder, a scenario is not run: give its file by name"
    known = ("Service", "Endpoints", *KEPT, *WORKLOAD_KINDS)
    near = next(filter(None, (nearest(kind, known, 0.8) for kind in kinds)), "")
    return f"did you mean {near}?" if near else ""


def _around(
    reading: Reading, dumps: Sequence[RuleDump], paths: Sequence[Path], overrides: Sequence[tuple[str, str]]
) -> Scenario:
    nodes_known = bool(reading.nodes or reading.pods)
    add_rules(reading, dumps)
    if not reading.problems and not reading and not reading.proxy:
        from kpsim.dumps.detection import gaps

        others = ", ".join(f"{count:,} {kind}" for kind, count in reading.ignored.most_common(MOST_NAMED))
        what = f"holds no Service, Pod, EndpointSlice, workload or Node{f', but {others}' if others else ''}"
        said = "\n    ".join(gaps(dumps)) or _meant(reading.ignored) or OBJECTS
        raise InputError([Problem(Place(str(path)), what=what, mend=said) for path in paths])
    mode = signs_of(reading, dumps).mode(built_modes())
    spec: dict[str, object] = {
        "traffic": dict(DEFAULT_TRAFFIC),
        "changes": {"churn": dict(DEFAULT_CHURN)},
        "run": dict(DEFAULT_RUN),
    }
    _drop_unbuilt_mode(reading)
    tree = Tree(str(paths[0]), {"apiVersion": API_VERSION, "kind": "Scenario", "spec": spec})
    take_shown(tree, reading, dumps, nodes_known=nodes_known)
    compared = usual_modes(_version_among([("kubernetes.version", str(tree.at(VERSION) or "")), *overrides]))
    names = dict.fromkeys((mode.value if mode else "", *compared))
    spec["compare"] = {"modes": [name for name in names if name in built_modes()]}
    tree.override(overrides)
    return build(tree, None, reading, paths[0].parent, name_of(paths[0]))


def _version_among(overrides: Sequence[tuple[str, str]]) -> Version:
    """Return the Kubernetes version an override asks for; what is wrong with it is said when the scenario is built."""
    written = dict(overrides).get("kubernetes.version", "")
    found = re.match(r"v?(\d{1,3})\.(\d{1,3})", written.strip("\"'"))
    return (int(found[1]), int(found[2])) if found else Scenario("").kubernetes_version


def _drop_unbuilt_mode(reading: Reading) -> None:
    """A real cluster may run a mode that is not built yet; the comparison of those that are is still an answer."""
    mode = (reading.proxy or {}).get("mode")
    if reading.proxy and isinstance(mode, str) and mode and mode not in built_modes():
        reading.proxy.pop("mode")
        reading.warnings.append(f"the cluster runs kube-proxy in mode {mode[:40]!r}, which kpsim cannot simulate yet")
