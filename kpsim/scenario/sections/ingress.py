"""``ingress`` of a scenario: the controller's own objects are added to those read, and its Ingresses are checked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kpsim.cluster.params import ServiceGroup
from kpsim.documents import Key
from kpsim.errors import Place
from kpsim.ingress.params import IngressParams
from kpsim.ingress.routing import backends, of_class
from kpsim.kube import decode
from kpsim.kube.fields import Fields
from kpsim.kube.objects import KubeObjects, Service
from kpsim.kube.service.decode import service_of
from kpsim.scenario.complaints import Complaints
from kpsim.scenario.model import RunParams

INGRESS: Key = ("spec", "ingress")
LABELS = {"app.kubernetes.io/name": "ingress-nginx", "app.kubernetes.io/component": "controller"}
PORTS = (("http", 80), ("https", 443))


def with_controller(objects: KubeObjects, params: IngressParams) -> KubeObjects:
    """Return the objects with the controller's Service and Deployment, where its Service was not among them."""
    namespace, _, name = params.service.rpartition("/")
    if any((each.namespace, each.name) == (namespace or "default", name) for each in objects.services):
        return objects
    metadata = {"name": name, "namespace": namespace or "default"}
    service = {
        "metadata": metadata,
        "spec": {
            "type": params.type,
            "selector": LABELS,
            "ports": [{"name": port, "port": number, "targetPort": port} for port, number in PORTS],
        },
    }
    containers = [{"ports": [{"name": port, "containerPort": number} for port, number in PORTS]}]
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": containers}}
    deployment = {"metadata": metadata, "spec": {"replicas": params.replicas, "template": template}}
    return replace(
        objects,
        services=(*objects.services, service_of(_fields(service), Place())),
        workloads=(*objects.workloads, decode.workload(_fields(deployment), "Deployment")),
    )


def _fields(raw: dict[str, Any]) -> Fields:
    return Fields(raw, (), [])


def check_ingress(
    params: IngressParams,
    objects: KubeObjects,
    groups: tuple[ServiceGroup, ...],
    run: RunParams,
    complaints: Complaints,
) -> None:
    """Complain of a controller that has nothing to do or too much, and warn of Ingresses that lead nowhere."""
    taken = of_class(objects.ingresses, params.class_name)
    if not taken:
        mend = "add Ingress objects to objects:, or import them"
        if objects.ingresses:
            classes = ", ".join(sorted({each.class_name or "none" for each in objects.ingresses}))
            mend = f"those that were read have class {classes}"
        complaints.problem(INGRESS, "there is no Ingress for the controller to serve", mend, on_key=True)
    if params.requests_per_s * run.duration_s * run.replications > run.packets:
        what = f"{params.requests_per_s * run.duration_s * run.replications:,.0f} requests would be simulated"
        mend = f"fewer, or a larger run.packets than {run.packets:,}"
        complaints.problem((*INGRESS, "requestsPerSecond"), what, mend)
    services = {f"{each.namespace}/{each.name}": each for each in objects.services}
    for each in backends(taken):
        grown = any(_of_group(each.service, group) for group in groups)
        found = services.get(each.service)
        where = f"Ingress {each.ingress.namespace}/{each.ingress.name}"
        if found is not None:
            complaints.warnings += _lame(where, found)
        elif not grown:
            complaints.warning(f"{where}: there is no Service {each.service}: such requests are answered with 503")


def _of_group(name: str, group: ServiceGroup) -> bool:
    prefix, _, number = name.rpartition("-")
    return prefix == f"{group.namespace}/{group.name}" and number.isdigit() and int(number) < group.count


def _lame(where: str, service: Service) -> list[str]:
    """Return a warning if changes of the Service's endpoints are not followed."""
    if service.watched:
        return []
    why = "has no ClusterIP of kube-proxy's: its endpoints are those at the start throughout"
    return [f"{where}: Service {service.namespace}/{service.name} {why}"]
