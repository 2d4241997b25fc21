"""An API server judges changed objects: the new files against what the old ones made of the cluster.

An object that is in both is an update, one that is only in the new ones a creation; the old ones stay.  Objects that
ask for an address or a port are created first, so that none is chosen that another asks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from kpsim.documents import Document, Key
from kpsim.errors import Problem
from kpsim.kube.fields import Fault
from kpsim.kube.server import ApiServer
from kpsim.kube.server.judge import VERSIONS, Answer, Server
from kpsim.kube.validation import as_written

Found = tuple[Document, Key, dict[str, Any]]


def judge_update(
    new: Iterable[Document], old: Iterable[Document], api: ApiServer
) -> tuple[list[Problem], list[str], int]:
    """Return the problems of the new objects, the warnings about those that are taken, and the number looked at."""
    server = Server(api)
    problems: list[Problem] = []
    warnings: list[str] = []
    for found in sorted(_objects(old), key=lambda item: not _asks(item[2].get("spec") or {})):
        problems += _problems(found, server.create(found[2]), "as it was: ")
    looked_at = list(_objects(new))
    for found in looked_at:
        answer = server.update(found[2])
        problems += _problems(found, answer)
        place = found[0].place(found[1])
        warnings += [f"{place}: {said}" for said in answer.warnings]
    return problems, warnings, len(looked_at)


def _objects(documents: Iterable[Document]) -> Iterator[Found]:
    """Every object that is judged, lists opened."""
    for document in documents:
        waiting: list[tuple[Key, object]] = [((), document.data)]
        for key, raw in waiting:
            if isinstance(raw, dict) and isinstance(raw.get("items"), list):
                waiting += [((*key, "items", index), item) for index, item in enumerate(raw["items"])]
            elif isinstance(raw, dict) and raw.get("kind") in VERSIONS:
                yield document, key, raw


def _asks(spec: dict[str, Any]) -> bool:
    """Return True if a Service asks for an address or a port of its own."""
    ports = [port for port in spec.get("ports") or () if isinstance(port, dict)]
    return bool(spec.get("clusterIP") or spec.get("healthCheckNodePort") or any(port.get("nodePort") for port in ports))


def _problems(found: Found, answer: Answer, before: str = "") -> Iterator[Problem]:
    document, key, raw = found
    faults = answer.causes or (() if answer.accepted else (Fault((), answer.message),))
    for cause in faults:
        fault = as_written(cause, raw)
        what = f"{before}{fault.what}"
        made = document.problem((*key, *fault.key), what, fault.mend, on_key=fault.on_key)
        yield replace(made, path=fault.field, kind=fault.kind or answer.reason)
