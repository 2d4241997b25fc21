"""``kpsim metrics``: text for Prometheus on stdout, what is left out on stderr."""

from __future__ import annotations

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.cli.shell import SERVICES, Shell


def test_metrics_of_a_node_can_be_scraped(kpsim: Shell) -> None:
    file = kpsim.small("spec:", "spec:\n  changes: {churn: {podReplacementsPerSecond: 1}}")
    answer = kpsim("metrics", file, "--node", "node-1", "--at", "4s")
    assert answer.code == 0
    parsed = text_string_to_metric_families(answer.out)  # type: ignore[no-untyped-call]  # the library's own
    families = {family.name: family for family in parsed}
    every = families["kubeproxy_sync_proxy_rules_duration_seconds"].samples
    syncs = {sample.name: sample.value for sample in every if sample.labels["ip_family"] == "IPv4"}
    assert syncs["kubeproxy_sync_proxy_rules_duration_seconds_count"] > 0
    assert answer.err.startswith("not simulated: kubeproxy_iptables_ct_state_invalid_dropped_packets_total, ")
    assert kpsim.left() == ["small.yaml"]
    old = kpsim("metrics", file, "--mode", "ipvs", "--set", "kubernetes.version=1.27")
    assert "ip_family" not in old.out
    assert "kubeproxy_sync_proxy_rules_iptables_restore_failures_total 0.0\n" in old.out


def test_objects_of_a_real_cluster_have_metrics_too(kpsim: Shell) -> None:
    answer = kpsim("metrics", kpsim.write("objects.yaml", SERVICES), "--set", "run.duration=20s")
    assert answer.code == 0
    assert 'kubeproxy_sync_proxy_rules_iptables_total{ip_family="IPv4",table="nat"}' in answer.out


def test_what_cannot_be_scraped_is_said(kpsim: Shell) -> None:
    file = kpsim.small()
    for options, says in (
        (("--node", "nod-1"), "did you mean node-1?"),
        (("--at", "1h"), "it lasts 5s"),
        (("--at", "4"), "write 4s"),
        (("--mode", "ebpf"), "iptables, ipvs, nftables, kernelspace"),
    ):
        answer = kpsim("metrics", file, *options)
        assert answer.code == 3
        assert says in answer.err
        assert answer.out == ""
