"""A kube-proxy that starts cold lists everything, waits for its informers, and only then begins its first sync.

The time from its start to that sync was measured on a quiet API server, the lists included; what lists take beyond a
list alone, because many nodes join at once, comes on top.  Left out: the time before kube-proxy's process runs (the
machine's boot, the kubelet's registration, the image), and that nodes which join at once may list from several servers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kpsim.controlplane.api.watches import Reconnection
from kpsim.profiles.defaults import Defaults


@dataclass(frozen=True, slots=True)
class Join:
    """A node's kube-proxy starts at ``at_ns``, has its lists at ``listed_ns``, and syncs first at ``begins_ns``."""

    node: int
    at_ns: int
    listed_ns: int
    begins_ns: int


def start_up_s(services: int, endpoints: int, defaults: Defaults) -> float:
    """Return the time from kube-proxy's start to its first sync on a quiet API server [s]."""
    each = defaults.value("kube_proxy.cold_start_service"), defaults.value("kube_proxy.cold_start_endpoint")
    return max(defaults.value("kube_proxy.cold_start_least"), each[0] * services + each[1] * endpoints)


def cold_starts(
    joins: Mapping[int, int], lists: Reconnection, start_up_ns: int, rng: np.random.Generator
) -> tuple[Join, ...]:
    """Return how the nodes that join at some times [ns] begin, in order of the nodes.

    >>> from kpsim.controlplane.api.seats import PriorityLevel
    >>> from kpsim.controlplane.api.watches import Relist
    >>> from kpsim.controlplane.params import ApiServerParams
    >>> from kpsim.profiles.defaults import load_defaults
    >>> defaults = load_defaults()
    >>> level = PriorityLevel.of(ApiServerParams(), defaults)
    >>> lists = Reconnection.of(level, Relist.of(10_000_000, 1.0, defaults), defaults)
    >>> (join,) = cold_starts({7: 0}, lists, 500_000_000, np.random.default_rng(1))
    >>> join.node, join.begins_ns
    (7, 500000000)
    """
    nodes = sorted(joins)
    listed = lists.served_ns([joins[node] for node in nodes], rng).tolist()
    after_ns = max(start_up_ns - lists.relist.takes_ns(1), 0)  # a list's time is in the start-up
    return tuple(Join(n, joins[n], at_ns, at_ns + after_ns) for n, at_ns in zip(nodes, listed, strict=True))
