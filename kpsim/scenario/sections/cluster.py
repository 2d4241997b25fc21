"""The cluster of a scenario: as written, and where it is not written, as real objects show it.

Also whether the address ranges can hold the Services asked for, found by counting, without growing any.
"""

from __future__ import annotations

import ipaddress
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import replace

from kpsim.cluster.addresses import RANGES
from kpsim.cluster.params import ClusterParams, ServiceGroup
from kpsim.documents import Key
from kpsim.kube.allocator import ClusterIPAllocator, NodePortAllocator
from kpsim.kube.defaults import NODE_PORT_TYPES, needs_cluster_ip, node_ports_wanted
from kpsim.kube.objects import KubeObjects, Service
from kpsim.kube.server.addresses import Network, address_of
from kpsim.scenario.complaints import Complaints
from kpsim.scenario.tree import Tree

CLUSTER: Key = ("spec", "cluster")
DEFAULT = ClusterParams()
POD_RANGES = (
    DEFAULT.pod_cidr,
    "10.0.0.0/10",
    "10.64.0.0/10",
    "10.192.0.0/10",
    "172.16.0.0/12",
    RANGES["IPv6"][1],
    "fd00:10:1::/48",
)
USUAL_PREFIXES = {"IPv4": (24, 22, 20, 16, 12, 8), "IPv6": (112, 108)}
FULL = "range is full"  # the API server's own words
BEYOND_ANY_RANGE = 50_000_000  # Services from which memory is the thing to talk about, not addresses


def cluster_params(
    written: ClusterParams, objects: KubeObjects, imported: bool, complaints: Complaints
) -> ClusterParams | None:
    """Return the cluster as written, and where it is not, as imported objects show it."""

    def given(key: str) -> bool:
        return complaints.tree.given((*CLUSTER, key))

    services = _as_written("serviceClusterIPRange", written.service_cluster_ip_range, complaints)
    pods = _as_written("podCIDR", written.pod_cidr, complaints)
    node_ports = written.service_node_port_range
    family = written.ip_families[0]
    if imported and not given("serviceClusterIPRange"):
        found = service_range(objects.services, len(objects.services), family)
        if found and found != services:
            complaints.warning(f"cluster.serviceClusterIPRange taken as {found}, from the ClusterIPs that were read")
        services = found or services
    if imported and not given("serviceNodePortRange"):
        node_ports = node_port_range(objects.services)
        if node_ports != written.service_node_port_range:
            said = "cluster.serviceNodePortRange taken as {}-{}, to hold the NodePorts that were read"
            complaints.warning(said.format(*node_ports))
    service_network = _network(services, "serviceClusterIPRange", family, complaints)
    pod_network = _network(pods, "podCIDR", family, complaints)
    if service_network is None or pod_network is None:
        return None
    if service_network.overlaps(pod_network):
        if given("podCIDR"):
            complaints.problem((*CLUSTER, "podCIDR"), f"{pods} overlaps the Service range {services}")
        pods = _clear_of(services)
    return replace(
        written,
        nodes=written.nodes if given("nodes") else node_count(objects),
        zones=written.zones if given("zones") else _zone_count(objects),
        cores=written.cores if given("cores") else _cores_of(objects),
        service_cluster_ip_range=services,
        pod_cidr=pods,
        service_node_port_range=node_ports,
    )


def _as_written(name: str, usual: str, complaints: Complaints) -> str:
    """Return a range as it stands there, whichever family that is."""
    found = complaints.tree.at((*CLUSTER, name))
    return found if isinstance(found, str) else usual


def _network(text: str, name: str, family: str, complaints: Complaints) -> Network | None:
    mend = f"write e.g. {RANGES[family][0] if name == 'serviceClusterIPRange' else RANGES[family][1]}"
    try:
        network = ipaddress.ip_network(text)
        if not text.endswith(f"/{network.prefixlen}"):
            length = text.partition("/")[2]
            what = (
                f"{text!r} has a mask for a length" if length else f"{text!r} is one address, and no length says more"
            )
            complaints.problem((*CLUSTER, name), what, f"did you mean {network}?" if length else mend)
            return None
    except ValueError as error:
        if "host bits" in str(error):
            what = f"{text!r} has host bits set"
            mend = f"did you mean {ipaddress.ip_network(text, strict=False)}?"
        else:
            what = f"{text[:60]!r} is not a range of addresses"
        complaints.problem((*CLUSTER, name), what, mend)
        return None
    if network.is_loopback or network.is_multicast or network.is_link_local:
        complaints.problem((*CLUSTER, name), f"{text} are loopback, link-local or multicast addresses", mend)
        return None
    if f"IPv{network.version}" == family:
        return network
    what = f"{text!r} is a range of IPv{network.version}, and the cluster's first IP family is {family}"
    complaints.problem((*CLUSTER, name), what, f"{mend}, or ipFamilies: [IPv{network.version}] below cluster")
    return None


def node_count(objects: KubeObjects) -> int:
    """Return the number of nodes: Node objects, else the nodes that Pods and endpoints name, else the default."""
    if objects.nodes:
        return len(objects.nodes)
    named = {pod.node for pod in objects.pods} | {each.node for made in objects.slices for each in made.endpoints}
    return len(named - {""}) or DEFAULT.nodes


def _cores_of(objects: KubeObjects) -> int:
    """The usual number of cores of the Node objects, else the default."""
    cores = [node.cores for node in objects.nodes if node.cores]
    return int(statistics.median_low(cores)) if cores else DEFAULT.cores


def _zone_count(objects: KubeObjects) -> int:
    """Return the number of zones that the Node objects name, else the default."""
    return len({node.zone for node in objects.nodes} - {""}) or DEFAULT.zones


def service_range(services: Iterable[Service], needed: int, family: str = "IPv4") -> str:
    """The range the ClusterIPs were given from, as far as one can tell from them.

    The usual one if they lie in it; else the smallest of the usual sizes that holds all of them and is large
    enough for the Services; "" if there is none, because they come from different clusters.
    """
    read = [address_of(service.cluster_ip) for service in services]
    ips = [ip for ip in read if ip is not None and f"IPv{ip.version}" == family]
    default = ipaddress.ip_network(RANGES[family][0])
    if all(ip in default for ip in ips):
        return str(default)
    for prefix in USUAL_PREFIXES[family]:
        network = ipaddress.ip_network((ips[0], prefix), strict=False)
        edges = (network.network_address, network.broadcast_address)
        if network.num_addresses - 2 >= needed and all(ip in network and ip not in edges for ip in ips):
            return str(network)
    return ""


def node_port_range(services: Iterable[Service]) -> tuple[int, int]:
    """The NodePort range, widened to hold every NodePort there is."""
    ports = [port.node_port for service in services for port in service.ports if port.node_port]
    first, last = DEFAULT.service_node_port_range
    return min([first, *ports]), max([last, *ports])


def _clear_of(service_cidr: str) -> str:
    """Return a Pod range that does not overlap the Service range: the default if it can be."""
    services = ipaddress.ip_network(service_cidr)
    candidates = [each for each in POD_RANGES if ipaddress.ip_network(each).version == services.version]
    free = (each for each in candidates if not ipaddress.ip_network(each).overlaps(services))
    return next(free, candidates[0])


def check_ranges(
    cluster: ClusterParams, groups: Sequence[ServiceGroup], services: Sequence[Service], complaints: Complaints
) -> None:
    """Complain of each range that is too small: how many fit, how many are asked for."""
    addresses = sum(group.count for group in groups if not group.headless and group.type != "ExternalName")
    addresses += sum(1 for service in services if needs_cluster_ip(service))
    ports = sum(group.count * _node_ports_of(group) for group in groups)
    ports += sum(node_ports_wanted(service) for service in services)
    if addresses > BEYOND_ANY_RANGE:
        return
    usable = ClusterIPAllocator(cluster.addresses.service_numbers()).usable
    if addresses > usable:
        cidr = cluster.service_cluster_ip_range
        what = f"the service range {cidr} is too small: {usable:,} Services fit, {addresses:,} are asked for"
        bits = next(b for b in range(1, 29) if 2**b - 2 >= addresses)
        prefix, network = (128 - bits, "fd00:10::") if ":" in cidr else (32 - bits, "10.0.0.0")
        mend = f"it takes a /{prefix}, e.g. serviceClusterIPRange: {network}/{prefix}" if bits <= 24 else ""
        complaints.problem(_where(complaints.tree, "serviceClusterIPRange"), f"{what}: {FULL}", mend)
    usable = NodePortAllocator(*cluster.service_node_port_range).usable
    if ports > usable:
        first, last = cluster.service_node_port_range
        what = f"the NodePort range {first}-{last} is too small: it has {usable:,} ports, {ports:,} are asked for"
        mend = (
            "a LoadBalancer Service also takes a NodePort for each of its ports, and with externalTrafficPolicy: Local "
            "one for health checks"
        )
        complaints.problem(_where(complaints.tree, "serviceNodePortRange"), f"{what}: {FULL}", mend)


def _node_ports_of(group: ServiceGroup) -> int:
    """Ports of the NodePort range that each Service of a group takes, its health check's included."""
    checked = group.type == "LoadBalancer" and group.external_traffic_policy == "Local"
    return group.ports + checked if group.type in NODE_PORT_TYPES else 0


def _where(tree: Tree, name: str) -> Key:
    """The range if it was written, else the Services that do not fit."""
    key: Key = ("spec", "cluster", name)
    return key if tree.given(key) else ("spec", "services")
