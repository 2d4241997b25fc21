"""The Host Networking Service of one node holds endpoints for its Services, and load balancers over them.

An endpoint is a port of the virtual switch: this node's Pods have theirs from the CNI plugin, and kube-proxy makes a
remote one for every other Pod that some service port needs, shared and counted.  HNS gives its objects random GUIDs;
here they are eight digits of a hash, so that the same cluster always reads the same.
Source: pkg/proxy/winkernel/hns.go, github.com/Microsoft/hnslib/hcn (hcnloadbalancer.go, hcnendpoint.go).
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntFlag, StrEnum
from typing import Any

from kpsim.proxy.node import EndpointInfo, NodeConfig, ip_port
from kpsim.proxy.rules import PortKey, RuleSet

PROTOCOL_NUMBERS = {"TCP": 6, "UDP": 17, "SCTP": 132}
REMOTE_MAC = "02-11"  # in front of the four bytes of a remote endpoint's address
SOURCE_IP = 2  # the DistributionType that hashes the client's address alone
DSR, IPV6 = 1, 2  # flags of a load balancer


class Kind(StrEnum):
    """A load balancer stands for one of these; the words are those of kube-proxy's log."""

    CLUSTER_IP = "ClusterIP"
    NODE_PORT = "NodePort"
    EXTERNAL_IP = "ExternalIP"
    INGRESS_IP = "IngressIP"
    HEALTH_CHECK = "HealthCheck"


class PortFlags(IntFlag):
    """Flags of a port mapping."""

    NONE = 0
    LOCAL_ROUTED_VIP = 2
    VIP_EXTERNAL_IP = 16


PORT_FLAGS = {
    Kind.NODE_PORT: PortFlags.LOCAL_ROUTED_VIP | PortFlags.VIP_EXTERNAL_IP,
    Kind.EXTERNAL_IP: PortFlags.VIP_EXTERNAL_IP,
    Kind.INGRESS_IP: PortFlags.VIP_EXTERNAL_IP,
}


def _made_up_id(*names: object) -> str:
    """Eight hexadecimal digits in the place of a GUID."""
    return hashlib.sha256("/".join(map(str, names)).encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class HnsEndpoint:
    """A port of the virtual switch; ``references`` are the service ports that asked for a remote one."""

    ip: str
    remote: bool
    references: int = 0

    @property
    def id(self) -> str:
        """Return its made-up identity."""
        return _made_up_id("endpoint", self.ip)

    @property
    def mac(self) -> str:
        """Return a remote endpoint's address on the switch, never seen on a wire."""
        packed = ipaddress.ip_address(self.ip).packed
        digits = packed if len(packed) == 4 else packed[:-5:-1]
        return "-".join([REMOTE_MAC, *(f"{byte:02x}" for byte in digits)])


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    """One HNS load balancer: an address and port, and the endpoints a new flow is spread over by a hash."""

    kind: Kind
    service: str  # "namespace/name"
    label: str  # with the name of the port
    vip: str  # "" is any address of the node
    protocol: str
    external_port: int
    internal_port: int  # of all endpoints alike: the first one's
    endpoints: tuple[EndpointInfo, ...]
    source_vip: str
    dsr: bool = False
    affinity: bool = False
    row: int = -1  # of its Service in the columns

    @property
    def key(self) -> PortKey:
        """Return the key that VFP matches a packet by."""
        return PortKey(self.vip, self.protocol, self.external_port)

    @property
    def id(self) -> str:
        """Return its made-up identity."""
        return _made_up_id("load balancer", *self.key)

    @property
    def front(self) -> str:
        """Return ``ip:port/protocol``; ``*`` is any address of the node."""
        return f"{ip_port(self.vip or '*', self.external_port)}/{self.protocol}"

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return ``ip:port`` of all endpoints behind it."""
        return tuple(ip_port(e.ip, self.internal_port) for e in self.endpoints)

    def line(self) -> str:
        """Return all of it that a packet meets, in one line."""
        how = "direct server return" if self.dsr else f"source becomes {self.source_vip}"
        some = f"{len(self.endpoints):,} endpoint{'s' if len(self.endpoints) > 1 else ''}"
        return f"load balancer {self.id} ({self.kind}): {self.front} -> port {self.internal_port} of {some}, {how}"

    def document(self) -> dict[str, Any]:
        """Return kube-proxy's document for HNS, in the names of its version 2 schema."""
        mapping = {
            "Protocol": PROTOCOL_NUMBERS[self.protocol],
            "InternalPort": self.internal_port,
            "ExternalPort": self.external_port,
            "DistributionType": SOURCE_IP if self.affinity else 0,
            "Flags": int(PORT_FLAGS.get(self.kind, PortFlags.NONE)),
        }
        return {
            "ID": self.id,
            "HostComputeEndpoints": [_made_up_id("endpoint", e.ip) for e in self.endpoints],
            "SourceVIP": self.source_vip,
            "FrontendVIPs": [self.vip] if self.vip else [],
            "PortMappings": [mapping],
            "Flags": DSR * self.dsr + IPV6 * (":" in self.source_vip),
            "SchemaVersion": {"Major": 2, "Minor": 0},
        }


@dataclass(frozen=True, slots=True)
class WindowsRules(RuleSet):
    """All that kube-proxy asks of HNS on one node.

    ``policies`` are the load balancers it asks for, ``granted`` those there are: HNS refuses a second one for the same
    address and port.  ``unserved`` are the ClusterIPs' ports that nobody is behind, with what they are called.
    """

    config: NodeConfig = NodeConfig()
    policies: tuple[LoadBalancer, ...] = ()
    granted: Mapping[PortKey, LoadBalancer] = field(default_factory=dict)
    endpoints: Mapping[str, HnsEndpoint] = field(default_factory=dict)  # by address
    unserved: Mapping[PortKey, str] = field(default_factory=dict)

    @property
    def present(self) -> int:
        """Load balancers, and endpoints behind each."""
        return sum(1 + len(policy.endpoints) for policy in self.policies)
