"""What real kube-proxies showed at /metrics after their start, against what kpsim shows: series, and what rules decide.

``TABLE`` is a compact copy of what was measured (Linux 6.18, real kube-proxies of these releases, a node whose kernel
can do IPv6).  The dumps themselves are not part of the project: ``KPSIM_REAL_RULES`` names a folder of cases with
``CASE/objects.json`` and ``VERSION-MODE/`` holding config.yaml and metrics.txt.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from kpsim.report.openmetrics import openmetrics
from kpsim.scenario.reader import read
from kpsim.scrape import scrape

FOLDER = os.environ.get("KPSIM_REAL_RULES", "")
CASES = sorted(Path(FOLDER).glob("*/1.*-*/")) if FOLDER else []
FAILS = {"c13-bridge/1.30-nftables"}
KEPT = ("changes_total", "changes_pending", "no_local_endpoints", "failures_total", "ct_state", "localhost_nodeports")

# A Service with a UDP port and one with a Local policy and nobody near: what each release and mode shows of them.
OBJECTS = """
apiVersion: v1
kind: Service
metadata: {name: dns, namespace: shop}
spec: {clusterIP: 10.96.0.12, selector: {app: dns}, ports: [{name: udp, port: 53, protocol: UDP}]}
---
apiVersion: v1
kind: Service
metadata: {name: near, namespace: shop}
spec: {clusterIP: 10.96.0.13, selector: {app: near}, internalTrafficPolicy: Local, ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: dns-a, namespace: shop, labels: {kubernetes.io/service-name: dns}}
addressType: IPv4
ports: [{name: udp, port: 53, protocol: UDP}]
endpoints: [{addresses: [10.128.0.5], nodeName: node-0, conditions: {ready: true}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: near-a, namespace: shop, labels: {kubernetes.io/service-name: near}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [{addresses: [10.128.1.5], nodeName: node-1, conditions: {ready: true}}]
"""
TABLES = 'sync_proxy_rules_iptables_{}{{ip_family="IPv6",table="{}"}}'
TABLE: dict[tuple[str, str], dict[str, float | None]] = {  # None: there is no such series
    ("1.25", "iptables"): {
        "sync_proxy_rules_duration_seconds_count": 2,
        "network_programming_duration_seconds_count": 0,
        'sync_proxy_rules_iptables_total{table="nat"}': 5,  # IPv6's, which syncs last
        'sync_proxy_rules_iptables_last{table="nat"}': None,
        "sync_proxy_rules_service_changes_total": 4,  # both families' trackers count each
        "sync_proxy_rules_endpoint_changes_total": 2,
    },
    ("1.28", "iptables"): {
        "sync_full_proxy_rules_duration_seconds_count": 2,
        "sync_partial_proxy_rules_duration_seconds_count": 0,
        'sync_proxy_rules_iptables_last{table="nat"}': 5,
        "sync_proxy_rules_iptables_partial_restore_failures_total": 0,
        'sync_proxy_rules_no_local_endpoints_total{traffic_policy="internal"}': 0,
    },
    ("1.30", "nftables"): {
        "sync_full_proxy_rules_duration_seconds_count": 0,
        "sync_proxy_rules_duration_seconds_count": 2,
        "sync_proxy_rules_iptables_restore_failures_total": 0,
    },
    ("1.34", "iptables"): {
        'sync_full_proxy_rules_duration_seconds_count{ip_family="IPv4"}': 1,
        'sync_full_proxy_rules_duration_seconds_count{ip_family="IPv6"}': 1,
        'sync_partial_proxy_rules_duration_seconds_count{ip_family="IPv4"}': None,
        TABLES.format("total", "nat"): 5,
        TABLES.format("last", "nat"): 5,
        TABLES.format("total", "filter"): 3,
        TABLES.format("last", "filter"): 3,
        'network_programming_duration_seconds_count{ip_family="IPv4"}': None,
        'conntrack_reconciler_sync_duration_seconds_count{ip_family="IPv4"}': 1,
        'conntrack_reconciler_sync_duration_seconds_count{ip_family="IPv6"}': None,
        'conntrack_reconciler_deleted_entries_total{ip_family="IPv4"}': 0,
        'sync_proxy_rules_no_local_endpoints_total{ip_family="IPv4",traffic_policy="internal"}': 1,
        'sync_proxy_rules_no_local_endpoints_total{ip_family="IPv6",traffic_policy="internal"}': 0,
        'sync_proxy_rules_iptables_restore_failures_total{ip_family="IPv4"}': None,
        "iptables_ct_state_invalid_dropped_packets_total": 0,
    },
    ("1.36", "nftables"): {
        'sync_full_proxy_rules_duration_seconds_count{ip_family="IPv6"}': 1,
        'sync_proxy_rules_nftables_sync_failures_total{ip_family="IPv4"}': None,
        "sync_proxy_rules_service_changes_total": 4,
        "sync_proxy_rules_endpoint_changes_total": 2,
    },
}


def shown(
    folder: Path, version: str, mode: str, lines: list[str], objects: Path, dual: bool = False
) -> dict[str, float]:
    """What kpsim shows of node-0 right after a start, by series."""
    families = ["    ipFamilies: [IPv4, IPv6]"] if dual else []
    made = folder / "scenario.yaml"
    made.write_text(
        "\n".join([
            "apiVersion: kpsim/v1alpha1", "kind: Scenario", "metadata: {name: case}", "spec:",
            f'  kubernetes: {{version: "{version}"}}', "  cluster:", "    nodes: 3", "    podCIDR: 10.128.0.0/9",
            *families, f"  importFrom: [{objects}]", "  kubeProxy:", *(f"    {line}" for line in lines),
        ]) + "\n"
    )  # fmt: skip
    scenario = read(made, [("kubeProxy.mode", mode)])
    return series("\n".join(openmetrics(scrape(scenario, "node-0", 0.0).families)))


def series(text: str) -> dict[str, float]:
    """Series of kube-proxy's own by name and labels, those of buckets without their counts."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"kubeproxy_(\S+) (\S+)$", line)
        if match and not match[1].startswith("conntrack_reconciler_sync_duration_seconds_bucket"):
            name = re.sub(r'le="([0-9.]+)"', lambda le: f'le="{float(le[1])}"', match[1])
            found[name] = float(match[2])
    return found


@pytest.mark.parametrize(("version", "mode"), list(TABLE))
def test_what_was_measured_after_a_start(version: str, mode: str, tmp_path: Path) -> None:
    objects = tmp_path / "objects.yaml"
    objects.write_text(OBJECTS)
    found = shown(tmp_path, version, mode, ["clusterCIDR: 10.128.0.0/9"], objects)
    for name, value in TABLE[version, mode].items():
        assert found.get(name) == value, name


@pytest.mark.skipif(not CASES, reason="KPSIM_REAL_RULES names no folder of real rules")
@pytest.mark.parametrize("at", CASES, ids=lambda at: f"{at.parent.name}/{at.name}")
def test_series_are_those_of_the_real_ones(at: Path, tmp_path: Path) -> None:
    version, mode = at.name.split("-")
    if f"{at.parent.name}/{at.name}" in FAILS:
        pytest.skip("its first sync failed: nft does not know an interface that 1.30 names")
    if not (at / "metrics.txt").exists():
        pytest.skip("there is no metrics.txt")
    config = (at / "config.yaml").read_text().splitlines()
    kept = [line for line in config if not re.match(r"conntrack|clientConnection|metricsBind|healthzBind|host", line)]
    found = shown(tmp_path, version, mode, kept, at.parent / "objects.json", "dualstack" in at.parent.name)
    real = series((at / "metrics.txt").read_text())
    assert set(found) == set(real)
    for name, value in real.items():
        if any(word in name for word in KEPT):
            assert found[name] == value, name
        if 'ip_family="IPv6",table' in name and "dualstack" not in at.parent.name:
            assert found[name] == value, name
