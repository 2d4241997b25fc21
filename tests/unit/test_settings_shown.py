"""What a cluster's objects, rules and logs show of how it is set up is used, and it is said by what."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from kpsim.dumps.evidence.logs import mode_of_log, version_of_log
from kpsim.dumps.evidence.settings import Signs, clear_of
from kpsim.errors import InputError
from kpsim.explain.packet import explain_packet
from kpsim.kube.components.commands import commands_in
from kpsim.kube.components.configurations import proxy_configuration
from kpsim.scenario.imported import scenario_document
from kpsim.scenario.kinds import identify
from kpsim.scenario.model import Scenario
from kpsim.scenario.reader import read
from tests.unit.test_dumps_layouts import NEW, V6

SERVICE = {"kind": "Service", "metadata": {"name": "cart", "namespace": "shop"},
           "spec": {"clusterIP": "10.95.0.7", "ports": [{"port": 80}]}}  # fmt: skip
CONFIGURATION = "kind: KubeProxyConfiguration\nmode: ipvs\nclusterCIDR: 10.7.0.0/16\nconntrack: {maxPerCore: 7000}\n"
CHAINS = """*nat
:KUBE-SVC-AAAAAAAAAAAAAAAA - [0:0]
:KUBE-SEP-AAAAAAAAAAAAAAAA - [0:0]
-A KUBE-SERVICES -d 10.95.0.7/32 -p tcp -m comment --comment "shop/cart cluster IP" -m tcp --dport 80 -j KUBE-SVC-AAAAAAAAAAAAAAAA
-A KUBE-SVC-AAAAAAAAAAAAAAAA ! -s 10.7.0.0/16 -d 10.95.0.7/32 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ
-A KUBE-SVC-AAAAAAAAAAAAAAAA -j KUBE-SEP-AAAAAAAAAAAAAAAA
-A KUBE-SEP-AAAAAAAAAAAAAAAA -p tcp -m tcp -j DNAT --to-destination 10.7.1.5:8080
COMMIT
"""  # noqa: E501  # lines as the tool prints them


def pod(name: str, *words: str, image: str = "", behind: bool = False) -> dict[str, object]:
    command = ["/bin/sh", "-c", " ".join(words)] if behind else list(words)
    container = {"name": "c", "command": command, "image": image}
    return {"kind": "Pod", "metadata": {"name": name, "namespace": "kube-system"}, "spec": {"containers": [container]}}


def config_map(**data: str) -> dict[str, object]:
    return {"kind": "ConfigMap", "metadata": {"name": "c", "namespace": "kube-system"}, "data": data}


def node(name: str, cidr: str = "", version: str = "", **annotations: str) -> dict[str, object]:
    metadata = {"name": name, "annotations": {key.replace("__", ".").replace("_", "/", 1): at
                                              for key, at in annotations.items()}}  # fmt: skip
    info = {"nodeInfo": {"kubeletVersion": version}, "capacity": {"cpu": "6"}}
    return {"kind": "Node", "metadata": metadata, "spec": {"podCIDR": cidr or None}, "status": info}


def imported(folder: Path, *objects: dict[str, object], **texts: str) -> Scenario:
    (folder / "objects.json").write_text(json.dumps({"kind": "List", "items": [SERVICE, *objects]}))
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)
    return read(identify([folder]))


def said(scenario: Scenario) -> str:
    return " ".join(scenario.warnings)


def test_a_dump_s_range_of_pods_is_the_scenario_s(tmp_path: Path) -> None:
    (tmp_path / "rules.txt").write_text(CHAINS)
    document = scenario_document(identify([tmp_path / "rules.txt"]))
    (tmp_path / "s.yaml").write_text(document)
    scenario = read(tmp_path / "s.yaml")
    assert scenario.cluster.pod_cidr == "10.7.0.0/16"
    assert "cluster.podCIDR 10.7.0.0/16 (rules of rules.txt)" in document
    assert "sees the client" in explain_packet(scenario, "10.7.9.9", "shop/cart:80", "tcp", "node-0").verdict


def test_a_range_of_pods_that_holds_the_services_is_taken_without_them(tmp_path: Path) -> None:
    (tmp_path / "rules.txt").write_text(CHAINS.replace("10.7.0.0/16", "10.0.0.0/8"))
    scenario = read(tmp_path / "rules.txt")
    assert scenario.cluster.pod_cidr == "10.128.0.0/9"
    assert scenario.kube_proxy.settings.cluster_cidr == "10.0.0.0/8"
    assert clear_of("10.0.0.0/8", "10.0.0.0/8") == ""


def test_nodes_show_release_and_range(tmp_path: Path) -> None:
    nodes = node("a", "10.7.0.0/24", "v1.36.2+k3s1"), node("b", "10.7.1.0/24", "v1.36.2"), node("c", version="v1.35.0")
    scenario = imported(tmp_path, *nodes)
    assert (scenario.kubernetes_version, scenario.cluster.pod_cidr) == ((1, 36), "10.7.0.0/16")
    assert (scenario.cluster.nodes, scenario.cluster.cores) == (3, 6)
    assert "kubernetes.version 1.36 (kubeletVersion of 2 Nodes, 1 have another)" in said(scenario)
    assert "cluster.podCIDR 10.7.0.0/16 (podCIDR of 2 Nodes)" in said(scenario)


def test_rules_show_the_release_that_laid_them_out(tmp_path: Path) -> None:
    (tmp_path / "rules.txt").write_text(NEW)
    scenario = read(tmp_path / "rules.txt")
    assert (scenario.kubernetes_version, scenario.kube_proxy.mode) == ((1, 36), "nftables")
    assert scenario.cluster.service_cluster_ip_range == "10.95.0.0/22"
    assert "a set hairpin-connections" in said(scenario)
    assert "cluster.serviceClusterIPRange 10.95.0.0/22 (rules of rules.txt)" in said(scenario)


def test_an_old_layout_is_not_compared_with_modes_that_came_later(tmp_path: Path) -> None:
    scenario = imported(tmp_path, node("a", version="v1.27.3"), rules=CHAINS)
    assert scenario.kubernetes_version == (1, 27)
    assert "nftables" not in scenario.modes


def test_addresses_of_ipv6_make_the_cluster_dual_stack(tmp_path: Path) -> None:
    (tmp_path / "rules.txt").write_text(V6)
    scenario = read(tmp_path / "rules.txt")
    assert scenario.cluster.dual_stack
    assert scenario.objects.services[0].ip_families == ("IPv6",)


API_SERVER = (
    "kube-apiserver", "--service-cluster-ip-range=10.95.0.0/20,fd95::/112", "--service-node-port-range", "31000+999",
    "--etcd_servers=https://127.0.0.1:2379",
)  # fmt: skip


@pytest.mark.parametrize("behind", [False, True])
def test_a_manifest_of_the_api_server_says_its_ranges(tmp_path: Path, behind: bool) -> None:
    scenario = imported(tmp_path, pod("kube-apiserver-a", *API_SERVER, image="r.example/x:v1.33.1", behind=behind))
    assert scenario.cluster.service_cluster_ip_range == "10.95.0.0/20"
    assert scenario.cluster.service_node_port_range == (31000, 31999)
    assert scenario.kubernetes_version == (1, 33)
    assert "--service-node-port-range of kube-apiserver in Pod kube-apiserver-a" in said(scenario)


def test_a_range_that_services_are_not_in_is_not_taken(tmp_path: Path) -> None:
    scenario = imported(tmp_path, pod("kube-apiserver-a", "kube-apiserver", "--service-cluster-ip-range=10.3.0.0/24"))
    assert scenario.cluster.service_cluster_ip_range == "10.96.0.0/12" or "10.95" in str(scenario.cluster)


def test_kubeadm_and_servicecidr_say_ranges_too(tmp_path: Path) -> None:
    text = "kind: ClusterConfiguration\nkubernetesVersion: v1.32.4\nnetworking: {podSubnet: 10.7.0.0/17}\n"
    cidr: dict[str, object] = {
        "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": ["10.95.0.0/18"]},
    }
    scenario = imported(tmp_path, config_map(ClusterConfiguration=text), cidr)
    assert (scenario.kubernetes_version, scenario.cluster.pod_cidr) == ((1, 32), "10.7.0.0/17")
    assert scenario.cluster.service_cluster_ip_range == "10.95.0.0/18"


@pytest.mark.parametrize("key", ["config.conf", "config", "config.yaml", "kube-proxy-config.yaml"])
def test_a_config_map_is_read_whatever_its_key(tmp_path: Path, key: str) -> None:
    scenario = imported(
        tmp_path, config_map(**{key: CONFIGURATION, "kubeconfig.conf": "apiVersion: v1\nkind: Config\n"})
    )
    assert (scenario.kube_proxy.mode, scenario.kube_proxy.conntrack_max_per_core) == ("ipvs", 7000)
    assert scenario.cluster.pod_cidr == "10.7.0.0/16"
    assert "KubeProxyConfiguration of objects.json" in said(scenario)


def test_a_damaged_configuration_in_a_config_map_has_a_line(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"objects\.json \(config\):3:1:"):
        imported(tmp_path, config_map(config="kind: KubeProxyConfiguration\nmode: [\n"))


def test_flags_of_kube_proxy_are_its_configuration(tmp_path: Path) -> None:
    words = ("/usr/local/bin/kube-proxy", "--proxy-mode=ipvs", "--ipvs-scheduler", "lc", "--cluster-cidr=10.7.0.0/16",
             "--conntrack-max-per-core=9000", "--masquerade-all", "--v=2")  # fmt: skip
    scenario = imported(tmp_path, pod("kube-proxy-x", *words, behind=True, image="r.example/kube-proxy:v1.31.0"))
    proxy = scenario.kube_proxy
    assert (proxy.mode, proxy.ipvs_scheduler, proxy.conntrack_max_per_core) == ("ipvs", "lc", 9000)
    assert (proxy.settings.cluster_cidr, scenario.cluster.pod_cidr) == ("10.7.0.0/16", "10.7.0.0/16")
    assert scenario.kubernetes_version == (1, 31)
    assert "kubeProxy.mode ipvs (kube-proxy in Pod kube-proxy-x)" in said(scenario)


def test_flags_beside_a_file_are_not_looked_at(tmp_path: Path) -> None:
    scenario = imported(tmp_path, pod("kube-proxy-x", "kube-proxy", "--config=/c", "--proxy-mode=ipvs"))
    assert scenario.kube_proxy.mode == "iptables"


def test_flags_are_typed_as_kube_proxy_types_them() -> None:
    flags = {"proxy-mode": "nftables", "iptables-sync-period": "45s", "masquerade-all": "true", "conntrack-min": "x",
             "nodeport-addresses": "10.1.0.0/16, primary", "iptables-masquerade-bit": "9"}  # fmt: skip
    assert proxy_configuration(flags) == {
        "mode": "nftables",
        "nodePortAddresses": ["10.1.0.0/16", "primary"],
        "nftables": {"syncPeriod": "45s", "masqueradeAll": True},
        "iptables": {"masqueradeBit": 9},
    }


def test_k3s_and_rke2_tell_nodes_their_flags(tmp_path: Path) -> None:
    args = json.dumps(["server", "--cluster-cidr", "10.7.0.0/17", "--kube-proxy-arg=proxy-mode=ipvs", "--disable", "x"])
    made = node("a", "10.7.0.0/24", "v1.35.1+k3s1")
    made["metadata"]["annotations"] = {"k3s.io/node-args": args}  # type: ignore[index]
    scenario = imported(tmp_path, made)
    assert (scenario.kube_proxy.mode, scenario.cluster.pod_cidr) == ("ipvs", "10.7.0.0/17")
    text = "cluster-cidr: 10.7.0.0/18\nkube-proxy-arg:\n- proxy-mode=ipvs\n- ipvs-scheduler=sh\n"
    scenario = imported(tmp_path, config_map(**{"config.yaml": text}))
    assert (scenario.kube_proxy.mode, scenario.kube_proxy.ipvs_scheduler) == ("ipvs", "sh")
    assert scenario.cluster.pod_cidr == "10.7.0.0/18"


def test_shapes_that_kubernetes_never_writes_show_nothing() -> None:
    containers = [None, {"command": "kube-proxy"}]
    shapes: list[dict[str, object]] = [
        {},
        {"spec": 7},
        {"spec": {"containers": containers}},
        {"spec": {"template": []}},
    ]
    for raw in shapes:
        assert not list(commands_in(raw))
    broken: dict[str, object] = {"kind": "Node", "metadata": {"annotations": {"k3s.io/node-args": "[1"}}}
    assert not list(commands_in(broken))
    assert Signs().release((1, 34)) is None
    assert Signs().pod_range() is None


@pytest.mark.parametrize(
    ("line", "mode"),
    [
        ("I0101 server_others.go:259] Using ipvs Proxier.", "ipvs"),
        ('I0101 server_linux.go:132] "Using iptables Proxier"', "iptables"),
        ('I0101 server_linux.go:170] "Using nftables Proxier"', "nftables"),
        ('I0101 server_windows.go:90] "Using Kernelspace Proxier."', "kernelspace"),
        ("I0101 server_others.go:101] Using userspace Proxier.", "userspace"),
        ('I0101 server_others.go:237] "Creating dualStackProxier for iptables"', "iptables"),
        ('I0101 flags.go:64] FLAG: --proxy-mode="ipvs"', "ipvs"),
        ('I0101 proxier.go:800] "Syncing nftables rules" ipFamily="IPv4" fullSync=false', "nftables"),
        ('I0101 proxier.go:1500] "Reloading service iptables data" numServices=1', "iptables"),
        ("I0101 proxier.go:751] syncProxyRules took 61.6ms", ""),
    ],
)  # fmt: skip
def test_a_log_names_the_mode(line: str, mode: str) -> None:
    assert mode_of_log(f"{line}\n")[0] == mode


def test_the_last_start_in_a_log_counts() -> None:
    lines = ['"Version info" version="v1.33.1"', "Using iptables Proxier", '"Version info" version="v1.34.2"']
    assert mode_of_log("\n".join([*lines, '"Using nftables Proxier"'])) == ("nftables", "Using nftables")
    assert version_of_log("\n".join(lines)) == "v1.34.2"


def test_pods_lie_in_the_cluster_cidr_that_a_scenario_says(tmp_path: Path) -> None:
    spec = {"kubeProxy": {"clusterCIDR": "10.7.0.0/16"}, "services": [{"name": "a", "count": 1, "endpoints": 2}]}
    (tmp_path / "s.yaml").write_text(yaml.dump({"apiVersion": "kpsim/v1alpha1", "kind": "Scenario", "spec": spec}))
    scenario = read(tmp_path / "s.yaml")
    assert (scenario.cluster.pod_cidr, scenario.warnings) == ("10.7.0.0/16", ())


def test_rules_that_contradict_the_configuration_are_named(tmp_path: Path) -> None:
    scenario = imported(tmp_path, config_map(config=CONFIGURATION), rules=CHAINS)
    assert scenario.kube_proxy.mode == "ipvs"
    assert "KubeProxyConfiguration says mode ipvs, rules of rules.txt says iptables" in said(scenario)


STARTED = """\
Feb 11 19:15:13 node-a kube-proxy.daemon[77]: I0211 19:15:13.090702  77 server.go:485] "Version info" version="v1.30.9"
Feb 11 19:15:13 node-a kube-proxy.daemon[77]: I0211 19:15:13.090702      77 server_linux.go:170] "Using ipvs Proxier"
"""


def test_a_log_beside_objects_says_mode_and_release(tmp_path: Path) -> None:
    scenario = imported(tmp_path, log=STARTED)
    assert (scenario.kube_proxy.mode, scenario.kubernetes_version) == ("ipvs", (1, 30))
    assert 'kubeProxy.mode ipvs ("Using ipvs" in log.txt)' in said(scenario)
    spec = {"importFrom": ["objects.json", "log.txt"]}
    (tmp_path / "s.yaml").write_text(yaml.dump({"apiVersion": "kpsim/v1alpha1", "kind": "Scenario", "spec": spec}))
    assert read(tmp_path / "s.yaml").kube_proxy.mode == "ipvs"


def test_a_log_alone_is_no_cluster(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text(STARTED)
    with pytest.raises(InputError, match="is a log of kube-proxy"):
        read(tmp_path / "log.txt")


@pytest.mark.parametrize(
    ("release", "mode", "warned"), [("1.40", None, True), ("1.40", "ipvs", False), ("1.39", None, False)]
)
def test_a_default_that_is_planned_to_change_is_named(
    tmp_path: Path, release: str, mode: str | None, warned: bool
) -> None:
    spec = {"kubernetes": {"version": release}, "services": [{"name": "a", "count": 1}], "kubeProxy": {"mode": mode}}
    (tmp_path / "s.yaml").write_text(yaml.dump({"apiVersion": "kpsim/v1alpha1", "kind": "Scenario", "spec": spec}))
    warning = "nftables is planned as the default"
    assert said(read(tmp_path / "s.yaml")).count(warning) == warned
