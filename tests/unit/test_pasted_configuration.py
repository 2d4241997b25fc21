"""The KubeProxyConfiguration that a report proposes: pasted into the scenario, it gives the run that was proposed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from kpsim.proxy.params import ModePeriods
from kpsim.report.wording.change import configuration
from kpsim.scenario.model import Scenario
from kpsim.scenario.reader import read
from kpsim.scenario.resolved import write_resolved

PLAIN: dict[str, object] = {"mode": "iptables"}
RICH: dict[str, object] = {
    "mode": "iptables",
    "clusterCIDR": "10.244.0.0/16",
    "detectLocalMode": "BridgeInterface",
    "detectLocal": {"bridgeInterface": "cni0"},
    "nodePortAddresses": ["192.168.0.0/16"],
    "iptables": {"minSyncPeriod": "250ms", "syncPeriod": "90s", "masqueradeAll": True, "localhostNodePorts": False},
    "ipvs": {
        "minSyncPeriod": "2s", "scheduler": "wlc", "strictARP": True, "tcpTimeout": "15m",
        "tcpFinTimeout": "1s", "udpTimeout": "5m", "excludeCIDRs": ["10.96.3.0/24"],
    },
    "nftables": {"syncPeriod": "1h30m", "masqueradeBit": 7},
    "winkernel": {
        "enableDSR": True, "sourceVip": "10.0.0.9", "forwardHealthCheckVip": True, "rootHnsEndpointName": "cbr0",
    },
    "conntrack": {"maxPerCore": 1000, "min": 2000, "tcpBeLiberal": True},
}  # fmt: skip


def reading(folder: Path, kube_proxy: object) -> Scenario:
    path = folder / "scenario.yaml"
    spec = {"kubeProxy": kube_proxy}
    path.write_text(json.dumps({"apiVersion": "kpsim/v1alpha1", "kind": "Scenario", "spec": spec}), encoding="utf-8")
    return read(path)


@pytest.mark.parametrize("recommended", ["iptables", "ipvs", "nftables"])
@pytest.mark.parametrize("written", [PLAIN, RICH, {**RICH, "mode": "ipvs"}, {**RICH, "mode": "nftables"}])
def test_pasted_back_it_is_the_configuration_of_the_recommended_mode(
    tmp_path: Path, written: dict[str, object], recommended: str
) -> None:
    scenario = reading(tmp_path, written)
    text = configuration(scenario, recommended)
    assert text is not None
    assert reading(tmp_path, yaml.safe_load(text)).kube_proxy == scenario.kube_proxy.for_mode(recommended)


def test_the_recommended_mode_gets_its_own_periods_and_not_those_of_the_current_one(tmp_path: Path) -> None:
    text = configuration(reading(tmp_path, RICH), "ipvs")
    assert text is not None
    written = yaml.safe_load(text)
    assert (written["mode"], written["ipvs"]["minSyncPeriod"]) == ("ipvs", "2s")
    assert "syncPeriod" not in written["ipvs"]
    assert written["iptables"]["syncPeriod"] == "1m30s"
    assert ModePeriods("iptables", 0.25, 90.0) in reading(tmp_path, written).kube_proxy.periods


def test_a_scenario_written_back_keeps_what_windows_nodes_are_told(tmp_path: Path) -> None:
    scenario = reading(tmp_path, {**RICH, "mode": "kernelspace"})
    (tmp_path / "again.yaml").write_text(write_resolved(scenario), encoding="utf-8")
    assert read(tmp_path / "again.yaml").kube_proxy == scenario.kube_proxy
