"""Creating Services costs the API server more than the Services themselves; closed forms in counts.

Until 1.32 all ClusterIPs of a family are bits of one shared object, read, changed and written back if nobody else did:
one write at a time, whoever asks.  From 1.34 each ClusterIP is an IPAddress object of its own, created, and tried again
with the next address if it is there already; 1.33 does both.  NodePorts and health check ports are bits of a shared
object in every version, one write a port.  Releasing costs the same again.

Load balancers are made by the cloud controller's service controller, which has one worker.

Left out: the repair loops that read everything every three minutes.

Source: pkg/registry/core/service/allocator/storage/storage.go (tryUpdate), pkg/registry/core/service/ipallocator
(ipallocator.go, cidrallocator.go), pkg/features/kube_features.go (MultiCIDRServiceAllocator: GA in 1.33;
DisableAllocatorDualWrite: on from 1.34), staging/src/k8s.io/cloud-provider/config (concurrent-service-syncs: 1).
"""

from __future__ import annotations

from typing import TypeVar

from kpsim.units import I64, Version

Count = TypeVar("Count", int, I64)

IP_ADDRESSES_SINCE: Version = (1, 33)
BITMAP_UNTIL: Version = (1, 33)
SERVICE_WORKERS = 1


def allocators_of(version: Version) -> tuple[str, ...]:
    """Return the allocators of ClusterIPs in a Kubernetes version: "bitmap" (shared), "IPAddress" objects, or both."""
    found = ("IPAddress",) if version >= IP_ADDRESSES_SINCE else ()
    return (*found, *(("bitmap",) if version <= BITMAP_UNTIL else ()))


def creation_writes(addresses: Count, node_ports: Count, version: Version) -> Count:
    """API writes that create one Service: itself, its ``addresses`` and its ``node_ports``, health check port included.

    Nobody is in the way: no write is tried again.
    """
    return 1 + len(allocators_of(version)) * addresses + node_ports


def shared_writes(addresses: Count, node_ports: Count, version: Version) -> Count:
    """Return the number of :func:`creation_writes` that change a shared object, and so wait for one another."""
    return ("bitmap" in allocators_of(version)) * addresses + node_ports


def provisioning_s(load_balancers: int, each_s: float, workers: int = SERVICE_WORKERS) -> float:
    """Return the time until the last of several load balancers made at once is there [s]."""
    return -(-load_balancers // workers) * each_s
