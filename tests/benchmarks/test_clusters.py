"""How long it takes to lay out the largest cluster there is a use for.

Counts are asserted, so that the work timed cannot shrink, and a wide bound of CPU time, which other users of the
machine do not move.
"""

from __future__ import annotations

import ipaddress
import time
from pathlib import Path

import pytest

from kpsim.cluster.addresses import dotted
from kpsim.cluster.grow import grow
from kpsim.kube.objects import KubeObjects, Pod, Service, ServicePort
from kpsim.kube.resolve import resolve
from kpsim.proxy.sync.timeline import start_counts, usable_at_start
from kpsim.scenario.model import Scenario
from kpsim.scenario.reader import read
from kpsim.simulation import build_cluster, mode_of

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.benchmark

SERVICES, ENDPOINTS = 100_000, 10


def test_a_hundred_thousand_grown_services(tmp_path: Path) -> None:
    """Built and indexed in under 10 s: columns, endpoints usable at the start, rules of every Service."""
    path = tmp_path / "scenario.yaml"
    path.write_text(
        "apiVersion: kpsim/v1alpha1\nkind: Scenario\nspec:\n"
        "  cluster: {nodes: 5000, podCIDR: 10.128.0.0/9}\n"
        f"  services: [{{name: web, count: {SERVICES}, endpoints: {ENDPOINTS}}}]\n",
        encoding="utf-8",
    )
    scenario = read(path)
    began = time.process_time()
    cluster, _ = build_cluster(scenario)
    mode, _ = mode_of(scenario, "iptables")
    counts, (offset, pods) = start_counts(cluster, mode), usable_at_start(cluster)
    assert cluster.names.index(f"default/web-{SERVICES - 1}") == SERVICES - 1
    seconds = time.process_time() - began
    print(f"{SERVICES:,} Services grown and indexed: {seconds:.2f} s")
    assert (len(offset) - 1, len(pods)) == (SERVICES, SERVICES * ENDPOINTS)
    assert len(counts.own) == SERVICES
    assert seconds < 10


def test_a_hundred_thousand_services_of_a_dump() -> None:
    """Objects take longer, one by one; what is timed begins after reading them."""
    services = tuple(
        Service("default", f"s{i}", ports=(ServicePort(80, target_port=80),), selector=(("a", str(i)),))
        for i in range(SERVICES)
    )
    first = int(ipaddress.IPv4Address("10.128.0.0"))
    pods = tuple(
        Pod("default", f"p{i}", (("a", str(i // ENDPOINTS)),), dotted(first + i), f"n{i % 5000}")
        for i in range(SERVICES * ENDPOINTS)
    )
    began = time.process_time()
    resolved, _ = resolve(KubeObjects(services, pods), "10.96.0.0/12", (30000, 32767), 5000)
    found = time.process_time()
    cluster = grow(Scenario("").cluster, (), resolved, 0, 1)
    print(f"{SERVICES:,} objects: resolved in {found - began:.1f} s, laid out in {time.process_time() - found:.1f} s")
    assert (cluster.initial, cluster.pods) == (SERVICES, SERVICES * ENDPOINTS)
