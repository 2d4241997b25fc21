"""The API server's and the trackers' own expectations, as data: ranges and their bands, the order of endpoints."""

from __future__ import annotations

import ipaddress
from typing import Any

import numpy as np
import pytest

from kpsim.cluster.columns import string_order
from kpsim.kube.allocator import ClusterIPAllocator, NodePortAllocator
from kpsim.kube.objects import Endpoint, EndpointSlice, KubeObjects, Service, ServicePort
from kpsim.proxy.node import NodeConfig, port_states
from tests.oracle.inputs import cases

CASES = [*cases("api"), *cases("all")]
Row = dict[str, Any]


def with_key(key: str) -> list[Any]:
    return [pytest.param(case["expected"], id=case["name"]) for case in CASES if key in case["expected"]]


def ranges() -> list[Any]:
    rows = [row for case in CASES for row in case["expected"].get("rows", []) if "cidr" in row]
    return [pytest.param(row, id=row["cidr"]) for row in rows]


@pytest.mark.parametrize("row", ranges())
def test_service_ranges_are_divided_as_kubernetes_does(row: Row) -> None:
    network = ipaddress.ip_network(row["cidr"])
    allocator = ClusterIPAllocator(row["cidr"])
    assert allocator.usable == row["usable"]
    band = row["static_band_size"]
    assert allocator.static_band_size == band
    first = int(network.network_address) + 1  # the network's own address is not given out
    everything = allocator.allocate_many(min(allocator.usable, 5000)).astype(np.int64)
    assert everything[0] == first + band
    if len(everything) == allocator.usable:
        assert sorted(everything.tolist()) == list(range(first, first + row["usable"]))
        assert everything[len(everything) - band :].tolist() == list(range(first, first + band))


@pytest.mark.parametrize("expected", with_key("dynamic_starts_at"))
def test_the_node_port_range_is_divided_as_kubernetes_does(expected: Row) -> None:
    first, last = map(int, expected["range"].split("-"))
    allocator = NodePortAllocator(first, last)
    assert allocator.usable == expected["size"]
    assert allocator.static_band_size == expected["static_band_size"]
    band = range(*map(int, expected["static_band"].split("-")))
    assert (band.start, band.stop) == (first, first + expected["static_band_size"] - 1)
    given = allocator.allocate_many(expected["size"]).tolist()
    assert given[0] == expected["dynamic_starts_at"]
    assert given[-1] == band.stop


@pytest.mark.parametrize("expected", with_key("order"))
def test_endpoints_are_sorted_as_strings(expected: Row) -> None:
    for wanted in expected["order"]:
        found = [at.rpartition(":") for at in reversed(wanted)]
        (number,) = {int(port) for _, _, port in found}
        slices = (
            EndpointSlice(
                "ns", "s-1", "s", "IPv4", (("", number, "TCP"),), tuple(Endpoint(ip, node="n") for ip, _, _ in found)
            ),
        )
        service = Service("ns", "s", cluster_ip="10.96.0.9", ports=(ServicePort(80, target_port=number),))
        (state,) = port_states(KubeObjects((service,), slices=slices), NodeConfig())
        assert [at.address for at in state.endpoints] == wanted
        ips = np.array([int(ipaddress.IPv4Address(ip)) for ip, _, _ in found], np.uint32)
        assert [f"{found[i][0]}:{number}" for i in np.argsort(string_order(ips))] == wanted
