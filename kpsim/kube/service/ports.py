"""The API server refuses these faults in the ports of a Service.

Source: pkg/apis/core/validation/validation.go (validateServicePort and the pairs in ValidateService).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kpsim.kube.fields import Fault, Fields
from kpsim.kube.objects import Service, ServicePort
from kpsim.kube.service.wording import choice_faults, forbidden, invalid, qualified_name_faults

PROTOCOLS = ("SCTP", "TCP", "UDP")
LAST_PORT = 65535
IN_RANGE = f"must be between 1 and {LAST_PORT}, inclusive"

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_PORT_NAME = re.compile(r"(?=.{1,15}$)(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*")


def port_faults(service: Service, spec: Fields) -> Iterator[Fault]:
    """Yield the faults of the ports of one Service, port by port; ``spec`` is how it was written."""
    if not service.ports and service.type != "ExternalName" and not service.headless:
        yield Fault(("spec", "ports"), "Required value", "give the Service at least one port: ports: [{port: 80}]")
    seen: dict[object, int] = {}
    written = list(Fields(spec.raw, spec.key, []).parts("ports"))
    for index, port in enumerate(service.ports):
        yield from _port(service, port, index)
        yield from qualified_name_faults(*_app_protocol(written[index])) if "appProtocol" in written[index] else ()
        yield from _again(port, index, seen, several=len(service.ports) > 1)


def _app_protocol(port: Fields) -> tuple[str, tuple[str | int, ...]]:
    return port.text("appProtocol"), (*port.key, "appProtocol")


def _port(service: Service, port: ServicePort, index: int) -> Iterator[Fault]:
    """Yield the faults of one port by itself."""
    key = ("spec", "ports", index)
    if not port.port:
        yield Fault((*key, "port"), "Required value", "give the port clients connect to")
    elif not 1 <= port.port <= LAST_PORT:
        yield invalid((*key, "port"), port.port, IN_RANGE)
    target = port.target_port
    if isinstance(target, int) and not 0 <= target <= LAST_PORT and target != port.port:
        yield invalid((*key, "targetPort"), target, IN_RANGE)
    if isinstance(target, str) and not _PORT_NAME.fullmatch(target):
        yield invalid((*key, "targetPort"), target, "must be a port number or a port name")
    if port.name and not _LABEL.fullmatch(port.name):
        yield invalid((*key, "name"), port.name, "must be a DNS-1123 label")
    if port.node_port and service.type == "ClusterIP":
        mend = "make it type: NodePort, or leave nodePort out"
        yield forbidden((*key, "nodePort"), "may not be used when `type` is 'ClusterIP'", mend)
    yield from choice_faults(port.protocol, PROTOCOLS, (*key, "protocol"))


def _again(port: ServicePort, index: int, seen: dict[object, int], *, several: bool) -> Iterator[Fault]:
    """Yield faults for values that a port shares with an earlier one of the same Service, and may not."""
    key = ("spec", "ports", index)
    if several and not port.name:
        yield Fault((*key, "name"), "Required value", "with more than one port, each needs a name")
    if port.name and seen.setdefault(("name", port.name), index) != index:
        yield Fault((*key, "name"), f'Duplicate value: "{port.name}"')
    if seen.setdefault((port.protocol, port.port), index) != index:
        yield Fault((*key, "port"), f"Duplicate value: {port.port}/{port.protocol}")
    if port.node_port and seen.setdefault(("node", port.protocol, port.node_port), index) != index:
        yield Fault((*key, "nodePort"), f"Duplicate value: {port.node_port}")
