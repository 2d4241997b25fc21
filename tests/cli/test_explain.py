"""``kpsim explain service``: what someone who learns how a Service works is told, kind by kind and mode by mode."""

from __future__ import annotations

import re

import pytest

from tests.cli.shell import SERVICES, SMALL, Answer, Shell

MODES = ("iptables", "ipvs")


def explain(kpsim: Shell, name: str, *options: str) -> Answer:
    answer = kpsim("explain", "service", name, "-f", kpsim.write("objects.yaml", SERVICES), *options)
    assert answer.code == 0
    return answer


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("name", "kind"), [("web", "ClusterIP"), ("door", "NodePort"), ("front", "LoadBalancer"), ("lost", "ClusterIP")]
)
def test_the_order_of_the_story_is_the_same_for_all(kpsim: Shell, mode: str, name: str, kind: str) -> None:
    said = explain(kpsim, name, "--mode", mode).out
    assert said.startswith(f"Service default/{name}, type {kind}, under kube-proxy mode {mode}\n")
    parts = ("  rules on every node", "  what the first packet", "    => ", "  what that costs", "Costs: ")
    places = [said.index(part) for part in parts]
    assert places == sorted(places)
    assert f"Costs: {'iptables-legacy' if mode == 'iptables' else 'ipvs'} of profile linux-6.18-zen3" in said
    assert "<" not in said.replace("<Pods of this node>", "").replace("<node address>", ""), "no placeholder is left"


def test_a_cluster_ip_is_found_by_a_scan_and_translated_to_the_target_port(kpsim: Shell) -> None:
    said = explain(kpsim, "web").out
    assert "port http 10.96.1.1:80/TCP" in said
    assert "PREROUTING -> KUBE-SERVICES: other rules come first, 1.5 on average (0 to 3)" in said
    steps = re.findall(r"^ +\d+\. (?:(?:takes|passes): +-A )?(\S+)", said, re.MULTILINE)
    assert [step.rpartition("-")[0] for step in steps if step.startswith("KUBE")] == sorted(
        [step.rpartition("-")[0] for step in steps if step.startswith("KUBE")],
        key=["KUBE", "KUBE-SVC", "KUBE-SEP"].index,
    )
    assert re.search(r"takes: +-A KUBE-SEP-\w+ .*-j DNAT --to-destination 10\.\d+\.\d+\.\d+:8080", said)
    assert re.search(r"=> it goes to 10\.\d+\.\d+\.\d+:8080, and so does the rest of the connection", said)
    assert "later packets: conntrack knows the connection" in said


def test_the_total_is_the_sum_of_the_stages(kpsim: Shell) -> None:
    answer = kpsim("explain", "service", "web-0", "-f", kpsim.small(), "-o", "json")
    (port,) = answer.json["ports"]
    first = {line["stage"]: line["total_s"] for line in port["costs"] if line["packet"] == "first"}
    assert first.pop("total") == pytest.approx(sum(first.values()))


def test_ipvs_is_one_lookup_and_the_next_in_turn(kpsim: Shell) -> None:
    said = explain(kpsim, "web", "--mode", "ipvs").out
    assert "one hash lookup, however many Services there are: TCP  10.96.1.1:80 rr" in said
    assert "takes the next, round robin, of 3 real servers" in said
    assert "KUBE-SVC" not in said
    assert "list changes with every sync" not in said


@pytest.mark.parametrize("mode", MODES)
def test_a_node_port_and_a_load_balancer_say_how_they_are_reached(kpsim: Shell, mode: str) -> None:
    door = explain(kpsim, "door", "--mode", mode).out
    assert "on every node's address too, at NodePort 30080" in door
    front = explain(kpsim, "front", "--mode", mode).out
    assert "at 203.0.113.7 too" in front
    assert ("KUBE-EXT" in door) == (mode == "iptables")
    assert ("-s 198.51.100.0/24" in front) == (mode == "iptables")


@pytest.mark.parametrize("mode", MODES)
def test_headless_and_external_name_have_dns_and_no_rules(kpsim: Shell, mode: str) -> None:
    each = explain(kpsim, "each", "--mode", mode).out
    assert "It is headless (clusterIP: None): DNS answers each.default.svc.cluster.local" in each
    far = explain(kpsim, "far", "--mode", mode).out
    assert "DNS answers far.default.svc.cluster.local with a CNAME to db.example.com" in far
    for said in (each, far):
        assert "rules on every node" not in said
        assert "Costs" not in said


@pytest.mark.parametrize("mode", MODES)
def test_a_service_without_endpoints_says_why_and_where_to_look(kpsim: Shell, mode: str) -> None:
    answer = explain(kpsim, "lost", "--mode", mode)
    assert "endpoints: none\n" in answer.out
    assert "kubectl -n default get pods -l app=nobody" in answer.out
    assert "=> no endpoint can serve it: refused at once" in answer.out
    assert "later packets" not in answer.out
    assert "the selector matches no Pod" in answer.err
    if mode == "iptables":
        assert "*filter\n" in answer.out
        assert "-j REJECT" in answer.out


def test_warnings_about_other_services_are_left_out(kpsim: Shell) -> None:
    assert explain(kpsim, "web").err == ""


def test_every_port_is_told_by_itself(kpsim: Shell) -> None:
    text = SMALL.replace("endpoints: 2}", "endpoints: 2, ports: 2}")
    said = kpsim("explain", "service", "web-1", "-f", kpsim.write("two.yaml", text)).out
    first, second = said.split("\nport p1 ")
    assert "--dport 80 " in first
    assert "--dport 81 " not in first
    assert "--dport 81 " in second


def test_a_long_service_is_shortened_and_extrapolation_is_said(kpsim: Shell) -> None:
    text = SMALL.replace("count: 2, endpoints: 2", "count: 40000, endpoints: 2") .replace(
        "  traffic", "    - {name: big, count: 1, endpoints: 200}\n  traffic"
    )  # fmt: skip
    said = kpsim("explain", "service", "big-0", "-f", kpsim.write("large.yaml", text)).out
    assert len(said.splitlines()) < 60
    assert "more rules of KUBE-SVC-" in said
    assert "more KUBE-SEP chains like these" in said
    assert "Extrapolated: scan of KUBE-SERVICES, measured up to 30,000 steps and here up to 40,000 (1.3x)." in said
    assert "Extrapolated: statistic rules of KUBE-SVC, measured up to 32 steps" in said


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("wbe", "default/web"), ("kube-system/door", "default/door"), ("default/fornt", "default/front")],
)
def test_a_wrong_name_is_answered_with_the_nearest(kpsim: Shell, wrong: str, right: str) -> None:
    answer = kpsim("explain", "service", wrong, "-f", kpsim.write("objects.yaml", SERVICES))
    assert answer.code == 3
    assert f"did you mean {right}?" in answer.err


def test_the_name_of_a_group_leads_to_its_first_service(kpsim: Shell) -> None:
    answer = kpsim("explain", "service", "web", "-f", kpsim.small())
    assert answer.code == 3
    assert "did you mean default/web-0?" in answer.err


@pytest.mark.parametrize(("mode", "says"), [("ipvss", "did you mean ipvs?"), ("kernel", "there is no mode 'kernel'")])
def test_a_wrong_mode_is_refused(kpsim: Shell, mode: str, says: str) -> None:
    answer = kpsim("explain", "service", "web-0", "-f", kpsim.small(), "--mode", mode)
    assert answer.code == 3
    assert says in answer.err


LOCAL = SMALL.replace("endpoints: 2}", "endpoints: 1, type: LoadBalancer, internalTrafficPolicy: Local}")


@pytest.mark.parametrize(
    ("mode", "becomes", "called"),
    [
        ("iptables", "dropped: the client waits", "dropped"),
        ("nftables", "dropped: the client waits", "dropped"),
        ("ebpf", "connect() fails at once", "refused"),
        ("kernelspace", "not refused: its packets find no load balancer", "dropped"),
    ],
)
def test_a_local_policy_is_told_of_a_node_without_endpoints(kpsim: Shell, mode: str, becomes: str, called: str) -> None:
    """Not that everybody is refused: nodes with endpoints serve them, and what drops does not refuse."""
    said = kpsim("explain", "service", "web-0", "-f", kpsim.write("local.yaml", LOCAL), "--mode", mode).out
    assert "internalTrafficPolicy: Local: such traffic stays on its node (below: one without endpoints)" in said
    assert "  rules on a node without endpoints of it\n" in said
    assert f"=> no endpoint on such a node may serve it: {becomes}" in said
    assert f"    {called} " in said
    assert "    first " in said
    assert "First and later packets: on a node that has an endpoint." in said


def test_a_mode_that_falls_back_says_so_and_a_grown_load_balancer_has_its_address(kpsim: Shell) -> None:
    said = kpsim("explain", "service", "web-0", "-f", kpsim.write("local.yaml", LOCAL), "--mode", "ipvs").out
    assert "there this mode takes any endpoint, if the Service is reached from outside too" in said
    assert "=> it goes to " in said
    assert "at 100.64.0.8 too (external or load balancer addresses)" in said
    assert "TCP  100.64.0.8:80" in said
    assert "pending" not in said


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--to", "web-0"), 0, "TCP 10.191.255.254 -> 10.96.1.1:80 on node-0"),
        (("--to", "web-1:80"), 0, "-> 10.96.1.2:80 on node-0"),
        (("--to", "web"), 3, "no rules are written for a Service default/web\n    did you mean default/web-"),
        (("--to", "web-0:81"), 3, "default/web-0 has no port 81\n    it has 80"),
        (("--to", "10.96.1.1:65536"), 3, "'10.96.1.1:65536' is neither ip:port nor namespace/name"),
        (("--to", "[::1]:80"), 3, "10.191.255.254 cannot send to ::1, an address of the other IP family"),
    ],
)
def test_a_packet_goes_to_a_service_by_its_name_as_kubectl_takes_it(
    kpsim: Shell, options: tuple[str, ...], code: int, says: str
) -> None:
    answer = kpsim("explain", "packet", "-f", kpsim.small(), *options)
    assert (answer.code, says in answer.out + answer.err) == (code, True)


def test_who_is_refused_outside_has_no_socket_on_the_node(kpsim: Shell) -> None:
    file = kpsim.write("local.yaml", LOCAL.replace("count: 2", "count: 1").replace("endpoints: 1", "endpoints: 0"))
    ask = ("explain", "packet", "-f", file, "--mode", "ebpf", "--to")
    assert "EHOSTUNREACH" in kpsim(*ask, "web-0").out
    outside = kpsim(*ask, "100.64.0.8:80", "--from", "outside").out
    assert "rejected: the client is told at once (ICMP port unreachable)" in outside
    assert "EHOSTUNREACH" not in outside


NEAR = """
apiVersion: kpsim/v1alpha1
kind: Scenario
spec:
  cluster: {nodes: 3}
  services: [{name: near, count: 1, endpoints: 4, internalTrafficPolicy: Local}]
"""


@pytest.mark.parametrize("mode", ["iptables", "nftables", "ipvs"])
def test_a_service_is_told_as_it_is_on_a_node(kpsim: Shell, mode: str) -> None:
    """Four Pods on three nodes: node-0 chooses between two, node-1 has one."""
    file = kpsim.write("near.yaml", NEAR)
    for node, pods in (("node-0", {"10.128.0.1:80", "10.128.0.4:80"}), ("node-1", {"10.128.0.2:80"})):
        told = kpsim("explain", "service", "near-0", "-f", file, "--mode", mode, "--node", node, "-o", "json").json
        (port,) = told["ports"]
        assert port["where"] == node
        said = "\n".join(port["rules"]).replace("/80", ":80")
        assert set(re.findall(r"10\.128\.0\.\d+:80", said)) == pods
        assert port["verdict"].split()[3].rstrip(",") in pods
    lost = kpsim("explain", "service", "near-0", "-f", file, "--node", "node-9")
    assert lost.code == 3
    assert "there is no node node-9" in lost.err


LOCAL_DOORS = """
apiVersion: v1
kind: Service
metadata: {name: lb}
spec:
  {type: LoadBalancer, clusterIP: 10.96.0.5, selector: {app: a}, externalTrafficPolicy: Local,
   externalIPs: [198.51.100.7], ports: [{port: 80, targetPort: 8080, nodePort: 30080}]}
status: {loadBalancer: {ingress: [{ip: 203.0.113.9}]}}
---
apiVersion: v1
kind: Pod
metadata: {name: a1, labels: {app: a}}
spec: {nodeName: worker-1}
status: {podIP: 10.244.1.5, phase: Running, conditions: [{type: Ready, status: "True"}]}
"""


@pytest.mark.parametrize("mode", ["iptables", "ipvs", "nftables"])
def test_under_a_local_policy_the_source_is_kept_at_every_way_in(kpsim: Shell, mode: str) -> None:
    path = kpsim.write("local.yaml", LOCAL_DOORS)
    said = kpsim("explain", "service", "lb", "-f", path, "--mode", mode).out
    assert "Local keeps the source" in said
    assert "masquerade: the Pod answers" not in said
    for door in ("172.16.0.1:30080", "198.51.100.7:80", "203.0.113.9:80"):
        assert f"from outside to {door} on worker-1: sent to 10.244.1.5:8080, the endpoint sees the client" in said
        elsewhere = "sent to 10.244.1.5:8080, the endpoint sees the client" if mode == "ipvs" else "dropped"
        assert f"from outside to {door} on a node without endpoints of it: {elsewhere}" in said
    assert ("from a Pod it never called" in said) == (mode == "ipvs")


def test_a_packet_is_traced_on_the_first_node_there_is_and_a_client_outside_takes_the_way_in(kpsim: Shell) -> None:
    path = kpsim.write("local.yaml", LOCAL_DOORS)
    said = kpsim("explain", "packet", "--from", "outside", "--to", "default/lb", "-f", path).out
    assert said.startswith("TCP 203.0.113.77 -> 203.0.113.9:80 on worker-1,")
    assert "sent to 10.244.1.5:8080, the endpoint sees the client" in said


def test_a_service_in_a_file_without_pods_is_told_and_nobody_can_serve_it(kpsim: Shell) -> None:
    service = (
        "{apiVersion: v1, kind: Service, metadata: {name: lone}, spec: {clusterIP: 10.96.0.6, ports: [{port: 80}]}}"
    )
    for mode in ("iptables", "ipvs", "nftables"):
        said = kpsim("explain", "service", "lone", "-f", kpsim.write("lone.yaml", service), "--mode", mode).out
        assert "=> no endpoint can serve it: refused at once" in said


def test_a_scheduler_is_told_as_it_is_with_what_the_engines_make_of_it(kpsim: Shell) -> None:
    said = explain(kpsim, "web", "--mode", "ipvs", "--set", "kubeProxy.ipvs.scheduler=lc").out
    assert "the scheduler, lc, takes the one with the fewest connections" in said
    assert "the engines take the next one instead, as under rr" in said
