"""Both engines see the same API server: several of them, few seats, and restarts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kpsim.cluster.params import ChurnParams, ClusterParams, EndpointCount, ServiceGroup
from kpsim.controlplane.params import ApiServerParams, ControllerManagerParams
from kpsim.history.events import ApiServerRestart, ControllerManagerRestart
from kpsim.scenario.model import RunParams, Scenario
from kpsim.simulation import ModeRun
from kpsim.traffic.params import TrafficParams
from kpsim.units import I64
from tests.properties.test_engines_equal import both, differences

S = 1_000_000_000
FEW_SEATS = ApiServerParams(max_requests_inflight=4, max_mutating_requests_inflight=2, egress_bytes_per_s=1e5)

KEP = ApiServerParams(2, object_sizes="kep-752")


def left(run: ModeRun) -> I64:
    """When the last copy of each row had left the API server, (rows,)."""
    return run.proxiers[0].log.column("sent_ns") + run.proxiers[0].log.column("spread_ns")


def scenario(api: ApiServerParams, nodes: int = 12) -> Scenario:
    return Scenario(
        name="api",
        cluster=ClusterParams(nodes=nodes, cores=1),
        groups=(
            ServiceGroup("g", 6, EndpointCount(mean=3.0)),
            ServiceGroup("bare", 2, EndpointCount(mean=2.0), headless=True),
        ),
        controller_manager=ControllerManagerParams(max_endpoints_per_slice=2),
        api_server=api,
        traffic=TrafficParams(2.0, 2),
        churn=ChurnParams(4.0, 0.3),
        run=RunParams(40.0, 0.0, seed=3, replications=1),
    )


@pytest.mark.parametrize("mode", ["iptables", "ipvs", "ebpf"])
@pytest.mark.parametrize("api", [ApiServerParams(replicas=5), FEW_SEATS, KEP], ids=["five", "few", "kep"])
def test_engines_agree_on_the_api_server(api: ApiServerParams, mode: str) -> None:
    _, batch, reference = both(scenario(api), mode)
    assert len(batch.proxiers[0].log.rows) > 100
    assert not differences(batch, reference)
    _, usual, _ = both(scenario(ApiServerParams()), mode)
    assert not np.array_equal(left(usual), left(batch))


@pytest.mark.parametrize("mode", ["iptables", "ipvs", "ebpf"])
@pytest.mark.parametrize("replicas", [1, 3])
def test_engines_agree_on_restarts(replicas: int, mode: str) -> None:
    usual_scenario = scenario(ApiServerParams(replicas, egress_bytes_per_s=3e5))
    restarts = (ApiServerRestart(5.0, replicas - 1), ApiServerRestart(9.0))
    replication, batch, reference = both(replace(usual_scenario, events=restarts), mode)
    assert not differences(batch, reference)
    assert replication.sent is not None
    assert len(replication.sent.fanout.outages) == 2
    _, usual, _ = both(usual_scenario, mode)
    wanted = {"trace.start"} if not batch.proxiers[0].in_force.at_once else {"outcomes.pod"}
    assert wanted & set(differences(batch, usual))


@pytest.mark.parametrize("given", [None, 4.0])
def test_engines_agree_on_a_restart_of_the_controllers(given: float | None) -> None:
    """Nobody writes slices until the lease has run out; the first write of a Service then tells of its creation."""
    usual = scenario(ApiServerParams())
    usual = replace(usual, churn=replace(usual.churn, services_created_per_s=0.0))
    restarted = replace(usual, events=(ControllerManagerRestart(5.0, given),))
    _, batch, reference = both(restarted, "iptables")
    assert not differences(batch, reference)
    log, away_s = batch.proxiers[0].log, given or 15.0
    written_s = np.array(log.written_ns) / 1e9
    silent = (written_s > 5.5) & (written_s < 5.0 + away_s - 2.5)
    assert not silent.any()
    after = log.column("sent_ns") / 1e9 > 5.0 + away_s - 2.5
    assert after.sum() > 20
    assert ((written_s > 5.0 + away_s - 2.5) & (written_s < 9.0 + away_s)).sum() > 5
    services, first = np.unique(log.column("service")[after], return_index=True)
    assert len(services) > 3
    assert (log.column("trigger_ns")[after][first] == -1).all()
    assert (log.column("trigger_ns")[after] >= 0).any()
    _, calm, _ = both(usual, "iptables")
    assert set(calm.proxiers[0].log.column("service").tolist()) == set(log.column("service").tolist())
