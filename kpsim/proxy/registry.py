"""The proxy modes there are: one line each, with what must be known before a mode is imported.

Everything that offers a choice of mode (the YAML key, the command line, legends, contract tests) reads this table, so
a new mode is one class and one line here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kpsim.proxy.contract import Mode
    from kpsim.proxy.params import ProxyParams

__all__ = ["MODES", "ModeEntry", "create", "temporarily"]

Version = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ModeEntry:
    """A mode before it is imported; versions are Kubernetes releases, ``None`` for always or never."""

    name: str
    target: str  # "module:Class"
    summary: str
    since: Version | None = None
    removed: Version | None = None
    deprecated: Version | None = None
    note: str = ""
    history: tuple[tuple[Version, str], ...] = ()  # what changed in which release, in order
    modelled: str = ""
    left_out: str = ""

    def status(self, version: Version) -> str:
        """What a Kubernetes ``version`` makes of it: "not yet", "available", "deprecated" or "gone"."""
        if self.since and version < self.since:
            return "not yet"
        if self.removed and version >= self.removed:
            return "gone"
        return "deprecated" if self.deprecated and version >= self.deprecated else "available"


_ENTRIES = (
    ModeEntry("iptables", "kpsim.proxy.iptables:Iptables", "netfilter chains, a new connection scans O(Services) rules",
              since=(1, 1), note="the default on Linux since 1.2",
              history=(
                  ((1, 2), "the default on Linux"),
                  ((1, 24), "KUBE-EXT and KUBE-SVL chains instead of KUBE-XLB"),
                  ((1, 25), "KUBE-PROXY-FIREWALL drops what source ranges do not let in, instead of KUBE-MARK-DROP"),
                  ((1, 26), "syncs that write only what changed (KEP-3453) in alpha"),
                  ((1, 27), "such partial syncs by default, always from 1.28 on"),
                  ((1, 31), "a rule that counts localhost NodePorts"),
                  ((1, 32), "UDP flows to endpoints that are gone are found by reading the conntrack table"),
                  ((1, 33), "metrics with the label ip_family"),
                  ((1, 34), "the runner without bursts"),
              ),
              modelled="chains and rules by version, full and partial syncs, large-cluster mode, failure and retry, the "
                       "canary, the xtables lock, Local policies, both IP families' proxiers",
              left_out="the nft back end's costs, topology hints and a client's affinity in the engines, layouts before "
                       "1.23"),
    ModeEntry("ipvs", "kpsim.proxy.ipvs:Ipvs", "IPVS virtual servers, a new connection is one hash lookup",
              since=(1, 8), removed=(1, 43), deprecated=(1, 35),
              note="deprecated in 1.35; by KEP-5495 off by default in 1.40 and gone in 1.43",
              history=(
                  ((1, 8), "alpha"),
                  ((1, 9), "beta"),
                  ((1, 11), "generally available"),
                  ((1, 34), "the runner without bursts"),
                  ((1, 35), "deprecated (KEP-5495)"),
                  ((1, 40), "off by default, as planned"),
                  ((1, 43), "removed, as planned"),
              ),
              modelled="virtual and real servers, the 17 ipsets, the chains around them, a sync's processes and netlink "
                       "calls every syncPeriod, graceful termination in the rules",
              left_out="schedulers that look at connections (modelled as rr), persistence and graceful termination in "
                       "the engines, the cost of addresses and entries that come and go"),
    ModeEntry("nftables", "kpsim.proxy.nftables:Nftables", "verdict maps, a new connection is flat to look up",
              since=(1, 29), note="alpha in 1.29, beta in 1.31, general availability in 1.33",
              history=(
                  ((1, 29), "alpha (KEP-3866)"),
                  ((1, 31), "beta, enabled by default"),
                  ((1, 33), "generally available; other priorities of the filter chains"),
                  ((1, 34), "the runner without bursts"),
              ),
              modelled="the table with its chains, maps and sets, full and partial transactions, the clean-up after "
                       "them, start-up over what the kernel still holds, failure and retry",
              left_out="lookups of session affinity in the engines, topology hints, kernels before 5.13"),
    ModeEntry("userspace", "kpsim.proxy.userspace:Userspace", "every byte through kube-proxy, two connections for one",
              since=(1, 0), removed=(1, 26), deprecated=(1, 23),
              note="the only mode in 1.0, the default in 1.1, deprecated in 1.23, removed in 1.26",
              history=(
                  ((1, 1), "iptables beside it, which becomes the default in 1.2"),
                  ((1, 20), "minSyncPeriod, which it shares with iptables, defaults to 1 s instead of 0"),
                  ((1, 23), "deprecated, with a warning at the start"),
                  ((1, 26), "removed (kubernetes/kubernetes 112133)"),
              ),
              modelled="portals in iptables as of 1.19 to 1.25, round robin over all endpoints whatever policies say, "
                       "a process a rule in every sync, descriptors and ports",
              left_out="dials that fail and try the next endpoint, connections accepted one after another, the list "
                       "shuffled at each change, session affinity, SCTP (which it cannot listen to)"),
    ModeEntry("kernelspace", "kpsim.proxy.kernelspace:Kernelspace", "HNS load balancers on Windows, slow to program",
              since=(1, 8), note="Windows only; its costs come from other machines than the others', so compare shapes",
              history=(
                  ((1, 8), "first on Windows Server 1709"),
                  ((1, 14), "Windows nodes generally available; overlay networks and direct server return in alpha"),
                  ((1, 20), "externalTrafficPolicy: Local, by direct server return; overlay networks in beta"),
                  ((1, 24), "a sync lists HNS once instead of for each endpoint"),
                  ((1, 27), "internalTrafficPolicy: Local (and in later patches of 1.24 to 1.26)"),
                  ((1, 31), "load balancers changed in place, where Windows can (Server 2025)"),
                  ((1, 33), "direct server return in beta, allowed without a feature gate"),
                  ((1, 34), "overlay networks and direct server return generally available; no sync every syncPeriod"),
              ),
              modelled="load balancers and HNS endpoints as of 1.31, the runners, HNS calls of a sync, no answer where "
                       "nobody serves",
              left_out="the lists for each endpoint before 1.24, the annotations preserve-destination and "
                       "winProxyOptimization, the moment between deleting and creating a load balancer, HNS' failures"),
    ModeEntry("ebpf", "kpsim.proxy.ebpf:Ebpf", "a Cilium-like replacement: translated at connect(), hash maps, no list",
              note="not a part of Kubernetes: Cilium 1.6 and later, here as of 1.18; its packet costs are scaled from "
                   "studies that contradict each other",
              modelled="the Service, backend, reverse-NAT, affinity and source-range maps, both scopes of traffic "
                       "policies, lookups of sockets and of clients outside, what the agent writes, maps that fill up",
              left_out="Maglev, direct server return, XDP, wildcard entries for unknown ports, slots of endpoints that "
                       "terminate beside ready ones, network policies, the cost of traffic from outside"),
)  # fmt: skip

MODES: dict[str, ModeEntry] = {entry.name: entry for entry in _ENTRIES}


def create(params: ProxyParams, iptables_backend: str = "legacy") -> Mode:
    """The mode that ``params`` names, configured.  Raises ``KeyError`` for a name not in :data:`MODES`."""
    module, _, attribute = MODES[params.mode].target.partition(":")
    mode: Mode = getattr(import_module(module), attribute)(params, iptables_backend)
    return mode


@contextmanager
def temporarily(entry: ModeEntry) -> Iterator[None]:
    """Register a mode for the length of a ``with`` block (tests, experiments in a notebook)."""
    MODES[entry.name] = entry
    try:
        yield
    finally:
        del MODES[entry.name]
