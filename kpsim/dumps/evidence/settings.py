"""Everything that was read of a cluster shows its settings: its release, its ranges, and kube-proxy's mode.

What a component was told says more than what it wrote, and that more than what can be guessed from addresses; of
several signs of a setting the first counts, and by which it was taken is said.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kpsim.dumps.evidence.releases import Release, agreed, release_of
from kpsim.kube.components.commands import Command
from kpsim.kube.components.configurations import proxy_configuration
from kpsim.kube.objects import Node
from kpsim.kube.server.addresses import Network, address_of, network_of

if TYPE_CHECKING:
    from kpsim.dumps.detection import RuleDump

USUAL_PREFIXES = {
    "IPv4": (16, 14, 12, 11, 10, 9, 8),
    "IPv6": (64, 56, 48, 40, 32, 16, 8),
}  # of ranges of Pods, the smallest that holds all is taken
CLUSTER_PREFIXES = {"IPv4": 16, "IPv6": 56}  # the longest of a cluster's; what is longer is one node's
SMALLEST_BITS = 2  # of a part of a range in which Pods could be
_PORTS = re.compile(r"\s*(\d{1,5})\s*([-+])\s*(\d{1,5})\s*")
_PACKED_IN = ("kube-proxy", "log", "kubeadm", "kube-apiserver", "kube-controller-manager")
_TOLD = ("kube-proxy", "kube-controller-manager", "kubeadm", "kube-apiserver", "k3s", "rke2", "ServiceCIDR")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, and by what it was taken."""

    value: str
    said: str


@dataclass(frozen=True, slots=True)
class Signs:
    """Everything that was read in which a cluster's settings show."""

    commands: Sequence[Command] = ()
    nodes: Sequence[Node] = ()
    dumps: Sequence[RuleDump] = ()
    proxy: Mapping[str, object] | None = None  # a KubeProxyConfiguration

    def release(self, usual: Release) -> Setting | None:
        """Return Kubernetes' release; by the layout of rules the one nearest to ``usual``."""
        counts = Counter(found for node in self.nodes if (found := release_of(node.version)))
        if counts:
            ((major, minor), most) = max(counts.items(), key=lambda item: (item[1], item[0]))
            others = f", {sum(counts.values()) - most} have another" if len(counts) > 1 else ""
            return Setting(f"{major}.{minor}", f"kubeletVersion of {most} Node{'s' * (most > 1)}{others}")
        for name in _PACKED_IN:
            for command in self.commands:
                found = release_of(command.tag) if command.component == name else None
                if found:
                    return Setting(f"{found[0]}.{found[1]}", f"the version of {command.said}")
        laid_out = agreed(dump.releases for dump in self.dumps)
        taken = laid_out.nearest(usual)
        if laid_out.said and taken != usual:
            return Setting(f"{taken[0]}.{taken[1]}", f"rules of {laid_out}: {laid_out.said}")
        return None

    def pod_range(self, family: str) -> Setting | None:
        """Return the range of Pods of one IP ``family``."""
        told = (self.proxy or {}).get("clusterCIDR")
        written = [Setting(told, "clusterCIDR of KubeProxyConfiguration")] if isinstance(told, str) else []
        written += self._flags("cluster-cidr")
        written += [Setting(cidr, f"rules of {dump.file}") for dump in self.dumps for cidr in dump.pod_ranges]
        cidrs = [cidr for node in self.nodes for cidr in node.pod_cidrs]
        count = sum(f"IPv{6 if ':' in cidr else 4}" == family for cidr in cidrs)
        said = f"podCIDR of {count} Node{'s' * (count > 1)}"
        return next(_of_family(written, family), None) or _cover(cidrs, family, said)

    def pod_range_by_addresses(self, addresses: Iterable[str], family: str) -> Setting | None:
        """Return a range that holds Pods' ``addresses``, for where nothing else says what theirs is; Nodes' apart.

        Of addresses that no range holds together, those count that begin as most do.
        """
        of_nodes = {ip for node in self.nodes for ip in node.addresses}
        ips = {ip for text in addresses if text not in of_nodes and (ip := address_of(text)) is not None}
        ips = {ip for ip in ips if not (ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified)}
        wide, narrow = USUAL_PREFIXES[family][-1], CLUSTER_PREFIXES[family]
        parts = Counter(ipaddress.ip_network((ip, wide), strict=False) for ip in ips if f"IPv{ip.version}" == family)
        if not parts:
            return None
        (most, _), *_ = parts.most_common(1)
        return _cover([f"{ip}/{narrow}" for ip in ips if ip in most], family, "addresses of endpoints")

    def service_range(self, cluster_ips: Iterable[str], family: str) -> Setting | None:
        """Return the range of ClusterIPs of one IP ``family``; signs must agree with the ``cluster_ips`` there are."""
        written = [*self._flags("service-cluster-ip-range"), *self._flags("service-cidr")]
        written += [Setting(cidr, f"rules of {dump.file}") for dump in self.dumps for cidr in dump.service_ranges]
        ips = [ip for ip in map(address_of, cluster_ips) if ip is not None and f"IPv{ip.version}" == family]
        agree = (at for at in _of_family(written, family) if all(ip in ipaddress.ip_network(at.value) for ip in ips))
        return next(agree, None)

    def node_port_range(self, node_ports: Iterable[int]) -> Setting | None:
        """Return the range of NodePorts, ``first-last``, if the ``node_ports`` there are lie in it."""
        for setting in self._flags("service-node-port-range"):
            found = _PORTS.fullmatch(setting.value)
            if found:
                first, last = int(found[1]), int(found[3]) + (int(found[1]) if found[2] == "+" else 0)
                if first <= last and all(first <= port <= last for port in node_ports):
                    return Setting(f"{first}-{last}", setting.said)
        return None

    def configuration(self) -> tuple[dict[str, object], str]:
        """Return kube-proxy's configuration as flags or rules show it, and where; beside a file flags are not read.

        With ``--config`` kube-proxy does not look at its other flags.
        """
        for command in self.commands:
            if command.component == "kube-proxy" and not command.flag("config"):
                return proxy_configuration(dict(command.flags)), f"flags of {command.said}"
        dump = next((dump for dump in self.dumps if dump.proxy), None)
        return (dict(dump.proxy), f"rules of {dump.file}") if dump else ({}, "")

    def mode(self, known: Iterable[str]) -> Setting | None:
        """Return kube-proxy's mode, if it is one of those ``known``."""
        told = (self.proxy or {}).get("mode")
        flags, where = self.configuration()
        found = [Setting(told, "KubeProxyConfiguration")] if isinstance(told, str) else []
        found += [Setting(str(flags["mode"]), where.removeprefix("flags of "))] if "mode" in flags else []
        found += self._seen()
        names = set(known)
        return next((at for at in found if at.value in names), None)

    def contradicted(self) -> Iterator[str]:
        """Yield what rules and logs show of the mode that is not what the configuration says."""
        told = (self.proxy or {}).get("mode")
        for at in self._seen():
            if isinstance(told, str) and told and at.value != told:
                yield f"KubeProxyConfiguration says mode {told[:40]}, {at.said} says {at.value}: the former is taken"

    def _seen(self) -> list[Setting]:
        """Return the mode as logs and rules show it."""
        logs = [Setting(at.flag("proxy-mode"), at.said) for at in self.commands if at.component == "log"]
        return [*logs, *(Setting(dump.mode, f"rules of {dump.file}") for dump in self.dumps if dump.mode)]

    def _flags(self, name: str) -> list[Setting]:
        return [
            Setting(value, f"--{name} of {command.said}")
            for component in _TOLD
            for command in self.commands
            if command.component == component and (value := command.flag(name))
        ]


def _of_family(settings: Iterable[Setting], family: str) -> Iterator[Setting]:
    """The part of each one or two ranges that is of a family, without what only a network's address may not have."""
    for setting in settings:
        for part in setting.value.split(","):
            try:
                network = ipaddress.ip_network(part.strip(), strict=False)
            except ValueError:
                continue
            if f"IPv{network.version}" == family:
                yield Setting(str(network), setting.said)


def _cover(cidrs: Iterable[str], family: str, said: str) -> Setting | None:
    """Return the smallest usual range that holds some ranges or addresses of one ``family``."""
    found = [network_of(cidr) for cidr in cidrs]  # what is none is refused elsewhere
    parts = [at[1] for at in found if at and f"IPv{at[1].version}" == family]
    for prefix in USUAL_PREFIXES[family] if parts else ():
        if prefix <= min(part.prefixlen for part in parts):
            whole = parts[0].supernet(new_prefix=prefix)
            if all(_inside(part, whole) for part in parts):
                return Setting(str(whole), said)
    return None


def _inside(part: Network, whole: Network) -> bool:
    return part.network_address in whole and part.prefixlen >= whole.prefixlen


def _without(wide: Network, taken: Network) -> Iterator[Network]:
    """Yield the parts of a range beside one that lies in it, largest first."""
    while wide != taken:
        halves: list[Network] = [*wide.subnets()]
        wide, beside = halves if _inside(taken, halves[0]) else halves[::-1]
        yield beside


def clear_of(pods: str, services: str) -> str:
    """Return the largest part of a range of Pods that no ClusterIP is in; "" if there is none."""
    wide, taken = ipaddress.ip_network(pods), ipaddress.ip_network(services)
    if not wide.overlaps(taken):
        return pods
    if _inside(wide, taken):
        return ""
    parts = [part for part in _without(wide, taken) if part.max_prefixlen - part.prefixlen >= SMALLEST_BITS]
    return str(min(parts, key=lambda part: (part.prefixlen, part))) if parts else ""
