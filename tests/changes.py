"""Changes written by hand, for tests of the control plane."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kpsim.cluster.changes import NEVER, ChangeKind, Changes
from kpsim.cluster.columns import Cluster

Told = tuple[int, ChangeKind, int]  # when [ns], what, which Pod or Service


def changes_of(cluster: Cluster, told: Sequence[Told] = (), slots: Sequence[int] = ()) -> Changes:
    """Hand-made changes; the Pods beyond the cluster's take the places in ``slots``."""
    at, kind, subject = (np.array(column, np.int64) for column in (zip(*told, strict=True) if told else ((), (), ())))
    new = len(slots)
    first = int(cluster.pod_ip.max(initial=0)) + 1
    return Changes(
        at, kind, subject,
        pod_slot=np.concatenate([np.arange(cluster.pods), np.array(slots, np.int64)]),
        pod_ip=np.concatenate([cluster.pod_ip, np.arange(first, first + new)]).astype(np.uint32),
        pod_gone_ns=np.full(cluster.pods + new, NEVER),
    )  # fmt: skip
