"""What a sync of IPVS does by release and by what came and went, held to the model that changes a kernel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kpsim.cluster.params import ClusterParams, EndpointCount, ServiceGroup
from kpsim.modes.ipvs.mode import Ipvs
from kpsim.modes.ipvs.program import IpvsRules
from kpsim.proxy.contract import Moved, SyncCounts, SyncKind
from kpsim.proxy.counts import EndpointCounts
from kpsim.proxy.params import ProxyParams
from kpsim.proxy.states import NodeView
from kpsim.scenario.model import Scenario
from kpsim.simulation import build_cluster
from kpsim.units import Version
from tests.models.ipvs_sync import Kernel, sync

IDLE = SyncCounts(3, 6, 3, 6, 0, 0, 0, 1)
GROUPS = (
    ServiceGroup("plain", 3, EndpointCount(mean=2.0), ports=2),
    ServiceGroup("door", 2, EndpointCount(mean=1.0), type="NodePort", external_traffic_policy="Local"),
    ServiceGroup("front", 2, EndpointCount(mean=0.0), type="LoadBalancer"),
)


def work(moved: Moved, version: Version = (1, 34), counts: SyncCounts = IDLE) -> dict[str, int]:
    mode = Ipvs(ProxyParams("ipvs", kubernetes_version=version))
    return {name: int(count) for name, count in mode.sync_work(SyncKind.FULL, replace(counts, moved=moved)).items()}


@pytest.mark.parametrize(("minor", "processes"), [(24, 47), (25, 49), (26, 53), (28, 53), (29, 55), (34, 55), (36, 55)])
def test_processes_of_a_sync_that_changes_nothing(minor: int, processes: int) -> None:
    found = work(Moved(addresses_held=1000), (1, minor))
    assert found["process_run"] + found["sync_restore"] == processes
    assert found["netlink_call"] == 3 * 3 + 1
    assert not found["address_changed"]
    assert not found["address_beside_address"]
    assert not found["server_changed"]


def test_a_first_start_of_ten_thousand_services_runs_twenty_thousand_processes_and_looks_at_each_address_for_each() -> (
    None
):
    n = 10_000
    found = work(Moved(servers=n, entries=2 * n, addresses=n, real_servers=n, addresses_held=n))
    assert found["process_run"] == 54 + 20_000
    assert found["address_beside_address"] == sum(range(n))
    assert found["server_changed"] == 2 * n


def rules_of(services: range | None = None) -> tuple[IpvsRules, Scenario]:
    scenario = Scenario("held", cluster=ClusterParams(nodes=2), groups=GROUPS)
    cluster, _ = build_cluster(scenario)
    every = range(cluster.initial) if services is None else services
    usable = {s: tuple(cluster.endpoints(s).tolist()) for s in every}
    here = np.zeros(cluster.pods, np.bool_)
    view = NodeView(cluster, usable, np.arange(len(cluster.port_service)), cluster.pod_ip, here=here)
    return Ipvs(ProxyParams("ipvs")).program(view.port_states(), view.config).rules, scenario


def test_what_a_service_holds_is_what_a_kernel_gets_with_it() -> None:
    """Closed forms, the books of ``program`` and the changes of a kernel that had nothing agree, Service by Service."""
    everything, scenario = rules_of()
    cluster, _ = build_cluster(scenario)
    one = np.ones_like(cluster.services.ports)
    counted = Ipvs(ProxyParams("ipvs")).rule_counts(cluster.services, EndpointCounts.elsewhere(one)).held
    assert counted is not None
    assert everything.held is not None
    for s in range(cluster.initial):
        rules, _ = rules_of(range(s, s + 1))
        changes, _ = sync(Kernel(), rules, first=True)
        assert rules.held is not None
        held = rules.held[s]
        assert held == everything.held[s]
        assert held == tuple(int(column[s]) for column in counted)
        assert held.servers == len(changes.services_added)
        assert held.entries == changes.processes
        assert held.addresses == len(changes.addresses_bound)


def test_an_endpoint_of_the_node_itself_is_an_entry_and_any_other_is_none() -> None:
    assert work(Moved(real_servers=2, endpoints_here=1))["process_run"] == 55
    assert work(Moved(real_servers=2))["process_run"] == 54
    assert work(Moved(real_servers=2))["netlink_call"] == 3 * 3 + 1 + 2
