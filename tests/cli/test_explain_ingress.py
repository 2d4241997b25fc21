"""``kpsim explain ingress``: the rule, the Service port, the cost of the hop, the way on."""

from __future__ import annotations

import json

import pytest

from tests.cli.shell import Answer, Shell

CLUSTER = """\
apiVersion: kpsim/v1alpha1
kind: Scenario
metadata: {name: shop}
spec:
  cluster: {nodes: 4, cores: 2}
  services:
    - {name: web, count: 2, endpoints: 3}
    - apiVersion: v1
      kind: Service
      metadata: {name: empty}
      spec: {ports: [{port: 80, name: http}], selector: {app: nobody}}
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
                - {path: /cart, pathType: Exact, backend: {service: {name: web-1, port: {number: 80}}}}
                - {path: /empty, pathType: Prefix, backend: {service: {name: empty, port: {name: http}}}}
                - {path: /gone, pathType: Prefix, backend: {service: {name: gone, port: {number: 80}}}}
                - {path: /port, pathType: Prefix, backend: {service: {name: web-0, port: {number: 81}}}}
  ingress: {requestsPerSecond: 10}
"""


def explain(kpsim: Shell, url: str, *args: str) -> Answer:
    return kpsim("explain", "ingress", url, "-f", kpsim.write("shop.yaml", CLUSTER), *args)


def test_the_way_to_a_pod(kpsim: Shell) -> None:
    answer = explain(kpsim, "https://shop.example.com:443/cart?x=1")
    assert answer.code == 0
    said = answer.out
    assert "A request for http://shop.example.com/cart\n" in said
    assert "Service ingress-nginx/ingress-nginx-controller, type LoadBalancer" in said
    assert "Prefix / -> default/web-0:80: matches\n" in said
    assert "Exact /cart -> default/web-1:80: matches, and wins\n" in said
    assert "=> Service default/web-1, port 80: straight to one of its Pods, past kube-proxy" in said
    assert "3 ready: 10." in said
    assert "together 0.4 ms [0.14, 1.2] without load, before the Pod's own work [A36]" in said
    assert "up to 3.3 s between two syncs, 50 ms for one, and up to 1 s until" in said
    assert "KUBE-SVC" not in said


def test_through_the_cluster_ip_it_is_told_as_a_service_is(kpsim: Shell) -> None:
    said = explain(kpsim, "shop.example.com", "--set", "ingress.to=ClusterIP").out
    assert "=> Service default/web-0, port 80: to its ClusterIP, where kube-proxy chooses" in said
    service = kpsim("explain", "service", "web-0", "-f", kpsim.write("shop.yaml", CLUSTER)).out
    rules = service[service.index("  rules on") : service.index("Costs:")].strip()
    assert rules in said


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("shop.example.com/cartoon", "=> Service default/web-0, port 80: straight"),
        ("shop.example.com/empty", "Service default/empty has no endpoint that is ready: the controller answers 503"),
        ("shop.example.com/gone", "Service default/gone is not there: the controller answers 503"),
        ("shop.example.com/port", "Service default/web-0 has no port 81: the controller answers 503"),
        ("shp.example.com/", "no rule is about host shp.example.com (did you mean shop.example.com?)"),
        ("shp.example.com/", "=> no rule and no default backend: the controller answers 404 itself"),
    ],
)
def test_other_ends(kpsim: Shell, url: str, says: str) -> None:
    answer = explain(kpsim, url)
    assert answer.code == 0
    assert says in answer.out


def test_a_default_backend_is_said(kpsim: Shell) -> None:
    written = CLUSTER.replace(
        "        rules:", "        defaultBackend: {service: {name: web-1, port: {number: 80}}}\n        rules:"
    )
    answer = kpsim("explain", "ingress", "shop.example.com/x", "-f", kpsim.write("default.yaml", written))
    assert "Prefix / -> default/web-0:80: matches, and wins" in answer.out
    cut = written.replace("path: /, ", "path: /other, ")
    said = kpsim("explain", "ingress", "shop.example.com/x", "-f", kpsim.write("cut.yaml", cut)).out
    assert "no path of that host matches /x\n" in said
    assert "the default backend of Ingress default/shop takes it" in said
    assert "=> Service default/web-1, port 80" in said


def test_as_data(kpsim: Shell) -> None:
    found = json.loads(explain(kpsim, "shop.example.com/cart", "-o", "json").out)
    assert found["expected_s"]["value"] == pytest.approx(400e-6)
    assert found["port"] is None


def test_a_url_without_host_and_a_cluster_without_ingress(kpsim: Shell) -> None:
    answer = explain(kpsim, "/cart")
    assert answer.code == 3
    assert "'/cart' has no host" in answer.err
    bare = CLUSTER[: CLUSTER.index("  objects:")]
    answer = kpsim("explain", "ingress", "x.io/", "-f", kpsim.write("bare.yaml", bare))
    assert answer.code == 3
    assert "no Ingress was read" in answer.err
