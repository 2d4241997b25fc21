"""The proxy modes, one line each, with the facts that must be known before a mode is imported.

Everything that offers a choice of mode (the YAML key, the command line, legends, contract tests) reads this table, so
a new mode is one class and one line here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from kpsim.units import Version

if TYPE_CHECKING:
    from kpsim.proxy.contract import Mode, ModeAbout
    from kpsim.proxy.params import ProxyParams


LAST_KNOWN: Version = (1, 37)  # the last Kubernetes whose kube-proxy was read of; later ones are announced at most
OTHER_DEFAULT_SINCE: Version = (1, 40)  # planned by KEP-5343: nftables where no mode is given; 1.37 warns of it


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
    needs: str = ""  # of a node's kernel
    usual: bool = True  # a Linux cluster of Kubernetes' own chooses among these; compared when nobody says which

    def implementation(self) -> type[Mode]:
        """Return the mode's class, imported now."""
        module, _, attribute = self.target.partition(":")
        found: type[Mode] = getattr(import_module(module), attribute)
        return found

    def about(self) -> ModeAbout:
        """Return what the mode says about itself; a mode for engines alone need not say anything."""
        from kpsim.proxy.contract import ModeAbout

        found: ModeAbout = getattr(self.implementation(), "about", ModeAbout())
        return found

    def status(self, version: Version) -> str:
        """Return the mode's status in a Kubernetes ``version``: "not yet", "available", "deprecated" or "gone"."""
        if self.since and version < self.since:
            return "not yet"
        if self.removed and version >= self.removed:
            return "gone"
        return "deprecated" if self.deprecated and version >= self.deprecated else "available"


_ENTRIES = (
    ModeEntry("iptables", "kpsim.modes.iptables:Iptables", "netfilter chains, a new connection scans O(Services) rules",
              since=(1, 1),
              note="the default on Linux since 1.2; 1.37 warns where no mode is set: nftables is planned for 1.40"),
    ModeEntry("ipvs", "kpsim.modes.ipvs:Ipvs", "IPVS virtual servers, a new connection is one hash lookup",
              since=(1, 8), removed=(1, 43), deprecated=(1, 35),
              note="deprecated in 1.35; by KEP-5495 behind a gate from 1.37, off by default in 1.40 and gone in 1.43"),
    ModeEntry("nftables", "kpsim.modes.nftables:Nftables", "verdict maps, a new connection is flat to look up",
              since=(1, 29), needs="Linux 5.13 or later",
              note="alpha in 1.29, beta in 1.31, general availability in 1.33, planned as the default in 1.40"),
    ModeEntry("userspace", "kpsim.modes.userspace:Userspace", "every byte through kube-proxy, two connections for one",
              since=(1, 0), removed=(1, 26), deprecated=(1, 23), usual=False,
              note="the only mode in 1.0, the default in 1.1, deprecated in 1.23, removed in 1.26"),
    ModeEntry("kernelspace", "kpsim.modes.kernelspace:Kernelspace", "HNS load balancers on Windows, slow to program",
              since=(1, 8), usual=False,
              note="Windows only; its costs come from other machines than the others', so compare shapes"),
    ModeEntry("ebpf", "kpsim.modes.ebpf:Ebpf", "a Cilium-like replacement: translated at connect(), hash maps, no list",
              usual=False, note="not a part of Kubernetes: Cilium 1.6 and later, here as of 1.18; its packet costs are "
                                "scaled from studies that contradict each other"),
)  # fmt: skip

MODES: dict[str, ModeEntry] = {entry.name: entry for entry in _ENTRIES}


def beyond(version: Version, *, chosen: bool = True) -> Iterator[str]:
    """Yield warnings about a ``version`` that is not out yet, and its default mode where none was ``chosen``."""
    if version > LAST_KNOWN:
        later, last = ("{}.{}".format(*each) for each in (version, LAST_KNOWN))
        yield f"Kubernetes {later} is later than {last}, the last known here, and is taken to be like it"
    if version >= OTHER_DEFAULT_SINCE and not chosen:
        yield (
            "no kube-proxy mode is given: taken for iptables, but nftables is planned as the default from 1.40 on "
            "(KEP-5343); kubeProxy.mode says which"
        )


def create(params: ProxyParams, iptables_backend: str = "legacy") -> Mode:
    """Return the mode that ``params`` names, configured.  Raises ``KeyError`` for a name not in :data:`MODES`."""
    made: Mode = MODES[params.mode].implementation()(params, iptables_backend)  # type: ignore[call-arg]  # a protocol says nothing of its making
    return made


@contextmanager
def temporarily(entry: ModeEntry) -> Iterator[None]:
    """Register a mode for the length of a ``with`` block (tests, experiments in a notebook)."""
    MODES[entry.name] = entry
    try:
        yield
    finally:
        del MODES[entry.name]
