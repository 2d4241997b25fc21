"""An API server keeps what it has given out, and gives a Service that is created or changed addresses and ports.

Addresses come from one range a family, NodePorts and health check ports from one range.  What an update leaves out is
taken from the object it changes, what its new type has no use for is dropped; both before anything is validated.

Source: pkg/registry/core/service/storage/{alloc,storage}.go; pkg/registry/core/service/strategy.go.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kpsim.documents import Key
from kpsim.kube.allocator import ClusterIPAllocator, NodePortAllocator
from kpsim.kube.defaults import NODE_PORT_TYPES
from kpsim.kube.fields import Fault
from kpsim.kube.server.addresses import address_of
from kpsim.kube.server.families import IPS, families_of, is_headless
from kpsim.kube.server.refusals import invalid
from kpsim.kube.server.service import Spec, externally_accessible, needs_health_check
from kpsim.units import Version


@dataclass(frozen=True, slots=True)
class ApiServer:
    """An API server's flags and version decide about Services; the two families' ranges are joined by a comma."""

    service_cluster_ip_range: str
    node_port_range: tuple[int, int]
    ip_families: tuple[str, ...] = ("IPv4",)
    version: Version = (1, 34)

    @property
    def ranges(self) -> tuple[str, ...]:
        """Return the ranges of ClusterIPs, that of the default family first."""
        return tuple(text.strip() for text in self.service_cluster_ip_range.split(","))


class Refused(Exception):
    """The object cannot be taken: faults, or (``InternalError``) the request fails as a whole."""

    def __init__(self, faults: Sequence[Fault] = (), reason: str = "Invalid", message: str = "") -> None:
        self.faults = tuple(faults)
        self.reason = reason
        self.message = message
        super().__init__(message or reason)


class Pools:
    """Addresses and ports of one cluster, and who has what."""

    def __init__(self, ranges: Sequence[str], node_ports: tuple[int, int]) -> None:
        self.ips = {
            f"IPv{ipaddress.ip_network(text, strict=False).version}": ClusterIPAllocator(text) for text in ranges
        }
        self.ports = NodePortAllocator(*node_ports)
        self.node_port_range = node_ports

    @property
    def families(self) -> tuple[str, ...]:
        """Return the families of this cluster's Services, the default one first."""
        return tuple(self.ips)

    def take_ips(self, spec: Spec, wanted: Sequence[tuple[int, str, str]]) -> None:
        """Give a Service its addresses: (index, family, the address asked for or "")."""
        ips = [*(spec.get("clusterIPs") or ())]
        ips += [""] * (len(families_of(spec)) - len(ips))
        for index, family, asked in wanted:
            pool = self.ips[family]
            if not asked:
                if not pool.free:
                    raise Refused(reason="InternalError", message="failed to allocate a serviceIP: range is full")
                ips[index] = pool.allocate()
                continue
            found = str(address_of(asked))
            failed = f"failed to allocate IP {asked}: "
            if not pool.holds(found):
                why = f"the provided IP ({found}) is not in the valid range. The range of valid IPs is {pool.cidr}"
                raise Refused([invalid(IPS, ips, failed + why)])
            if not pool.reserve(found):
                raise Refused([invalid(IPS, ips, f"{failed}provided IP is already allocated")])
            ips[index] = asked
        spec["clusterIPs"], spec["clusterIP"] = ips, ips[0]

    def take_port(self, number: int, key: Key) -> None:
        """Reserve a NodePort that was asked for."""
        first, last = self.node_port_range
        if not first <= number <= last:
            why = f"provided port is not in the valid range. The range of valid ports is {first}-{last}"
        elif self.ports.reserve(number):
            return
        else:
            why = "provided port is already allocated"
        raise Refused([invalid(key, number, why)])

    def next_port(self) -> int:
        """Return a NodePort that nobody has."""
        if not self.ports.free:
            raise Refused(reason="InternalError", message="failed to allocate a nodePort: range is full")
        return self.ports.allocate()

    def take_health_check_port(self, spec: Spec) -> None:
        """Give a Service the port its load balancer asks at; a failure here has no field."""
        asked = spec.get("healthCheckNodePort") or 0
        try:
            if asked:
                self.take_port(asked, ())
            spec["healthCheckNodePort"] = asked or self.next_port()
        except Refused as refused:
            said = refused.faults[0].what if refused.faults else refused.message
            message = f"failed to allocate requested HealthCheck NodePort {asked}: {said}"
            raise Refused(reason="InternalError", message=message) from None


def settle_ips(spec: Spec, old: Spec | None) -> None:
    """Make ``clusterIPs`` agree with ``clusterIP``, which is all that old clients know."""
    first, ips = spec.get("clusterIP") or "", list(spec.get("clusterIPs") or ())
    if old is None:
        if first and not ips:
            spec["clusterIPs"] = [first]
        return
    old_first, old_ips = old.get("clusterIP") or "", list(old.get("clusterIPs") or ())
    if old_ips and not ips and old_first == first:
        spec["clusterIPs"] = list(old_ips)
    elif old_first != first and old_ips == ips:
        spec["clusterIPs"] = [first] if first or not old_first else []


def keep_allocated(spec: Spec, old: Spec) -> None:
    """Take from the object that is changed what the new one leaves out and the server had given."""
    if "ExternalName" not in (spec["type"], old["type"]):
        spec["clusterIP"] = spec.get("clusterIP") or old.get("clusterIP") or ""
        spec["clusterIPs"] = list(spec.get("clusterIPs") or old.get("clusterIPs") or ())
    if gets_node_ports(spec) and gets_node_ports(old):
        now, before = spec.get("ports") or (), old.get("ports") or ()
        used = {port.get("nodePort") for port in now} & {port.get("nodePort") for port in before}
        known = {port.get("name") or "": port.get("nodePort") or 0 for port in before}
        for port in now:
            number = known.get(port.get("name") or "", 0)
            if not port.get("nodePort") and number not in used:
                port["nodePort"] = number
    if needs_health_check(spec) and needs_health_check(old):
        spec["healthCheckNodePort"] = spec.get("healthCheckNodePort") or old.get("healthCheckNodePort") or 0


def gets_node_ports(spec: Spec) -> bool:
    """Return True if each port of a Service is given a NodePort."""
    if spec["type"] == "LoadBalancer":
        return spec.get("allocateLoadBalancerNodePorts") is not False
    return bool(spec["type"] == "NodePort")


def allocate_new(spec: Spec, pools: Pools) -> None:
    """Give a new Service its addresses and ports."""
    _take_all_ips(spec, pools)
    if spec["type"] in NODE_PORT_TYPES:
        _new_node_ports(spec, pools)
    if needs_health_check(spec):
        pools.take_health_check_port(spec)


def _take_all_ips(spec: Spec, pools: Pools) -> None:
    if spec["type"] == "ExternalName" or (spec.get("clusterIPs") or ("",))[0] == "None":
        return
    given = [*(spec.get("clusterIPs") or ())]
    families = families_of(spec)
    given += [""] * (len(families) - len(given))
    pools.take_ips(spec, [(at, family, given[at]) for at, family in enumerate(families)])


def _new_node_ports(spec: Spec, pools: Pools) -> None:
    """NodePorts of a new Service: ports of one number, such as TCP and UDP, share one unless they ask for others."""
    given: dict[int, int] = {}
    ports = spec.get("ports") or []
    for index, port in enumerate(ports):
        key: Key = ("spec", "ports", index, "nodePort")
        asked, number = port.get("nodePort") or 0, port["port"]
        if not asked and not gets_node_ports(spec):
            continue
        if not given.get(number):
            wanted = next((at["nodePort"] for at in ports if at["port"] == number and at.get("nodePort")), 0)
            if wanted:
                pools.take_port(wanted, key)
            given[number] = port["nodePort"] = wanted or pools.next_port()
        elif not asked:
            port["nodePort"] = given[number]
        elif asked != given[number]:
            pools.take_port(asked, key)


def allocate_changed(spec: Spec, old: Spec, pools: Pools) -> None:
    """Give a changed Service what it has not yet."""
    before, now = families_of(old), families_of(spec)
    if old["type"] == "ExternalName":
        _take_all_ips(spec, pools)
    elif spec["type"] != "ExternalName" and not is_headless(old) and (len(before), len(now)) == (1, 2):
        ips = [*(spec.get("clusterIPs") or ()), ""]
        pools.take_ips(spec, [(1, now[1], ips[1])])
    if spec["type"] in NODE_PORT_TYPES:
        _changed_node_ports(spec, old, pools)
    if needs_health_check(spec) and not needs_health_check(old):
        pools.take_health_check_port(spec)


def _changed_node_ports(spec: Spec, old: Spec, pools: Pools) -> None:
    had = {port.get("nodePort") for port in old.get("ports") or ()}
    taken: set[int] = set()
    pairs: set[tuple[str, int]] = set()
    for index, port in enumerate(spec.get("ports") or ()):
        asked = port.get("nodePort") or 0
        if not asked and not gets_node_ports(spec):
            continue
        if not asked:
            port["nodePort"] = pools.next_port()
        elif asked not in had and asked not in taken:
            pools.take_port(asked, ("spec", "ports", index, "nodePort"))
            taken.add(asked)
        pair = port["protocol"], port["nodePort"]
        if pair in pairs:
            raise Refused(reason="InternalError", message=f"duplicate nodePort: {pair[1]}/{pair[0]}")
        pairs.add(pair)


def drop_unused(spec: Spec, old: Spec) -> None:
    """Drop what the new type has no use for, where the user did not change it as well."""
    if spec["type"] == "ExternalName" != old["type"]:
        same = [(spec.get(name) or None) == (old.get(name) or None) for name in ("clusterIP", "clusterIPs")]
        if all(same):
            spec["clusterIP"], spec["clusterIPs"] = "", []
        for name in ("ipFamilies", "ipFamilyPolicy"):
            if spec.get(name) == old.get(name):
                spec.pop(name, None)
    if old["type"] in NODE_PORT_TYPES and spec["type"] not in NODE_PORT_TYPES:
        numbers = [{port.get("nodePort") or 0 for port in at.get("ports") or ()} - {0} for at in (spec, old)]
        if numbers[0] <= numbers[1]:
            for port in spec.get("ports") or ():
                port.pop("nodePort", None)
    droppable = {
        "healthCheckNodePort": needs_health_check(old) and not needs_health_check(spec),
        "allocateLoadBalancerNodePorts": old["type"] == "LoadBalancer" != spec["type"],
        "loadBalancerClass": old["type"] == "LoadBalancer" != spec["type"],
        "externalTrafficPolicy": externally_accessible(old) and not externally_accessible(spec),
    }
    for name, unused in droppable.items():
        if unused and spec.get(name) == old.get(name):
            spec.pop(name, None)


def as_read(spec: dict[str, Any]) -> None:
    """Make a stored Service what clients see of it."""
    if spec["type"] == "ExternalName":
        spec.pop("internalTrafficPolicy", None)
