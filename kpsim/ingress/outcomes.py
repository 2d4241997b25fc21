"""Both engines leave this record of every request, in columns, and of every sync of the controller's Pods."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from kpsim.cluster.changes import Changes
from kpsim.cluster.columns import Cluster
from kpsim.proxy.rules import DROPPED, REFUSED
from kpsim.units import I64


class Status(IntEnum):
    """A request ends with an answer, or with one of NGINX's own."""

    ANSWERED = 200
    BAD_GATEWAY = 502  # every try was refused, the last one at least
    UNAVAILABLE = 503  # there is no endpoint, or no such Service or port
    TIMED_OUT = 504  # the last try got no answer


class Fate(IntEnum):
    """A try ends in one of these ways."""

    ANSWERED = 0
    REFUSED = 1  # at once: the process is gone, or kube-proxy's rules reject
    SILENT = 2  # no answer: the process hangs, its node is lost, or the rules drop


@dataclass(frozen=True, slots=True)
class IngressOutcomes:
    """Requests in order of arrival, (n,)."""

    arrival_ns: I64
    start_ns: I64  # of their service by a core of the controller
    finish_ns: I64
    status: I64
    tries: I64
    pod: I64  # the last one tried; REFUSED, DROPPED or -1 where there was none


@dataclass(frozen=True, slots=True)
class Syncs:
    """The syncs of one of the controller's Pods, (s,): deliveries it had looked at, and when workers have the lists."""

    absorbed: I64
    taken_ns: I64  # (s, workers)


@dataclass(frozen=True, slots=True)
class IngressRun:
    """The controller's requests and syncs in one replication under one mode."""

    outcomes: IngressOutcomes
    syncs: tuple[Syncs, ...]  # a Pod of the controller


@dataclass(frozen=True, slots=True)
class Pods:
    """The Pods of a run, as a client that connects to one finds them."""

    home: I64
    changes: Changes

    @staticmethod
    def of(cluster: Cluster, changes: Changes) -> Pods:
        """Return the Pods of one replication."""
        return Pods(cluster.homes(len(changes.pod_gone_ns)), changes)

    def fate(self, pod: I64, time_ns: I64) -> I64:
        """Return the Fate of tries at ``pod`` (REFUSED, DROPPED are kube-proxy's) at ``time_ns``, (n,) each [A37]."""
        some = np.maximum(pod, 0)
        gone = self.changes.pod_gone_ns[some] <= time_ns
        silent = self.changes.outages.cover(some, time_ns) | self.changes.lost.cover(self.home[some], time_ns)
        found = np.where(silent, int(Fate.SILENT), np.where(gone, int(Fate.REFUSED), int(Fate.ANSWERED)))
        found = np.where(pod == REFUSED, int(Fate.REFUSED), found)
        return np.where(pod == DROPPED, int(Fate.SILENT), found)
