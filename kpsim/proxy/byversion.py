"""A Service as a kube-proxy of one Kubernetes version takes it, where other versions take it otherwise.

Sources: pkg/proxy/serviceport.go (service.go up to 1.29), pkg/api/v1/service/util.go, pkg/proxy/util/utils.go and
pkg/proxy/topology.go at these versions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from kpsim.kube.objects import Service
from kpsim.kube.service.hints import heeded
from kpsim.proxy.params import PRIMARY, NodeSettings
from kpsim.units import Version

TERMINATING_SERVE_SINCE: Version = (1, 26)  # KEP-1669: the gate ProxyTerminatingEndpoints is off before
LOCAL_BEHIND_EXTERNAL_IPS_SINCE: Version = (1, 29)  # externalTrafficPolicy of a ClusterIP Service with externalIPs
LOCALHOST_OPTION_SINCE: Version = (1, 26)
PRIMARY_SINCE: Version = (1, 31)  # as a word in nodePortAddresses
INTERFACE_BY_NAME_SINCE: Version = (1, 31)  # in nftables rules; before, by number, which a prefix has not
IP_MODE_SINCE: Version = (1, 30)  # KEP-1860: the gate LoadBalancerIPMode is off before
ANY_RANGE_SINCE: Version = (1, 34)  # a source range of all addresses means none at all
NODE_HINTS_SINCE: Version = (1, 34)  # KEP-3015
NODE_ADDRESS_SINCE: Version = (1, 28)  # source ranges are compared with the Node's address; before, bindAddress
HINTS_UNASKED_SINCE: Version = (1, 31)  # topology hints count without the Service's annotation
ANY_MODE_SINCE: Version = (1, 27)  # any annotation but "disabled" asks for them, not only "auto"

AUTO = ("Auto", "auto")
DISABLED = ("", "Disabled", "disabled")


def as_programmed(service: Service, version: Version) -> Service:
    """Return the Service as kube-proxy of ``version`` takes it."""
    service = heeded(service, version)
    if version < IP_MODE_SINCE and service.load_balancer_proxy_ips:
        every = (*service.load_balancer_ips, *service.load_balancer_proxy_ips)
        service = replace(service, load_balancer_ips=every, load_balancer_proxy_ips=())
    if version < LOCAL_BEHIND_EXTERNAL_IPS_SINCE and service.type == "ClusterIP":
        service = replace(service, external_traffic_policy="Cluster")
    ranges = service.load_balancer_source_ranges
    if version >= ANY_RANGE_SINCE and any(cidr.endswith("/0") for cidr in ranges):
        open_to = {":" in cidr for cidr in ranges if cidr.endswith("/0")}
        kept = tuple(cidr for cidr in ranges if (":" in cidr) not in open_to)
        service = replace(service, load_balancer_source_ranges=kept)
    return service


def always_fails(settings: NodeSettings, mode: str, version: Version) -> bool:
    """Return True if no sync of a mode can succeed: nft looks a prefix of interfaces up as one interface's name."""
    prefix = settings.detect_local_mode == "InterfaceNamePrefix"
    return prefix and mode == "nftables" and version < INTERFACE_BY_NAME_SINCE


def quirks(settings: NodeSettings, modes: Collection[str], version: Version) -> Iterator[str]:
    """Yield a warning for each setting of which this release makes what nobody would expect."""
    at = "{}.{}".format(*version)
    if any(always_fails(settings, mode, version) for mode in modes):
        yield (
            f"nftables in Kubernetes {at} with detectLocalMode InterfaceNamePrefix fails in every sync (nft: Interface "
            "does not exist): no rule is ever in force, and a run's packets go on by rules that were there before it; "
            "take ClusterCIDR, or 1.31 and later"
        )
    if "iptables" in modes and version < LOCALHOST_OPTION_SINCE and not settings.localhost_node_ports:
        yield f"iptables.localhostNodePorts came with Kubernetes 1.26; in {at} it does nothing"
    if PRIMARY in settings.node_port_addresses and version < PRIMARY_SINCE:
        said = f"nodePortAddresses: {PRIMARY} came with Kubernetes 1.31; in {at} kube-proxy takes only ranges"
        yield f"{said} and does not start (must be a valid CIDR)"


def wants_hints(annotation: str, version: Version) -> bool:
    """Return True if topology hints count for a Service with this ``service.kubernetes.io/topology-mode``."""
    if version >= HINTS_UNASKED_SINCE:
        return True
    return annotation in AUTO if version < ANY_MODE_SINCE else annotation not in DISABLED
