"""``spec.ingress``: read, written back, the controller's own objects, and what it adds to a run and its report."""

from __future__ import annotations

from pathlib import Path

import pytest

from kpsim.errors import InputError
from kpsim.experiment.replications import run
from kpsim.experiment.result import Result
from kpsim.ingress.params import ControllerTimings, IngressParams
from kpsim.report.figures import pictures
from kpsim.scenario.reader import read
from kpsim.scenario.resolved import to_document, write_resolved
from kpsim.simulation import build_cluster, prepare

SMALL = """\
apiVersion: kpsim/v1alpha1
kind: Scenario
spec:
  cluster: {nodes: 4, cores: 2}
  services: [{name: web, count: 2, endpoints: 6}]
  traffic: {connectionsPerSecondPerNode: 20, packetsPerConnection: 2}
  changes:
    churn: {podShutdown: 0s}
    events: [{at: 8s, rollout: {service: default/web-0, preStop: 0s}}]
  run: {duration: 25s, warmup: 2s, seed: 1, replications: 3, engine: batch, packets: 60k}
"""
OBJECTS = """\
  objects:
    - apiVersion: networking.k8s.io/v1
      kind: Ingress
      metadata: {name: shop}
      spec:
        ingressClassName: nginx
        rules:
          - host: shop.example.com
            http:
              paths:
                - {path: /, pathType: Prefix, backend: {service: {name: web-0, port: {number: 80}}}}
                - {path: /none, pathType: Prefix, backend: {service: {name: web-9, port: {number: 80}}}}
"""
INGRESS = "  ingress: {requestsPerSecond: 100}\n"
FULL = """\
  ingress:
    {requestsPerSecond: 50, replicas: 3, cores: 1, to: ClusterIP, tries: 1, syncsPerSecond: 2, className: nginx,
     service: edge/door, type: NodePort}
"""


def written(tmp_path: Path, *parts: str) -> Path:
    path = tmp_path / "ingress.yaml"
    path.write_text(SMALL + "".join(parts), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return run(written(tmp_path_factory.mktemp("ingress"), OBJECTS, INGRESS))


def test_every_key_is_read_and_written_back(tmp_path: Path) -> None:
    found = read(written(tmp_path, OBJECTS, FULL))
    assert found.ingress == IngressParams(50.0, 3, 1, "ClusterIP", 1, 2.0, "nginx", "edge/door", "NodePort")
    (tmp_path / "again.yaml").write_text(write_resolved(found), encoding="utf-8")
    again = read(tmp_path / "again.yaml")
    assert again.ingress == found.ingress
    assert again.objects == found.objects


def test_the_controller_is_a_service_with_pods(tmp_path: Path) -> None:
    found = read(written(tmp_path, OBJECTS, FULL))
    cluster, _ = build_cluster(found)
    (row,) = cluster.rows_of("edge/door")
    assert len(cluster.endpoints(row)) == 3
    assert int(cluster.services.node_ports[row]) == 2
    drawn = prepare(found, cluster, 0).ingress
    assert drawn is not None
    assert drawn.controller.node.tolist() == cluster.homes(cluster.pods)[cluster.endpoints(row)].tolist()


def test_a_service_that_was_read_is_the_controllers(tmp_path: Path) -> None:
    service = """\
    - apiVersion: v1
      kind: Service
      metadata: {name: door, namespace: edge}
      spec: {type: LoadBalancer, ports: [{port: 443}], selector: {app: door}}
"""
    found = read(written(tmp_path, OBJECTS + service, FULL))
    assert [each.type for each in found.objects.services] == ["LoadBalancer"]
    assert not found.objects.workloads


def test_without_a_controller_there_are_no_requests(tmp_path: Path) -> None:
    found = read(written(tmp_path, OBJECTS))
    assert found.ingress is None
    assert "ingress" not in to_document(found)["spec"]
    assert not found.objects.services
    assert prepare(found, build_cluster(found)[0], 0).ingress is None


def test_ingress_nginx_own_steps() -> None:
    timings = ControllerTimings.of(IngressParams())
    assert (timings.interval_ns, timings.tick_ns, timings.tries) == (3_333_333_333, 1_000_000_000, 3)


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ((INGRESS,), "there is no Ingress for the controller to serve"),
        ((OBJECTS, "  ingress: {className: traefik}\n"), "those that were read have class nginx"),
        ((OBJECTS, "  ingress: {requestsPerSecond: 1M}\n"), "75,000,000 requests would be simulated"),
        ((OBJECTS, "  ingress: {to: Nodes}\n"), "spec.ingress.to"),
        ((OBJECTS, "  ingress: {replicas: 0}\n"), "spec.ingress.replicas"),
        ((OBJECTS, '  thresholds: {ingress_latency: ["p99 < 1s"]}\n'), "only where there is an Ingress controller"),
    ],
)
def test_faults(tmp_path: Path, parts: tuple[str, ...], says: str) -> None:
    with pytest.raises(InputError) as caught:
        read(written(tmp_path, *parts))
    assert says in str(caught.value)


def test_a_backend_that_is_not_there_is_warned_about(tmp_path: Path) -> None:
    found = read(written(tmp_path, OBJECTS, INGRESS))
    assert (
        "Ingress default/shop: there is no Service default/web-9: such requests are answered with 503" in found.warnings
    )


def test_requests_are_counted_by_their_end(result: Result) -> None:
    found, runs = result.modes["iptables"], result.scenario.run.replications
    counts = {name: runs * each.value for name, each in found.counts.items()}
    ends = ("ingress_answered", "ingress_502", "ingress_503", "ingress_504")
    assert sum(counts[name] for name in ends) == pytest.approx(counts["ingress_requests"])
    assert counts["ingress_requests"] > 6000
    assert counts["ingress_502"] > 0
    assert counts["ingress_503"] == pytest.approx(counts["ingress_requests"] / 2, rel=0.1)
    assert found.summaries["ingress_latency"].n == pytest.approx(counts["ingress_answered"])
    lag, rules = (found.summaries[name].mean.value for name in ("ingress_programming", "network_programming_true"))
    assert lag > rules
    assert any("through the Ingress no Pod answered" in warning for warning in result.warnings)
    assert any(limit.name == "Ingress requests" and limit.used == 100.0 for limit in result.limits)
    assert "ingress" in [picture.name for picture in pictures(result)]
