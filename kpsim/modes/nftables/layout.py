"""kube-proxy's table as it is whatever Services there are, by Kubernetes version: base chains, sets and maps.

Since 1.30 a node's first transaction sets up 8 base chains and 8 others (in 1.29 filters of input, forward and output
alone, and one chain that drops what conntrack calls invalid); since 1.33 the filters see a packet after everybody
else's address translation.  Since 1.36 a service port without session affinity needs one rule instead of a chain an
endpoint, marks are set in place, and endpoints of this node stand in a set, by which they are masqueraded where they
call themselves.  Source: pkg/proxy/nftables/proxier.go at these versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from kpsim.proxy.byversion import INTERFACE_BY_NAME_SINCE
from kpsim.units import Version

CHECKS_CLUSTER_IPS_SINCE: Version = (1, 30)
PRIMARY_ADDRESS_SINCE: Version = (1, 30)  # NodePorts answer at the node's first address if nobody says where
PARTIAL_SYNC_SINCE: Version = (1, 31)
LATE_FILTERS_SINCE: Version = (1, 33)
KNOWS_RANGES_SINCE: Version = (1, 33)  # of ClusterIPs, by the gate MultiCIDRServiceAllocator
READS_ELEMENTS_SINCE: Version = (1, 33)  # in a full sync, and keeps what agrees; before, it flushes them
WITHOUT_PORT_SINCE: Version = (1, 34)  # the rule that masquerades for a ClusterIP matches no port
ONE_RULE_SINCE: Version = (1, 36)

MARK = "mark-for-masquerade"
HAIRPIN = "hairpin-connections"


class Hook(NamedTuple):
    """A base chain's place in the kernel's path, and the chains it leads to, in order."""

    type: str
    hook: str
    priority: int
    leads_to: tuple[str, ...]

    def render(self) -> str:
        """Return the declaration in a chain's braces."""
        return f"{{ type {self.type} hook {self.hook} priority {self.priority} ; }}"


_UNSERVED, _STRAY, _GUARD = "service-endpoints-check", "cluster-ips-check", "firewall-check"
_NAT = {
    "nat-prerouting": Hook("nat", "prerouting", -100, ("services",)),
    "nat-output": Hook("nat", "output", -100, ("services",)),
    "nat-postrouting": Hook("nat", "postrouting", 100, ("masquerading",)),
}
HOOKS: dict[str, Hook] = {
    "filter-prerouting-pre-dnat": Hook("filter", "prerouting", -110, (_GUARD,)),
    "filter-output-pre-dnat": Hook("filter", "output", -110, (_GUARD,)),
    "filter-input": Hook("filter", "input", 0, ("nodeport-endpoints-check", _UNSERVED)),
    "filter-forward": Hook("filter", "forward", 0, (_UNSERVED, _STRAY)),
    "filter-output": Hook("filter", "output", 0, (_UNSERVED, _STRAY)),
    **_NAT,
}
"""Base chains by name, as of Kubernetes 1.33 and later."""

_EARLY_HOOKS: dict[str, Hook] = {
    "filter-prerouting": Hook("filter", "prerouting", -110, (_GUARD,)),
    "filter-input": Hook("filter", "input", -110, ("nodeport-endpoints-check", _UNSERVED)),
    "filter-forward": Hook("filter", "forward", -110, (_UNSERVED, _STRAY)),
    "filter-output": Hook("filter", "output", -110, (_UNSERVED, _GUARD)),
    "filter-output-post-dnat": Hook("filter", "output", -90, (_STRAY,)),
    **_NAT,
}
_FIRST_HOOKS: dict[str, Hook] = {
    "filter-input": Hook("filter", "input", -101, ("endpoints-check", _GUARD)),
    "filter-forward": Hook("filter", "forward", -101, ("endpoints-check", "forward", _GUARD)),
    "filter-output": Hook("filter", "output", -101, ("endpoints-check", _GUARD)),
    **_NAT,
}


class Container(NamedTuple):
    """A set or a map that is always there."""

    kind: str  # set or map
    key: str  # the parts of a key; {ip} is the family's address
    comment: str
    flags: str = ""

    def render(self, ip: str) -> str:
        """Return the declaration in its braces."""
        type_of = self.key.format(ip="ipv6_addr" if ip == "ip6" else "ipv4_addr")
        verdict = " : verdict" if self.kind == "map" else ""
        flags = f" ; flags {self.flags}" if self.flags else ""
        return f'{{ type {type_of}{verdict}{flags} ; comment "{self.comment}" ; }}'


_ADDRESS = "{ip} . inet_proto . inet_service"
_PORT = "inet_proto . inet_service"
_CLUSTER_IPS = {"cluster-ips": Container("set", "{ip}", "Active ClusterIPs")}
_NODE_PORT_IPS = {"nodeport-ips": Container("set", "{ip}", "IPs that accept NodePort traffic")}
_GUARDED = "destinations that are subject to LoadBalancerSourceRanges"
_FIREWALL_IPS = {"firewall-ips": Container("map", _ADDRESS, _GUARDED)}
_FIREWALL_SETS = {
    "firewall": Container("set", _ADDRESS, _GUARDED),
    "firewall-allow": Container(
        "set", f"{_ADDRESS} . {{ip}}", "destinations+sources that are allowed by LoadBalancerSourceRanges", "interval"
    ),
}
_MAPS = {
    "no-endpoint-services": Container("map", _ADDRESS, "vmap to drop or reject packets to services with no endpoints"),
    "no-endpoint-nodeports": Container(
        "map", _PORT, "vmap to drop or reject packets to service nodeports with no endpoints"
    ),
    "service-ips": Container("map", _ADDRESS, "ClusterIP, ExternalIP and LoadBalancer IP traffic"),
    "service-nodeports": Container("map", _PORT, "NodePort traffic"),
}
_HAIRPIN = {HAIRPIN: Container("set", f"{{ip}} . {_ADDRESS}", "service hairpin connections")}


@dataclass(frozen=True, slots=True)
class Layout:
    """One version's way to write."""

    hooks: Mapping[str, Hook]
    containers: Mapping[str, Container]
    checks_cluster_ips: bool = True  # and drops or rejects what no Service port has
    knows_ranges: bool = True
    matches_port: bool = False
    one_rule: bool = False
    interface_by: str = "iifname"
    keeps: bool = True  # a full sync compares elements with what the kernel holds
    keeps_chains: bool = True  # and the first of a process leaves endpoint chains alone whose affinity agrees

    @staticmethod
    @lru_cache(maxsize=32)
    def of(version: Version) -> Layout:
        """Return the layout of a Kubernetes ``version``."""
        one_rule, first = version >= ONE_RULE_SINCE, version < CHECKS_CLUSTER_IPS_SINCE
        guards = _FIREWALL_SETS if first else _FIREWALL_IPS
        hooks = HOOKS if version >= LATE_FILTERS_SINCE else _FIRST_HOOKS if first else _EARLY_HOOKS
        return Layout(
            hooks=hooks,
            containers={
                **(_HAIRPIN if one_rule else {}),
                **({} if first else _CLUSTER_IPS),
                **_NODE_PORT_IPS,
                **guards,
                **_MAPS,
            },
            checks_cluster_ips=not first,
            knows_ranges=version >= KNOWS_RANGES_SINCE,
            matches_port=version < WITHOUT_PORT_SINCE,
            one_rule=one_rule,
            interface_by="iifname" if version >= INTERFACE_BY_NAME_SINCE else "iif",
            keeps=version >= READS_ELEMENTS_SINCE,
            keeps_chains=READS_ELEMENTS_SINCE <= version < ONE_RULE_SINCE,
        )


def refused(version: Version, interface: str) -> bool:
    """Return True if nft refuses every transaction: it is asked for the number of interfaces with a common prefix."""
    return version < INTERFACE_BY_NAME_SINCE and interface.endswith("+")


LATEST = Layout.of((1, 34))
