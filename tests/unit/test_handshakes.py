"""``traffic.handshakes``: a TCP connection begins at the price of three packets, a UDP one at that of one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from kpsim.cluster.params import ClusterParams, EndpointCount, ServiceGroup
from kpsim.explain.service import explain_service
from kpsim.profiles.costs import load_profile
from kpsim.proxy.params import ProxyParams
from kpsim.scenario.model import ProfileChoice, RunParams, Scenario
from kpsim.simulation import build_cluster, mode_of, prepare, run_mode
from kpsim.traffic.params import TrafficParams

MODES = ("iptables", "nftables", "ipvs", "ebpf", "userspace", "kernelspace")


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The shipped profile, where every packet takes its usual time."""
    text = load_profile("linux-6.18-zen3").text.document()
    text["variation"]["packet_first"]["typical"] = {0: 1.0, 1: 1.0}
    path: Path = tmp_path_factory.mktemp("profiles") / "steady.yaml"
    path.write_text(yaml.safe_dump(text), encoding="utf-8")
    return str(path)


def scenario_of(mode: str, profile: str, backend: str = "legacy") -> Scenario:
    version = (1, 25) if mode == "userspace" else (1, 34)
    return Scenario(
        "handshakes",
        kubernetes_version=version,
        cluster=ClusterParams(nodes=2, cores=1, iptables_backend="nft" if backend == "nft" else "legacy"),
        groups=(
            ServiceGroup("web", 40, EndpointCount(mean=1)),
            ServiceGroup("dns", 40, EndpointCount(mean=1), protocol="UDP"),
        ),
        kube_proxy=ProxyParams(mode=mode),
        modes=(mode,),
        traffic=TrafficParams(20.0, 2, 0.01, handshakes=True),
        profile=ProfileChoice(profile),
        run=RunParams(10.0, 0.0, replications=1),
    )


def first_ns(scenario: Scenario, engine: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each connection's beginning cost [ns], the rules it passed, and True for TCP."""
    replication = prepare(scenario, build_cluster(scenario)[0], 0)
    run = run_mode(replication, scenario.modes[0], engine)
    tcp = np.array([protocol == "TCP" for protocol in replication.cluster.port_protocol])
    return run.outcomes.cost_ns[:, 0], run.outcomes.scanned, tcp[replication.connections.port]


@pytest.mark.parametrize("mode", MODES)
def test_only_tcp_pays_it_and_both_engines_agree(mode: str, steady: str) -> None:
    scenario = scenario_of(mode, steady)
    cost, _scanned, tcp = first_ns(scenario, "batch")
    again, _, _ = first_ns(scenario, "reference")
    assert (cost == again).all()
    without = replace(scenario, traffic=replace(scenario.traffic, handshakes=False))
    plain, _, _ = first_ns(without, "batch")
    assert (cost[~tcp] == plain[~tcp]).all()
    assert tcp.any()
    assert not tcp.all()
    more = (cost - plain)[tcp]
    assert more.min() > 20_000
    assert more.max() < 35_000


@pytest.mark.parametrize("backend", ["legacy", "nft"])
def test_a_connect_is_a_line_over_position_as_it_was_measured(backend: str, steady: str) -> None:
    scenario = scenario_of("iptables", steady, backend)
    cost, scanned, tcp = first_ns(scenario, "batch")
    known = mode_of(scenario, "iptables")[1].coefficients
    expected = known["connection_made"].value * 1e9 + known["rule_passed_by_tcp"].value * 1e9 * scanned[tcp]
    assert np.abs(cost[tcp] - expected).max() <= 1
    assert known["rule_passed_by_tcp"].value > known["rule_passed"].value


def test_explain_says_the_price_of_a_connection(steady: str) -> None:
    scenario = scenario_of("nftables", steady)
    first = {name: explain_service(scenario, f"default/{name}-3").ports[0].costs[0].total_s for name in ("web", "dns")}
    assert first["web"] - first["dns"] == pytest.approx(27e-6, abs=3e-6)
