"""The API server refuses Ingresses for these faults.

Source: pkg/apis/networking/validation/validation.go (ValidateIngressSpec, validateHTTPIngressPath,
validateIngressBackend).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kpsim.documents import Key
from kpsim.kube.fields import Fault, Fields
from kpsim.kube.server.names import subdomain_reasons
from kpsim.kube.server.refusals import IN_RANGE, LAST_PORT, choice_faults, invalid, invalid_for_each, required

PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
NOT_IN_PATHS = ("//", "/./", "/../", "%2f", "%2F")
NOT_AT_THEIR_END = ("/..", "/.")
_IPV4 = re.compile(r"\d{1,3}(\.\d{1,3}){3}")


def ingress_faults_as_read(written: Mapping[str, Any]) -> list[Fault]:
    """Return the faults of an Ingress of a manifest or dump, whose shapes are right."""
    spec = Fields(written, (), []).part("spec")
    faults = []
    if "defaultBackend" not in spec and not spec.raw.get("rules"):
        faults.append(invalid(("spec",), "", "either `defaultBackend` or `rules` must be specified"))
    if "defaultBackend" in spec:
        faults += _backend(spec.part("defaultBackend"))
    for rule in spec.parts("rules"):
        faults += _host(rule.text("host"), (*rule.key, "host"))
        http = rule.part("http")
        if "http" in rule and not http.raw.get("paths"):
            faults.append(required((*http.key, "paths")))
        for at in http.parts("paths"):
            faults += _path(at)
            faults += _backend(at.part("backend"))
    return faults


def _host(host: str, key: Key) -> Iterator[Fault]:
    if _IPV4.fullmatch(host) or ":" in host:
        yield invalid(key, host, "must be a DNS name, not an IP address")
    elif host.removeprefix("*."):
        yield from invalid_for_each(key, host, subdomain_reasons(host.removeprefix("*.")))


def _path(at: Fields) -> Iterator[Fault]:
    kind, path, key = at.text("pathType"), at.text("path"), (*at.key, "path")
    if not kind:
        yield required((*at.key, "pathType"), "pathType must be specified", "write Prefix or Exact")
        return
    if kind not in PATH_TYPES:
        yield from choice_faults(kind, PATH_TYPES, (*at.key, "pathType"))
    elif not path.startswith("/") and (path or kind != "ImplementationSpecific"):
        yield invalid(key, path, "must be an absolute path")
    elif kind != "ImplementationSpecific":
        found = [part for part in NOT_IN_PATHS if part in path]
        found += [part for part in NOT_AT_THEIR_END if path.endswith(part)]
        for part in found:
            yield invalid(key, path, f'must not contain "{part}"')


def _backend(at: Fields) -> Iterator[Fault]:
    if "resource" in at or "service" not in at:
        if "resource" in at and "service" in at:
            yield invalid(at.key, "", "cannot set both resource and service backends")
        elif "resource" not in at:
            yield invalid(at.key, "", "resource or service backend is required")
        return
    service = at.part("service")
    port, key = service.part("port"), (*service.key, "port")
    number, name = port.number("number"), port.text("name")
    if not service.text("name"):
        yield required((*service.key, "name"))
    if name and number:
        yield invalid(service.key, "", "cannot set both port name & port number")
    elif not name and not number:
        yield required(service.key, "port name or number is required", "e.g. port: {number: 80}")
    elif number and not 1 <= number <= LAST_PORT:
        yield invalid((*key, "number"), number, IN_RANGE)
