"""How far a cluster is from each limit: counted by hand for small ones, and what creating it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from kpsim.experiment.answers.census import take_census
from kpsim.experiment.answers.limits import Limit, limits_of
from kpsim.experiment.answers.waits import Wait, notes_of, waits_of
from kpsim.kube.service.environment import KUBERNETES, variables_of
from kpsim.scenario.model import Scenario
from kpsim.scenario.reader import read
from kpsim.simulation import build_cluster

HEAD = "apiVersion: kpsim/v1alpha1\nkind: Scenario\nspec:\n"
QUIET = "  traffic: {connectionsPerSecondPerNode: 0}\n"


def scenario(tmp_path: Path, body: str, *overrides: tuple[str, str]) -> Scenario:
    path = tmp_path / "scenario.yaml"
    path.write_text(HEAD + QUIET + body, encoding="utf-8")
    return read(path, overrides)


def limits(made: Scenario) -> dict[str, Limit]:
    return {limit.name: limit for limit in limits_of(made, build_cluster(made)[0])}


def waits(made: Scenario) -> dict[str, Wait]:
    return {wait.name: wait for wait in waits_of(made, build_cluster(made)[0])}


def used(made: Scenario, name: str) -> tuple[float, float, str]:
    limit = limits(made)[name]
    return limit.used, limit.limit, limit.kind


EDGE = """
  cluster: {nodes: 10, cores: 8, serviceClusterIPRange: 10.96.0.0/24}
  services:
    - {name: edge, count: 3, type: LoadBalancer, externalTrafficPolicy: Local, ports: 2, endpoints: 4}
    - {name: web, count: 5, namespace: shop, endpoints: 250}
    - {name: db, count: 1, clusterIP: None, endpoints: 30}
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ClusterIPs", (8, 254, "hard")),
        ("ClusterIPs of the static band", (0, 16, "soft")),
        ("NodePorts", (9, 2768, "hard")),  # two ports and a health check each
        ("nodes", (10, 5000, "soft")),
        ("namespaces", (2, 10_000, "soft")),
        ("Services", (9, 10_000, "soft")),
        ("Services in a namespace", (5, 5000, "soft")),
        ("endpoints of a Service", (250, 250, "soft")),
        ("Pods behind Services", (1292, 150_000, "soft")),
        ("Pods behind Services on a node", (130, 80, "soft")),  # ten a core, of eight
        ("EndpointSlices", (19, 150_000, "soft")),  # one each of four Services, three each of five
        ("addresses in an Endpoints object", (250, 1000, "hard")),
        ("largest EndpointSlice", (818 + 166 * 100, 1.5 * 2**20, "hard")),
        ("bytes of all EndpointSlices", (19 * 818 + 1292 * 166, 1.5e9, "soft")),
        ("EndpointSlice writes, by client", (0, 20, "hard")),
    ],
)
def test_each_limit_and_its_use(tmp_path: Path, name: str, expected: tuple[float, float, str]) -> None:
    assert used(scenario(tmp_path, EDGE), name) == expected


def test_limits_have_a_source_and_come_nearest_first(tmp_path: Path) -> None:
    made = scenario(tmp_path, EDGE)
    found = limits_of(made, build_cluster(made)[0])
    assert all(limit.source and limit.unit for limit in found)
    assert [limit.share for limit in found] == sorted((limit.share for limit in found), reverse=True)
    assert len({limit.name for limit in found}) == len(found)


def test_chosen_addresses_of_the_static_band(tmp_path: Path) -> None:
    service = "{apiVersion: v1, kind: Service, metadata: {name: a%d}, spec: {clusterIP: %s, ports: [{port: 80}]}}"
    ips = ("10.96.0.10", "10.96.0.16", "10.96.0.17")
    body = "  cluster: {serviceClusterIPRange: 10.96.0.0/24}\n  objects:\n"
    body += "".join(f"    - {service % (i, ip)}\n" for i, ip in enumerate(ips))
    assert used(scenario(tmp_path, body), "ClusterIPs of the static band") == (2, 16, "soft")


def test_deployments_count_where_they_were_read(tmp_path: Path) -> None:
    assert "Deployments in a namespace" not in limits(scenario(tmp_path, EDGE))
    body = "  objects:\n    - {apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {}}\n"
    assert used(scenario(tmp_path, body), "Deployments in a namespace") == (1, 2000, "soft")


@pytest.mark.parametrize("mode", ["iptables", "ipvs"])
def test_an_ipset_holds_so_many_service_ports(tmp_path: Path, mode: str) -> None:
    found = limits(scenario(tmp_path, EDGE, ("kubeProxy.mode", mode)))
    name = "ipvs: KUBE-CLUSTER-IP set"
    assert (name in found) == (mode == "ipvs")
    if mode == "ipvs":
        assert (found[name].used, found[name].limit) == (3 * 2 + 5, 65_536)


def test_variables_of_the_fullest_namespace(tmp_path: Path) -> None:
    """As long as all of them written out, for grown Services and objects alike."""
    body = (
        "  services: [{name: web, count: 12, namespace: shop, ports: 2, protocol: UDP}, {name: a, count: 1}]\n"
        "  objects:\n    - {apiVersion: v1, kind: Service, metadata: {name: the-db, namespace: shop}, "
        "spec: {ports: [{port: 5432, name: sql}], clusterIP: 10.96.200.200}}\n"
    )
    made = scenario(tmp_path, body)
    cluster, _ = build_cluster(made)
    written = list(variables_of(*KUBERNETES))
    for row in range(cluster.initial):
        namespace, _, name = cluster.names[row].partition("/")
        ip = ".".join(str(int(cluster.services.cluster_ip[row]) >> shift & 255) for shift in (24, 16, 8, 0))
        ports = range(int(cluster.port_offset[row]), int(cluster.port_offset[row + 1]))
        shape = tuple((cluster.port_name[q], int(cluster.port_number[q]), cluster.port_protocol[q]) for q in ports)
        written += variables_of(name, ip, shape) if namespace == "shop" else ()
    assert len(written) == 8 + 12 * (3 + 2 + 8) + 8
    assert take_census(made, cluster).environment_bytes == sum(len(text) + 9 for text in written)


def test_masquerading_everything_takes_ports(tmp_path: Path) -> None:
    body = "  services: [{name: web, count: 2, endpoints: 5}]\n"
    traffic = ("traffic.connectionsPerSecondPerNode", "100")
    assert "masqueraded to one endpoint" not in limits(scenario(tmp_path, body, traffic))
    everything = ("kubeProxy.iptables", "{masqueradeAll: true}")
    packets = ("traffic.packetsPerConnection", "1")
    number, most, _ = used(scenario(tmp_path, body, traffic, everything, packets), "masqueraded to one endpoint")
    assert number == pytest.approx(10)  # of 100 connections, two Services of five endpoints
    assert most == pytest.approx(28_232 / 120)


# ── Rates ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def churn(tmp_path: Path, nodes: int, **cluster: object) -> Scenario:
    more = "".join(f", {key}: {value}" for key, value in cluster.items())
    body = f"  cluster: {{nodes: {nodes}{more}}}\n  services: [{{name: web, count: 4, endpoints: 2}}]\n"
    return scenario(tmp_path, body, ("changes.churn.podReplacementsPerSecond", "3"))


def test_churn_against_the_clients_bucket(tmp_path: Path) -> None:
    made = churn(tmp_path, 3)
    assert used(made, "EndpointSlice writes, by client") == (12, 20, "hard")
    assert used(made, "Pod churn") == (6, 20, "soft")


@pytest.mark.parametrize(("nodes", "per_s"), [(100, 900), (1000, 164), (5000, 35), (15_000, 12)])
def test_seats_allow_so_many_slice_writes(tmp_path: Path, nodes: int, per_s: float) -> None:
    """Seats held for each watcher: the table of the control plane's arithmetic, 5 ms a write and 98 seats."""
    number, most, _ = used(churn(tmp_path, nodes), "EndpointSlice writes, by seats")
    assert number == 12
    assert most == pytest.approx(per_s, rel=0.05)


def test_three_api_servers_share_the_watchers(tmp_path: Path) -> None:
    made = churn(tmp_path, 5000)
    three = read(tmp_path / "scenario.yaml", [("apiServer.replicas", "3")])
    assert limits(three)["EndpointSlice writes, by seats"].limit == pytest.approx(3 * 102, rel=0.05)
    assert limits(made)["EndpointSlice writes, by seats"].limit == pytest.approx(35, rel=0.05)
    off = read(tmp_path / "scenario.yaml", [("apiServer.priorityAndFairness", "false")])
    assert "EndpointSlice writes, by seats" not in limits(off)


# ── Waits ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_load_balancers_are_made_one_after_another(tmp_path: Path) -> None:
    found = waits(scenario(tmp_path, EDGE))["load balancers"]
    assert (found.seconds, found.low_s, found.high_s) == (3 * 60, 3 * 5, 3 * 360)
    assert "load balancers" not in waits(scenario(tmp_path, "  services: [{name: web, count: 2000}]\n"))


def test_a_thousand_services_fill_the_clients_bucket(tmp_path: Path) -> None:
    """1,000 dirty Services at 20 a second after a burst of 30 take about 48 s."""
    found = waits(scenario(tmp_path, "  services: [{name: web, count: 1000}]\n"))["first EndpointSlices"]
    assert found.seconds == pytest.approx((1000 - 30) / 20)
    dual = scenario(
        tmp_path,
        "  cluster: {ipFamilies: [IPv4, IPv6]}\n"
        "  services: [{name: web, count: 1000, ipFamilyPolicy: PreferDualStack}]\n",
    )
    assert waits(dual)["first EndpointSlices"].seconds == pytest.approx((2000 - 30) / 20)


def test_a_shared_object_is_written_once_at_a_time(tmp_path: Path) -> None:
    body = "  services: [{name: web, count: 600}, {name: edge, count: 200, type: NodePort}]\n"
    old = waits(scenario(tmp_path, body, ("kubernetes.version", "1.32")))["ClusterIPs and NodePorts from their ranges"]
    assert old.seconds == pytest.approx(1000 * 0.005)
    new = waits(scenario(tmp_path, body, ("kubernetes.version", "1.34")))["NodePorts from their ranges"]
    assert new.seconds == pytest.approx(200 * 0.005)


def test_what_is_not_worth_waiting_for_is_not_said(tmp_path: Path) -> None:
    assert not waits(scenario(tmp_path, "  services: [{name: web, count: 10}]\n"))


@pytest.mark.parametrize(("endpoints", "said"), [(1000, False), (1001, True)])
def test_a_large_cluster_is_worth_a_note(tmp_path: Path, endpoints: int, said: bool) -> None:
    made = scenario(tmp_path, f"  services: [{{name: web, endpoints: {endpoints}}}]\n")
    assert any("large-cluster" in note for note in notes_of(made, build_cluster(made)[0])) == said
    other = read(tmp_path / "scenario.yaml", [("kubeProxy.mode", "nftables")])
    assert not any("large-cluster" in note for note in notes_of(other, build_cluster(other)[0]))


@pytest.mark.parametrize(
    ("per_s", "says"),
    [(500, "does not fill; 500 connections a second"), (8000, "full after 16.4 s, and then drops new connections")],
)
def test_conntrack_says_when_it_is_full(tmp_path: Path, per_s: int, says: str) -> None:
    scenario(tmp_path, "  services: [{name: web}]\n")
    made = read(tmp_path / "scenario.yaml", [("traffic.connectionsPerSecondPerNode", str(per_s))])
    (note,) = (note for note in notes_of(made, build_cluster(made)[0]) if note.startswith("conntrack"))
    assert says in note
