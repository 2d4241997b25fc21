"""Syncs of an idle node in four hours, by mode and version, against what kube-proxy's source says.

Source: kubeproxy bounded-frequency runners and syncProxyRules of each mode, last patch release of each minor version
(kubernetes/kubernetes 129329, 138571, 135631).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from kpsim.cluster.params import ClusterParams, EndpointCount, ServiceGroup
from kpsim.proxy.params import ProxyParams
from kpsim.scenario.model import Scenario
from kpsim.simulation import build_cluster, prepare, run_mode

LARGE, SMALL = 300, 100  # Services of five endpoints: more than a thousand, and fewer
HALF_MINUTES = range(470, 481)


@pytest.mark.parametrize("engine", ["batch", "reference"])
@pytest.mark.parametrize(
    ("mode", "versions", "services", "syncs", "full"),
    [
        ("iptables", (26,), LARGE, (4,), (4,)),
        ("iptables", (28, 32), LARGE, (4,), (0,)),
        ("iptables", (33,), LARGE, (4,), (4,)),
        ("iptables", (34, 35, 36), LARGE, (4,), (0,)),
        ("iptables", (34, 36), SMALL, (4,), (4,)),
        ("nftables", (29, 30), SMALL, HALF_MINUTES, HALF_MINUTES),
        ("nftables", (31, 32), LARGE, (4,), (0,)),
        ("nftables", (33, 36), LARGE, (4,), (4,)),
        ("ipvs", (26, 34, 36), SMALL, HALF_MINUTES, HALF_MINUTES),
        ("kernelspace", (28, 34, 36), SMALL, HALF_MINUTES, (0,)),
    ],
)
def test_an_idle_node_syncs_as_often_as_its_version_does(
    mode: str, versions: tuple[int, ...], services: int, syncs: Sequence[int], full: Sequence[int], engine: str
) -> None:
    count = services if engine == "batch" or len(syncs) == 1 else 3
    scenario = Scenario(
        "idle",
        cluster=ClusterParams(nodes=1),
        groups=(ServiceGroup("a", count, EndpointCount(mean=5.0)),),
        kube_proxy=ProxyParams(mode=mode),
        modes=(mode,),
    )
    traffic = replace(scenario.traffic, connections_per_s_per_node=0.1)
    run = replace(scenario.run, duration_s=4 * 3600.0, warmup_s=1.0, replications=1)
    for minor in versions:
        idle = replace(scenario, traffic=traffic, run=run, kubernetes_version=(1, minor))
        ran = run_mode(prepare(idle, build_cluster(idle)[0], 0), mode, engine).proxiers[0].syncs
        ended = ran.end[:, 0] <= 4 * 3600 * 10**9
        assert int(ended.sum()) in syncs, minor
        assert int(ran.full[ended, 0].sum()) in full, minor
