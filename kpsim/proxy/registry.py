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

__all__ = ["MODES", "PLANNED", "ModeEntry", "create", "temporarily"]

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


_ENTRIES = (
    ModeEntry("iptables", "kpsim.proxy.iptables:Iptables", "netfilter chains, a new connection scans O(Services) rules",
              since=(1, 1)),
    ModeEntry("ipvs", "kpsim.proxy.ipvs:Ipvs", "IPVS virtual servers, a new connection is one hash lookup",
              since=(1, 8), removed=(1, 43), deprecated=(1, 35),
              note="deprecated in 1.35; by KEP-5495 off by default in 1.40 and gone in 1.43"),
    ModeEntry("nftables", "kpsim.proxy.nftables:Nftables", "verdict maps, a new connection is flat to look up",
              since=(1, 29), note="alpha in 1.29, beta in 1.31, general availability in 1.33"),
)  # fmt: skip

MODES: dict[str, ModeEntry] = {entry.name: entry for entry in _ENTRIES}

PLANNED: dict[str, str] = {
    "userspace": "every byte through kube-proxy; removed in 1.26",
    "kernelspace": "Windows HNS load balancers",
    "ebpf": "a Cilium-like replacement of kube-proxy",
}


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
