"""How kube-proxy is configured, as far as the model reads a KubeProxyConfiguration.

Periods and conntrack's limits are what the engines ask for; :class:`NodeSettings` is what else shows in the rules of a
node.  Left out: what neither rules nor times depend on (addresses of servers, logging, clients).
Source of names and defaults: staging/src/k8s.io/kube-proxy/config/v1alpha1/types.go, pkg/proxy/apis/config/v1alpha1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

DETECT_LOCAL_MODES = ("ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix")
IPVS_SCHEDULERS = ("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "mh", "dh", "sed", "nq", "fo", "ovf")
PRIMARY = "primary"  # of nodePortAddresses: the node's first address

LATEST = (1, 34)  # the Kubernetes whose structure is modelled where nothing is said of a version
LENT = {"ipvs": "iptables"}  # IPVS has no masqueradeAll and masqueradeBit of its own; it takes those of iptables


@dataclass(frozen=True, slots=True)
class ModePeriods:
    """How often one mode syncs, as its own section of the configuration says."""

    mode: str
    min_sync_period_s: float | None = None
    sync_period_s: float | None = None


@dataclass(frozen=True, slots=True)
class Masquerade:
    """What one mode masquerades beyond what it must, and the bit of the packet's mark that says so."""

    mode: str
    all: bool = False
    bit: int = 14


@dataclass(frozen=True, slots=True)
class IpvsSettings:
    """What IPVS is told beside the scheduler; a timeout of 0 leaves the kernel's own."""

    strict_arp: bool = False
    tcp_timeout_s: float = 0.0
    tcp_fin_timeout_s: float = 0.0
    udp_timeout_s: float = 0.0
    exclude_cidrs: tuple[str, ...] = ()  # virtual servers there are somebody else's, and stay


@dataclass(frozen=True, slots=True)
class WinkernelSettings:
    """How a Windows node is set up: what its section of the configuration says, and what only the node knows.

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
        """Whether the node's Pods are on an overlay network."""
        return bool(self.source_vip)


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What of the configuration shows in a node's rules, with Kubernetes' defaults.

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
        """The masquerading of ``mode``."""
        found = {at.mode: at for at in self.masquerade}
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
    kubernetes_version: tuple[int, int] = LATEST

    @property
    def masquerade_all(self) -> bool:
        """Whether this mode masquerades all traffic to a ClusterIP."""
        return self.settings.masquerade_of(self.mode).all

    def sync_period(self, default_s: float) -> float:
        """The syncPeriod as configured, else kube-proxy's [s]."""
        return default_s if self.sync_period_s is None else self.sync_period_s

    def for_mode(self, mode: str) -> ProxyParams:
        """The same configuration with ``mode`` chosen and that mode's own periods."""
        own = next((at for at in self.periods if at.mode == mode), None)
        if own is None:
            return self if mode == self.mode else replace(self, mode=mode, min_sync_period_s=None, sync_period_s=None)
        return replace(self, mode=mode, min_sync_period_s=own.min_sync_period_s, sync_period_s=own.sync_period_s)


@dataclass(frozen=True, slots=True)
class FaultParams:
    """Rates are a node's; a share is of syncs, or of time."""

    failed_syncs: float = 0.0  # share of syncs whose restore or transaction fails
    restarts_per_hour: float = 0.0  # of kube-proxy
    flushes_per_hour: float = 0.0  # somebody else empties the tables, as firewall daemons do when they reload
    lock_held: float = 0.0  # share of time in which another process holds the xtables lock
    lock_hold_s: float = 0.0  # how long it holds it each time

    @property
    def any(self) -> bool:
        """Whether anything goes wrong at all."""
        return any((self.failed_syncs, self.restarts_per_hour, self.flushes_per_hour, self.lock_held))
