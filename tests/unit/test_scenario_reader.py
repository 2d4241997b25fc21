from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from kpsim.cluster.params import EndpointCount
from kpsim.errors import InputError
from kpsim.proxy.params import FaultParams
from kpsim.proxy.registry import ModeEntry, temporarily
from kpsim.scenario.imported import scenario_document
from kpsim.scenario.jsonschema import json_schema
from kpsim.scenario.kinds import identify
from kpsim.scenario.model import Scenario
from kpsim.scenario.reader import read, read_sweep
from kpsim.scenario.resolved import to_document, write_resolved

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "scenarios").glob("*.yaml"))
TEN_THOUSAND = ROOT / "scenarios" / "10k-services.yaml"

DUMP: list[dict[str, Any]] = [
    {
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {
            "clusterIP": "10.152.183.9",
            "ports": [{"port": 80, "targetPort": "http"}],
            "selector": {"app": "web"},
        },
    },
    {
        "kind": "Service",
        "metadata": {"name": "edge", "namespace": "x"},
        "spec": {"type": "NodePort", "clusterIP": "10.152.183.1", "ports": [{"port": 1, "nodePort": 29000}]},
    },
    {
        "kind": "Pod",
        "metadata": {"name": "web-1", "labels": {"app": "web"}},
        "spec": {"nodeName": "n7", "containers": [{"ports": [{"name": "http", "containerPort": 8080}]}]},
        "status": {"phase": "Running", "podIP": "10.1.1.1", "conditions": [{"type": "Ready", "status": "True"}]},
    },
    {
        "kind": "EndpointSlice",
        "metadata": {"name": "edge-1", "namespace": "x", "labels": {"kubernetes.io/service-name": "edge"}},
        "addressType": "IPv4",
        "ports": [{"port": 8}],
        "endpoints": [{"addresses": ["10.1.1.2"], "nodeName": "n8"}],
    },
    {"kind": "DaemonSet", "metadata": {"name": "agent"}, "spec": {"template": {"metadata": {"labels": {"a": "b"}}}}},
]


def write(tmp_path: Path, spec: object, name: str = "it.yaml", **top: object) -> Path:
    document = {"apiVersion": "kpsim/v1alpha1", "kind": "Scenario", "spec": spec, **top}
    path = tmp_path / name
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def dump(tmp_path: Path, name: str = "prod.json") -> Path:
    path = tmp_path / name
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": DUMP}), encoding="utf-8")
    return path


def complaint(path: Path, *sets: tuple[str, str]) -> str:
    with pytest.raises(InputError) as caught:
        read(path, sets)
    return str(caught.value)


def essence(scenario: Scenario) -> Scenario:
    return replace(scenario, objects=replace(scenario.objects, warnings=(), proxy_configuration=()))


def test_the_first_scenario_is_what_it_says() -> None:
    scenario = read(TEN_THOUSAND)
    assert sum(group.count for group in scenario.groups) == 10_000
    assert sum(group.count * group.endpoints.mean for group in scenario.groups) == 83_850
    assert (scenario.cluster.nodes, scenario.churn.pod_replacements_per_s, scenario.run.packets) == (
        1000,
        10.0,
        5_000_000,
    )
    assert scenario.modes == ("iptables", "ipvs")
    assert [(t.measure, t.statistic, t.operator, t.bound) for t in scenario.thresholds] == [
        ("network_programming_true", "p99", "<", 10.0),
        ("first_packet_latency", "p99", "<", 1e-3),
    ]
    assert (scenario.kube_proxy.min_sync_period_s, scenario.kube_proxy.sync_period_s) == (1.0, 30.0)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_scenario_says_what_to_expect_and_fits_the_schema(path: Path, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert "Shape expected" in text
    scenario = read(path)
    assert scenario.name == path.stem
    assert not scenario.warnings
    pytest.importorskip("jsonschema").validate(yaml.safe_load(text), json_schema())
    (tmp_path / "again.yaml").write_text(write_resolved(scenario), encoding="utf-8")
    assert read(tmp_path / "again.yaml") == scenario


def test_an_empty_spec_is_all_defaults(tmp_path: Path) -> None:
    assert read(write(tmp_path, {})) == Scenario("it")


def test_every_default_is_written_out(tmp_path: Path) -> None:
    document = to_document(read(write(tmp_path, {"services": [{"name": "web"}]})))
    assert document["spec"]["services"][0] == {
        "name": "web",
        "count": 1,
        "endpoints": 1,
        "namespace": "default",
        "type": "ClusterIP",
        "ports": 1,
        "protocol": "TCP",
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "externalTrafficPolicy": "Cluster",
        "ipFamilyPolicy": "SingleStack",
    }
    assert document["spec"]["run"]["duration"] == "1m"
    pytest.importorskip("jsonschema").validate(document, json_schema())


def test_policies_and_faults_are_read_and_written_back(tmp_path: Path) -> None:
    web = {"name": "web", "type": "NodePort", "externalTrafficPolicy": "Local", "ipFamilyPolicy": "PreferDualStack"}
    near = {"name": "near", "internalTrafficPolicy": "Local", "sessionAffinity": "ClientIP"}
    lock = {"held": 0.05, "hold": "300ms"}
    faults = {"failedSyncs": 0.01, "restartsPerNodePerHour": 2, "ruleFlushesPerNodePerHour": 1, "xtablesLock": lock}
    cluster = {"ipFamilies": ["IPv4", "IPv6"]}
    scenario = read(write(tmp_path, {"services": [web, near], "faults": faults, "cluster": cluster}))
    first, second = scenario.groups
    assert (first.external_traffic_policy, first.ip_family_policy) == ("Local", "PreferDualStack")
    assert (second.internal_traffic_policy, second.session_affinity) == ("Local", "ClientIP")
    assert scenario.cluster.dual_stack
    assert scenario.faults == FaultParams(0.01, 2.0, 1.0, 0.05, 0.3)
    (tmp_path / "again.yaml").write_text(write_resolved(scenario), encoding="utf-8")
    assert read(tmp_path / "again.yaml") == scenario


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"services": [{"name": "a", "externalTrafficPolicy": "Local"}]}, "may not be Local for ClusterIP Services"),
        ({"services": [{"name": "a", "ipFamilyPolicy": "RequireDualStack"}]}, "the cluster has one IP family only"),
        ({"cluster": {"ipFamilies": ["IPv6", "IPv6"]}}, "must be [IPv4], [IPv6], or [IPv4, IPv6]"),
        ({"faults": {"failedSyncs": 1.5}}, "failedSyncs"),
    ],
)
def test_policies_that_do_not_fit(tmp_path: Path, spec: dict[str, object], said: str) -> None:
    assert said in complaint(write(tmp_path, spec))


def test_groups_are_read_with_their_distribution(tmp_path: Path) -> None:
    drawn = {"distribution": "lognormal", "mean": 30, "sigma": 0.8, "max": 250}
    spec = {
        "services": [{"name": "a", "count": "10k", "endpoints": drawn}, {"name": "b", "clusterIP": "None", "ports": 3}]
    }
    first, second = read(write(tmp_path, spec)).groups
    assert first.endpoints == EndpointCount("lognormal", 30.0, 0.8, 0, 250)
    assert first.count == 10_000
    assert (second.headless, second.ports, second.count) == (True, 3, 1)


def test_real_objects_inside_a_scenario(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    dump(tmp_path / "more")
    inline = [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "api"}, "spec": {"ports": [{"port": 1}]}},
        {"name": "g"},
    ]
    scenario = read(write(tmp_path, {"services": inline, "importFrom": ["more"], "cluster": {"nodes": 9}}))
    assert [service.name for service in scenario.objects.services] == ["api", "web", "edge"]
    assert scenario.groups[0].name == "g"
    assert (scenario.cluster.nodes, scenario.cluster.service_cluster_ip_range) == (9, "10.152.183.0/24")
    assert "spec.importFrom[0]: there is no file or directory" in complaint(write(tmp_path, {"importFrom": ["gone"]}))


def test_a_scenario_around_real_objects(tmp_path: Path) -> None:
    scenario = read(dump(tmp_path))
    assert scenario.name == "prod"
    assert scenario.modes == ("iptables", "ipvs", "nftables")
    assert scenario.cluster.nodes == 2
    assert scenario.cluster.service_cluster_ip_range == "10.152.183.0/24"
    assert scenario.cluster.service_node_port_range == (29000, 32767)
    assert scenario.cluster.pod_cidr != "10.128.0.0/10"
    assert (scenario.churn.pod_replacements_per_s, scenario.run.duration_s, scenario.run.warmup_s) == (0.1, 60.0, 10.0)
    assert scenario.traffic.connections_per_s_per_node == 100.0
    assert any("10.152.183.0/24" in warning for warning in scenario.warnings)
    assert essence(read(tmp_path)) == essence(replace(scenario, name=tmp_path.name))
    assert read(dump(tmp_path), [("cluster.nodes", "50"), ("proxy.mode", "ipvs")]).modes == ("ipvs",)


def test_what_was_imported_stands_alone(tmp_path: Path) -> None:
    text = scenario_document(identify([dump(tmp_path)]))
    assert text.startswith("# Made from prod.json: 2 Services, 1 EndpointSlice,\n# 1 Pod, 1 workload, 0 Nodes.\n")
    (tmp_path / "alone.yaml").write_text(text, encoding="utf-8")
    assert essence(read(tmp_path / "alone.yaml")) == essence(read(dump(tmp_path)))


def test_kube_proxys_own_configuration_is_taken(tmp_path: Path) -> None:
    config = {
        "kind": "KubeProxyConfiguration",
        "mode": "ipvs",
        "ipvs": {"minSyncPeriod": "2s", "scheduler": "lc"},
        "iptables": {"minSyncPeriod": "5s", "masqueradeAll": True},
        "conntrack": {"maxPerCore": 1, "min": None},
        "oomScoreAdj": -999,
    }
    (tmp_path / "proxy.json").write_text(json.dumps(config))
    dump(tmp_path)
    for scenario in (read(tmp_path), read(write(tmp_path, {"kubeProxy": config}))):
        params = scenario.kube_proxy
        assert (params.mode, params.min_sync_period_s, params.ipvs_scheduler) == ("ipvs", 2.0, "lc")
        assert (params.masquerade_all, params.conntrack_max_per_core, params.conntrack_min) == (True, 1, 131072)
        assert params.for_mode("iptables").min_sync_period_s == 5.0
        assert not [warning for warning in scenario.warnings if "kubeProxy" in warning]


def test_unknown_keys_of_kube_proxys_are_warnings(tmp_path: Path) -> None:
    scenario = read(write(tmp_path, {"kubeProxy": {"frobnicate": 1, "mode": ""}}))
    assert scenario.warnings == ("spec.kubeProxy.frobnicate is not a key of kube-proxy's; it does nothing",)
    assert scenario.kube_proxy.mode == "iptables"


def test_a_mode_that_is_not_modelled_does_not_stop_an_import(tmp_path: Path) -> None:
    (tmp_path / "proxy.json").write_text(json.dumps({"kind": "KubeProxyConfiguration", "mode": "dream"}))
    dump(tmp_path)
    scenario = read(tmp_path)
    assert scenario.modes == ("iptables", "ipvs", "nftables")
    assert any("dream" in warning for warning in scenario.warnings)


def test_a_new_mode_is_one_line_in_the_registry(tmp_path: Path) -> None:
    path = write(tmp_path, {"kubeProxy": {"mode": "toy", "toy": {"minSyncPeriod": "7s"}}})
    assert "there is no mode 'toy'" in complaint(path)
    with temporarily(ModeEntry("toy", "nowhere:Toy", "a toy", since=(1, 30))):
        scenario = read(path)
        assert (scenario.modes, scenario.kube_proxy.min_sync_period_s) == (("toy",), 7.0)
        assert (
            "toy"
            in json_schema()["properties"]["spec"]["properties"]["compare"]["properties"]["modes"]["items"]["enum"]
        )
        old = complaint(path, ("kubernetes.version", "1.29"))
        assert "the mode toy is not in Kubernetes 1.29 yet: it came with 1.30" in old


def test_overrides_are_held_to_the_same_rules() -> None:
    scenario = read(
        TEN_THOUSAND,
        [
            ("services.small.count", "5"),
            ("run.duration", "90s"),
            ("kubernetes.version", "1.30"),
            ("changes.churn.podReplacementsPerSecond", "2.5"),
            ("spec.cluster.nodes", "7"),
            ("metadata.name", "007"),
            ("services.3.endpoints", "{distribution: uniform, min: 1, max: 3}"),
            ("controllerManager.maxEndpointsPerSlice", "50"),
        ],
    )
    assert (scenario.groups[0].count, scenario.run.duration_s, scenario.cluster.nodes) == (5, 90.0, 7)
    assert (scenario.kubernetes_version, scenario.name, scenario.churn.pod_replacements_per_s) == ((1, 30), "007", 2.5)
    assert scenario.groups[3].endpoints == EndpointCount("uniform", 2.0, 0.0, 1, 3)
    assert scenario.controller_manager.max_endpoints_per_slice == 50


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("services.small.count", "-1", "--set services.small.count=-1: spec.services[0].count: must not be negative"),
        ("services.smal.count", "1", "nothing in spec.services is called 'smal'\n    did you mean small?"),
        ("services.count", "1", "there are small, medium, big, headless"),
        ("run.duration", "5", "--set run.duration=5: spec.run.duration: the duration 5 has no unit"),
        ("run.durations", "5s", "spec.run.durations: unknown key\n    did you mean duration?"),
        ("proxy.mode", "ipvs2", "there is no mode 'ipvs2'\n    did you mean ipvs?"),
        ("cluster.nodes.deep", "1", "spec.cluster.nodes is not a mapping, so it has no deep"),
        ("cluster.nodes", "010", "octal"),
        ("cluster..nodes", "1", "is not a dotted path"),
        ("compare.modes", "iptables,iptable", "spec.compare.modes[1]: there is no mode 'iptable'"),
    ],
)
def test_overrides_that_cannot_be(path: str, value: str, expected: str) -> None:
    text = complaint(TEN_THOUSAND, (path, value))
    assert expected in text
    assert f"--set {path}={value}" in text


def test_setting_the_mode_sets_the_comparison() -> None:
    assert read(TEN_THOUSAND, [("proxy.mode", "ipvs")]).modes == ("ipvs",)
    both = [("kubeProxy.mode", "ipvs"), ("compare.modes", "ipvs,iptables")]
    assert read(TEN_THOUSAND, both).modes == ("ipvs", "iptables")


def test_a_trillion_services_read_without_growing() -> None:
    assert read(TEN_THOUSAND, [("services.small.count", "1T")]).groups[0].count == 10**12


def test_the_only_group_needs_no_name(tmp_path: Path) -> None:
    assert read(write(tmp_path, {"services": [{"name": "web"}]}), [("services.count", "3")]).groups[0].count == 3


def test_a_sweep_has_the_axes_of_its_file_or_those_given() -> None:
    sweep = read_sweep(ROOT / "scenarios" / "iptables-cliff.yaml")
    ((path, values),) = sweep.axes
    assert path == "services.svc.count"
    assert (len(values), values[0], values[-1]) == (9, "1", "50000")
    more = read_sweep(TEN_THOUSAND, [("proxy.mode", "iptables,ipvs"), ("services.small.count", "1..50:lin:5")])
    assert more.axes == (("proxy.mode", ("iptables", "ipvs")), ("services.small.count", ("1", "13", "26", "38", "50")))


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ((), "sweep: nothing to sweep over"),
        ((("run.seed", "1..5"),), "--set run.seed=1..5: a range from 1 to 5 needs :log: or :lin:"),
        ((("run.seed", "0..5:log:3"),), "must begin above 0"),
        ((("run.seed", "a..b:lin:3"),), "is not a range of numbers"),
        ((("run.seed", "1..2:lin:1000000"),), "the number of points must be 2 to 10,000"),
        ((("run.seed", "1,,2"),), "a value of the range is empty"),
        ((("run.sed", "1,2"),), "did you mean seed?"),
        ((("services.small.count", "1..5M:log:3"),), "too small"),
    ],
)
def test_sweeps_that_cannot_be(sets: tuple[tuple[str, str], ...], expected: str) -> None:
    with pytest.raises(InputError) as caught:
        read_sweep(TEN_THOUSAND, sets)
    assert expected in str(caught.value)


def test_places_that_cannot_be_read(tmp_path: Path) -> None:
    assert "there is no such file or directory" in complaint(tmp_path / "gone.yaml")
    assert "is an empty directory" in complaint(tmp_path)
    for name, text, expected in (
        ("empty.yaml", "", "is empty"),
        ("binary.yaml", "\0\1", "is not text"),
        ("words.yaml", "just words\n", "it has no kind"),
        ("list.yaml", "- 1\n", "it has no kind"),
    ):
        (tmp_path / name).write_text(text)
        assert expected in complaint(tmp_path / name)


def test_reading_a_scenario_is_light() -> None:
    heavy = ("pandas", "matplotlib", "simpy", "scipy")
    code = f"import sys; from kpsim.scenario.reader import read; read({str(TEN_THOUSAND)!r})"
    code += f"; print([name for name in {heavy} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert shown.stdout.strip() == "[]"


def test_a_profile_that_is_a_file_is_found_beside_the_scenario_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, elsewhere = tmp_path / "cluster", tmp_path / "elsewhere"
    for folder in (beside, elsewhere):
        folder.mkdir()
    monkeypatch.chdir(elsewhere)
    scenario = write(beside, {"profile": {"name": "mine.yaml"}})
    with pytest.raises(InputError, match=r"spec\.profile\.name: there is no file mine\.yaml"):
        read(scenario)
    Path("mine.yaml").touch()
    assert read(scenario).profile.name == "mine.yaml"
    (beside / "mine.yaml").touch()
    assert read(scenario).profile.name == str(beside / "mine.yaml")
