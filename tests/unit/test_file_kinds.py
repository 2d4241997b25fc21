"""Every kind of file that people pass is told from others, and gets an answer or one line that says what to give."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from kpsim.errors import InputError
from kpsim.scenario.kinds import ConfigurationFile, ObjectsFile, OtherFile, RulesFile, ScenarioFile, SweepFile, identify
from kpsim.scenario.reader import read

SCENARIO = "apiVersion: kpsim/v1alpha1\nkind: Scenario\nspec: {}\n"
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {clusterIP: 10.96.0.9, ports: [{port: 80}]}\n"
SAVED = """\
-A -t 10.96.0.30:443 -s wrr -p 600
-a -t 10.96.0.30:443 -r 10.9.1.1:6443 -m -w 1
-a -t 10.96.0.30:443 -r 10.9.1.2:6443 -m -w 0
-A -u 10.96.0.31:53 -s rr
-a -u 10.96.0.31:53 -r 10.9.1.3:5353 -m -w 1
-A -t [fd00::31]:53 -s rr
-a -t [fd00::31]:53 -r [fd00:9::3]:5353 -m -w 1
"""
LISTED = """\
Chain KUBE-SERVICES (2 references)
target     prot opt source               destination
KUBE-SVC-CCCCCCCCCCCCCCCC  tcp  --  anywhere  10.96.0.40  /* web/front:tls cluster IP */ tcp dpt:https
"""
LOG = """\
I0312 08:15:00.000001       1 server_linux.go:66] "Using iptables proxy"
I0312 08:15:00.100001       1 proxier.go:796] "SyncProxyRules complete" ipFamily="IPv4" elapsed="80ms"
"""
METRICS = """\
# HELP kubeproxy_sync_proxy_rules_endpoint_changes_total [ALPHA] Cumulative proxy rules Endpoint changes
# TYPE kubeproxy_sync_proxy_rules_endpoint_changes_total counter
kubeproxy_sync_proxy_rules_endpoint_changes_total 31
"""
TABLE = """\
NAME    TYPE        CLUSTER-IP    EXTERNAL-IP   PORT(S)   AGE
front   ClusterIP   10.96.0.40    <none>        443/TCP   5h
"""
DESCRIBED = "Name:              front\nNamespace:         web\nLabels:            app=front\nIP: 10.96.0.40\n"
OTHERS = {
    "proxy.log": (LOG, "is a log of kube-proxy", "give the rules that it wrote: iptables-save"),
    "cri.log": (f"2026-03-12T08:15:00.1Z stderr F {LOG}", "is a log of kube-proxy", "give the rules"),
    "kubectl.log": (f"[pod/kube-proxy-x2/kube-proxy] {LOG}", "is a log of kube-proxy", "give the rules"),
    "kubelet.log": (
        'E0312 08:15:00.000001    9 kubelet.go:12] "No"\n',
        "is a log of a Kubernetes component",
        "kubectl get",
    ),
    "scraped.txt": (METRICS, "is what kube-proxy's /metrics shows", "kpsim metrics prints the same of a scenario"),
    "node.prom": ("# HELP node_load1 1m load\nnode_load1 3\n", "is metrics in Prometheus' format", "kubectl get"),
    "svc.txt": (TABLE, "is a table that kubectl prints for people", "print it with -o json: kubectl get svc"),
    "svc-all.txt": (f"NAMESPACE   {TABLE}", "is a table that kubectl prints for people", "print it with -o json"),
    "described.txt": (DESCRIBED, "is what kubectl describe prints for people", "print it with -o json"),
    "listed.txt": (LISTED, "ports are written as names", "print it with -n, or use iptables-save"),
    "denied.txt": ('Error from server (Forbidden): services is forbidden: User "x" cannot\n', "is the error", "again"),
    "root.txt": ("iptables-save v1.8.9 (nf_tables): Could not fetch rule set: Permission denied (you must be root)\n",
                 "is the error that a tool printed", "as root: iptables-save"),
    "sets.txt": ("create KUBE-CLUSTER-IP hash:ip,port family inet\nadd KUBE-CLUSTER-IP 10.96.0.1,tcp:443\n",
                 "is the sets that kube-proxy's rules ask in ipvs mode", "add what ipvsadm -Ln prints"),
    "tracked.txt": ("tcp      6 431999 ESTABLISHED src=10.9.0.2 dst=10.96.0.40 sport=1 dport=443\n",
                    "is what connection tracking counts or holds", "give the rules"),
    "stat.txt": ("cpu=0   \tfound=12 invalid=0 insert=0 insert_failed=3\n", "is what connection tracking", "rules"),
    "count.txt": ("net.netfilter.nf_conntrack_count = 8123\n", "is what connection tracking", "objects"),
    "page.html": ("<!DOCTYPE html>\n<p>Sign in\n", "is a web page", "kubectl get"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_another_kind_of_file_is_named_with_what_to_give_instead(tmp_path: Path, name: str) -> None:
    text, what, instead = OTHERS[name]
    path = tmp_path / name
    path.write_text(text)
    for raw in (text.encode(), gzip.compress(text.encode()), text.replace("\n", "\r\n").encode("utf-16")):
        path.write_bytes(raw)
        (file,) = identify([path]).files
        assert isinstance(file, OtherFile)
        assert file.kind
        with pytest.raises(InputError) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: is ")
        assert what in str(caught.value)
        assert instead in str(caught.value)
        assert len(caught.value.problems) == 1


def test_scenarios_objects_and_rules_are_told_apart(tmp_path: Path) -> None:
    texts = {
        "one.yaml": SCENARIO,
        "grid.yaml": SCENARIO.replace("kind: Scenario", "kind: Sweep") + "sweep: {cluster.nodes: '1,2'}\n",
        "a.yaml": SERVICE,
        "proxy.yaml": "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\n",
        "saved.txt": SAVED,
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    look = identify([tmp_path / name for name in texts])
    assert [type(file) for file in look.files] == [ScenarioFile, SweepFile, ObjectsFile, ConfigurationFile, RulesFile]
    assert [len(question.files) for question in look.questions()] == [1, 1, 3]
    assert [question.is_sweep for question in look.questions()] == [False, True, False]
    assert read(look.questions()[2]).kube_proxy.mode == "ipvs"


def test_what_ipvsadm_saves_is_read_as_what_it_lists(tmp_path: Path) -> None:
    (tmp_path / "saved.txt").write_text(SAVED)
    scenario = read(tmp_path / "saved.txt")
    assert scenario.kube_proxy.mode == "ipvs"
    made = {(s.cluster_ip, s.ports[0].port, s.ports[0].protocol): s for s in scenario.objects.services}
    assert {("10.96.0.30", 443, "TCP"), ("10.96.0.31", 53, "UDP")} <= made.keys()
    assert made["10.96.0.30", 443, "TCP"].session_affinity == "ClientIP"
    assert {at.ip for part in scenario.objects.slices for at in part.endpoints} >= {"10.9.1.1", "10.9.1.3"}
    assert any("real servers of weight 0" in warning for warning in scenario.warnings)


def test_a_folder_is_read_with_its_subfolders_and_says_what_it_left_out(tmp_path: Path) -> None:
    (tmp_path / "shop" / "web-0").mkdir(parents=True)
    (tmp_path / "shop" / "services.json").write_text(json.dumps({"kind": "ServiceList", "items": [
        {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"clusterIP": "10.96.0.8", "ports": [{"port": 1}]}}
    ]}))  # fmt: skip
    (tmp_path / "nodes.yaml").write_text("apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n")
    (tmp_path / "shop" / "web-0" / "logs.txt").write_text(LOG.splitlines()[1])
    (tmp_path / "notes").write_text("ask them about this\n")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.yaml").write_text("}{")
    scenario = read(tmp_path)
    assert [service.name for service in scenario.objects.services] == ["web"]
    assert [node.name for node in scenario.objects.nodes] == ["n1"]
    (said,) = [warning for warning in scenario.warnings if "left out" in warning]
    assert said.startswith(f"files left out: 2, e.g. {tmp_path / 'notes'}: ")
    assert "a log of kube-proxy (1)" in said


def test_rules_of_two_nodes_in_one_folder_are_told_apart(tmp_path: Path) -> None:
    for node in ("n1", "n2"):
        (tmp_path / node).mkdir()
        (tmp_path / node / "ipvs.txt").write_text(SAVED)
    assert [dump.file for dump in identify([tmp_path]).dumps] == ["n1/ipvs.txt", "n2/ipvs.txt"]


def test_a_folder_of_nothing_to_read_and_the_results_of_a_run_are_refused(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.txt").write_text(LOG)
    with pytest.raises(InputError, match=r"holds no \*\.yaml, \*\.yml or \*\.json file"):
        read(tmp_path / "logs")
    (tmp_path / "manifest.json").write_text('{"apiVersion": "kpsim/v1alpha1"}')
    with pytest.raises(InputError, match="holds the results of a run; to run it again: kpsim run"):
        read(tmp_path)


def test_files_that_show_one_cluster_are_one_and_a_scenario_is_not_among_them(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SERVICE)
    (tmp_path / "b.yaml").write_text(SERVICE.replace("name: a", "name: b").replace("0.9", "0.10"))
    assert [s.name for s in read(identify([tmp_path / "a.yaml", tmp_path / "b.yaml"])).objects.services] == ["a", "b"]
    (tmp_path / "s.yaml").write_text(SCENARIO)
    with pytest.raises(InputError, match=r"s\.yaml:1:1: is a scenario, not an object of a cluster"):
        read(identify([tmp_path / "a.yaml", tmp_path / "s.yaml"]))
