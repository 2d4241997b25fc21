"""kube-proxy's metrics of a simulated node: names by version, counts by hand from the trace, text that parses back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from kpsim.cluster.changes import NEVER
from kpsim.cluster.params import ChurnParams, ClusterParams, EndpointCount, ServiceGroup
from kpsim.errors import InputError
from kpsim.profiles.metrics import load_catalogue
from kpsim.proxy.params import FaultParams, ProxyParams
from kpsim.proxy.states import exact_states, node_config
from kpsim.report.openmetrics import openmetrics
from kpsim.scenario.model import RunParams, Scenario
from kpsim.scrape import Scrape, scrape
from kpsim.simulation import ModeRun, build_cluster, prepare, run_mode
from kpsim.traffic.params import TrafficParams
from tests.models.iptables_writer import RuleWriter

S = 1_000_000_000
SYNC = [0.001 * 2**i for i in range(15)]
PROGRAMMING = [0.0, 0.25, 0.5, *range(1, 60), *range(60, 120, 5), *range(120, 301, 30)]
SMALL = Scenario(
    name="small",
    cluster=ClusterParams(nodes=3, cores=1),
    groups=(
        ServiceGroup("web", 4, EndpointCount(mean=3.0)),
        ServiceGroup("near", 2, EndpointCount(mean=1.0), internal_traffic_policy="Local"),
    ),
    traffic=TrafficParams(0.0),
    churn=ChurnParams(0.5, services_created_per_s=0.1),
    run=RunParams(60.0, 0.0, seed=3, replications=1),
)
Values = Mapping[str, float]


def text_of(found: Scrape) -> str:
    return "\n".join(openmetrics(found.families)) + "\n"


def parsed(text: str) -> list[Metric]:
    return list(text_string_to_metric_families(text))  # type: ignore[no-untyped-call]  # the library's own


def values_of(scenario: Scenario, at_s: float | None = None, node: str = "node-1") -> dict[str, float]:
    """Every sample by ``name{label=value,…}``, without the prefix and the label of the only IP family."""
    found = {}
    for family in parsed(text_of(scrape(scenario, node, at_s))):
        for sample in family.samples:
            labels = {k: v for k, v in sorted(sample.labels.items()) if (k, v) != ("ip_family", "IPv4")}
            inside = ",".join(f"{k}={v}" for k, v in labels.items())
            found[sample.name.removeprefix("kubeproxy_") + (f"{{{inside}}}" if inside else "")] = sample.value
    return found


def under(mode: str, version: tuple[int, int] = (1, 34), scenario: Scenario = SMALL) -> Scenario:
    proxy = replace(scenario.kube_proxy, mode=mode)
    return replace(scenario, kube_proxy=proxy, modes=(mode,), kubernetes_version=version)


def run(scenario: Scenario) -> ModeRun:
    return run_mode(prepare(scenario, build_cluster(scenario)[0], 0), scenario.kube_proxy.mode, "batch")


def names(found: Values) -> set[str]:
    return {name.partition("{")[0] for name in found}


@pytest.mark.parametrize("version", [(1, 20), (1, 25), (1, 27), (1, 30), (1, 32), (1, 33), (1, 34)])
@pytest.mark.parametrize("mode", ["iptables", "ipvs", "nftables"])
def test_the_text_parses_back(mode: str, version: tuple[int, int]) -> None:
    found = scrape(under(mode, version), "node-0")
    families = parsed(text_of(found))
    assert [f.name for f in families] == [f.name for f in found.families]
    assert [f.type for f in families] == [f.type for f in found.families]
    assert sum(len(f.samples) for f in families) == sum(len(f.samples) for f in found.families)
    assert all(f.documentation.startswith("[ALPHA] ") for f in families)


@pytest.mark.parametrize(
    ("version", "programming"), [((1, 25), PROGRAMMING), ((1, 30), PROGRAMMING), ((1, 34), PROGRAMMING)]
)
def test_buckets_are_those_of_kube_proxy(version: tuple[int, int], programming: list[float]) -> None:
    found = values_of(under("iptables", version))
    for name, bounds in (
        ("sync_proxy_rules_duration_seconds", SYNC),
        ("network_programming_duration_seconds", programming),
    ):
        mine = [
            key.partition("le=")[2].rstrip("}")
            for key in found
            if key.startswith(name + "_bucket") and "IPv6" not in key
        ]
        assert mine == [*(repr(float(b)) for b in bounds), "+Inf"]


def test_every_metric_of_the_catalogue_is_right_in_itself() -> None:
    catalogue = load_catalogue()
    for metric in catalogue.metrics:
        assert set(metric.modes) <= set(catalogue.modes), metric.name
        assert list(metric.labels) == sorted(metric.labels), metric.name
        assert (metric.type == "counter") <= metric.name.endswith("_total"), metric.name
        others = [m for m in catalogue.metrics if m.name == metric.name and m is not metric]
        for version in ((1, minor) for minor in range(10, 50)):
            assert not (metric.has(version) and any(other.has(version) for other in others)), metric.name


def test_what_a_version_shows() -> None:
    by_version = {minor: values_of(under("iptables", (1, minor))) for minor in (25, 27, 28, 32, 33, 34)}
    shown = {minor: names(found) for minor, found in by_version.items()}
    assert shown[33] == shown[34]
    partial = "sync_proxy_rules_iptables_partial_restore_failures_total"
    assert shown[27] - shown[25] == {partial}
    assert {name for name in shown[28] - shown[27] if not name.endswith(("_bucket", "_sum", "_count"))} == {
        "sync_proxy_rules_iptables_last"
    }
    assert "sync_full_proxy_rules_duration_seconds_count" in shown[28] - shown[27]
    # with the label of the IP family a counter has no series before it counts
    assert by_version[32][partial] == 0
    assert partial not in shown[33]
    assert "iptables_ct_state_invalid_dropped_packets_total" in shown[32] - shown[28]
    labels = {minor: text_of(scrape(under("iptables", (1, minor)), "node-1")).count("ip_family=") for minor in (32, 33)}
    assert labels[32] == 0 < labels[33]


def test_iptables_total_counted_what_was_written_in_1_27() -> None:
    before, then, after = (values_of(under("iptables", (1, minor))) for minor in (26, 27, 28))
    nat = "sync_proxy_rules_iptables_total{table=nat}"
    assert then[nat] == after["sync_proxy_rules_iptables_last{table=nat}"] < after[nat]
    assert before[nat] > then[nat]


def test_modes_show_their_own_from_1_31_and_everything_before() -> None:
    shown = {
        (mode, minor): names(values_of(under(mode, (1, minor)))) for mode in ("ipvs", "nftables") for minor in (30, 31)
    }
    assert "sync_full_proxy_rules_duration_seconds_count" in shown["ipvs", 30] - shown["ipvs", 31]
    assert not any("iptables" in name for name in shown["nftables", 31])
    assert not any("nftables" in name for name in shown["nftables", 30])
    assert {n for n in shown["ipvs", 31] if "iptables" in n} == {"sync_proxy_rules_iptables_restore_failures_total"}


@pytest.mark.parametrize("mode", ["iptables", "ipvs", "nftables"])
@pytest.mark.parametrize("at_s", [7.5, 31.0, 60.0])
def test_counts_are_those_of_the_trace(mode: str, at_s: float) -> None:
    scenario = under(mode)
    found, simulated = values_of(scenario, at_s), run(scenario)
    trace, node, at_ns = simulated.proxiers[0].syncs, 1, round(at_s * S)
    durations, triggers = [], []
    success = taken = pending_from = 0
    columns = (trace.start, trace.end, trace.absorbed, trace.failed)
    for start, end, absorbed, failed in zip(*(column[:, node].tolist() for column in columns), strict=True):
        if start <= at_ns:
            pending_from = absorbed
        if end <= at_ns:
            assert not failed
            durations.append(end - start)
            triggers += [
                end - row.trigger_ns for row in simulated.proxiers[0].log.rows[taken:absorbed] if row.trigger_ns >= 0
            ]
            success, taken = end, absorbed
    assert durations
    start = values_of(scenario, 0.0)  # the process began right before the run, with a sync of everything
    durations.append(round(start["sync_proxy_rules_duration_seconds_sum"] * 1e9))
    assert found["sync_proxy_rules_duration_seconds_count"] == len(durations)
    assert found["sync_proxy_rules_duration_seconds_sum"] == sum(durations) / 1e9
    for bound in SYNC:
        key = f"sync_proxy_rules_duration_seconds_bucket{{le={bound!r}}}"
        assert found[key] == sum(d <= bound * 1e9 for d in durations)
    assert found["sync_proxy_rules_last_timestamp_seconds"] == success / 1e9
    assert found.get("network_programming_duration_seconds_count", 0) == len(triggers)
    assert found.get("network_programming_duration_seconds_sum", 0) == sum(triggers) / 1e9
    every = np.arange(len(simulated.proxiers[0].log.rows))
    there = simulated.proxiers[0].arrivals.at(every, np.full(len(every), node)) <= at_ns
    arrived = [row for row, here in zip(simulated.proxiers[0].log.rows, there, strict=True) if here]
    creates = [row for row in arrived if row.creates]
    listed = {what: start[f"sync_proxy_rules_{what}_changes_total"] for what in ("service", "endpoint")}
    assert listed["service"] == 2 * 6  # both families' proxiers count each
    assert found["sync_proxy_rules_service_changes_total"] == listed["service"] + 2 * len(creates)
    assert found["sync_proxy_rules_endpoint_changes_total"] == listed["endpoint"] + len(arrived) - len(creates)
    waiting = arrived[pending_from:]
    assert found["sync_proxy_rules_service_changes_pending"] == sum(row.creates for row in waiting)
    assert found["sync_proxy_rules_endpoint_changes_pending"] == sum(not row.creates for row in waiting)
    if mode != "ipvs":
        assert found["sync_partial_proxy_rules_duration_seconds_count"] == len(durations) - 1


@pytest.mark.parametrize("mode", ["iptables", "ipvs", "nftables"])
@pytest.mark.parametrize("faults", [FaultParams(), FaultParams(failed_syncs=0.3, restarts_per_hour=60.0)])
def test_both_engines_give_the_same_text(mode: str, faults: FaultParams) -> None:
    scenario = replace(under(mode), faults=faults)
    texts = {
        text_of(scrape(replace(scenario, run=replace(scenario.run, engine=engine)), "node-2", 55.0))
        for engine in ("reference", "batch")
    }
    assert len(texts) == 1


def test_syncs_take_as_long_as_among_packets() -> None:
    """What is in conntrack costs syncs time, though no packet is simulated for the metrics."""
    busy = TrafficParams(200.0, packets_per_connection=1)
    groups = (ServiceGroup("dns", 4, EndpointCount(mean=3.0), protocol="UDP"),)
    scenario = replace(under("iptables"), traffic=busy, groups=groups)
    trace = run(scenario).proxiers[0].syncs
    ended = trace.end[:, 1] <= 60 * S
    took_ns = int((trace.end - trace.start)[ended, 1].sum())
    name = "sync_proxy_rules_duration_seconds_sum"
    assert values_of(scenario)[name] - values_of(scenario, 0.0)[name] == pytest.approx(took_ns / 1e9)
    name = "conntrack_reconciler_sync_duration_seconds_sum"
    after_ns = int((trace.end - trace.switch)[ended, 1].sum())
    assert values_of(scenario)[name] - values_of(scenario, 0.0)[name] == pytest.approx(after_ns / 1e9)


def test_rules_at_the_start_are_those_that_are_printed() -> None:
    scenario = replace(under("iptables"), churn=ChurnParams(0.0))
    found = values_of(scenario, 0.0)
    cluster = build_cluster(scenario)[0]
    config = node_config(cluster, "node-1", scenario.cluster.pod_cidr, scenario.kube_proxy)
    report = RuleWriter(config, 30.0).sync(tuple(exact_states(cluster, config)), (), 0.0)
    assert found["sync_proxy_rules_iptables_total{table=nat}"] == report.nat_total
    assert found["sync_proxy_rules_iptables_total{table=filter}"] == report.filter_rules
    assert found["sync_proxy_rules_iptables_last{table=nat}"] == report.nat_total  # the first sync writes all
    assert found["sync_proxy_rules_last_timestamp_seconds"] < 0


def test_a_partial_sync_writes_the_top_and_the_changed_services() -> None:
    """In nat: KUBE-POSTROUTING's 3, KUBE-MARK-MASQ's 1, KUBE-SERVICES with its last rule, 3e + 1 a changed Service."""
    one_node = ClusterParams(nodes=1, cores=1)
    groups = (ServiceGroup("web", 5, EndpointCount(mean=2)),)
    scenario = replace(under("iptables"), groups=groups, churn=ChurnParams(0.05), cluster=one_node)
    simulated = run(scenario)
    trace = simulated.proxiers[0].syncs
    ends = trace.end[:, 0]
    assert len(ends) > 3
    assert not trace.full.any()
    for i in range(len(ends)):
        before, after = int(trace.absorbed[i - 1, 0]) if i else 0, int(trace.absorbed[i, 0])
        rows = simulated.proxiers[0].log.rows[:after]
        endpoints = dict.fromkeys(range(5), 2) | {row.service: len(row.usable) for row in rows}
        own = {s: 3 * e + 1 for s, e in endpoints.items() if e}
        changed = {row.service for row in rows[before:]} & own.keys()
        found = values_of(scenario, min(int(ends[i]) / 1e9, 60.0), "node-0")
        assert found["sync_proxy_rules_iptables_last{table=nat}"] == 5 + len(own) + sum(own[s] for s in changed)
        assert found["sync_proxy_rules_iptables_total{table=nat}"] == 5 + len(own) + sum(own.values())


def test_a_service_that_finds_nobody_near_is_counted_by_policy() -> None:
    groups = (
        ServiceGroup("inside", 2, EndpointCount(mean=1), internal_traffic_policy="Local"),
        ServiceGroup("outside", 3, EndpointCount(mean=1), type="NodePort", external_traffic_policy="Local", ports=2),
        ServiceGroup("any", 4, EndpointCount(mean=1)),
        ServiceGroup("empty", 5, EndpointCount(mean=0), internal_traffic_policy="Local"),
    )
    cluster = ClusterParams(nodes=500, cores=1)
    for mode in ("iptables", "ipvs", "nftables"):
        scenario = replace(under(mode), groups=groups, churn=ChurnParams(0.0), cluster=cluster)
        found = values_of(scenario, node="node-499")  # far from the Pods, which are dealt from node-0 on
        assert found["sync_proxy_rules_no_local_endpoints_total{traffic_policy=internal}"] == 2
        assert found["sync_proxy_rules_no_local_endpoints_total{traffic_policy=external}"] == 6
        assert (
            values_of(scenario, node="node-0")["sync_proxy_rules_no_local_endpoints_total{traffic_policy=internal}"]
            == 1
        )


@pytest.mark.parametrize(
    ("mode", "version", "name"),
    [("iptables", (1, 34), "iptables_restore"), ("ipvs", (1, 34), "iptables_restore"),
     ("nftables", (1, 34), "nftables_sync"), ("nftables", (1, 30), "iptables_restore")],
)  # fmt: skip
def test_failures_are_counted_where_the_version_counts_them(mode: str, version: tuple[int, int], name: str) -> None:
    scenario = replace(under(mode, version), faults=FaultParams(failed_syncs=0.4))
    found, trace = values_of(scenario), run(scenario).proxiers[0].syncs
    ended = trace.end[:, 1] <= 60 * S
    failed, full = trace.failed[ended, 1], trace.full[ended, 1]
    assert failed.sum() > 2
    idle = 0 if version >= (1, 33) else 2  # syncs of the IPv6 half, one a syncPeriod, are in this series too
    assert 0 <= found[f"sync_proxy_rules_{name}_failures_total"] - failed.sum() <= idle
    others = 1 if version >= (1, 33) else 2  # first syncs before the run, of the families in this series
    assert found["sync_proxy_rules_duration_seconds_count"] >= ended.sum() + others  # failed ones took their time too
    if mode == "iptables":
        partial = int((failed & ~full).sum())
        assert found["sync_proxy_rules_iptables_partial_restore_failures_total"] == partial > 0
        assert found["sync_full_proxy_rules_duration_seconds_count"] == full.sum() + 1 > 1


def test_samples_of_failed_syncs_are_lost() -> None:
    healthy, faulty = under("iptables"), replace(under("iptables"), faults=FaultParams(failed_syncs=0.4))
    name = "network_programming_duration_seconds_count"
    assert 0 < values_of(faulty)[name] < values_of(healthy)[name]


def test_a_restart_takes_every_count_with_it() -> None:
    scenario = replace(under("iptables"), faults=FaultParams(restarts_per_hour=90.0))
    trace = run(scenario).proxiers[0].syncs
    first, node = (int(x[0]) for x in np.nonzero((trace.process_since > -NEVER) & trace.ran & ~trace.failed))
    assert not first or trace.process_since[first - 1, node] == -NEVER
    columns = (trace.process_since, trace.start, trace.end)
    restart_ns, listed_ns, done_ns = (int(column[first, node]) for column in columns)
    name = f"node-{node}"
    before = values_of(scenario, (restart_ns - 1) / 1e9, name)
    assert before["sync_proxy_rules_duration_seconds_count"] in (first + 1, first)  # one may be under way
    starting = values_of(scenario, (restart_ns + listed_ns) / 2e9, name)
    assert "sync_proxy_rules_duration_seconds_count" not in starting
    assert starting["sync_proxy_rules_endpoint_changes_total"] == 0
    assert "sync_proxy_rules_last_timestamp_seconds" not in starting
    after = values_of(scenario, done_ns / 1e9, name)
    assert after["sync_proxy_rules_duration_seconds_count"] == 1
    assert after["sync_full_proxy_rules_duration_seconds_count"] == 1
    assert after["sync_proxy_rules_iptables_last{table=nat}"] == after["sync_proxy_rules_iptables_total{table=nat}"]
    created = before["sync_proxy_rules_service_changes_total"]
    assert after["sync_proxy_rules_service_changes_total"] >= max(created, 2 * 6)  # all Services are listed again
    assert after["sync_proxy_rules_endpoint_changes_total"] >= 6  # and a slice of each


def test_families_have_series_of_their_own_from_1_33_and_share_them_before() -> None:
    cluster = ClusterParams(nodes=2, cores=1, dual_stack=True)
    groups = (ServiceGroup("web", 4, EndpointCount(mean=2), ip_family_policy="PreferDualStack"),)
    scenario = replace(under("iptables"), cluster=cluster, groups=groups)
    apart, together = (values_of(under("iptables", (1, minor), scenario)) for minor in (33, 32))
    for name in ("sync_proxy_rules_duration_seconds_count", "network_programming_duration_seconds_count"):
        ours, theirs = apart[name], apart[f"{name}{{ip_family=IPv6}}"]
        assert min(ours, theirs) > 0
        assert together[name] == ours + theirs
    last = "sync_proxy_rules_last_timestamp_seconds"
    assert together[last] == max(apart[last], apart[f"{last}{{ip_family=IPv6}}"])


def test_a_node_that_is_not_there_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no node node-l\n +did you mean node-") as error:
        scrape(SMALL, "node-l")
    assert error.value.exit_code == 3
    with pytest.raises(InputError, match="not within the run"):
        scrape(SMALL, "node-0", 61.0)
    with pytest.raises(InputError, match="no metrics in mode userspace"):
        scrape(replace(SMALL, kube_proxy=ProxyParams(mode="userspace")), "node-0")
