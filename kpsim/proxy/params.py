"""kube-proxy's configuration, as far as the model reads a KubeProxyConfiguration.

Periods and conntrack's limits are what the engines ask for; :class:`NodeSettings` is what else shows in the rules of a
node.  Left out: what neither rules nor times depend on (addresses of servers, logging, clients).
Source of names and defaults: staging/src/k8s.io/kube-proxy/config/v1alpha1/types.go, pkg/proxy/apis/config/v1alpha1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from kpsim.declared import Declared, Group
from kpsim.units import Version

DETECT_LOCAL_MODES = ("ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix")
IPVS_SCHEDULERS = ("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "mh", "dh", "sed", "nq", "fo", "ovf")
PRIMARY = "primary"  # of nodePortAddresses: the node's first address

_LOCK = Group("xtablesLock", "Other processes that take the xtables lock: CNI plugins, kubelet, firewall daemons.")

LATEST: Version = (1, 34)  # the Kubernetes whose structure is modelled where nothing is said of a version
LENT = {"ipvs": "iptables"}  # IPVS has no masqueradeAll and masqueradeBit of its own; it takes those of iptables


@dataclass(frozen=True, slots=True)
class ModePeriods:
    """One mode's sync periods, from its own section of the configuration."""

    mode: str
    min_sync_period_s: float | None = None
    sync_period_s: float | None = None


@dataclass(frozen=True, slots=True)
class Masquerade:
    """One mode masquerades this much beyond what it must, and marks such packets with this bit."""

    mode: str
    all: bool = False
    bit: int = 14


@dataclass(frozen=True, slots=True)
class IpvsSettings:
    """IPVS' settings beside the scheduler; a timeout of 0 leaves the kernel's own."""

    strict_arp: bool = False
    tcp_timeout_s: float = 0.0
    tcp_fin_timeout_s: float = 0.0
    udp_timeout_s: float = 0.0
    exclude_cidrs: tuple[str, ...] = ()  # virtual servers there are somebody else's, and stay


@dataclass(frozen=True, slots=True)
class WinkernelSettings:
    """A Windows node's settings, from its section of the configuration and from the node itself.

    kube-proxy asks for ``source_vip`` on overlay networks alone, so one that is written is taken to mean that there is
    one; else the network is l2bridge.  ``modifies``: a changed load balancer is updated instead of deleted and created,
    which needs Kubernetes 1.31 and Windows Server 2025.
    """

    enable_dsr: bool = False
    source_vip: str = ""
    forward_health_check_vip: bool = False
    modifies: bool = False

    @property
    def overlay(self) -> bool:
        """Return True if the node's Pods are on an overlay network."""
        return bool(self.source_vip)


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """The part of the configuration that shows in a node's rules, with Kubernetes' defaults.

    ``cluster_cidr`` is ``None`` where the configuration has no such key; a scenario usually leaves it out and
    ``cluster.podCIDR`` stands for it.  Written and empty it means to kube-proxy that there is no detector of local
    traffic.  ``masquerade`` holds the modes that differ from the default.
    """

    masquerade: tuple[Masquerade, ...] = ()
    localhost_node_ports: bool = True
    node_port_addresses: tuple[str, ...] = ()  # none: the mode's own default
    cluster_cidr: str | None = None
    detect_local_mode: str = "ClusterCIDR"
    bridge_interface: str = ""
    interface_name_prefix: str = ""
    conntrack_tcp_be_liberal: bool = False
    ipvs: IpvsSettings = IpvsSettings()
    winkernel: WinkernelSettings = WinkernelSettings()

    def masquerade_of(self, mode: str) -> Masquerade:
        """Return the masquerading of ``mode``."""
        found = {mark.mode: mark for mark in self.masquerade}
        own, lent = found.get(mode, Masquerade(mode)), found.get(LENT.get(mode, mode), Masquerade(mode))
        return Masquerade(mode, own.all or lent.all, lent.bit)


@dataclass(frozen=True, slots=True)
class ProxyParams:
    """One mode's settings; ``None`` takes the mode's own default for the Kubernetes version.

    ``periods`` keeps what the sections of all modes say, so that :meth:`for_mode` can turn one mode's settings into
    another's: iptables' minSyncPeriod is not ipvs'.
    """

    mode: str = "iptables"
    min_sync_period_s: float | None = None
    sync_period_s: float | None = None
    ipvs_scheduler: str = "rr"
    conntrack_max_per_core: int = 32768
    conntrack_min: int = 131072
    periods: tuple[ModePeriods, ...] = ()
    settings: NodeSettings = NodeSettings()
    kubernetes_version: Version = LATEST

    @property
    def masquerade_all(self) -> bool:
        """Return True if this mode masquerades all traffic to a ClusterIP."""
        return self.settings.masquerade_of(self.mode).all

    def sync_period(self, default_s: float) -> float:
        """Return the syncPeriod as configured, else kube-proxy's [s]."""
        return default_s if self.sync_period_s is None else self.sync_period_s

    def for_mode(self, mode: str) -> ProxyParams:
        """Return the same configuration with ``mode`` chosen and that mode's own periods."""
        own = next((each for each in self.periods if each.mode == mode), None)
        if own is None:
            return self if mode == self.mode else replace(self, mode=mode, min_sync_period_s=None, sync_period_s=None)
        return replace(self, mode=mode, min_sync_period_s=own.min_sync_period_s, sync_period_s=own.sync_period_s)


@dataclass(frozen=True, slots=True)
class FaultParams:
    """Rates are a node's; a share is of syncs, or of time."""

    failed_syncs: Annotated[float, Declared("Syncs whose restore or transaction fails", at_most=1)] = 0.0
    restarts_per_hour: Annotated[float, Declared("Restarts of kube-proxy", key="restartsPerNodePerHour")] = 0.0
    flushes_per_hour: Annotated[
        float,
        Declared("Tables emptied, as firewall daemons do when they reload", key="ruleFlushesPerNodePerHour"),
    ] = 0.0
    lock_held: Annotated[float, Declared("Time in which it is held", at_most=1, key="held", group=_LOCK)] = 0.0
    lock_hold_s: Annotated[float, Declared("How long it is held each time", key="hold", group=_LOCK)] = 0.0

    @property
    def any(self) -> bool:
        """Return True if anything goes wrong at all."""
        return any((self.failed_syncs, self.restarts_per_hour, self.flushes_per_hour, self.lock_held))
