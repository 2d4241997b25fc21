"""The base class of events: its time, the objects it is about, objections to its keys, and its acts.

A kind of event is a class in a module beside this one.  Its declared fields are its keys, below its own name
(``Rollout`` is ``rollout``); how it is read and written follows.  An event that acts on anything but Pods and nodes (as
``ApiServerRestart``) needs a method here and a reader of it in :mod:`kpsim.simulation.wiring`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np

from kpsim.cluster.columns import Cluster
from kpsim.cluster.params import ClusterParams, ServiceGroup
from kpsim.declared import Declared, Form
from kpsim.errors import InputError
from kpsim.history.terms import Ending
from kpsim.kube.objects import KubeObjects

if TYPE_CHECKING:
    from kpsim.history.scene import Scene  # reading a scenario must not load SimPy
    from kpsim.profiles.defaults import Defaults

DEFAULT_NAMESPACE = "default/"
SERVICE = Form(
    str,
    lambda name: name if "/" in name else DEFAULT_NAMESPACE + name,
    lambda name: name,
    "a name, e.g. shop/web-0",
)


@dataclass(frozen=True, slots=True)
class Setting:
    """Events refer to this setting: the cluster, its Services, and the number of API servers."""

    cluster: ClusterParams
    groups: Sequence[ServiceGroup]
    objects: KubeObjects
    api_servers: int = 1

    def has_service(self, name: str) -> bool:
        """Return whether a Service exists at time zero."""
        prefix, _, number = name.rpartition("-")
        grown = any(
            prefix == f"{g.namespace}/{g.name}" and re.fullmatch("0|[1-9][0-9]{0,8}", number) and int(number) < g.count
            for g in self.groups
        )
        return grown or any(name == f"{s.namespace}/{s.name}" for s in self.objects.services)

    def services(self) -> list[str]:
        """Return one Service of each group, and those that were read."""
        grown = [f"{g.namespace}/{g.name}-0" for g in self.groups if g.count]
        return [*grown, *(f"{s.namespace}/{s.name}" for s in self.objects.services)]

    def nodes(self) -> list[str]:
        """Return what nodes are called."""
        named = {pod.node for pod in self.objects.pods} | {e.node for s in self.objects.slices for e in s.endpoints}
        known = sorted(named - {""})
        return known + [f"node-{n}" for n in range(len(known), self.cluster.nodes)]


@dataclass(frozen=True, slots=True)
class Objection:
    """An event is faulty at one of its keys, or as a whole at ""; ``near`` is a word and the words that exist."""

    key: str
    what: str
    mend: str = ""
    near: tuple[str, Sequence[str]] = ("", ())
    on_key: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """Something that is done to the cluster, or happens to it, at a moment of the run."""

    at_s: float  # the key ``at`` stands beside the event's own name

    controller: ClassVar[Literal["", "Deployment", "StatefulSet"]] = ""  # which the workload must have
    rolls: ClassVar[bool] = False  # it replaces all Pods of a workload
    of_pods: ClassVar[bool] = True  # it has to do with the Pods of the Service that it names
    joins: ClassVar[bool] = False  # its nodes are not there before it
    # it is answered by how its Pods end, how long nobody notices, how long a node or a write waits, or by all changes
    asks: ClassVar[Literal["ending", "outage", "join", "write", "server"]] = "outage"

    def described(self) -> str:
        """Return what happens, in a few words: ``rollout of shop/web``."""
        raise NotImplementedError

    def service_named(self) -> str:
        """Return the Service it is about, "" if it is about none."""
        return ""

    def nodes_of(self, cluster: Cluster, rng: np.random.Generator) -> list[int]:  # noqa: ARG002 - for those who need it
        """Return the nodes it is about.  Raises :class:`InputError` if one is not there."""
        return []

    def objections(self, setting: Setting, given: Collection[str]) -> Iterator[Objection]:  # noqa: ARG002
        """Yield what cannot be; ``given`` are its keys that a file has."""
        yield from ()

    def act(self, scene: Scene) -> None:
        """Do what it does to Pods; nothing, if it is of no concern to them."""

    def ending_of_evicted(self) -> Ending | None:
        """Return how Pods end that it drives from their node; ``None``: as their workload says."""
        return None

    def restarted_api_server(self) -> int | None:
        """Return the API server that restarts, ``None`` if none does."""
        return None

    def without_controllers_s(self, defaults: Defaults) -> float | None:  # noqa: ARG002 - for those who need it
        """Return how long no kube-controller-manager leads, ``None`` if one goes on."""
        return None


@dataclass(frozen=True, slots=True)
class ServiceEvent(Event):
    """An event about the workload behind a Service."""

    service: Annotated[str, Declared("The Service whose Pods it is about", form=SERVICE)]

    def service_named(self) -> str:
        """Return the Service, with its namespace."""
        return self.service

    def objections(self, setting: Setting, given: Collection[str]) -> Iterator[Objection]:  # noqa: ARG002
        """Yield that there is no such Service."""
        if not setting.has_service(self.service):
            known = setting.services()
            mend = f"there are {', '.join(known[:5])}" if known else ""
            what = f"there is no Service called {self.service[:80]}"
            yield Objection("service", what, mend, (self.service, known))


def nodes_by_name(node: str | None, count: int, cluster: Cluster, rng: np.random.Generator) -> list[int]:
    """Return the node called ``node``, else ``count`` that are chosen at random."""
    if not node:
        return list(rng.permutation(cluster.nodes)[:count].tolist())
    names = {cluster.node_name(number): number for number in range(cluster.nodes)}
    if node not in names:
        raise InputError(f"spec.changes.events: no Pod behind a Service is on a node called {node!r}")
    return [names[node]]


def objections_to_nodes(
    node: str | None, count: int, key: str, setting: Setting, given: Collection[str]
) -> Iterator[Objection]:
    """Yield what is wrong with a node by its name, or their number under ``key``."""
    if node and key in given:
        yield Objection(key, f"a node by its name, or {key}, but not both", on_key=True)
    elif node:
        known = setting.nodes()
        mend = f"there are {known[0]} to {known[-1]}"
        if node not in known:
            yield Objection("node", f"there is no node called {node[:80]}", mend, (node, known))
    elif count > setting.cluster.nodes:
        yield Objection(key, f"the cluster has {setting.cluster.nodes:,} nodes only")


def several(nodes: int) -> str:
    """Return ``nodes`` in words."""
    return "a node" if nodes == 1 else f"{nodes} nodes"
